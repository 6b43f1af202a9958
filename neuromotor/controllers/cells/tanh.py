"""The tanh unit in continuous time, by Euler steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_positive
from neuromotor.controllers.cells.cell import Products

__all__ = ["TanhCell"]

_ALL = slice(0, 1)


@dataclass(frozen=True)
class TanhCell:
    """A leaky unit that sends on the tanh of its activation.

    Notation: v is the activation, which the unit remembers, h = tanh(v) its rate, and xi private
    noise::

        z = F I + U h + b + xi          v <- v + leak (z - v)

    Source: Cueva, dissertation on recurrent networks as models of cortex, equations 1.48-1.49;
    with a leak of 1 the discrete unit of Sutskever (2013), sections 6.4 and 6.5.

    Attributes:
        leak: Step length over time constant, above 0 and at most 1.

    Raises:
        ValueError: `leak` is out of range.
    """

    leak: float = 1.0

    gates: ClassVar[int] = 1
    memory: ClassVar[int] = 1
    compiled: ClassVar[str] = "neuromotor.controllers.cells.tanh_compiled"

    def __post_init__(self) -> None:
        check_positive("leak", self.leak)
        check_fraction("leak", self.leak)

    @property
    def numbers(self) -> tuple[float, ...]:
        """What the compiled pieces need to know: the leak."""
        return (self.leak,)

    def step(
        self, products: Products, before: Tensor, inputs: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Return the activations after a step, (B, units)."""
        drive = products(_ALL, inputs, torch.tanh(before))
        if noise is not None:
            drive = drive + noise
        return drive if self.leak == 1.0 else before + self.leak * (drive - before)

    def rates(self, memory: Tensor) -> Tensor:
        """Return tanh(v)."""
        return torch.tanh(memory)

    def slopes(self, rates: Tensor) -> Tensor:
        """Return the slopes of tanh, (..., units), where it gives these rates."""
        return 1 - rates.square()

    def damped(self, memory: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return the activations v and the weights 1 - h^2 of their squared changes.

        The weights are the Hessian of the loss that matches tanh.

        Source: Martens & Sutskever (2011), section 3.2.
        """
        return ((memory, 1 - torch.tanh(memory).square()),)
