"""Long short-term memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuromotor._checks import check_number
from neuromotor.controllers.cells.cell import Products

__all__ = ["LSTMCell"]


@dataclass(frozen=True)
class LSTMCell:
    """A memory m that gates write, keep and read, with the rate h that is sent on.

    Notation: i input gate, f forget gate, a candidate, o output gate, s the logistic function, xi
    private noise; the memory is [h, m]::

        i, f, o = s(F I + U h + b)      a = tanh(F_a I + U_a h + b_a + xi)
        m <- f m + i a                  h = o tanh(m)

    The rows of its weights are those of i, f, a and o, as in `torch.nn.LSTM`. In the form of 1997
    there is no forget gate, so that f = 1; its rows are i, a and o. That form has no biases, and
    here they start at zero.

    Source: Hochreiter & Schmidhuber (1997), appendix A.1; Gers, Schmidhuber & Cummins (2000) for
    the forget gate. A bias of 5 on that gate is what Sutskever (2013), section 2.8.3, advises, and
    3 is what its section 4.5.1 uses.

    Attributes:
        forget: Whether there is a forget gate. Units without have no compiled loops.
        forget_bias: Added to the bias of the forget gate, so that memories last at first.

    Raises:
        ValueError: `forget_bias` is not finite.
    """

    forget: bool = True
    forget_bias: float = 3.0

    memory: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_number("forget_bias", self.forget_bias)

    @property
    def gates(self) -> int:
        """4, and 3 without forget gate."""
        return 4 if self.forget else 3

    @property
    def compiled(self) -> str:
        """Where the compiled pieces are; empty where there are none."""
        return "neuromotor.controllers.cells.lstm_compiled" if self.forget else ""

    @property
    def numbers(self) -> tuple[float, ...]:
        """The bias of the forget gate, which compiled loops need."""
        return (self.forget_bias,)

    def step(
        self, products: Products, before: Tensor, inputs: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Return [h, m] after a step, (B, 2 units)."""
        rate, kept = before.chunk(2, dim=-1)
        write, *forget, drive, read = products(slice(0, self.gates), inputs, rate).chunk(
            self.gates, dim=-1
        )
        if noise is not None:
            drive = drive + noise
        if forget:
            kept = torch.sigmoid(forget[0] + self.forget_bias) * kept
        kept = kept + torch.sigmoid(write) * torch.tanh(drive)
        return torch.cat([torch.sigmoid(read) * torch.tanh(kept), kept], dim=-1)

    def rates(self, memory: Tensor) -> Tensor:
        """Return h."""
        return memory.chunk(2, dim=-1)[0]

    def damped(self, memory: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return h and m, and one as the weight of their squared changes (our choice)."""
        return ((memory, torch.ones_like(memory)),)
