"""Augmented Hessian-free optimisation searches Krylov directions and the last update one by one.

Notation: f is the objective, G its Gauss-Newton matrix, g its gradient, w the last update, delta
the update so far, c a direction, and kappa = c.Gc.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number
from neuromotor.optim.krylov import augmented_directions, martens_stop
from neuromotor.optim.linearized import LinearizedIterative, LinearizedState
from neuromotor.optim.run import Run

__all__ = ["AugmentedHessianFree"]


@dataclass
class AugmentedState(LinearizedState):
    """State of `AugmentedHessianFree`.

    Attributes:
        update: w, None at the beginning.
    """

    update: Tensor | None = None


@dataclass(frozen=True)
class AugmentedHessianFree(LinearizedIterative[AugmentedState]):
    """Conjugate directions of the augmented Krylov space, each searched on the true objective.

    Conjugate gradients take the step along each direction that is best for the quadratic model.
    This method searches each step on the objective itself, greedily, starting from the model's
    step. So it needs no damping, and it stores only a handful of vectors, however many directions
    there are.

    Source: Sutskever (2013), section 6.2.

    Attributes:
        directions: Largest number of directions in an iteration.
        tries: Number of step lengths that are tried before a direction is left out.
        shrink: Factor of a step that does not lower the objective, before the next try.
        structural: Weight of structural damping in G; zero means none.
        gradient_tolerance: The run has converged when no entry of the gradient is larger.

    Raises:
        ValueError: A setting is out of range.
    """

    directions: int = 250
    tries: int = 3
    shrink: float = 0.3
    structural: float = 0.0
    gradient_tolerance: float = 1e-12

    def __post_init__(self) -> None:
        check_integer("directions", self.directions, minimum=1)
        check_integer("tries", self.tries, minimum=1)
        check_number("structural", self.structural, minimum=0.0)
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)
        if not 0 < self.shrink < 1:
            raise ValueError(f"`shrink` must lie between 0 and 1, got {self.shrink!r}.")

    def _begin(self, theta: Tensor) -> AugmentedState:
        return AugmentedState(theta)

    def _iterate(self, run: Run, state: AugmentedState) -> str | None:
        model, right = self._model(run, state), -state.gradient

        def product(vector: Tensor) -> Tensor:
            return model.product(vector, self.structural)

        delta = torch.zeros_like(state.theta)
        value = state.value
        decreases = [0.0]
        for number, (c, kappa) in enumerate(augmented_directions(product, right, state.update)):
            step = float(right @ c) / kappa
            step, value = self._search(run, state.theta + delta, c, step, value)
            if step:
                delta = delta + step * c
            decreases.append(value - state.value)
            if number + 1 >= self.directions or martens_stop(decreases):
                break
            if run.limit_reason() is not None:
                break
        if value < state.value:
            state.update = delta
            state.move(state.theta + delta)
        elif state.update is not None:
            state.update = None  # the next iteration begins from the gradient alone
        elif len(decreases) == 1:
            return "the curvature along the gradient is not positive: no direction can be searched"
        else:
            return "no direction of the Krylov space lowers the objective"
        return None

    def _search(
        self, run: Run, point: Tensor, direction: Tensor, step: float, value: float
    ) -> tuple[float, float]:
        """Try shrinking steps; return the first that lowers the objective (or 0), and its value."""
        for _ in range(self.tries):
            reached = run.objective.value(point + step * direction)
            if reached < value:
                return step, reached
            step *= self.shrink
        return 0.0, value
