"""The gated recurrent unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuromotor.controllers.cells.cell import Products

__all__ = ["GatedCell"]

_GATES, _CANDIDATE = slice(0, 2), slice(2, 3)


@dataclass(frozen=True)
class GatedCell:
    """A gated recurrent unit, which decides at each step how much of its memory it keeps.

    Notation: h is the rate, and what the unit remembers; z is the update gate, r the reset gate, n
    the candidate, s the logistic function, and xi private noise::

        z = s(F_z I + U_z h + b_z)      r = s(F_r I + U_r h + b_r)
        n = tanh(F_n I + U_n (r h) + b_n + xi)
        h <- n + z (h - n)

    The rows of its weights are those of z, of r and of n. The reset gate acts on the rates before
    their product with U_n, as in the paper, or on the product, as in `torch.nn.GRU`, which then
    has ``n = tanh(F_n I + b_n + r (U_n h) + xi)``. torch's order of rows is r, z and n, and it has
    a second bias of the product, which is zero here.

    Source: Cho et al. (2014), section 2.3 (with biases, which the paper leaves out).

    Attributes:
        reset_after: Whether the reset gate acts on the product.
    """

    reset_after: bool = False

    gates: ClassVar[int] = 3
    memory: ClassVar[int] = 1
    numbers: ClassVar[tuple[float, ...]] = ()

    @property
    def compiled(self) -> str:
        """Where the compiled pieces are."""
        own = "gated_after_compiled" if self.reset_after else "gated_compiled"
        return f"neuromotor.controllers.cells.{own}"

    def step(
        self, products: Products, before: Tensor, inputs: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Return the rates after a step, (B, units)."""
        update, reset = torch.sigmoid(products(_GATES, inputs, before)).chunk(2, dim=-1)
        if self.reset_after:
            given, recalled = products.apart(_CANDIDATE, inputs, before)
            drive = given + reset * recalled
        else:
            drive = products(_CANDIDATE, inputs, reset * before)
        if noise is not None:
            drive = drive + noise
        candidate = torch.tanh(drive)
        return candidate + update * (before - candidate)

    def rates(self, memory: Tensor) -> Tensor:
        """Return h, which is the memory itself."""
        return memory

    def damped(self, memory: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return the rates h, and one as the weight of their squared changes (our choice)."""
        return ((memory, torch.ones_like(memory)),)
