"""Units with any nonlinearity, a leak on activation or on rate, and constants of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_number, check_positive, lookup
from neuromotor.controllers.cells.cell import Products

__all__ = ["NONLINEARITIES", "LeakyCell"]

_ALL = slice(0, 1)
_Pair = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]

NONLINEARITIES: dict[str, _Pair] = {  # f and its slope
    "tanh": (torch.tanh, lambda v: 1 - torch.tanh(v).square()),
    "logistic": (torch.sigmoid, lambda v: torch.sigmoid(v) * (1 - torch.sigmoid(v))),
    "rectified": (torch.relu, lambda v: (v > 0).to(v.dtype)),
    "linear": (lambda v: v, torch.ones_like),
}
SLOPES_AT_RATES: dict[str, Callable[[Tensor], Tensor]] = {  # the slope of f where it gives h
    "tanh": lambda h: 1 - h.square(),
    "logistic": lambda h: h * (1 - h),
    "rectified": lambda h: (h > 0).to(h.dtype),
    "linear": torch.ones_like,
}
_LEAKS = {"activation": 0, "rate": 1}
_NOISES = {"input": 0, "rate": 1}
_COMPILED = "neuromotor.controllers.cells.leaky_compiled"


@dataclass(frozen=True)
class LeakyCell:
    """A unit with a nonlinearity and a leak; without leak that of Elman.

    Notation: v activation, h rate, xi private noise, f the nonlinearity, c the threshold::

        z = F I + U h + b + xi
        leak on the activation:  v <- v + leak (z - v),  h = f(v - c)      memory v
        leak on the rate:        h <- h + leak (f(z - c) - h)              memory h

    With `noise_on` "rate" the drive is without noise, and the rate gets ``xi h^2`` of the rate
    before the step in its place: ``h <- h + leak (f(z - c) - h) + xi h^2``.

    Nonlinearities and leaks may belong to single units: of k entries, unit j has entry j modulo k.

    Source: Elman (1990) without leak; Cueva, dissertation on recurrent networks as models of
    cortex, equations 1.48-1.49, with the leak on the activation; Kalidindi et al. (2021), methods
    and published code, with a leak of 0.5 and the noise on the rate.

    Attributes:
        nonlinearity: Of "tanh", "logistic" (from 0 to 1), "rectified" (0 or more), "linear"; one
            for all units, or several.
        leak: Step length over time constant, above 0 and at most 1; one for all, or several.
        leak_on: "activation" or "rate".
        threshold: c; with rectified units they are called threshold-linear.
        noise_on: "input", where private noise adds to the drive, or "rate", where it adds to the
            rate in proportion to that rate's square; that needs the leak on the rate.

    Raises:
        TypeError: `nonlinearity` or `leak` is no tuple.
        ValueError: A name is unknown, or a number out of range.

    Example:
        >>> LeakyCell(nonlinearity=("tanh", "rectified"), leak=(1.0, 0.1)).positive
        False
    """

    nonlinearity: tuple[str, ...] = ("tanh",)
    leak: tuple[float, ...] = (1.0,)
    leak_on: str = "activation"
    threshold: float = 0.0
    noise_on: str = "input"

    gates: ClassVar[int] = 1
    memory: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for name in ("nonlinearity", "leak"):
            value = getattr(self, name)
            if not isinstance(value, tuple) or not value:
                raise TypeError(f"`{name}` must be a tuple with an entry at least, got {value!r}.")
        for name in self.nonlinearity:
            lookup("nonlinearity", name, NONLINEARITIES)
        for leak in self.leak:
            check_positive("leak", leak)
            check_fraction("leak", leak)
        lookup("leak_on", self.leak_on, _LEAKS)
        check_number("threshold", self.threshold)
        lookup("noise_on", self.noise_on, _NOISES)
        if self.noise_on == "rate" and self.leak_on != "rate":
            raise ValueError(
                "`noise_on` rate needs `leak_on` rate, where the memory is the rate, got a leak on "
                "the activation; set `leak_on` to rate."
            )

    @property
    def compiled(self) -> str | None:
        """Module of the compiled pieces; None where units differ, or the leak is on activation."""
        same = len(self.nonlinearity) == len(self.leak) == 1
        return _COMPILED if same and self.leak_on == "rate" else None

    @property
    def numbers(self) -> tuple[float, ...]:
        """What the compiled pieces need to know: leak, nonlinearity, threshold, where noise is."""
        kind = list(NONLINEARITIES).index(self.nonlinearity[0])
        return (self.leak[0], float(kind), self.threshold, float(_NOISES[self.noise_on]))

    @property
    def positive(self) -> bool:
        """Whether no rate is ever negative."""
        return all(name in ("logistic", "rectified") for name in self.nonlinearity)

    def step(
        self, products: Products, before: Tensor, inputs: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Return activations, or rates with the leak on these, after a step, (B, units)."""
        drive = products(_ALL, inputs, self.rates(before))
        if noise is not None and self.noise_on == "input":
            drive = drive + noise
        if self.leak_on == "rate":
            drive = self._each(drive, slope=False)
        if self.leak != (1.0,):
            drive = before + self._leaks(before) * (drive - before)
        if noise is not None and self.noise_on == "rate":
            drive = drive + noise * before.square()
        return drive

    def slopes(self, rates: Tensor) -> Tensor:
        """Return the slopes of f, (..., units), where it gives these rates."""
        kinds = [SLOPES_AT_RATES[name] for name in self.nonlinearity]
        return self._by_unit(kinds, rates)

    def rates(self, memory: Tensor) -> Tensor:
        """Return h."""
        return memory if self.leak_on == "rate" else self._each(memory, slope=False)

    def damped(self, memory: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return the activations v and the slopes f'(v) as weights of their squared changes.

        The slope is the Hessian of the loss that matches f. With the leak on the rate, h is held
        back, with a weight of one (our choice).

        Source: Martens & Sutskever (2011), section 3.2.
        """
        if self.leak_on == "rate":
            return ((memory, torch.ones_like(memory)),)
        return ((memory, self._each(memory, slope=True)),)

    def _each(self, activation: Tensor, *, slope: bool) -> Tensor:
        """Nonlinearities of all units, or their slopes."""
        shifted = activation - self.threshold if self.threshold else activation
        return self._by_unit([NONLINEARITIES[name][slope] for name in self.nonlinearity], shifted)

    @staticmethod
    def _by_unit(kinds: list[Callable[[Tensor], Tensor]], values: Tensor) -> Tensor:
        """Each unit's own function of its value, (..., units)."""
        result = kinds[0](values)
        which = torch.arange(values.shape[-1], device=values.device) % len(kinds)
        for number, kind in enumerate(kinds[1:], start=1):
            result = torch.where(which == number, kind(values), result)
        return result

    def _leaks(self, like: Tensor) -> Tensor:
        """Leaks of all units, (units,)."""
        leaks = torch.tensor(self.leak, dtype=like.dtype, device=like.device)
        return leaks[torch.arange(like.shape[-1], device=like.device) % len(leaks)]
