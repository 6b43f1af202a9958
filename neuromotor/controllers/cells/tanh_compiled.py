"""The pieces of `TanhCell` for compiled loops: ``v <- v + leak (z - v)``, ``h = tanh(v)``.

The memory has two parts: h, and v where there is a leak. Without a leak v has no width and nothing
touches it. The only gate group gives the drive z. `numbers` is (leak,).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.compiled.functions import hyperbolic_tangent
from neuromotor.compiled.pieces import part, piece, recur, recur_back

GATES = (1,)  # gate groups, in units
NOISY = 0  # the group that private noise goes to
OWN_IS_KEPT = (0,)  # what recurrent weights see, a group each: 0 the memory before, 1 what is kept
OWN_PART = (0,)  # which part of that
MEMORY, KEPT, SCRATCH = 2, 0, 0  # how many parts there are of each


def widths(units: int, numbers: tuple[float, ...]) -> tuple[list[int], list[int], list[int]]:
    """Return the widths of the parts of memory, of what is kept, and of scratch."""
    return [units, 0 if numbers[0] == 1 else units], [], []


def start(initial: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the parts of the memory before the first step, of learnt activations (units,)."""
    return [np.tanh(initial), initial]


def start_tangent(initial: NDArray[Any], change: NDArray[Any]) -> list[NDArray[Any]]:
    """Return how they change."""
    return [change * (1 - np.tanh(initial) ** 2), change]


def start_adjoint(initial: NDArray[Any], pulls: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the derivative by the initial activations; a part without width has none."""
    through_rate: NDArray[Any] = pulls[0] * (1 - np.tanh(initial) ** 2)
    return through_rate + pulls[1] if len(pulls[1]) else through_rate


@piece
def step(weights: Any, numbers: Any, drives: Any, before: Any, after: Any, kept: Any) -> Any:
    z, h, leak = part(drives, 0), part(after, 0), numbers[0]
    recur(weights, 0, part(before, 0), z)
    if leak == 1:
        for b in range(h.shape[0]):
            for j in range(h.shape[1]):
                h[b, j] = hyperbolic_tangent(z[b, j])
        return
    v_before, v = part(before, 1), part(after, 1)
    for b in range(h.shape[0]):
        for j in range(h.shape[1]):
            v[b, j] = v_before[b, j] + leak * (z[b, j] - v_before[b, j])
            h[b, j] = hyperbolic_tangent(v[b, j])


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
    r_z, r, h, leak = part(r_drives, 0), part(r_after, 0), part(after, 0), numbers[0]
    recur(direction, 0, part(before, 0), r_z)
    recur(weights, 0, part(r_before, 0), r_z)
    if leak != 1:
        r_v_before, r_v = part(r_before, 1), part(r_after, 1)
        for b in range(h.shape[0]):
            for j in range(h.shape[1]):
                r_z[b, j] = r_v_before[b, j] + leak * (r_z[b, j] - r_v_before[b, j])
                r_v[b, j] = r_z[b, j]
    for b in range(h.shape[0]):
        for j in range(h.shape[1]):
            r[b, j] = r_z[b, j] - r_z[b, j] * h[b, j] * h[b, j]
    if structural != 0:
        held = part(damped, 0)
        for b in range(h.shape[0]):
            for j in range(h.shape[1]):
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
    h, d_h, d_z, leak = part(after, 0), part(d_after, 0), part(pulls, 0), numbers[0]
    for b in range(h.shape[0]):
        for j in range(h.shape[1]):
            d_z[b, j] = d_h[b, j] - d_h[b, j] * h[b, j] * h[b, j]
    if structural != 0:
        held = part(damped, 0)
        for b in range(h.shape[0]):
            for j in range(h.shape[1]):
                d_z[b, j] += held[b, j]
    if leak != 1:
        d_v, d_v_before = part(d_after, 1), part(d_before, 1)
        for b in range(h.shape[0]):
            for j in range(h.shape[1]):
                whole = d_z[b, j] + d_v[b, j]
                d_z[b, j] = leak * whole
                d_v_before[b, j] = whole - leak * whole
    recur_back(weights, 0, d_z, part(d_before, 0), False)
