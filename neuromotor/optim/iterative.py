"""The loop that every optimizer shares: it begins, iterates, records, stops and resumes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch import Tensor

from neuromotor.optim.objective import Objective
from neuromotor.optim.result import Budget, Result
from neuromotor.optim.run import Callback, Run
from neuromotor.optim.state import Snapshot, SnapshotError, State, pack, restore

if TYPE_CHECKING:
    from neuromotor.optim.modules import ModuleTrainer

__all__ = ["Iterative"]

S = TypeVar("S", bound=State)


class Iterative(ABC, Generic[S]):
    """The loop of an optimizer, which itself gives a first state and changes it.

    A run has converged when no entry of the gradient is above `gradient_tolerance`. A subclass
    defines `_begin` and `_iterate`; `_evaluate`, `_resume` and `_found` may be replaced once, and
    are final from there on.
    """

    gradient_tolerance: float

    def minimize(
        self,
        objective: Objective,
        parameters: Tensor,
        budget: Budget | None = None,
        callback: Callback | None = None,
        *,
        resume: Snapshot | None = None,
    ) -> Result:
        """Minimise; see `Optimizer.minimize`."""
        run = Run(objective, parameters, budget, callback)
        state = self._begin(parameters.detach().clone())
        run.snapshot = lambda: Snapshot(type(self).__name__, pack(state), run.pack())
        if resume is None:
            run.objective.redraw(0)
            self._evaluate(run, state)
            stop = run.record(self._found(state), state.value, float(state.gradient.norm()))
        else:
            if resume.optimizer != type(self).__name__:
                raise SnapshotError(
                    f"`resume` must come from {type(self).__name__}, got a snapshot of "
                    f"{resume.optimizer}; use the optimizer that saved it."
                )
            restore(state, resume.state)
            run.restore(resume.run)
            _check_agreement(state, run)
            run.objective.redraw(state.iteration)
            self._resume(run, state)
            stop = run.budget_reason()
        while stop is None:
            if float(state.gradient.abs().max()) <= self.gradient_tolerance:
                return run.result(
                    f"no entry of the gradient above {self.gradient_tolerance:g}", converged=True
                )
            reason = self._iterate(run, state)
            if reason is not None:
                return run.result(reason)
            state.iteration += 1
            if run.objective.redraw(state.iteration) or not state.fresh:
                self._evaluate(run, state)
            stop = run.record(self._found(state), state.value, float(state.gradient.norm()))
        return run.result(stop)

    def over(self, parameters: Iterable[torch.nn.Parameter]) -> ModuleTrainer:
        """Return a trainer of a `torch.nn.Module`'s parameters by this optimizer.

        Example:
            >>> import torch
            >>> from neuromotor import LBFGS
            >>> module, x = torch.nn.Linear(2, 1), torch.ones(1, 2)
            >>> def forward():
            ...     outputs = module(x)
            ...     return outputs, outputs.square().sum()
            >>> loss = LBFGS().over(module.parameters()).step(forward)
        """
        from neuromotor.optim.modules import ModuleTrainer

        return ModuleTrainer(parameters, self)

    @abstractmethod
    def _begin(self, theta: Tensor) -> S:
        """Return the first state, whose objective is still to be evaluated."""

    @abstractmethod
    def _iterate(self, run: Run, state: S) -> str | None:
        """Change the state; return why the method cannot go on, or None."""

    def _found(self, state: S) -> Tensor:
        """Return what the method has found so far, (P,): the state's point."""
        return state.theta

    def _evaluate(self, run: Run, state: S) -> None:
        """Evaluate the objective and its gradient at the state's point, with the current draws."""
        state.arrive(state.theta, *run.objective.value_and_gradient(state.theta))

    def _resume(self, run: Run, state: S) -> None:
        """Compute the transient fields again, without counting calls."""


def _check_agreement(state: State, run: Run) -> None:
    """Raise unless a state from a snapshot is the one that its run recorded last.

    Raises:
        SnapshotError: The state is another one.
    """
    last, norm = run.last, float(state.gradient.norm())
    agree = {
        "iteration": state.iteration == last.iteration,
        "value": state.value == last.value or (math.isnan(state.value) and math.isnan(last.value)),
        "gradient": math.isclose(norm, last.gradient_norm, rel_tol=1e-3)
        or (not math.isfinite(norm) and not math.isfinite(last.gradient_norm)),
        "fresh": state.fresh,
    }
    for name, right in agree.items():
        if not right:
            raise SnapshotError(
                f"`resume` does not agree with itself: `{name}` is not that of the last iteration "
                "in its history; use another copy of the snapshot."
            )
