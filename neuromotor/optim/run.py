"""The bookkeeping that every optimizer shares: counts, clock, history, best point."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from neuromotor._checks import check_finite_tensor
from neuromotor.optim.objective import CountedObjective, Objective
from neuromotor.optim.result import (
    Budget,
    Counts,
    HistoryPoint,
    Progress,
    Result,
    Stopwatch,
    pack_history,
    unpack_history,
)
from neuromotor.optim.state import Snapshot

__all__ = ["Callback", "Optimizer", "Run"]

Callback = Callable[[Progress], None]


class Optimizer(Protocol):
    """Minimises an objective from a starting point within a budget."""

    def minimize(
        self,
        objective: Objective,
        parameters: Tensor,
        budget: Budget | None = None,
        callback: Callback | None = None,
        *,
        resume: Snapshot | None = None,
    ) -> Result:
        """Return the best point found and how it was found.

        Args:
            objective: What to minimise.
            parameters: Where to start, (P,); not changed.
            budget: When to stop; none is the method's own test alone.
            callback: Called after every iteration; its time is not the run's.
            resume: Where to go on, from `Progress.snapshot` of an earlier run with the same
                settings; `parameters` then only gives size and device.

        Raises:
            TypeError: `parameters` is no floating-point tensor.
            ValueError: `parameters` is not a finite vector, the objective is not finite there, or
                `resume` belongs to another optimizer or other sizes.
        """
        ...


class Run:
    """One minimisation in progress."""

    def __init__(
        self,
        objective: Objective,
        parameters: Tensor,
        budget: Budget | None,
        callback: Callback | None,
    ) -> None:
        check_finite_tensor("parameters", parameters, (None,))
        self.objective = CountedObjective(objective)
        self.budget = budget or Budget()
        self._callback = callback
        self._watch = Stopwatch()
        self._history: list[HistoryPoint] = []
        self.best_parameters = parameters.detach().clone()
        self.best_value = math.inf
        self.snapshot: Callable[[], Snapshot] = _no_snapshot

    @property
    def counts(self) -> Counts:
        """Calls made so far."""
        return self.objective.counts

    @property
    def fraction_used(self) -> float | None:
        """How much of the budget is used, 0 to 1; None without a limit on calls or seconds."""
        used = []
        if self.budget.calls is not None:
            used.append(self.counts.calls / self.budget.calls)
        if self.budget.seconds is not None:
            used.append(self._watch.seconds / max(self.budget.seconds, 1e-9))
        return min(max(used), 1.0) if used else None

    def record(self, parameters: Tensor, value: float, gradient_norm: float) -> str | None:
        """Note where an iteration ended; return why to stop now, or None to go on.

        Raises:
            ValueError: The objective is not finite at the very first point.
        """
        if not self._history and not math.isfinite(value):
            raise ValueError(
                "`parameters` must give a finite objective to start from, got "
                f"{value!r}; use another initialisation or smaller weights."
            )
        if value < self.best_value or (self.objective.stochastic and math.isfinite(value)):
            self.best_value = value
            self.best_parameters = parameters.detach().clone()
        counts, seconds = self.counts, self._watch.seconds
        point = HistoryPoint(len(self._history), value, gradient_norm, counts.calls, seconds)
        self._history.append(point)
        if self._callback is not None:
            self._watch.hold()  # what others do with it is not the method's time
            self._callback(Progress(point, counts, self.best_parameters, self.snapshot))
            self._watch.release()
        return self.budget.stop_reason(counts, seconds)

    def pack(self) -> dict[str, Any]:
        """Return counts, seconds, history and best point as plain data."""
        counts = self.counts
        return {
            "counts": [counts.values, counts.gradients, counts.products],
            "seconds": self._watch.seconds,
            "history": pack_history(self._history),
            "best_parameters": self.best_parameters.clone(),
            "best_value": self.best_value,
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Go on from what `pack` returned."""
        self.objective.counts = Counts(*data["counts"])
        self._watch = Stopwatch(data["seconds"])
        self._history = unpack_history(data["history"])
        self.best_parameters = data["best_parameters"].to(self.best_parameters.device, copy=True)
        self.best_value = data["best_value"]

    def budget_reason(self) -> str | None:
        """Return why to stop now, or None to go on, without noting an iteration."""
        return self.budget.stop_reason(self.counts, self._watch.seconds)

    def limit_reason(self) -> str | None:
        """Return which limit is used up, or None.

        What an iteration may ask: cut short by an interruption, it could not be repeated.
        """
        return self.budget.limit_reason(self.counts, self._watch.seconds)

    def result(self, reason: str, *, converged: bool = False) -> Result:
        """Return what the minimisation came to; its time ends here."""
        self._watch.hold()
        return Result(
            parameters=self.best_parameters,
            value=self.best_value,
            converged=converged,
            reason=reason,
            counts=self.counts,
            seconds=self._watch.seconds,
            history=tuple(self._history),
        )


def _no_snapshot() -> Snapshot:
    """Before the first state exists."""
    raise RuntimeError("there is no state yet to take a snapshot of.")
