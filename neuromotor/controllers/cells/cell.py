"""What every cell offers, and the products by which it reads the weights of its layer.

Notation: I are the inputs of a layer, F its feed-forward weights, U its recurrent weights, and b
its biases. The rows of F, U and b lie gate after gate, and within a gate unit after unit.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

__all__ = ["Cell", "LayerWeights", "LinearMap", "Products", "Tape"]


class LayerWeights(NamedTuple):
    """Views of one layer's parameters, for `units` units of a cell with some gates."""

    feedforward: Tensor  # (gates units, inputs); [observation, target] if seen, layer below
    recurrent: Tensor  # (gates units, units)
    bias: Tensor  # (gates units,)
    initial: Tensor | None  # (memory units,); memory before the first step, None for zero


class LinearMap(NamedTuple):
    """Which linear map of a network: some gates of a layer, whole or one of its two parts."""

    layer: int
    first: int  # gate
    end: int  # the gate after the last
    part: str = "whole"  # "feedforward" with the bias, "recurrent" without


class Tape:
    """What went into the linear maps of a network, and what came out, at every step of a run.

    Kronecker factors are second moments of what it holds.

    Attributes:
        inputs: By the map, the parts of its input side by side, (B, .), one a step.
        products: By the map, what came out, (B, rows), one a step.
    """

    def __init__(self) -> None:
        self.inputs: dict[LinearMap, list[Tensor]] = {}
        self.products: dict[LinearMap, list[Tensor]] = {}

    def write(self, place: LinearMap, inputs: Tensor, product: Tensor) -> None:
        """Add one product.

        Args:
            place: Which map.
            inputs: What went in, (B, columns), without the constant one of a bias.
            product: What came out, (B, rows), the very tensor that the network goes on with.
        """
        self.inputs.setdefault(place, []).append(inputs.detach())
        self.products.setdefault(place, []).append(product)


class Products:
    """The weights of one layer, which a cell reads by products only."""

    def __init__(
        self, weights: LayerWeights, units: int, layer: int = 0, tape: Tape | None = None
    ) -> None:
        """Take a layer's weights.

        Args:
            weights: Views of the parameters.
            units: Units of the layer.
            layer: Its number, for the tape.
            tape: Where every product is written, or None.
        """
        self._weights, self._units, self._layer, self._tape = weights, units, layer, tape

    def __call__(self, gates: slice, inputs: Tensor, own: Tensor) -> Tensor:
        """Return ``inputs F^T + own U^T + b`` for some gates, (B, gates units).

        Args:
            gates: Which, as ``slice(0, 2)``.
            inputs: What the layer gets from elsewhere, (B, I).
            own: What it gets from itself, (B, units). A column must depend on its own unit only.
        """
        weights, units = self._weights, self._units
        feedforward, recurrent, bias = weights.feedforward, weights.recurrent, weights.bias
        if (gates.stop - gates.start) * units != len(bias):
            rows = slice(gates.start * units, gates.stop * units)
            feedforward, recurrent, bias = feedforward[rows], recurrent[rows], bias[rows]
        product = torch.addmm(bias, inputs, feedforward.T)
        product = torch.addmm(product, own, recurrent.T)
        if self._tape is not None:
            place = LinearMap(self._layer, gates.start, gates.stop)
            self._tape.write(place, torch.cat([inputs, own], dim=-1), product)
        return product

    def apart(self, gates: slice, inputs: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``inputs F^T + b`` and ``own U^T`` for some gates, (B, gates units) each.

        The arguments are those of a call.
        """
        return self.given(gates, inputs), self.recalled(gates, own)

    def given(self, gates: slice, inputs: Tensor) -> Tensor:
        """Return ``inputs F^T + b`` for some gates, (B, gates units)."""
        weights, rows = self._weights, self._rows(gates)
        product = torch.addmm(weights.bias[rows], inputs, weights.feedforward[rows].T)
        self._write(gates, "feedforward", inputs, product)
        return product

    def recalled(self, gates: slice, own: Tensor) -> Tensor:
        """Return ``own U^T`` for some gates, (B, gates units)."""
        product = own @ self._weights.recurrent[self._rows(gates)].T
        self._write(gates, "recurrent", own, product)
        return product

    def bias(self, gates: slice) -> Tensor:
        """Return the biases of some gates, (gates units,), for a cell with another use for them.

        Kronecker factors do not see such a use.
        """
        return self._weights.bias[self._rows(gates)]

    def _rows(self, gates: slice) -> slice:
        return slice(gates.start * self._units, gates.stop * self._units)

    def _write(self, gates: slice, part: str, seen: Tensor, product: Tensor) -> None:
        if self._tape is not None:
            self._tape.write(LinearMap(self._layer, gates.start, gates.stop, part), seen, product)


class Cell(Protocol):
    """One kind of unit, without sizes and without weights: a pure step of a layer's memory.

    A cell is a frozen dataclass. It reads its layer's weights by the products alone, so that
    whatever needs to know what a matrix multiplied, as Kronecker factors do, learns it there.
    A subclass that overrides `step` overrides `rates` and `damped` too.

    A cell may have hand-derived pieces for compiled loops, which train several times faster. It
    names their module in `compiled` and gives the numbers that they need in `numbers`;
    `tanh_compiled.py` is an example, and `compiled.pieces` says what they work with. A subclass
    does not inherit them.

    A cell whose rates are one nonlinearity of its drive may say by `slopes(rates)` how steep that
    is where it gives these rates; the penalty on the smoothness of the dynamics asks for it.

    A cell whose rates are never negative may say so by `positive = True`; sign constraints on
    weights ask for it.
    """

    @property
    def gates(self) -> int:
        """Rows of its weights, in units."""
        ...

    @property
    def memory(self) -> int:
        """Numbers that a unit remembers from step to step."""
        ...

    def step(
        self, products: Products, before: Tensor, inputs: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Return the layer's memory after a step, (B, memory units).

        Args:
            products: The layer's weights.
            before: Its memory before the step, (B, memory units).
            inputs: What it gets from elsewhere, (B, I).
            noise: Private noise of this step, (B, units), of its standard deviation, or None.
        """
        ...

    def rates(self, memory: Tensor) -> Tensor:
        """Return what the units send on, (..., units), of their memory, (..., memory units)."""
        ...

    def damped(self, memory: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return what structural damping holds back, and the weights of its squared changes."""
        ...
