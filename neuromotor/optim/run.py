"""The bookkeeping that every optimizer shares: counts, clock, history, best point."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
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
from neuromotor.optim.state import LARGEST, Snapshot, SnapshotError, wanted

__all__ = ["Callback", "Optimizer", "Run", "check_run"]

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
            objective: Objective to be minimised.
            parameters: Parameters to start from, (P,); they are not changed.
            budget: When to stop; without one only the method's own test ends the run.
            callback: Called after every iteration; its time does not count as the run's.
            resume: Snapshot to continue from, made by `Progress.snapshot` of an earlier run with
                the same settings; `parameters` then only gives size and device.

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
    def last(self) -> HistoryPoint:
        """The point where the last iteration ended."""
        return self._history[-1]

    @property
    def counts(self) -> Counts:
        """Number of calls so far."""
        return self.objective.counts

    @property
    def fraction_used(self) -> float | None:
        """The used fraction of the budget, 0 to 1; None if calls and seconds have no limit."""
        return self.budget.fraction_used(self.counts.calls, self._watch.seconds)

    def record(self, parameters: Tensor, value: float, gradient_norm: float) -> str | None:
        """Record where an iteration ended; return why to stop now, or None to go on.

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
            self._watch.hold()  # the time of the callback is not the method's
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
        """Continue from what `pack` returned.

        Raises:
            SnapshotError: The data is something else.
        """
        check_run(data, self.best_parameters)
        self.objective.counts = Counts(*data["counts"])
        self._watch = Stopwatch(data["seconds"])
        self._history = unpack_history(data["history"])
        self.best_parameters = data["best_parameters"].to(self.best_parameters.device, copy=True)
        self.best_value = data["best_value"]

    def budget_reason(self) -> str | None:
        """Return why to stop now, or None to go on, without recording an iteration."""
        return self.budget.stop_reason(self.counts, self._watch.seconds)

    def limit_reason(self) -> str | None:
        """Return which limit is used up, or None.

        An iteration may end early for this reason only: if an interruption could end it early, a
        resumed run could not repeat it.
        """
        return self.budget.limit_reason(self.counts, self._watch.seconds)

    def result(self, reason: str, *, converged: bool = False) -> Result:
        """Return the result of the minimisation; its time ends here."""
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


def check_run(data: Any, like: Tensor | None = None) -> None:
    """Raise unless data is what `Run.pack` returns.

    Args:
        data: Data from a file.
        like: A vector of the best parameters' size and dtype, (P,), if it is known.

    Raises:
        SnapshotError: A part is missing, has another type or size, or disagrees with the others.
    """
    names = ("counts", "seconds", "history", "best_parameters", "best_value")
    if not isinstance(data, dict) or set(data) != set(names):
        raise SnapshotError(
            f"`run` must hold {', '.join(names)}; use another copy of the snapshot."
        )
    best, history = data["best_parameters"], data["history"]
    like = like if like is not None else best if isinstance(best, Tensor) else torch.zeros(0)
    positive = {"minimum": 0, "finite": True}
    kinds: dict[str, Any] = {"counts": tuple[int, int, int], "seconds": float, "best_value": float}
    kinds["best_parameters"] = Tensor
    for name, kind in kinds.items():
        rules = positive if name in ("counts", "seconds") else {"maximum": math.inf, "finite": True}
        wrong = wanted(data[name], kind, like, rules)
        if wrong is not None:
            raise SnapshotError(f"`run` must hold {wrong} as `{name}`; use another copy.")
    wrong = _wrong_history(history)
    if wrong is None:
        if not float(history[-1, 3]) <= sum(data["counts"]) <= _MOST_CALLS:
            wrong = "`counts` do not fit its calls"
        elif not float(history[-1, 4]) <= data["seconds"]:
            wrong = "`seconds` do not fit its seconds"
        elif data["best_value"] not in history[:, 1].tolist():
            wrong = "`best_value` is none of its values"
    if wrong is not None:
        raise SnapshotError(
            f"`run` does not agree with itself, {wrong} in `history`; use another copy."
        )


_MOST_CALLS = 1 << 53  # a history in float64 is exact up to here


def _wrong_history(rows: Any) -> str | None:
    """Return what is wrong with a history from a file, or None."""
    if not isinstance(rows, Tensor) or rows.dtype != torch.float64 or rows.ndim != 2:
        return "no table"
    if not len(rows) or rows.shape[1] != 5:
        return f"a table of {tuple(rows.shape)}"
    iterations, values, norms, calls, seconds = rows.unbind(1)
    if not torch.equal(iterations, torch.arange(len(rows), dtype=rows.dtype)):
        return "the iterations do not follow each other"
    if not math.isfinite(float(values[0])) or bool((norms < 0).any()):
        return "numbers of no minimisation"
    for column in (calls, seconds):
        if not (0 <= float(column[0]) and float(column[-1]) <= LARGEST):
            return "numbers of no minimisation"
        if not bool((column.diff() >= 0).all()):
            return "calls or seconds that fall"
    return None if torch.equal(calls, calls.round()) else "calls that are no numbers of calls"


def _no_snapshot() -> Snapshot:
    """Refuse a snapshot before the first state exists."""
    raise RuntimeError("there is no state yet to take a snapshot of.")
