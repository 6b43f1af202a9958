"""The pieces of `LSTMCell` for compiled loops, in the notation of that class.

There is one gate group, with the rows of i, f, a and o. The memory has two parts, h and m. What a
step keeps for later passes is the four gates after their nonlinearities, and tanh(m). `numbers` is
(forget_bias,). The form of 1997, without a forget gate, has no pieces.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from neuromotor.compiled.functions import hyperbolic_tangent
from neuromotor.compiled.pieces import logistic, part, piece, recur, recur_back

GATES = (4,)
NOISY, NOISY_GATE = 0, 2
OWN_IS_KEPT = (0,)
OWN_PART = (0,)
MEMORY, KEPT, SCRATCH = 2, 2, 0
DAMPED = 2  # h and m


def widths(units: int, numbers: tuple[float, ...]) -> tuple[list[int], list[int], list[int]]:
    """Return the widths of the parts of memory, of what is kept, and of scratch."""
    del numbers
    return [units, units], [4 * units, units], []


def start(initial: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the parts of the memory before the first step, of a learnt one (2 units,)."""
    units = len(initial) // 2
    return [initial[:units], initial[units:]]


def start_tangent(initial: NDArray[Any], change: NDArray[Any]) -> list[NDArray[Any]]:
    """Return how they change."""
    del initial
    return start(change)


def start_adjoint(initial: NDArray[Any], pulls: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the derivative by the learnt memory, (2 units,)."""
    both = initial.copy()
    both[: len(pulls[0])], both[len(pulls[0]) :] = pulls
    return both


@piece
def step(weights: Any, numbers: Any, drives: Any, before: Any, after: Any, kept: Any) -> Any:
    drive, gates, squashed = part(drives, 0), part(kept, 0), part(kept, 1)
    old, h, m = part(before, 1), part(after, 0), part(after, 1)
    recur(weights, 0, part(before, 0), drive)
    units, bias = weights.table[weights.first + 2, 1], numbers[0]
    for b in range(h.shape[0]):
        for j in range(units):
            gates[b, j] = logistic(drive[b, j])
        for j in range(units, 2 * units):
            gates[b, j] = logistic(drive[b, j] + bias)
        for j in range(2 * units, 3 * units):
            gates[b, j] = hyperbolic_tangent(drive[b, j])
        for j in range(3 * units, 4 * units):
            gates[b, j] = logistic(drive[b, j])
        for j in range(units):
            m[b, j] = gates[b, units + j] * old[b, j] + gates[b, j] * gates[b, 2 * units + j]
        for j in range(units):
            squashed[b, j] = hyperbolic_tangent(m[b, j])
        for j in range(units):
            h[b, j] = gates[b, 3 * units + j] * squashed[b, j]


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
    h, old, gates, squashed = part(before, 0), part(before, 1), part(kept, 0), part(kept, 1)
    r_old, r_gates, r_h, r_m = (
        part(r_before, 1),
        part(r_drives, 0),
        part(r_after, 0),
        part(r_after, 1),
    )
    units = weights.table[weights.first + 2, 1]
    recur(direction, 0, h, r_gates)
    recur(weights, 0, part(r_before, 0), r_gates)
    for b in range(h.shape[0]):
        for j in range(2 * units):
            r_gates[b, j] *= gates[b, j] - gates[b, j] * gates[b, j]
        for j in range(2 * units, 3 * units):
            r_gates[b, j] *= 1 - gates[b, j] * gates[b, j]
        for j in range(3 * units, 4 * units):
            r_gates[b, j] *= gates[b, j] - gates[b, j] * gates[b, j]
        for j in range(units):
            r_m[b, j] = gates[b, units + j] * r_old[b, j] + r_gates[b, units + j] * old[b, j]
        for j in range(units):
            written = r_gates[b, j] * gates[b, 2 * units + j]
            r_m[b, j] += written + gates[b, j] * r_gates[b, 2 * units + j]
        for j in range(units):
            through = r_m[b, j] - r_m[b, j] * squashed[b, j] * squashed[b, j]
            read = r_gates[b, 3 * units + j] * squashed[b, j]
            r_h[b, j] = read + gates[b, 3 * units + j] * through
    if structural != 0:
        held = part(damped, 0)
        for b in range(h.shape[0]):
            for j in range(units):
                held[b, j] = structural * r_h[b, j]
                held[b, units + j] = structural * r_m[b, j]


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
    old, gates, squashed = part(before, 1), part(kept, 0), part(kept, 1)
    d_h, d_m, d_old, d_gates = (
        part(d_after, 0),
        part(d_after, 1),
        part(d_before, 1),
        part(pulls, 0),
    )
    units = weights.table[weights.first + 2, 1]
    if structural != 0:
        held = part(damped, 0)
        for b in range(d_h.shape[0]):
            for j in range(units):
                d_h[b, j] += held[b, j]
                d_m[b, j] += held[b, units + j]
    for b in range(d_h.shape[0]):
        for j in range(units):
            o = gates[b, 3 * units + j]
            d_gates[b, 3 * units + j] = d_h[b, j] * squashed[b, j] * (o - o * o)
        for j in range(units):
            through = d_h[b, j] * gates[b, 3 * units + j]
            d_m[b, j] += through - through * squashed[b, j] * squashed[b, j]
        for j in range(units):
            i = gates[b, j]
            d_gates[b, j] = d_m[b, j] * gates[b, 2 * units + j] * (i - i * i)
        for j in range(units):
            f = gates[b, units + j]
            d_gates[b, units + j] = d_m[b, j] * old[b, j] * (f - f * f)
        for j in range(units):
            a = gates[b, 2 * units + j]
            d_gates[b, 2 * units + j] = d_m[b, j] * gates[b, j] * (1 - a * a)
        for j in range(units):
            d_old[b, j] = d_m[b, j] * gates[b, units + j]
    recur_back(weights, 0, d_gates, part(d_before, 0), False)
