"""The seven problems whose answer depends on what was seen long ago.

Notation: T the problem's length, i[a, b] a random integer from a to b, both included. Ranges whose
ends are no integers are cut to the integers within.

Source: Sutskever (2013), section 4.4, after Hochreiter & Schmidhuber (1997), section 5. Where its
text leaves something open, the docstring of the problem says what we chose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuromotor._checks import check_integer, lookup
from neuromotor.problems.problem import Sequences, one_hot

__all__ = ["MarkedNumbers", "Memorization", "RandomPermutation", "TemporalOrder"]

_OPERATIONS = {"addition": 0, "multiplication": 1, "xor": 2}


@dataclass(frozen=True)
class MarkedNumbers:
    """Combine the two marked numbers among many: their mean, their product, or exclusive or.

    A sequence has T' = i[T, 11T/10] steps. Each step gives a number, uniform from 0 to 1 (of 0 and
    1 for exclusive or), and a marker, which is 1 at the steps I = i[1, T'/10] and J = i[T'/10 + 1,
    T'/2] and 0 elsewhere. At the last step the network says the result.

    The source lets J begin at T'/10, so that both could be one step; ours are always two. Shorter
    sequences are followed by zeros, which change nothing.

    Source: Sutskever (2013), section 4.4.1; `centered` is ours.

    Attributes:
        operation: "addition" ((a + b) / 2), "multiplication" (a b) or "xor".
        lag: T, at least 20.
        centered: Whether the mean is taken off numbers and results, so that numbers lie between
            -1/2 and 1/2 and the network need not learn the mean result. Gradient descent is faster
            then; what counts as wrong is the same. The bits that `xor` asks for stay 0 and 1.

    Raises:
        ValueError: A setting is out of range.
    """

    operation: str = "addition"
    lag: int = 100
    centered: bool = False

    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 1
    distinct: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        lookup("operation", self.operation, _OPERATIONS)
        check_integer("lag", self.lag, minimum=20)

    @property
    def loss(self) -> str:
        """Squared, and logistic for exclusive or."""
        return "logistic" if self.operation == "xor" else "squared"

    def sequences(
        self, count: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
    ) -> Sequences:
        """Return random sequences of 11T/10 steps."""
        longest = 11 * self.lag // 10
        lengths = _integers(torch.full((count,), self.lag), longest, generator)
        tenth = lengths // 10
        first = _integers(torch.ones_like(lengths), tenth, generator) - 1
        second = _integers(tenth + 1, lengths // 2, generator) - 1
        numbers = torch.rand(count, longest, generator=generator, dtype=torch.float64)
        if self.operation == "xor":
            numbers = numbers.round()
        rows = torch.arange(count)
        a, b = numbers[rows, first], numbers[rows, second]
        results = {"addition": (a + b) / 2, "multiplication": a * b, "xor": (a - b).abs()}
        if self.centered:
            numbers -= 0.5
            results["addition"] -= 0.5
            results["multiplication"] -= 0.25
        numbers *= torch.arange(longest) < lengths[:, None]
        marks = torch.zeros_like(numbers)
        marks[rows, first] = marks[rows, second] = 1.0
        last = torch.arange(longest) == lengths[:, None] - 1
        targets = results[self.operation][:, None] * last
        inputs = torch.stack([numbers, marks], dim=-1).to(dtype)
        return Sequences(inputs, targets[..., None].to(dtype), last.to(dtype), last)


@dataclass(frozen=True)
class TemporalOrder:
    """Say which special symbols came, and in which order.

    Of six symbols four are irrelevant and drawn at random at each of T steps; the other two are
    special. One stands at i[T/10, 2T/10] and one at i[5T/10, 6T/10]; with three of them at
    i[T/10, 2T/10], i[3T/10, 4T/10] and i[6T/10, 7T/10]. At the last step the network says which of
    the 4 or 8 orders it was.

    Source: Sutskever (2013), sections 4.4.2 and 4.4.3.

    Attributes:
        specials: 2 or 3.
        lag: T, at least 10.

    Raises:
        ValueError: A setting is out of range.
    """

    specials: int = 2
    lag: int = 100

    loss: ClassVar[str] = "softmax"
    input_size: ClassVar[int] = 6
    distinct: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_integer("lag", self.lag, minimum=10)
        if self.specials not in (2, 3):
            raise ValueError(f"`specials` must be 2 or 3, got {self.specials!r}.")

    @property
    def output_size(self) -> int:
        """How many orders the special symbols can come in."""
        return int(2**self.specials)

    def sequences(
        self, count: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
    ) -> Sequences:
        """Return random sequences of T steps."""
        tenths = ((1, 2), (5, 6)) if self.specials == 2 else ((1, 2), (3, 4), (6, 7))
        symbols = torch.randint(2, 6, (count, self.lag), generator=generator)
        rows, order = torch.arange(count), torch.zeros(count, dtype=torch.int64)
        for low, high in tenths:
            earliest = torch.full((count,), -(-low * self.lag // 10))
            place = _integers(earliest, high * self.lag // 10, generator)
            special = torch.randint(0, 2, (count,), generator=generator)
            symbols[rows, place - 1] = special
            order = 2 * order + special
        targets = torch.zeros(count, self.lag, self.output_size, dtype=dtype)
        targets[:, -1] = one_hot(order, self.output_size, dtype)
        counted = torch.zeros(count, self.lag, dtype=dtype)
        counted[:, -1] = 1.0
        return Sequences(one_hot(symbols, 6, dtype), targets, counted, counted > 0)


@dataclass(frozen=True)
class RandomPermutation:
    """Predict the next symbol; only the last one can be known, because it equals the first.

    The first of T symbols is one of two, the last is the same, and the others are random ones of
    98. Every step's prediction counts, the last one decides.

    Source: Sutskever (2013), section 4.4.4.

    Attributes:
        lag: T, at least 3.

    Raises:
        ValueError: `lag` is out of range.
    """

    lag: int = 100

    loss: ClassVar[str] = "softmax"
    input_size: ClassVar[int] = 100
    output_size: ClassVar[int] = 100
    distinct: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_integer("lag", self.lag, minimum=3)

    def sequences(
        self, count: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
    ) -> Sequences:
        """Return random sequences of T - 1 steps, each with the symbol after it as its target."""
        symbols = torch.randint(2, 100, (count, self.lag), generator=generator)
        symbols[:, 0] = symbols[:, -1] = torch.randint(0, 2, (count,), generator=generator)
        coded = one_hot(symbols, 100, dtype)
        counted = torch.ones(count, self.lag - 1, dtype=dtype)
        judged = torch.zeros_like(counted, dtype=torch.bool)
        judged[:, -1] = True
        return Sequences(coded[:, :-1], coded[:, 1:], counted, judged)


@dataclass(frozen=True)
class Memorization:
    """Repeat some symbols T steps after they were seen.

    The sequence has T + 2L steps: L random symbols of S, then a constant input, but for a signal
    that stands L steps before the end. The network says "blank" until the signal has come, and
    the L symbols in their order at the last L steps. Every step counts; the last L decide.

    The problem of 5 bits (L = 5, S = 2) has 32 sequences only; that of 20 bits has L = 10, S = 5.

    Source: Sutskever (2013), section 4.4.5. Its lengths are for 5 bits; for L symbols we put L
    where it has 5.

    Attributes:
        symbols: S, the number of different symbols.
        length: L, the number of symbols in a sequence.
        lag: T.

    Raises:
        ValueError: A setting is out of range.
    """

    symbols: int = 2
    length: int = 5
    lag: int = 100

    loss: ClassVar[str] = "softmax"

    def __post_init__(self) -> None:
        check_integer("symbols", self.symbols, minimum=2)
        check_integer("length", self.length, minimum=1)
        check_integer("lag", self.lag, minimum=1)

    @property
    def input_size(self) -> int:
        """The symbols, the constant and the signal."""
        return self.symbols + 2

    @property
    def output_size(self) -> int:
        """The symbols and the blank."""
        return self.symbols + 1

    @property
    def distinct(self) -> int | None:
        """All sequences, where there are no more than a hundred."""
        count = int(self.symbols**self.length)
        return count if count <= 100 else None

    def sequences(
        self, count: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
    ) -> Sequences:
        """Return random sequences of T + 2L steps, or each of them once."""
        size, length, distinct = self.symbols, self.length, self.distinct
        if distinct is None:
            seen = torch.randint(0, size, (count, length), generator=generator)
        else:
            numbers = torch.arange(distinct)[:, None]
            seen = numbers // size ** torch.arange(length - 1, -1, -1) % size
        steps = self.lag + 2 * length
        given = torch.full((len(seen), steps), size)
        wanted = torch.full((len(seen), steps), size)
        given[:, :length] = seen
        given[:, steps - length - 1] = size + 1
        wanted[:, steps - length :] = seen
        counted = torch.ones(len(seen), steps, dtype=dtype)
        judged = (torch.arange(steps) >= steps - length).expand(len(seen), steps)
        return Sequences(
            one_hot(given, size + 2, dtype), one_hot(wanted, size + 1, dtype), counted, judged
        )


def _integers(lowest: Tensor, highest: Tensor | int, generator: torch.Generator) -> Tensor:
    """Random integers from `lowest` to `highest`, both included, (B,)."""
    width = highest - lowest + 1
    part = torch.rand(len(lowest), generator=generator, dtype=torch.float64)
    return lowest + (part * width).long()
