"""Tanh units that have recurrent weights for every input that gates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.controllers.cells.cell import Products

__all__ = ["TensorCell"]


@dataclass(frozen=True)
class TensorCell:
    """Each gating input g_k has a recurrent matrix U_k of its own, which it weighs.

    Notation: xi is private noise::

        h <- tanh(F I + (U + g_1 U_1 + ... + g_K U_K) h + b + xi)

    `MultiplicativeCell` has the same with fewer weights: its matrices are products. The rows of its
    weights are those of U, U_1, ... and U_K. F and b belong to the first of these; in the rows of
    all others they are not used, so that the layout is that of every cell.

    Source: Sutskever (2013), equations 5.1 and 5.3. U is ours: there the input is one symbol of
    several, so that its matrix alone is in use; here the gating inputs may all be zero.

    Attributes:
        gating_from: First column of the inputs that gates. On a limb's tasks the columns 4 to 8
            are the target.
        gating_to: The column after the last. In a network with `skip_inputs` the columns of
            observation and target come first in every layer.

    Raises:
        ValueError: There is no column between.
    """

    gating_from: int = 4
    gating_to: int = 8

    memory: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_integer("gating_from", self.gating_from, minimum=0)
        check_integer("gating_to", self.gating_to, minimum=self.gating_from + 1)

    @property
    def gates(self) -> int:
        """One, and one for each gating input."""
        return 1 + self.gating_to - self.gating_from

    def step(
        self, products: Products, before: Tensor, inputs: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Return the rates after a step, (B, units).

        Raises:
            ValueError: The layer has too few inputs.
        """
        gating = inputs[:, self.gating_from : self.gating_to]
        if gating.shape[1] < self.gates - 1:
            raise ValueError(
                f"`cell.gating_to` must be at most the number of the layer's inputs, "
                f"{inputs.shape[1]}, got {self.gating_to}; with `skip_inputs` the inputs of the "
                "network come first in every layer."
            )
        recalled = products.recalled(slice(0, self.gates), before)
        plain, *weighed = recalled.chunk(self.gates, dim=-1)
        drive = products.given(slice(0, 1), inputs) + plain
        for weight, one in zip(gating.unbind(1), weighed, strict=True):
            drive = drive + weight[:, None] * one
        if noise is not None:
            drive = drive + noise
        return torch.tanh(drive)

    def rates(self, memory: Tensor) -> Tensor:
        """Return h, which is the memory itself."""
        return memory

    def damped(self, memory: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return the rates h, and one as the weight of their squared changes (our choice)."""
        return ((memory, torch.ones_like(memory)),)
