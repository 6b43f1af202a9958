"""What every problem offers: sequences of inputs with the outputs that are wanted."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["Problem", "Sequences", "one_hot"]


@dataclass(frozen=True)
class Sequences:
    """A batch of B sequences of T steps.

    Attributes:
        inputs: What is given, (B, T, I).
        targets: What is wanted, (B, T, O).
        counted: Weight of each step's loss, (B, T); 0 where nothing is wanted.
        judged: At which steps an output decides whether the sequence is right, (B, T).
    """

    inputs: Tensor
    targets: Tensor
    counted: Tensor
    judged: Tensor

    def __len__(self) -> int:
        """Number B of sequences."""
        return len(self.inputs)

    def subset(self, rows: slice | Tensor) -> Sequences:
        """Return some of the sequences."""
        return Sequences(*(getattr(self, field.name)[rows] for field in fields(self)))

    def sample(self, size: int, generator: torch.Generator) -> Sequences:
        """Return `size` random ones, or all where there are no more."""
        if size >= len(self):
            return self
        return self.subset(torch.randperm(len(self), generator=generator)[:size])


class Problem(Protocol):
    """Sequences that can be drawn, and a loss. A problem is a frozen dataclass.

    A problem of a finite number of sequences says so by `distinct`, and gives each of them once,
    whatever number is asked for.
    """

    @property
    def loss(self) -> str:
        """Name of the loss in `LOSSES`."""
        ...

    @property
    def lag(self) -> int:
        """T, which says how long things are to be remembered, in steps."""
        ...

    @property
    def input_size(self) -> int:
        """Numbers I that are given at a step."""
        ...

    @property
    def output_size(self) -> int:
        """Numbers O that are wanted at a step."""
        ...

    @property
    def distinct(self) -> int | None:
        """How many different sequences there are; None where there is no end of them."""
        ...

    def sequences(
        self, count: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
    ) -> Sequences:
        """Return `count` random sequences, or all `distinct` ones."""
        ...


def one_hot(symbols: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """Return symbols from 0 to `size` - 1 as ones at their places, (..., size)."""
    return torch.nn.functional.one_hot(symbols, size).to(dtype)
