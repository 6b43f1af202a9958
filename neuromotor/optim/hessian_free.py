"""Hessian-free optimisation: truncated Gauss-Newton steps by conjugate gradients.

Notation: f objective, G Gauss-Newton matrix, g gradient, lambda damping, delta step,
q(delta) = g.delta + delta.(G + lambda I) delta / 2, rho = (f(theta + delta) - f(theta)) / q(delta).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive
from neuromotor.optim.krylov import CGResult, conjugate_gradient, martens_stop
from neuromotor.optim.line_search import Backtracking, SearchPoint
from neuromotor.optim.objective import Objective
from neuromotor.optim.result import Budget, Result
from neuromotor.optim.run import Callback, Run

__all__ = ["HessianFree"]


@dataclass(frozen=True)
class HessianFree:
    """Truncated Gauss-Newton with Levenberg-Marquardt damping, warm starts and backtracking.

    Source: Martens (2010), sections 3 and 4; Martens & Sutskever (2011): damping times 2/3 where
    rho > 3/4 and 3/2 where rho < 1/4, warm start from 0.95 of the last solution, conjugate
    gradients stopped by their relative progress, backtracking over stored iterates, then a
    backtracking line search. No preconditioner. Structural damping (same source, section 3.2)
    adds lambda mu times the curvature of the change of the hidden units.

    Attributes:
        damping: First lambda.
        structural: mu; 1/30 in the source, zero for none. Needs an objective with hidden units.
        decay: Fraction of the last solution that conjugate gradients start from.
        iterations: Most products a step.
        gradient_tolerance: Converged where no entry of the gradient is larger.
        line_search: How a step is shortened.

    Raises:
        ValueError: A setting is out of range.
    """

    damping: float = 0.1
    structural: float = 0.0
    decay: float = 0.95
    iterations: int = 250
    gradient_tolerance: float = 1e-12
    line_search: Backtracking = field(
        default_factory=Backtracking, metadata={"registry": {"backtracking": Backtracking()}}
    )

    def __post_init__(self) -> None:
        check_positive("damping", self.damping)
        check_number("structural", self.structural, minimum=0.0)
        check_number("decay", self.decay, minimum=0.0)
        check_integer("iterations", self.iterations, minimum=1)
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)

    def minimize(
        self,
        objective: Objective,
        parameters: Tensor,
        budget: Budget | None = None,
        callback: Callback | None = None,
    ) -> Result:
        """Minimise; see `Optimizer.minimize`."""
        run = Run(objective, parameters, budget, callback)
        theta = parameters.detach().clone()
        damping, warm = self.damping, torch.zeros_like(theta)
        failures = 0
        while True:
            model = run.objective.linearize(theta)
            gradient = model.gradient
            stop = run.record(theta, model.value, float(gradient.norm()))
            if stop is not None:
                return run.result(stop)
            if float(gradient.abs().max()) <= self.gradient_tolerance:
                return run.result(
                    f"no entry of the gradient above {self.gradient_tolerance:g}", converged=True
                )

            def damped(vector: Tensor, damping: float = damping) -> Tensor:
                curved = model.product(vector, self.structural * damping)  # noqa: B023 - used within
                return curved + damping * vector

            solution = conjugate_gradient(
                damped,
                -gradient,
                start=self.decay * warm if bool(warm.any()) else None,
                iterations=self.iterations,
                stop=lambda values: martens_stop(values) or run.budget_reason() is not None,
                keep_every=1.3,
            )
            warm = solution.solution
            full = _value_at(run, theta, solution.solution)
            # At the bottom both differences are rounding: then the model is as good as any.
            rounding = 1e-15 * abs(model.value)
            ratio = (full - model.value - rounding) / min(solution.quadratic, -1e-300)
            delta, reached = _backtrack(run, theta, solution, full)
            start = SearchPoint(0.0, model.value, float(gradient @ delta))
            point = self.line_search.search(
                run.objective, theta, delta, start, SearchPoint(1.0, reached)
            )
            if not ratio >= 0.25:
                damping *= 1.5
            elif ratio > 0.75:
                damping /= 1.5
            if point.step == 0.0 or not point.value <= model.value:
                failures += 1
                warm = torch.zeros_like(theta)
                damping *= 10
                if failures > 20:
                    return run.result("no damping gives a step that lowers the objective")
                continue
            failures = 0
            theta = theta + point.step * delta


def _value_at(run: Run, theta: Tensor, delta: Tensor) -> float:
    return run.objective.value(theta + delta)


def _backtrack(run: Run, theta: Tensor, solution: CGResult, full: float) -> tuple[Tensor, float]:
    """Last stored iterate before which the objective no longer falls, with the objective there."""
    delta, reached = solution.iterates[-1][1], full
    for _, earlier in reversed(solution.iterates[:-1]):
        value = _value_at(run, theta, earlier)
        if not value < reached and math.isfinite(reached):
            break
        delta, reached = earlier, value
    return delta, reached
