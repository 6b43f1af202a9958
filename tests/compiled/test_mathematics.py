"""tanh, sine and cosine of compiled loops against mpmath, in units of the last place."""

from __future__ import annotations

import mpmath
import numba as nb
import numpy as np
import pytest

from neuromotor.compiled import mathematics  # noqa: F401 -- teaches numba the functions
from neuromotor.compiled.functions import hyperbolic_tangent, sine_and_cosine


@nb.njit(error_model="numpy")
def tanh_of(x, out):
    for i in range(x.size):
        out[i] = hyperbolic_tangent(x[i])


@nb.njit(error_model="numpy")
def circle_of(x, sine, cosine):
    for i in range(x.size):
        sine[i], cosine[i] = sine_and_cosine(x[i])


def arguments(dtype):
    """All magnitudes: below the normal numbers, through where tanh bends, to infinity."""
    rng, info = np.random.default_rng(0), np.finfo(dtype)
    least = int(np.log10(float(info.smallest_subnormal)))
    wide = 10.0 ** rng.uniform(least, 3, 2000)
    bend = rng.uniform(0, 25, 2000)
    steps = np.log(2) / 4 * np.arange(1, 80, 2)  # where the reduction jumps
    edges = [0, info.smallest_subnormal, info.tiny, info.eps, 10, 20, info.max, np.inf]
    x = np.concatenate([wide, bend, steps, np.array(edges, np.float64)])
    with np.errstate(over="ignore"):
        x = x.astype(dtype)
    return np.concatenate([x, -x])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh_is_within_two_units_of_the_last_place(dtype):
    x = arguments(dtype)
    found = np.empty_like(x)
    tanh_of(x, found)
    with mpmath.workdps(50):
        for number, value in zip(x.tolist(), found.tolist(), strict=True):
            exact = mpmath.tanh(mpmath.mpf(number))
            place = mpmath.mpf(float(np.spacing(dtype(abs(float(exact))))))
            assert abs(mpmath.mpf(value) - exact) <= 2 * place, number
            # The derivative, as passes take it: within two units of the last place of one.
            slope = dtype(1) - dtype(value) * dtype(value)
            assert abs(mpmath.mpf(float(slope)) - (1 - exact**2)) <= 2 * np.finfo(dtype).eps
    assert np.array_equal(np.signbit(found), np.signbit(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh_of_what_is_no_number_is_none(dtype):
    found = np.zeros(1, dtype)
    tanh_of(np.array([np.nan], dtype), found)
    assert np.isnan(found[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sine_and_cosine_are_exact_to_rounding(dtype):
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(-1e4, 1e4, 2000), rng.uniform(-4, 4, 2000), [0.0]])
    x = x.astype(dtype)
    sine, cosine = np.empty_like(x), np.empty_like(x)
    circle_of(x, sine, cosine)
    with mpmath.workdps(40):
        for number, *found in zip(x.tolist(), sine.tolist(), cosine.tolist(), strict=True):
            exact = mpmath.sin(mpmath.mpf(number)), mpmath.cos(mpmath.mpf(number))
            for one, two in zip(found, exact, strict=True):
                assert abs(mpmath.mpf(one) - two) <= np.finfo(dtype).eps, number
