"""Nonlinear conjugate gradients, plain or preconditioned by L-BFGS.

Notation: g gradient, z preconditioned gradient, d direction, beta weight of the last direction.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from torch import Tensor

from neuromotor._checks import check_integer, check_number
from neuromotor.optim.lbfgs import Pair, two_loop_direction
from neuromotor.optim.line_search import SearchPoint, StrongWolfe
from neuromotor.optim.objective import Objective
from neuromotor.optim.result import Budget, Result
from neuromotor.optim.run import Callback, Run

__all__ = ["NonlinearCG"]


@dataclass(frozen=True)
class NonlinearCG:
    """Conjugate gradients by Polak and Ribiere's formula, restarted where it turns negative.

    Source: Nocedal & Wright (2006), equations 5.44 and 5.45 (PR+) and 3.60 (first step); with
    pairs, the preconditioned form of minFunc (Schmidt 2005), its `pcg`:
    ``beta = z'.(g' - g) / g.z`` with z the L-BFGS estimate times g.

    Attributes:
        pairs: Pairs of the L-BFGS preconditioner, 0 for plain conjugate gradients.
        gradient_tolerance: Converged where no entry of the gradient is larger.
        line_search: How far to go along each direction; needs a tight `c2`.

    Raises:
        ValueError: A setting is out of range.
    """

    pairs: int = 0
    gradient_tolerance: float = 1e-12
    line_search: StrongWolfe = field(
        default_factory=lambda: StrongWolfe(c2=0.2),
        metadata={"registry": {"strong-wolfe": StrongWolfe(c2=0.2)}},
    )

    def __post_init__(self) -> None:
        check_integer("pairs", self.pairs, minimum=0)
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
        value, gradient = run.objective.value_and_gradient(theta)
        pairs: deque[Pair] = deque(maxlen=max(self.pairs, 1))
        downhill = two_loop_direction(pairs, gradient)  # -z
        direction = downhill
        step, last_slope = min(1.0, 1.0 / max(float(gradient.abs().sum()), 1e-300)), 0.0
        while True:
            stop = run.record(theta, value, float(gradient.norm()))
            if stop is not None:
                return run.result(stop)
            if float(gradient.abs().max()) <= self.gradient_tolerance:
                return run.result(
                    f"no entry of the gradient above {self.gradient_tolerance:g}", converged=True
                )
            slope = float(gradient @ direction)
            if not slope < 0:
                pairs.clear()
                direction = downhill = gradient.neg()
                slope = float(gradient @ direction)
            first = step if last_slope == 0.0 else step * min(last_slope / slope, 100.0)
            start = SearchPoint(0.0, value, slope, gradient)
            point = self.line_search.search(run.objective, theta, direction, start, first)
            if point.gradient is None or point.step == 0.0:
                if direction is downhill and not pairs:
                    return run.result("no step along the negative gradient lowers the objective")
                pairs.clear()
                direction = downhill = gradient.neg()
                continue
            change, bend = point.step * direction, point.gradient - gradient
            curvature = float(change @ bend)
            if self.pairs and curvature > 1e-10 * float(bend @ bend):
                pairs.append((change, bend, 1.0 / curvature))
            before = -float(gradient @ downhill)
            downhill = two_loop_direction(pairs, point.gradient)
            beta = max(-float(downhill @ bend) / before, 0.0)
            theta = theta + change
            value, gradient = point.value, point.gradient
            step, last_slope = point.step, slope
            direction = downhill + beta * direction if beta else downhill
