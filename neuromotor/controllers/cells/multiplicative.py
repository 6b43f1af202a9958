"""Tanh units whose recurrent weights depend on the inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.controllers.cells.cell import Products

__all__ = ["MultiplicativeCell"]

_FACTORS, _DRIVE = slice(0, 1), slice(1, 2)


@dataclass(frozen=True)
class MultiplicativeCell:
    """Each input has recurrent weights of its own, which are a product of three matrices.

    Notation: f factors, as many as units, g the inputs that gate, xi private noise::

        f = (F_f g + b_f) (U_f h)        h <- tanh(F I + U f + b + xi)

    So the weights from h to h are ``U diag(F_f g + b_f) U_f``. The rows of its weights are those
    of f and of h. On a limb's tasks the target may be what gates: its columns are 4 to 8 there.

    Source: Sutskever, Martens & Hinton (2011), equations 5 and 6; Sutskever (2013), equations 5.5
    and 5.6. b_f is ours: it begins as all biases do, and gives weights that no input changes. 5.6
    drops the bias of 5.1, which is kept here.

    Attributes:
        gating_from: First column of the inputs that gates.
        gating_to: The column after the last; None for the last one of all. In a network with
            `skip_inputs` the columns of observation and target come first in every layer.

    Raises:
        ValueError: There is no column between.
    """

    gating_from: int = 0
    gating_to: int | None = None

    gates: ClassVar[int] = 2
    memory: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_integer("gating_from", self.gating_from, minimum=0)
        if self.gating_to is not None:
            check_integer("gating_to", self.gating_to, minimum=self.gating_from + 1)

    def step(
        self, products: Products, before: Tensor, inputs: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Return the rates after a step, (B, units).

        Raises:
            ValueError: The gating columns are beyond the layer's inputs.
        """
        if max(self.gating_from + 1, self.gating_to or 0) > inputs.shape[1]:
            raise ValueError(
                f"`cell.gating_from` and `cell.gating_to` must name columns of the layer's "
                f"{inputs.shape[1]} inputs, got {self.gating_from} and {self.gating_to}."
            )
        gating = inputs
        if self.gating_from or self.gating_to is not None:
            chosen = slice(self.gating_from, self.gating_to)
            gating = torch.zeros_like(inputs)
            gating[:, chosen] = inputs[:, chosen]
        gains, mixed = products.apart(_FACTORS, gating, before)
        drive = products(_DRIVE, inputs, gains * mixed)
        if noise is not None:
            drive = drive + noise
        return torch.tanh(drive)

    def rates(self, memory: Tensor) -> Tensor:
        """Return h, which is the memory itself."""
        return memory

    def damped(self, memory: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return the rates h, and one as the weight of their squared changes (our choice)."""
        return ((memory, torch.ones_like(memory)),)
