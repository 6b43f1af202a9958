"""Hessian-free optimisation: truncated Gauss-Newton steps by conjugate gradients.

Notation: f is the objective, G its Gauss-Newton matrix, g its gradient, lambda the damping, and
delta a step. The step's model is q(delta) = g.delta + delta.(G + lambda I) delta / 2, and its
reduction ratio is rho = (f(theta + delta) - f(theta)) / q(delta).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from neuromotor._checks import (
    check_fraction,
    check_integer,
    check_number,
    check_positive,
    check_seed,
)
from neuromotor.optim.krylov import CGResult, conjugate_gradient, martens_stop
from neuromotor.optim.line_search import Backtracking, SearchPoint
from neuromotor.optim.linearized import LinearizedIterative, LinearizedState
from neuromotor.optim.objective import CountedLinearization
from neuromotor.optim.run import Run

__all__ = ["HessianFree", "HessianFreeLike", "HessianFreeState", "backtrack", "next_damping"]


@dataclass
class HessianFreeState(LinearizedState):
    """State of `HessianFree`.

    Attributes:
        damping: lambda.
        warm: Last solution of conjugate gradients, (P,).
        failures: Number of iterations in a row without a step.
    """

    damping: float = field(default=0.0, metadata={"minimum": 0})
    warm: Tensor | None = None
    failures: int = field(default=0, metadata={"minimum": 0, "counts": True})


@dataclass(frozen=True)
class HessianFreeLike(LinearizedIterative[HessianFreeState]):
    """Everything that `HessianFree` and `KroneckerHessianFree` share: all but the preconditioner.

    Attributes: See `HessianFree`.
    """

    damping: float = 0.1
    structural: float = 0.0
    decay: float = 0.95
    iterations: int = 250
    least_reduction: float | None = None
    curvature_trials: int | None = None
    seed: int = 0
    gradient_tolerance: float = 1e-12
    line_search: Backtracking = field(
        default_factory=Backtracking, metadata={"registry": {"backtracking": Backtracking()}}
    )

    def __post_init__(self) -> None:
        check_positive("damping", self.damping)
        check_number("structural", self.structural, minimum=0.0)
        check_number("decay", self.decay, minimum=0.0)
        check_integer("iterations", self.iterations, minimum=1)
        if self.least_reduction is not None:
            check_fraction("least_reduction", self.least_reduction)
        check_seed("seed", self.seed)
        if self.curvature_trials is not None:
            check_integer("curvature_trials", self.curvature_trials, minimum=1)
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)

    @abstractmethod
    def _preconditioner(
        self, run: Run, state: HessianFreeState, model: CountedLinearization
    ) -> Callable[[Tensor], Tensor]:
        """Return the inverse of a matrix near the damped curvature, as a function of a vector."""

    def _begin(self, theta: Tensor) -> HessianFreeState:
        return HessianFreeState(theta, damping=self.damping)

    def _iterate(self, run: Run, state: HessianFreeState) -> str | None:
        theta, gradient, damping = state.theta, state.gradient, state.damping
        model = self._model(run, state)

        def damped(vector: Tensor) -> Tensor:
            return model.product(vector, self.structural * damping) + damping * vector

        solution = conjugate_gradient(
            damped,
            -gradient,
            start=None if state.warm is None else self.decay * state.warm,
            iterations=self.iterations,
            stop=lambda values: martens_stop(values) or run.limit_reason() is not None,
            keep_every=1.3,
            precondition=self._preconditioner(run, state, model),
            watch=self._watch(run, state, model.value),
        )
        state.warm = solution.solution if self.decay else None
        full = run.objective.value(theta + solution.solution)
        # Near the optimum both differences are rounding errors; the ratio then counts as good.
        rounding = 1e-15 * abs(state.value)
        ratio = (full - state.value - rounding) / min(solution.quadratic, -1e-300)
        delta, reached = backtrack(run, theta, solution, full)
        if not bool(delta.any()):
            # The first direction curves downwards, so that only more damping gives a step.
            return self._fail(state, "the damped curvature along the gradient is not positive")
        start = SearchPoint(0.0, state.value, float(gradient @ delta))
        point = self.line_search.search(
            run.objective, theta, delta, start, SearchPoint(1.0, reached)
        )
        state.damping = next_damping(damping, ratio)
        if point.step == 0.0 or not point.value <= state.value:
            return self._fail(state, "the step does not lower the objective")
        state.failures = 0
        state.move(theta + point.step * delta)
        return None

    def _watch(
        self, run: Run, state: HessianFreeState, before: float
    ) -> Callable[[Tensor], bool] | None:
        """Return whether an iterate falls behind the best one on the trials of the curvature."""
        if self.least_reduction is None:
            return None
        share, value, most = self.least_reduction, self._value(run, state), 0.0

        def falls_behind(step: Tensor) -> bool:
            nonlocal most
            reduction = before - value(state.theta + step)
            most = max(most, reduction)
            return reduction < share * most

        return falls_behind

    def _fail(self, state: HessianFreeState, why: str) -> str | None:
        """Raise the damping after an iteration without a step; give up after twenty of them."""
        state.failures += 1
        state.warm = None
        state.damping *= 10
        if state.failures > 20:
            return f"no damping gives a step that lowers the objective: {why}"
        state.standstill = f"{why}; the damping was raised to {state.damping:g}"
        return None


@dataclass(frozen=True)
class HessianFree(HessianFreeLike):
    """Truncated Gauss-Newton with Levenberg-Marquardt damping, warm starts and backtracking.

    The damping is multiplied by 2/3 where rho > 3/4, and by 3/2 where rho < 1/4. Conjugate
    gradients start from 0.95 of the last solution and stop by their relative progress. The step
    goes back over the stored iterates, and a backtracking line search then shortens it. There is
    no preconditioner (`KroneckerHessianFree` has one). Structural damping adds lambda mu times the
    curvature of the change of the hidden units.

    Source: Martens (2010), sections 3 and 4; Martens & Sutskever (2011), section 3.2 for structural
    damping.

    Attributes:
        damping: First lambda.
        structural: mu; 1/30 in the source, zero means none. The objective must have hidden units.
        decay: Fraction of the last solution that conjugate gradients start from; 0 for none.
        iterations: Largest number of products in a step.
        least_reduction: Conjugate gradients also stop when what an iterate lowers the objective by,
            on the trials of the curvature, is less than this fraction of the most so far; 0.9 in
            Sutskever (2013), section 4.4. It is looked at where iterates are stored, at a cost of a
            value each (our choice). None means no such stop.
        curvature_trials: Number of random trials, new ones each iteration, that the curvature is
            taken from; None for all trials.
        seed: Seed of that choice.
        gradient_tolerance: The run has converged when no entry of the gradient is larger.
        line_search: Search that shortens a step.

    Raises:
        ValueError: A setting is out of range.
    """

    def _preconditioner(
        self, run: Run, state: HessianFreeState, model: CountedLinearization
    ) -> Callable[[Tensor], Tensor]:
        return _itself


def _itself(vector: Tensor) -> Tensor:
    return vector


def next_damping(damping: float, ratio: float) -> float:
    """Return the Levenberg-Marquardt rule's next lambda.

    Source: Martens (2010), section 4.1.

    Args:
        damping: lambda.
        ratio: rho, true over predicted change; not a number or below 1/4 raises lambda.
    """
    if not ratio >= 0.25:
        return damping * 1.5
    return damping / 1.5 if ratio > 0.75 else damping


def backtrack(run: Run, theta: Tensor, solution: CGResult, full: float) -> tuple[Tensor, float]:
    """Return the last stored iterate before which the objective no longer falls, and its value."""
    delta, reached = solution.iterates[-1][1], full
    for _, earlier in reversed(solution.iterates[:-1]):
        value = run.objective.value(theta + earlier)
        if not value < reached and math.isfinite(reached):
            break
        delta, reached = earlier, value
    return delta, reached
