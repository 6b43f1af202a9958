"""What the compiled pieces of a cell work with: its weights, its numbers over time, and products.

Every array of a cell has trials as rows. A width is padded to whole vectors; what lies in the
padding does not count, and products write it.

- `Tape`: the arrays of one layer at one step; `part(tape, k)` is the k-th, (trials, width).
- `Weights` and `Gradient`: those of one layer, by gate group g.
- `recur`, `recur_back`: products with the recurrent weights of a gate group.
- Pulls are derivatives of the loss. Each gate group has a part of them, by its drive. A cell where
  something else pulls at the recurrent weights of a group names in `OWN_PULL` the part of each
  group; those behind the groups' own are as wide as the group is.

`piece` compiles a function for use in a loop, `formula` one of single numbers; they are never kept
on disk by themselves, since numba would not notice a change in what they call.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numba as nb
from llvmlite import ir
from numba import carray, types  # type: ignore[attr-defined]
from numba.extending import intrinsic
from numpy.typing import NDArray

from neuromotor.compiled import mathematics  # noqa: F401 -- teaches numba tanh, sine, cosine
from neuromotor.compiled.functions import hyperbolic_tangent

__all__ = [
    "FORMULA",
    "LOOP_OPTIONS",
    "Gradient",
    "Tape",
    "Weights",
    "actuate",
    "at",
    "back",
    "formula",
    "forth",
    "into",
    "layer",
    "logistic",
    "out_of",
    "outer",
    "own_pulls",
    "part",
    "piece",
    "pointed",
    "pull_gates",
    "recur",
    "recur_back",
    "span",
]

LOOP_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}
FORMULA: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": {"contract", "nsz"},
    "forceinline": True,  # a loop with a call in it does not become vector instructions
}
piece = nb.njit(fastmath={"contract", "nsz"}, **LOOP_OPTIONS)
formula = nb.njit(**FORMULA)


class Weights(NamedTuple):
    """Matrices packed in panels, for products from both sides.

    Attributes:
        data: All panels, one after another.
        table: A row a matrix: rows, columns, columns that take derivatives, place of the panels of
            its transpose, place of its own.
        first: Number of the layer's first matrix.
        product: Address of the compiled product.
    """

    data: NDArray[Any]
    table: NDArray[Any]
    first: int
    product: int


class Gradient(NamedTuple):
    """Gradients of the same matrices, by rows.

    Attributes:
        data: All of them, one after another.
        table: A row a matrix: its place, its padded width.
        product: Address of the compiled product.
    """

    data: NDArray[Any]
    table: NDArray[Any]
    product: int


class Tape(NamedTuple):
    """Numbers of several layers over time, in parts of their own widths.

    Attributes:
        data: All of them: part by part, then step by step, then trial by trial.
        table: A row a part: numbers before it for one trial, padded width.
        first: Number of the layer's first part.
        step: At which step.
        trials: Trials of a step.
        rows: Trials, or trials of several steps one under another.
    """

    data: NDArray[Any]
    table: NDArray[Any]
    first: int
    step: int
    trials: int
    rows: int


def own_pulls(cell: ModuleType) -> tuple[int, ...]:
    """Return which part of the pulls is that of a group's recurrent weights, a group each."""
    own: tuple[int, ...] = getattr(cell, "OWN_PULL", tuple(range(len(cell.GATES))))
    return own


def pull_gates(cell: ModuleType) -> tuple[int, ...]:
    """Return how wide each part of the pulls is, in units."""
    gates: tuple[int, ...] = cell.GATES
    more = (gates[g] for g, own in enumerate(own_pulls(cell)) if own != g)
    return (*gates, *more)


@intrinsic
def _call(
    typingctx: Any,
    address: Any,
    like: Any,
    add: Any,
    a: Any,
    a_row: Any,
    a_k: Any,
    rows: Any,
    count: Any,
    b: Any,
    b_k: Any,
    panel_rows: Any,
    columns: Any,
    c: Any,
    c_row: Any,
) -> Any:
    """The compiled product at an address."""
    signature = types.void(types.intp, like, types.boolean, *([types.intp] * 11))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = [context.get_value_type(kind) for kind in signature.args[1:]]
        kinds[1] = ir.IntType(8)
        add = args[2]
        flag = builder.zext(add, ir.IntType(8)) if add.type.width == 1 else add
        pointer = ir.FunctionType(ir.VoidType(), kinds).as_pointer()
        builder.call(builder.inttoptr(args[0], pointer), [args[1], flag, *args[3:]])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _pointer(typingctx: Any, address: Any) -> Any:
    """A pointer to numbers of double precision at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float64)(types.int64), codegen


@piece
def logistic(x: Any) -> Any:
    """Return ``1 / (1 + exp(-x))`` of one number, in its own precision."""
    half = type(x)(0.5)
    return half + half * hyperbolic_tangent(half * x)


@piece
def pointed(address: Any, shape: Any) -> Any:
    """Return the array of double precision at an address; to hand over many costs less so."""
    return carray(_pointer(address), shape)


@piece
def part(tape: Any, k: Any) -> Any:
    """Return part k of the layer, (rows, padded width)."""
    width = tape.table[tape.first + k, 1]
    start = tape.table[tape.first + k, 0] * tape.trials + tape.step * tape.trials * width
    return tape.data[start : start + tape.rows * width].reshape((tape.rows, width))


@piece
def at(tape: Any, step: Any) -> Any:
    """Return the tape at a step."""
    return Tape(tape.data, tape.table, tape.first, step, tape.trials, tape.trials)


@piece
def span(tape: Any, step: Any, steps: Any) -> Any:
    """Return the tape at several steps, one under another."""
    return Tape(tape.data, tape.table, tape.first, step, tape.trials, steps * tape.trials)


@piece
def layer(tape: Any, first: Any) -> Any:
    """Return the tape whose part 0 is part `first`."""
    return Tape(tape.data, tape.table, first, tape.step, tape.trials, tape.rows)


@piece
def into(now: Any, row: Any, array: Any, start: Any) -> Any:
    """Copy trials from `start` on to the rows of a small array, as many as it holds."""
    count = min(now.shape[1], array.shape[1] - start)
    for i in range(array.shape[0]):
        for b in range(count):
            now[row + i, b] = array[i, start + b]


@piece
def out_of(now: Any, row: Any, array: Any, start: Any) -> Any:
    """Copy them back."""
    count = min(now.shape[1], array.shape[1] - start)
    for i in range(array.shape[0]):
        for b in range(count):
            array[i, start + b] = now[row + i, b]


@piece
def actuate(limit: Any, now: Any, u: Any, given: Any, slope: Any, size: Any) -> Any:
    """Write what the actuators give for commands, and how it changes with them, row by row."""
    for i in range(size):
        if limit[0] > 0:
            for b in range(now.shape[1]):
                part_of_limit = hyperbolic_tangent(now[u + i, b] / limit[i])
                now[given + i, b] = limit[i] * part_of_limit
                now[slope + i, b] = 1 - part_of_limit * part_of_limit
        else:
            for b in range(now.shape[1]):
                now[given + i, b] = now[u + i, b]
                now[slope + i, b] = 1


@piece
def _with_panels(
    weights: Any, panels: Any, inner: Any, outer: Any, a: Any, z: Any, add: Any
) -> Any:
    """``z (+)= a X`` of a matrix X, (inner, outer), whose panels begin at a place."""
    _call(
        weights.product,
        weights.data[0],
        add,
        a.ctypes.data,
        a.shape[1],
        1,
        a.shape[0],
        inner,
        weights.data.ctypes.data + panels * a.itemsize,
        0,
        inner,
        outer,
        z.ctypes.data,
        z.shape[1],
    )


@piece
def forth(weights: Any, k: Any, a: Any, z: Any, add: Any) -> Any:
    """``z (+)= a W[k]^T``."""
    table = weights.table
    _with_panels(weights, table[k, 3], table[k, 1], table[k, 0], a, z, add)


@piece
def back(weights: Any, k: Any, d_z: Any, d_a: Any, add: Any) -> Any:
    """``d_a (+)= d_z W[k]``."""
    table = weights.table
    _with_panels(weights, table[k, 4], table[k, 0], table[k, 2], d_z, d_a, add)


@piece
def outer(gradient: Any, k: Any, d_z: Any, a: Any, rows: Any) -> Any:
    """``G[k] += d_z^T a``, summed over all rows of both."""
    _call(
        gradient.product,
        gradient.data[0],
        True,
        d_z.ctypes.data,
        1,
        d_z.shape[1],
        rows,
        d_z.shape[0],
        a.ctypes.data,
        a.shape[1],
        0,
        a.shape[1],
        gradient.data.ctypes.data + gradient.table[k, 0] * a.itemsize,
        gradient.table[k, 1],
    )


@piece
def recur(weights: Any, group: Any, own: Any, drive: Any) -> Any:
    """Add what the recurrent weights of a gate group give to its drive: ``drive += own U^T``."""
    forth(weights, weights.first + 3 * group + 2, own, drive, True)


@piece
def recur_back(weights: Any, group: Any, d_drive: Any, d_own: Any, add: Any) -> Any:
    """Pull the derivative by a gate group's drive back: ``d_own (+)= d_drive U``."""
    back(weights, weights.first + 3 * group + 2, d_drive, d_own, add)
