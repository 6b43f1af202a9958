"""How a controller is told the time that is left in a trial.

People's responses depend on the time that is left (Cesonis & Franklin 2020), and the gains of
optimal feedback control are functions of it. Notation: t step, T steps of a trial, dt step length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor._checks import check_integer, lookup

__all__ = ["CLOCKS", "CLOCK_SIZE", "ClockInUse", "bell_curves", "check_clock"]

CLOCKS = ("time-left", "time-basis", "each-step")
CLOCK_SIZE = 12  # bell curves (our choice)
EARLIEST_S = 0.03  # s; added to the time left before its logarithm is taken (our choice)


@dataclass(frozen=True)
class ClockInUse:
    """A clock on trials of a certain length.

    Attributes:
        kind: One of `CLOCKS`. `time-left` is the fraction of the trial that is left,
            ``(T - t) / T``. `time-basis` are bell curves ``exp(-(s - c)^2 / 2 w^2)`` of
            ``s = log((T - t) dt + 0.03 s)``; their centres c lie evenly from the last step to the
            first, w apart, so that they are narrow in time where the trial ends. `each-step` has
            one number for each step, which is 1 then and 0 at all others.
        size: Number of bell curves.
        steps: T.
        dt_s: dt (s).
    """

    kind: str
    size: int
    steps: int
    dt_s: float

    @property
    def labels(self) -> tuple[str, ...]:
        """Name and unit of each number."""
        if self.kind == "time-left":
            return ("time left (share of trial)",)
        what = "step" if self.kind == "each-step" else "time left, bell curve"
        count = self.steps if self.kind == "each-step" else self.size
        return tuple(f"{what} {i} (1)" for i in range(count))

    def table(self) -> Tensor:
        """Return what is told at every step, (T, k), in float64."""
        left = self.steps - torch.arange(self.steps, dtype=torch.float64)
        if self.kind == "time-left":
            return (left / self.steps)[:, None]
        if self.kind == "each-step":
            return torch.eye(self.steps, dtype=torch.float64)
        left = left * self.dt_s
        return bell_curves(left, float(left[-1]), float(left[0]), self.size)


def bell_curves(left_s: Tensor, shortest_s: float, longest_s: float, size: int) -> Tensor:
    """Return bell curves of the logarithm of the time that is left, (..., size).

    Args:
        left_s: Time left (s), of any shape.
        shortest_s: Where the first of them has its centre (s).
        longest_s: Where the last of them has its centre (s).
        size: How many, two or more; they lie as `ClockInUse` says.
    """
    first, last = math.log(shortest_s + EARLIEST_S), math.log(longest_s + EARLIEST_S)
    centres = torch.linspace(first, last, size, dtype=left_s.dtype)
    width = (last - first) / (size - 1)
    place = (left_s + EARLIEST_S).log()
    return torch.exp(-0.5 * ((place[..., None] - centres) / width).square())


def check_clock(clock: str | None, size: int | None) -> None:
    """Raise unless a clock has a known name, and a number of bell curves where it has them."""
    if clock is not None:
        lookup("clock", clock, dict.fromkeys(CLOCKS))
    if size is None:
        return
    check_integer("clock_size", size, minimum=2)
    if clock != "time-basis":
        raise ValueError(
            f"`clock_size` counts the bell curves of the clock `time-basis`, got {size} with "
            f"`clock` {clock!r}; leave it out."
        )
