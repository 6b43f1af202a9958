"""The pieces of `LeakyCell` for compiled loops, with the leak on the rate, all units alike.

The memory is h. What a step keeps is the private noise, which comes here and not to the drive, and
f of the drive. `numbers` are leak, nonlinearity, threshold, and whether the noise is on the rate.
"""

from __future__ import annotations

from typing import Any

from neuromotor.compiled.functions import hyperbolic_tangent
from neuromotor.compiled.pieces import logistic, part, piece, recur, recur_back
from neuromotor.controllers.cells.rates_compiled import start as start
from neuromotor.controllers.cells.rates_compiled import start_adjoint as start_adjoint
from neuromotor.controllers.cells.rates_compiled import start_tangent as start_tangent

GATES = (1,)
NOISY = -1  # private noise is kept, and the step takes it from there
OWN_IS_KEPT = (0,)
OWN_PART = (0,)
MEMORY, KEPT, SCRATCH = 1, 2, 0
TANH, LOGISTIC, RECTIFIED = 0, 1, 2  # their places in `NONLINEARITIES`; the last is linear


def widths(units: int, numbers: tuple[float, ...]) -> tuple[list[int], list[int], list[int]]:
    """Return the widths of the parts of memory, of what is kept, and of scratch."""
    del numbers
    return [units], [units, units], []


@piece
def slope(kind: Any, f: Any) -> Any:
    """The slope of a nonlinearity where it gives f."""
    one = type(f)(1)
    if kind == TANH:
        return one - f * f
    if kind == LOGISTIC:
        return f - f * f
    if kind == RECTIFIED:
        return one if f > 0 else one - one
    return one


@piece
def step(weights: Any, numbers: Any, drives: Any, before: Any, after: Any, kept: Any) -> Any:
    z, old, h = part(drives, 0), part(before, 0), part(after, 0)
    noise, f = part(kept, 0), part(kept, 1)
    leak, kind, threshold, on_rate = numbers[0], numbers[1], numbers[2], numbers[3]
    recur(weights, 0, old, z)
    for b in range(h.shape[0]):
        for j in range(h.shape[1]):
            z[b, j] -= threshold
            if on_rate == 0:
                z[b, j] += noise[b, j]
    for b in range(h.shape[0]):
        for j in range(h.shape[1]):
            if kind == TANH:
                f[b, j] = hyperbolic_tangent(z[b, j])
            elif kind == LOGISTIC:
                f[b, j] = logistic(z[b, j])
            elif kind == RECTIFIED:
                f[b, j] = z[b, j] if z[b, j] > 0 else z[b, j] - z[b, j]
            else:
                f[b, j] = z[b, j]
    for b in range(h.shape[0]):
        for j in range(h.shape[1]):
            h[b, j] = old[b, j] + leak * (f[b, j] - old[b, j])
            h[b, j] += on_rate * noise[b, j] * old[b, j] * old[b, j]


@piece
def tangent(
    weights: Any,
    direction: Any,
    numbers: Any,
    before: Any,
    after: Any,
    kept: Any,
    r_drives: Any,
    r_before: Any,
    r_after: Any,
    scratch: Any,
    structural: Any,
    damped: Any,
) -> Any:
    r_z, r_old, r, old = part(r_drives, 0), part(r_before, 0), part(r_after, 0), part(before, 0)
    noise, f = part(kept, 0), part(kept, 1)
    leak, kind, on_rate = numbers[0], numbers[1], numbers[3]
    recur(direction, 0, old, r_z)
    recur(weights, 0, r_old, r_z)
    for b in range(r.shape[0]):
        for j in range(r.shape[1]):
            steep = slope(kind, f[b, j]) * r_z[b, j]
            r[b, j] = r_old[b, j] + leak * (steep - r_old[b, j])
            r[b, j] += 2 * on_rate * noise[b, j] * old[b, j] * r_old[b, j]
    if structural != 0:
        held = part(damped, 0)
        for b in range(r.shape[0]):
            for j in range(r.shape[1]):
                held[b, j] = structural * r[b, j]


@piece
def adjoint(
    weights: Any,
    numbers: Any,
    before: Any,
    after: Any,
    kept: Any,
    d_after: Any,
    pulls: Any,
    d_before: Any,
    scratch: Any,
    structural: Any,
    damped: Any,
) -> Any:
    d_h, d_old, d_z, old = part(d_after, 0), part(d_before, 0), part(pulls, 0), part(before, 0)
    noise, f = part(kept, 0), part(kept, 1)
    leak, kind, on_rate = numbers[0], numbers[1], numbers[3]
    if structural != 0:
        held = part(damped, 0)
        for b in range(d_h.shape[0]):
            for j in range(d_h.shape[1]):
                d_h[b, j] += held[b, j]
    for b in range(d_h.shape[0]):
        for j in range(d_h.shape[1]):
            d_z[b, j] = leak * slope(kind, f[b, j]) * d_h[b, j]
            d_old[b, j] = d_h[b, j] - leak * d_h[b, j]
            d_old[b, j] += 2 * on_rate * noise[b, j] * old[b, j] * d_h[b, j]
    recur_back(weights, 0, d_z, d_old, True)
