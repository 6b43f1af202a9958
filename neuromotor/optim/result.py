"""What every solver counts and returns: calls, budget, history and result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number
from neuromotor._showing import COLORS, STYLE, TableInNotebooks
from neuromotor.optim.state import Snapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Budget",
    "Counts",
    "HistoryPoint",
    "Progress",
    "Result",
    "Stopwatch",
    "pack_history",
    "unpack_history",
]


@dataclass(frozen=True)
class Counts:
    """Calls made of each kind; their sum is what a budget and a plot call "calls"."""

    values: int = 0  # objective alone
    gradients: int = 0  # objective and gradient together
    products: int = 0  # Gauss-Newton products with one vector

    @property
    def calls(self) -> int:
        """Sum over the kinds."""
        return self.values + self.gradients + self.products

    def as_dict(self) -> dict[str, int]:
        """Return the counts and their sum, for tables and JSON."""
        return {**asdict(self), "calls": self.calls}


@dataclass(frozen=True)
class HistoryPoint:
    """Where an optimizer stood after an iteration."""

    iteration: int
    value: float
    gradient_norm: float
    calls: int
    seconds: float


def pack_history(history: Sequence[HistoryPoint]) -> Tensor:
    """Return a history as one float64 tensor, (K, 5)."""
    rows = [[p.iteration, p.value, p.gradient_norm, p.calls, p.seconds] for p in history]
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, 5)


def unpack_history(rows: Tensor) -> list[HistoryPoint]:
    """Return the history from such a tensor."""
    return [
        HistoryPoint(int(i), value, norm, int(calls), seconds)
        for i, value, norm, calls, seconds in rows.tolist()
    ]


@dataclass(frozen=True)
class Progress:
    """What a callback sees after each iteration.

    Attributes:
        point: Where the optimizer stands.
        counts: Number of calls of each kind.
        parameters: Best parameters so far, (P,).
        snapshot: Returns a copy of the whole state, for `resume` of `Optimizer.minimize`. Call it
            only when the state is to be saved, since the copy takes time.
    """

    point: HistoryPoint
    counts: Counts
    parameters: Tensor
    snapshot: Callable[[], Snapshot]


@dataclass(frozen=True)
class Budget:
    """When to stop, whatever has been reached: after calls, after seconds, or at an interruption.

    A method finishes its current search, so that it may overrun by a few calls.

    Attributes:
        calls: Largest number of calls of any kind, or None.
        seconds: Largest number of wall-clock seconds, or None.
        interrupted: Called after every iteration; true ends the run with the best point so far.

    Raises:
        ValueError: A limit is not positive.
    """

    calls: int | None = None
    seconds: float | None = None
    interrupted: Callable[[], bool] = field(default=lambda: False)

    def __post_init__(self) -> None:
        if self.calls is not None:
            check_integer("calls", self.calls, minimum=1)
        if self.seconds is not None:
            check_number("seconds", self.seconds, "seconds", minimum=0.0)

    def fraction_used(self, calls: int, seconds: float) -> float | None:
        """Return the used fraction, 0 to 1, of the limit that comes first; None without limits."""
        used = [] if self.calls is None else [calls / self.calls]
        used += [] if self.seconds is None else [seconds / max(self.seconds, 1e-9)]
        return min(max(used), 1.0) if used else None

    def stop_reason(self, counts: Counts, seconds: float) -> str | None:
        """Return why to stop now, or None to go on."""
        return "interrupted" if self.interrupted() else self.limit_reason(counts, seconds)

    def limit_reason(self, counts: Counts, seconds: float) -> str | None:
        """Return which limit is used up, or None; no other reason may end an iteration early."""
        if self.calls is not None and counts.calls >= self.calls:
            return f"budget of {self.calls} calls used"
        if self.seconds is not None and seconds >= self.seconds:
            return f"budget of {self.seconds:g} seconds used"
        return None


@dataclass(frozen=True)
class Result(TableInNotebooks):
    """The result of a minimisation.

    Attributes:
        parameters: Best point found, (P,); the last point if the objective's draws change.
        value: Objective at that point.
        converged: Whether the method's own test of an optimum was met.
        reason: Why the minimisation stopped, in words.
        counts: Number of calls of each kind.
        seconds: Wall-clock time.
        history: The start, then one point for each iteration.
    """

    parameters: Tensor
    value: float
    converged: bool
    reason: str
    counts: Counts
    seconds: float
    history: tuple[HistoryPoint, ...]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the objective over the calls that it took, and return the axes.

        Args:
            ax: Axes to draw on, or None for a new figure.
        """
        import matplotlib as mpl
        import matplotlib.pyplot as plt

        with mpl.rc_context(STYLE):
            if ax is None:
                _, ax = plt.subplots(figsize=(3.4, 2.6), layout="constrained")
            calls = [point.calls for point in self.history]
            values = [point.value for point in self.history]
            ax.plot(calls, values, color=COLORS[0])
            if all(value > 0 for value in values):
                ax.set_yscale("log")
            ax.set(xlabel="calls of the objective (1)", ylabel="mean loss (1)", title=self.reason)
        return ax


class Stopwatch:
    """Counts the seconds since it was made, and those spent before; it stops while it is held."""

    def __init__(self, before: float = 0.0) -> None:
        self._start = time.perf_counter() - before
        self._held: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._start if self._held is None else self._held

    def hold(self) -> None:
        """Stop counting."""
        self._held = self.seconds

    def release(self) -> None:
        """Count on."""
        self._start = time.perf_counter() - self.seconds
        self._held = None
