"""What the methods share that linearise the objective at every point they reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, final

import torch
from torch import Tensor

from neuromotor.optim.iterative import Iterative
from neuromotor.optim.objective import CountedLinearization
from neuromotor.optim.run import Run
from neuromotor.optim.state import State

__all__ = ["LinearizedState", "LinearizedIterative"]


@dataclass
class LinearizedState(State):
    """State of a method that uses Gauss-Newton products.

    Attributes:
        model: The objective linearised at `theta`.
    """

    model: CountedLinearization | None = field(default=None, metadata={"transient": True})


L = TypeVar("L", bound=LinearizedState)


class LinearizedIterative(Iterative[L]):
    """An optimizer that evaluates the objective by linearising it.

    Attributes:
        curvature_trials: Number of random trials, new ones each iteration, that the curvature is
            taken from; None for all trials.
        seed: Seed of that choice.
    """

    needs_products = True
    curvature_trials: int | None = None
    seed: int = 0

    @final
    def _evaluate(self, run: Run, state: L) -> None:
        if self.curvature_trials is None:
            state.model = run.objective.linearize(state.theta)
            state.arrive(state.theta, state.model.value, state.model.gradient)
        else:
            state.arrive(state.theta, *run.objective.value_and_gradient(state.theta))

    @final
    def _resume(self, run: Run, state: L) -> None:
        if self.curvature_trials is None:
            state.model = run.objective.linearize(state.theta, counted=False)

    @final
    def _model(self, run: Run, state: L) -> CountedLinearization:
        """Return the curvature of all trials, or of some that are drawn anew at each iteration."""
        if self.curvature_trials is not None:
            generator = torch.Generator().manual_seed(self.seed + state.iteration)
            return run.objective.linearize_part(state.theta, self.curvature_trials, generator)
        if state.model is None:
            raise RuntimeError("`_evaluate` comes before `_iterate`.")
        return state.model

    @final
    def _value(self, run: Run, state: L) -> Callable[[Tensor], float]:
        """Return the objective of the trials that `_model` takes the curvature from."""
        if self.curvature_trials is None:
            return run.objective.value
        generator = torch.Generator().manual_seed(self.seed + state.iteration)
        return run.objective.value_of_part(self.curvature_trials, generator)
