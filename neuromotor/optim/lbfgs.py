"""Limited-memory BFGS with minFunc's settings.

Notation: s is a change of the parameters and y that of the gradient, rho = 1 / s.y, and gamma is
the scale of the first matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from neuromotor._checks import check_integer, check_number
from neuromotor.optim.calm_start import CalmState
from neuromotor.optim.iterative import Iterative
from neuromotor.optim.line_search import SearchPoint, StrongWolfe
from neuromotor.optim.run import Run

__all__ = ["LBFGS", "Pair", "PairsState", "first_step", "two_loop_direction"]

Pair = tuple[Tensor, Tensor, float]  # s, y, rho


@dataclass
class PairsState(CalmState):
    """State of a method that keeps pairs of changes.

    Attributes:
        pairs: s, y and rho of the last steps, the oldest first.
    """

    pairs: list[Pair] = field(default_factory=list, metadata={"maximum": math.inf})

    def disagreement(self) -> str | None:
        """Return which fields contradict each other, or None; rho must be 1 / s.y."""
        for change, bend, inverse in self.pairs:
            if not math.isclose(inverse * float(change @ bend), 1.0, rel_tol=1e-3):
                return "a pair of `pairs` does not have its own curvature"
        return super().disagreement()

    def descend(
        self, run: Run, line_search: StrongWolfe, direction: Tensor, first: float, most: int
    ) -> SearchPoint | None:
        """Search along a direction, move to the point found, and keep the pair if it curves up.

        Args:
            run: The minimisation with its objective.
            line_search: Search along the direction.
            direction: A descent direction, (P,).
            first: First step to try.
            most: Largest number of pairs that are kept.

        Returns:
            The point; None, with nothing changed, where no step lowers the objective.
        """
        start = SearchPoint(0.0, self.value, float(self.gradient @ direction), self.gradient)
        point = line_search.search(run.objective, self.theta, direction, start, first)
        if point.gradient is None or point.step == 0.0:
            return None
        change, bend = point.step * direction, point.gradient - self.gradient
        curvature = float(change @ bend)
        if curvature > 1e-10 * float(bend @ bend):
            self.pairs.append((change, bend, 1.0 / curvature))
            del self.pairs[: len(self.pairs) - min(most, len(self.pairs))]
        self.arrive(self.theta + change, point.value, point.gradient)
        return point


@dataclass(frozen=True)
class LBFGS(Iterative[PairsState]):
    """L-BFGS with a strong Wolfe line search.

    Source: Nocedal (1980); Nocedal & Wright (2006), algorithms 7.4 and 7.5. Settings of minFunc
    (Schmidt 2005), the package of Sutskever (2013), section 6.7.1: 100 pairs, first step
    min(1, 1/|g|_1). minFunc also stops when the gradient's largest entry is below 1e-5 or
    the objective changes by less than 1e-9. Losses here are near 1e-4, so that these tests would
    end a run early; here the gradient tolerance is 1e-12, and there is no test of progress.

    Attributes:
        history: Number of pairs that are kept.
        calm_start: Whether the run begins by scaling the readout down while that helps.
        gradient_tolerance: The run has converged when no entry of the gradient is larger.
        line_search: Search for the step along each direction.

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

    def _begin(self, theta: Tensor) -> PairsState:
        return PairsState(theta, calm=not self.calm_start)

    def _iterate(self, run: Run, state: PairsState) -> str | None:
        if state.start_calmly(run):
            return None
        pairs, gradient = state.pairs, state.gradient
        direction = two_loop_direction(pairs, gradient)
        if not float(gradient @ direction) < 0:  # the pairs no longer fit
            pairs.clear()
            direction = -gradient
        step = 1.0 if pairs else first_step(gradient)
        if state.descend(run, self.line_search, direction, step, self.history) is None:
            if not pairs:
                return "no step along the negative gradient lowers the objective"
            pairs.clear()
        return None


def first_step(gradient: Tensor) -> float:
    """Return the first step along the negative gradient, min(1, 1/|g|_1)."""
    return min(1.0, 1.0 / float(gradient.abs().sum()))


def two_loop_direction(
    pairs: Sequence[Pair],
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
