"""Where each weight of a network stands: in the flat vector, and packed for products."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from neuromotor.compiled.pieces import LOOP_OPTIONS, Gradient, Tape, Weights, own_pulls
from neuromotor.compiled.tiles import VECTOR_BYTES, panel_width, product_address
from neuromotor.controllers.network import RecurrentNetwork

__all__ = ["Arrangement", "aligned"]

Array = NDArray[Any]


@nb.njit(cache=True, **LOOP_OPTIONS)
def _gather(flat: Array, places: Array, out: Array) -> None:
    for i in range(places.size):
        out[i] = flat[places[i]] if places[i] >= 0 else 0


@nb.njit(cache=True, **LOOP_OPTIONS)
def _scatter(blocks: Array, places: Array, flat: Array) -> None:
    flat[:] = 0
    for i in range(places.size):
        if places[i] >= 0:
            for k in range(blocks.shape[0]):
                flat[places[i]] += blocks[k, i]


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return zeros whose first number is at the start of a cache line."""
    count, size = int(np.prod(shape)), np.dtype(dtype).itemsize
    raw = np.zeros(count * size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    room: Array = raw[start : start + count * size].view(dtype).reshape(shape)
    return room


class Arrangement:
    """A network's matrices, in the order that `loop.py` numbers them, for one dtype.

    Attributes:
        blocks: For each layer and gate group, and for the read-out: places in the flat vector of
            its weights of what is given, of the layer below, of what its own recurrent weights see,
            and of its bias, (rows, columns). -1 stands for no weight. Recurrent weights with pulls
            of their own are a block by themselves, behind the others of their group.
    """

    def __init__(self, net: RecurrentNetwork, cell: ModuleType, observed: int, dtype: Any) -> None:
        """Arrange a network.

        Args:
            net: The network.
            cell: Its cell's compiled pieces.
            observed: Numbers of the state that it observes: inputs that take derivatives.
            dtype: Of all numbers.
        """
        self.dtype = np.dtype(dtype)
        self.lanes = VECTOR_BYTES // self.dtype.itemsize
        self._product = product_address(self.dtype)
        self.count = net.parameter_count
        self.inputs = net.inner_size
        # what takes derivatives comes first: what is observed, then the efference copies
        seen, told, copies = np.split(np.arange(self.inputs), [observed, net.input_size])
        order = np.concatenate([seen, copies, told])
        derived = len(seen) + len(copies)
        matrices: list[tuple[Array, int]] = []  # places, columns that take derivatives
        self.blocks: list[Array] = []
        self.initial: list[Array] = []
        at = 0

        def take(rows: int, columns: int) -> Array:
            nonlocal at
            at += rows * columns
            return np.arange(at - rows * columns, at).reshape(rows, columns)

        for index, units in enumerate(net.layers):
            sees = index == 0 or net.skip_inputs
            below = 0 if index == 0 else net.layers[index - 1]
            gates = sum(cell.GATES) * units
            feedforward = take(gates, (self.inputs if sees else 0) + below)
            if sees:
                feedforward[:, : self.inputs] = feedforward[:, order]
            recurrent, bias = take(gates, units), take(1, gates)[0]
            exists = net.connections(index)
            if exists is not None:
                recurrent = np.where(exists.numpy() != 0, recurrent, -1)
            if net.learn_initial_state:
                self.initial.append(take(1, net.cell.memory * units)[0])
            row = 0
            for g, group in enumerate(cell.GATES):
                rows = slice(row, row + group * units)
                row = rows.stop
                given = np.full((group * units, self.inputs + 1), -1)
                if sees:
                    given[:, :-1] = feedforward[rows, : self.inputs]
                given[:, -1] = bias[rows]
                under = feedforward[rows, feedforward.shape[1] - below :]
                matrices += [(given, derived), (under, below), (recurrent[rows], units)]
                whole = [feedforward[rows], recurrent[rows], bias[rows, None]]
                if own_pulls(cell)[g] == g:
                    self.blocks.append(np.concatenate(whole, axis=1))
                else:
                    self.blocks += [np.concatenate(whole[::2], axis=1), recurrent[rows]]
        output, bias = take(net.command_size, net.layers[-1]), take(1, net.command_size)[0]
        given = np.full((net.command_size, self.inputs + 1), -1)
        given[:, -1] = bias
        matrices += [(given, 0), (output, net.layers[-1])]
        self.blocks.append(np.concatenate([output, bias[:, None]], axis=1))
        self._pack(matrices)

    def _pack(self, matrices: list[tuple[Array, int]]) -> None:
        """Lay out panels and gradients."""
        seen: list[Array] = []
        rows_of: list[Array] = []
        table, gradients, at, gradient_at = [], [], 0, 0
        for places, derived in matrices:
            rows, columns = places.shape
            forth = self._panels(places.T)
            back = self._panels(places[:, :derived]) if derived else []
            middle = at + sum(panel.size for panel in forth)
            table.append([rows, columns, derived, at, middle])
            at = middle + sum(panel.size for panel in back)
            seen += forth + back
            wide = np.full((rows, self.padded(columns)), -1)
            wide[:, :columns] = places
            gradients.append([gradient_at, wide.shape[1]])
            gradient_at += wide.size
            rows_of.append(wide.ravel())
        self._size, self._gradient_size = at, -(-gradient_at // 16) * 16
        self._seen, self._places = np.concatenate(seen), np.concatenate(rows_of)
        self._table = np.array(table, np.int64)
        self._gradient_table = np.array(gradients, np.int64)

    def _panels(self, places: Array) -> list[Array]:
        """Places of a matrix (K, N) in the order of its panels."""
        panels, column = [], 0
        while column < places.shape[1]:
            width = panel_width(places.shape[1] - column, self.lanes)
            panel = np.full((places.shape[0], width), -1)
            part = places[:, column : column + width]
            panel[:, : part.shape[1]] = part
            panels.append(panel.ravel())
            column += width
        return panels

    def padded(self, width: int) -> int:
        """Return a width rounded up to whole vectors."""
        return int(-(-width // self.lanes) * self.lanes)

    def weights(self) -> Weights:
        """Return room for packed weights."""
        return Weights(aligned((self._size,), self.dtype), self._table, 0, self._product)

    def fill(self, weights: Weights, flat: Array) -> None:
        """Pack a flat vector (P,)."""
        _gather(flat, self._seen, weights.data)

    def gradients(self, count: int) -> tuple[Array, list[Gradient]]:
        """Return room for `count` gradients, and each by its matrices."""
        data = aligned((count, self._gradient_size), self.dtype)
        return data, [Gradient(row, self._gradient_table, self._product) for row in data]

    def flat(self, gradients: Array) -> Array:
        """Return the sum of gradients as a flat vector (P,)."""
        out = np.empty(self.count, self.dtype)
        _scatter(gradients, self._places, out)
        return out

    def tape(self, widths: list[int], steps: int, trials: int) -> Tape:
        """Return room for parts of some widths over some steps."""
        table, at = [], 0
        for width in widths:
            table.append([at, self.padded(width)])
            at += steps * self.padded(width)
        data = aligned((max(at, 1) * trials,), self.dtype)
        return Tape(data, np.array(table or [[0, 0]], np.int64), 0, 0, trials, trials)
