"""Rectified units with fast weights, which remember what was active shortly before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_integer, check_number
from neuromotor.controllers.cells.cell import Products

__all__ = ["FastWeightsCell"]


@dataclass(frozen=True)
class FastWeightsCell:
    """Weights A that every trial makes for itself, as a fading sum of what was active together.

    Notation: N layer normalisation (zero mean and unit variance over the units of a layer), xi
    private noise, A within the memory, [h, A]::

        A <- decay A + rate h h^T        z = F I + U h + b + xi
        h_0 = f(N z),  h_{k+1} = f(N(z + A h_k)),  h <- h_inner        f(x) = max(x, 0)

    The memory grows as the square of the units, whose number the cell must know.

    Source: Ba, Hinton, Mnih, Leibo & Ionescu (2016), equations 1, 2 and 5. Gains and biases of the
    layer normalisation are left out, and h_0 is normalised too (our choice).

    Attributes:
        units: Units of every layer of this cell.
        decay: lambda, from 0 to 1.
        rate: eta.
        inner: Inner steps.

    Raises:
        ValueError: A number is out of range.
    """

    units: int = 50
    decay: float = 0.95
    rate: float = 0.5
    inner: int = 1

    gates: ClassVar[int] = 1
    positive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_integer("units", self.units, minimum=2)
        check_fraction("decay", self.decay)
        check_number("rate", self.rate, minimum=0.0)
        check_integer("inner", self.inner, minimum=1)

    @property
    def memory(self) -> int:
        """A rate, and a row of A."""
        return 1 + self.units

    def step(
        self, products: Products, before: Tensor, inputs: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Return [h, A] after a step, (B, units + units^2).

        Raises:
            ValueError: The layer has another number of units.
        """
        if before.shape[-1] != self.units * self.memory:
            raise ValueError(
                f"`cell.units` must be the units of the layer, got {self.units} for one of "
                f"{before.shape[-1] // self.memory}; set both to one number."
            )
        rate = self.rates(before)
        fast = before[:, self.units :].view(-1, self.units, self.units)
        fast = self.decay * fast + self.rate * rate[:, :, None] * rate[:, None, :]
        drive = products(slice(0, 1), inputs, rate)
        if noise is not None:
            drive = drive + noise
        rate = torch.relu(self._normalized(drive))
        for _ in range(self.inner):
            recalled = (fast @ rate[:, :, None])[:, :, 0]
            rate = torch.relu(self._normalized(drive + recalled))
        return torch.cat([rate, fast.flatten(1)], dim=-1)

    def rates(self, memory: Tensor) -> Tensor:
        """Return h."""
        return memory[..., : self.units]

    def damped(self, memory: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return the rates h, and one as the weight of their squared changes (our choice)."""
        rates = self.rates(memory)
        return ((rates, torch.ones_like(rates)),)

    def _normalized(self, drive: Tensor) -> Tensor:
        return torch.nn.functional.layer_norm(drive, (self.units,))
