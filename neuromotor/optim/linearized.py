"""What methods share that linearise the objective wherever they arrive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from neuromotor.optim.iterative import Iterative
from neuromotor.optim.objective import Linearization
from neuromotor.optim.run import Run
from neuromotor.optim.state import State

__all__ = ["LinearizedState", "LinearizedIterative"]


@dataclass
class LinearizedState(State):
    """State of a method that uses Gauss-Newton products.

    Attributes:
        model: The objective linearised at `theta`.
    """

    model: Linearization | None = field(default=None, metadata={"transient": True})


L = TypeVar("L", bound=LinearizedState)


class LinearizedIterative(Iterative[L]):
    """An optimizer that evaluates the objective by linearising it."""

    def _evaluate(self, run: Run, state: L) -> None:
        state.model = run.objective.linearize(state.theta)
        state.arrive(state.theta, state.model.value, state.model.gradient)

    def _resume(self, run: Run, state: L) -> None:
        state.model = run.objective.linearize(state.theta, counted=False)

    def _model(self, run: Run, state: L) -> Linearization:
        """The objective linearised at the state's point."""
        if state.model is None:
            raise RuntimeError("`_evaluate` comes before `_iterate`.")
        return state.model
