"""The pieces of `GatedCell` with `reset_after`, in the notation of that class.

There are two gate groups: the gates [z, r], and the candidate n. The memory is h. What a step keeps
for later passes is [z, r], n, and U_n h, on which the reset gate acts. So the recurrent weights of
the candidate are pulled by r times what pulls at its drive: they have a part of the pulls of their
own.
"""

from __future__ import annotations

from typing import Any

from neuromotor.compiled.functions import hyperbolic_tangent
from neuromotor.compiled.pieces import logistic, part, piece, recur, recur_back
from neuromotor.controllers.cells.rates_compiled import start as start
from neuromotor.controllers.cells.rates_compiled import start_adjoint as start_adjoint
from neuromotor.controllers.cells.rates_compiled import start_tangent as start_tangent

GATES = (2, 1)
NOISY = 1
OWN_IS_KEPT = (0, 0)
OWN_PART = (0, 0)
OWN_PULL = (0, 2)
MEMORY, KEPT, SCRATCH = 1, 3, 1


def widths(units: int, numbers: tuple[float, ...]) -> tuple[list[int], list[int], list[int]]:
    """Return the widths of the parts of memory, of what is kept, and of scratch."""
    del numbers
    return [units], [2 * units, units, units], [units]


@piece
def step(weights: Any, numbers: Any, drives: Any, before: Any, after: Any, kept: Any) -> Any:
    drive, candidate = part(drives, 0), part(drives, 1)
    h, new = part(before, 0), part(after, 0)
    gates, n, recalled = part(kept, 0), part(kept, 1), part(kept, 2)
    recur(weights, 0, h, drive)
    units = weights.table[weights.first + 2, 1]
    for b in range(h.shape[0]):
        for j in range(gates.shape[1]):
            gates[b, j] = logistic(drive[b, j])
        for j in range(units):
            recalled[b, j] = 0
    recur(weights, 1, h, recalled)
    for b in range(h.shape[0]):
        for j in range(units):
            n[b, j] = hyperbolic_tangent(candidate[b, j] + gates[b, units + j] * recalled[b, j])
        for j in range(units):
            new[b, j] = n[b, j] + gates[b, j] * (h[b, j] - n[b, j])


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
    h, gates, n, recalled = part(before, 0), part(kept, 0), part(kept, 1), part(kept, 2)
    r_h, r_new, r_gates, r_n = (
        part(r_before, 0),
        part(r_after, 0),
        part(r_drives, 0),
        part(r_drives, 1),
    )
    r_recalled = part(scratch, 0)
    units = weights.table[weights.first + 2, 1]
    recur(direction, 0, h, r_gates)
    recur(weights, 0, r_h, r_gates)
    for b in range(h.shape[0]):
        for j in range(gates.shape[1]):
            r_gates[b, j] *= gates[b, j] - gates[b, j] * gates[b, j]
        for j in range(units):
            r_recalled[b, j] = 0
    recur(direction, 1, h, r_recalled)
    recur(weights, 1, r_h, r_recalled)
    for b in range(h.shape[0]):
        for j in range(units):
            r_n[b, j] += r_gates[b, units + j] * recalled[b, j]
            r_n[b, j] += gates[b, units + j] * r_recalled[b, j]
            change = r_n[b, j] - r_n[b, j] * n[b, j] * n[b, j]
            through_gate = r_gates[b, j] * (h[b, j] - n[b, j])
            r_new[b, j] = change + through_gate + gates[b, j] * (r_h[b, j] - change)
    if structural != 0:
        held = part(damped, 0)
        for b in range(h.shape[0]):
            for j in range(units):
                held[b, j] = structural * r_new[b, j]


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
    h, gates, n, recalled = part(before, 0), part(kept, 0), part(kept, 1), part(kept, 2)
    d, d_h, d_gates, d_n = part(d_after, 0), part(d_before, 0), part(pulls, 0), part(pulls, 1)
    d_recalled = part(pulls, 2)
    units = weights.table[weights.first + 2, 1]
    if structural != 0:
        held = part(damped, 0)
        for b in range(h.shape[0]):
            for j in range(units):
                d[b, j] += held[b, j]
    for b in range(h.shape[0]):
        for j in range(units):
            z, r = gates[b, j], gates[b, units + j]
            pull = d[b, j] - d[b, j] * z
            d_n[b, j] = pull - pull * n[b, j] * n[b, j]
            d_gates[b, j] = d[b, j] * (h[b, j] - n[b, j]) * (z - z * z)
            d_gates[b, units + j] = d_n[b, j] * recalled[b, j] * (r - r * r)
            d_recalled[b, j] = d_n[b, j] * r
            d_h[b, j] = d[b, j] * z
    recur_back(weights, 1, d_recalled, d_h, True)
    recur_back(weights, 0, d_gates, d_h, True)
