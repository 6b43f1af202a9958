"""Slow context units beside fast ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuromotor._checks import check_below_one
from neuromotor.controllers.cells.cell import Products

__all__ = ["ContextCell"]

_ALL = slice(0, 1)


@dataclass(frozen=True)
class ContextCell:
    """Linear units that change slowly, at speeds which are learned, beside logistic ones.

    The first units of a layer are the context s, and the others are fast ones h. Both are read by
    the fast units and by whatever comes after the layer. Notation: q the share that a context unit
    keeps, beta its learned constant, s the logistic function in the first and second line, xi
    private noise::

        q = s(beta)          context:  s <- (1 - q) F_s I + q s + xi
                             fast:     h = s(F_h I + U_h [s, h] + b + xi)

    beta stands in the place of the context units' biases, which they do not have. Their rows of U
    are not used, so that a layer has as many parameters as one of other cells.

    Source: Mikolov et al. (2015), sections 3.2 and 3.3, in the form of a network whose recurrent
    weights are constrained. There the context does not see the fast units either; it is read as it
    is before the step here and after the step there.

    Attributes:
        context: Fraction of a layer's units that are context.

    Raises:
        ValueError: `context` is not from 0 to 1, 1 left out.
    """

    context: float = 0.4

    gates: ClassVar[int] = 1
    memory: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_below_one("context", self.context)

    def step(
        self, products: Products, before: Tensor, inputs: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Return context and fast rates after a step, (B, units)."""
        slow = self._slow(before)
        given, own = products.apart(_ALL, inputs, before)
        if noise is not None:
            given = given + noise
        beta = products.bias(_ALL)[:slow]
        keep = torch.sigmoid(beta)
        context = (1 - keep) * (given[:, :slow] - beta) + keep * before[:, :slow]
        fast = torch.sigmoid(given[:, slow:] + own[:, slow:])
        return torch.cat([context, fast], dim=-1)

    def rates(self, memory: Tensor) -> Tensor:
        """Return context and fast rates, which are the memory itself."""
        return memory

    def damped(self, memory: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return all rates, and one as the weight of their squared changes (our choice)."""
        return ((memory, torch.ones_like(memory)),)

    def _slow(self, memory: Tensor) -> int:
        """How many units are context."""
        return round(self.context * memory.shape[-1])
