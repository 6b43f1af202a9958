"""Associative retrieval: pairs of a letter and a digit, then a letter whose digit is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from neuromotor._checks import check_integer
from neuromotor.problems.problem import Sequences, one_hot

__all__ = ["AssociativeRetrieval"]

_LETTERS, _DIGITS = 26, 10


@dataclass(frozen=True)
class AssociativeRetrieval:
    """Say the digit that came after the letter that is asked for, as in `c9k8j3f1??c`: 9.

    The letters of a sequence differ, digits may repeat. Inputs are 26 letters, 10 digits and the
    question mark. The answer is due at the last step.

    Source: Ba, Hinton, Mnih, Leibo & Ionescu (2016), section 4.1. The number of pairs is that of
    their example.

    Attributes:
        pairs: Pairs in a sequence, 26 at most.

    Raises:
        ValueError: `pairs` is out of range.
    """

    pairs: int = 4

    loss: ClassVar[str] = "softmax"
    input_size: ClassVar[int] = _LETTERS + _DIGITS + 1
    output_size: ClassVar[int] = _DIGITS
    distinct: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_integer("pairs", self.pairs, minimum=1)
        if self.pairs > _LETTERS:
            raise ValueError(f"`pairs` must be at most {_LETTERS}, got {self.pairs}.")

    @property
    def lag(self) -> int:
        """Steps of a sequence."""
        return 2 * self.pairs + 3

    def sequences(
        self, count: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
    ) -> Sequences:
        """Return random sequences of 2 pairs + 3 steps."""
        order = torch.rand(count, _LETTERS, generator=generator).argsort(dim=1)
        letters = order[:, : self.pairs]
        digits = torch.randint(0, _DIGITS, (count, self.pairs), generator=generator)
        asked = torch.randint(0, self.pairs, (count, 1), generator=generator)
        pairs = torch.stack([letters, _LETTERS + digits], dim=-1).flatten(1)
        marks = torch.full((count, 2), _LETTERS + _DIGITS)
        given = torch.cat([pairs, marks, letters.gather(1, asked)], dim=1)
        targets = torch.zeros(count, self.lag, _DIGITS, dtype=dtype)
        targets[:, -1] = one_hot(digits.gather(1, asked)[:, 0], _DIGITS, dtype)
        counted = torch.zeros(count, self.lag, dtype=dtype)
        counted[:, -1] = 1.0
        return Sequences(one_hot(given, self.input_size, dtype), targets, counted, counted > 0)
