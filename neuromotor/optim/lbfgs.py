"""Limited-memory BFGS with minFunc's settings.

Notation: s parameter changes, y gradient changes, rho = 1 / s.y, gamma scale of the first matrix.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from neuromotor._checks import check_integer, check_number
from neuromotor.optim.calm import calmer
from neuromotor.optim.line_search import SearchPoint, StrongWolfe
from neuromotor.optim.objective import Objective
from neuromotor.optim.result import Budget, Result
from neuromotor.optim.run import Callback, Run

__all__ = ["LBFGS", "Pair", "two_loop_direction"]

Pair = tuple[Tensor, Tensor, float]  # s, y, rho


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS with a strong Wolfe line search.

    Source: Nocedal (1980); Nocedal & Wright (2006), algorithms 7.4 and 7.5. Settings of minFunc
    (Schmidt 2005), the package of Sutskever (2013), section 6.7.1: 100 pairs, first step
    min(1, 1/|g|_1). minFunc also stops where the gradient's largest entry is below 1e-5 or the
    objective moves by less than 1e-9; with losses near 1e-4 those would end the run early, so
    here the gradient tolerance is 1e-12 and there is no test of progress.

    Attributes:
        history: Pairs kept.
        calm_start: Whether the readout of a closed loop is scaled down first, while that helps.
        gradient_tolerance: Converged where no entry of the gradient is larger.
        line_search: How far to go along each direction.

    Raises:
        ValueError: A setting is out of range.
    """

    history: int = 100
    calm_start: bool = False
    gradient_tolerance: float = 1e-12
    line_search: StrongWolfe = field(
        default_factory=StrongWolfe, metadata={"registry": {"strong-wolfe": StrongWolfe()}}
    )

    def __post_init__(self) -> None:
        check_integer("history", self.history, minimum=1)
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
        pairs: deque[Pair] = deque(maxlen=self.history)
        if self.calm_start:
            run.record(theta, value, float(gradient.norm()))
            calm = calmer(run, theta, value)
            if calm is not None:
                theta = calm
                value, gradient = run.objective.value_and_gradient(theta)
        while True:
            stop = run.record(theta, value, float(gradient.norm()))
            if stop is not None:
                return run.result(stop)
            if float(gradient.abs().max()) <= self.gradient_tolerance:
                return run.result(
                    f"no entry of the gradient above {self.gradient_tolerance:g}", converged=True
                )
            direction = two_loop_direction(pairs, gradient)
            slope = float(gradient @ direction)
            if not slope < 0:  # the pairs no longer fit: start over from the gradient
                pairs.clear()
                direction = -gradient
                slope = -float(gradient @ gradient)
            step = 1.0 if pairs else min(1.0, 1.0 / float(gradient.abs().sum()))
            start = SearchPoint(0.0, value, slope, gradient)
            point = self.line_search.search(run.objective, theta, direction, start, step)
            if point.gradient is None or point.step == 0.0:
                if not pairs:
                    return run.result("no step along the negative gradient lowers the objective")
                pairs.clear()
                continue
            change = point.step * direction
            bend = point.gradient - gradient
            curvature = float(change @ bend)
            if curvature > 1e-10 * float(bend @ bend):
                pairs.append((change, bend, 1.0 / curvature))
            theta = theta + change
            value, gradient = point.value, point.gradient


def two_loop_direction(
    pairs: deque[Pair],
    gradient: Tensor,
    precondition: Callable[[Tensor], Tensor] = lambda vector: vector,
) -> Tensor:
    """Return minus the inverse-Hessian estimate times the gradient, (P,).

    Args:
        pairs: s, y and rho, the oldest first.
        gradient: (P,).
        precondition: The first inverse-Hessian estimate, up to its scale; symmetric and positive.
    """
    q = gradient.neg()
    if not pairs:
        return precondition(q)
    alphas = []
    for s, y, rho in reversed(pairs):
        alpha = rho * float(s @ q)
        q.add_(y, alpha=-alpha)
        alphas.append(alpha)
    s, y, rho = pairs[-1]
    q = precondition(q) * (1.0 / (rho * float(y @ precondition(y))))
    for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
        q.add_(s, alpha=alpha - rho * float(y @ q))
    return q
