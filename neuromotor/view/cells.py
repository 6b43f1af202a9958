"""What a page needs of a cell: its step in the form that is translated, and its parts.

Cells with compiled pieces bring that step along. Leaky units and long short-term memory have it
here, in the same form and with the same notation as in their own modules; tests hold both against
each other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from numpy.typing import NDArray

from neuromotor._checks import declares
from neuromotor.compiled.functions import hyperbolic_tangent
from neuromotor.controllers.cells import Cell, LeakyCell, LSTMCell

if TYPE_CHECKING:  # the page has its own, and Python's would import numba
    from neuromotor.compiled.pieces import part, recur

__all__ = ["Pieces", "pieces_of"]

Array = NDArray[Any]
_KINDS = ("tanh", "logistic", "rectified", "linear")  # in the order of `_sent`


class Pieces(NamedTuple):
    """A cell, as the page runs it; `compiled.pieces` says what the step works with.

    Attributes:
        module: Where its functions are.
        step: Name of the step there.
        start: Name of what gives the parts of the memory from activations; None where rates do not
            tell the whole memory, so that there is no field of flow.
        gates: Gate groups, in units.
        noisy: The group that private noise goes to.
        numbers: What the step needs to know.
        widths: Of the parts of memory and of what is kept, of the number of units.
        parts: Of the memory before the first step, (memory units,). The first are the rates.
    """

    module: ModuleType
    step: str
    start: str | None
    gates: tuple[int, ...]
    noisy: int
    numbers: tuple[float, ...]
    widths: Callable[[int], tuple[list[int], list[int]]]
    parts: Callable[[Array], list[Array]]


def pieces_of(cell: Cell) -> Pieces | None:
    """Return what a page needs of a cell; None where its own class has nothing of the kind."""
    if type(cell) is LSTMCell:  # both forms of it
        return _lstm(cell)
    if type(cell) is LeakyCell:  # whose pieces here know every setting but noise on the rate
        return _leaky(cell) if cell.noise_on == "input" else None
    return _compiled(cell) if declares(cell, "compiled") else None


def _compiled(cell: Any) -> Pieces:
    module: Any = import_module(cell.compiled)
    numbers = tuple(cell.numbers)
    return Pieces(
        module,
        "step",
        "start",
        tuple(module.GATES),
        module.NOISY,
        numbers,
        lambda units: module.widths(units, numbers)[:2],
        module.start,
    )


# ---- leaky units: h, and v where the leak is on that ----


def _leaky(cell: LeakyCell) -> Pieces:
    on_rate = cell.leak_on == "rate"
    kinds = tuple(float(_KINDS.index(name)) for name in cell.nonlinearity)
    sizes = float(len(cell.leak)), float(len(kinds))

    def parts(initial: Array) -> list[Array]:
        rates: Array = cell.rates(torch.from_numpy(initial)).numpy()
        return [rates] if on_rate else [rates, initial]

    return Pieces(
        sys.modules[__name__],
        "leaky_step",
        "rates_alone" if on_rate else None,
        (1,),
        0,
        (cell.threshold, float(on_rate), *sizes, *cell.leak, *kinds),
        lambda units: ([units] if on_rate else [units, units], []),
        parts,
    )


def leaky_step(weights: Any, numbers: Any, drives: Any, before: Any, after: Any, kept: Any) -> Any:
    """Take a step of `LeakyCell`."""
    z, old, h = part(drives, 0), part(before, 0), part(after, 0)
    recur(weights, 0, old, z)
    threshold, leaks, kinds = numbers[0], numbers[2], numbers[3]
    at, which = 0, 0
    for j in range(h.shape[1]):
        leak, kind = numbers[4 + at], numbers[4 + leaks + which]
        if numbers[1] > 0:
            h[0, j] = old[0, j] + leak * (_sent(kind, z[0, j] - threshold) - old[0, j])
        else:
            v_before, v = part(before, 1), part(after, 1)
            v[0, j] = v_before[0, j] + leak * (z[0, j] - v_before[0, j])
            h[0, j] = _sent(kind, v[0, j] - threshold)
        at, which = at + 1, which + 1
        if at == leaks:
            at = 0
        if which == kinds:
            which = 0


def rates_alone(initial: Any) -> Any:
    """Return the parts of a memory that is the rates."""
    return [initial]


def _sent(kind: Any, x: Any) -> Any:
    if kind == 0:
        return hyperbolic_tangent(x)
    if kind == 1:
        return _logistic(x)
    if kind == 2:
        return x if x > 0 else 0.0
    return x


def _logistic(x: Any) -> Any:
    return 0.5 + 0.5 * hyperbolic_tangent(0.5 * x)


# ---- LSTM: h and m ----


def _lstm(cell: LSTMCell) -> Pieces:
    def parts(initial: Array) -> list[Array]:
        units = len(initial) // 2
        return [initial[:units], initial[units:]]

    return Pieces(
        sys.modules[__name__],
        "lstm_step" if cell.forget else "lstm_step_of_1997",
        None,
        (1,) * cell.gates,
        2 if cell.forget else 1,
        (cell.forget_bias,),
        lambda units: ([units, units], []),
        parts,
    )


def lstm_step(weights: Any, numbers: Any, drives: Any, before: Any, after: Any, kept: Any) -> Any:
    """Take a step of `LSTMCell`."""
    i, f, a, o = part(drives, 0), part(drives, 1), part(drives, 2), part(drives, 3)
    old, m_before, h, m = part(before, 0), part(before, 1), part(after, 0), part(after, 1)
    recur(weights, 0, old, i)
    recur(weights, 1, old, f)
    recur(weights, 2, old, a)
    recur(weights, 3, old, o)
    for j in range(h.shape[1]):
        remembered = _logistic(f[0, j] + numbers[0]) * m_before[0, j]
        m[0, j] = remembered + _logistic(i[0, j]) * hyperbolic_tangent(a[0, j])
        h[0, j] = _logistic(o[0, j]) * hyperbolic_tangent(m[0, j])


def lstm_step_of_1997(
    weights: Any, numbers: Any, drives: Any, before: Any, after: Any, kept: Any
) -> Any:
    """Take a step of `LSTMCell` without forget gate."""
    i, a, o = part(drives, 0), part(drives, 1), part(drives, 2)
    old, m_before, h, m = part(before, 0), part(before, 1), part(after, 0), part(after, 1)
    recur(weights, 0, old, i)
    recur(weights, 1, old, a)
    recur(weights, 2, old, o)
    for j in range(h.shape[1]):
        m[0, j] = m_before[0, j] + _logistic(i[0, j]) * hyperbolic_tangent(a[0, j])
        h[0, j] = _logistic(o[0, j]) * hyperbolic_tangent(m[0, j])
