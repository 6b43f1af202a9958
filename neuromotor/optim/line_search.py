"""One-dimensional searches along a direction.

Notation: phi(a) = f(theta + a d) has the derivative phi'(a); c1 and c2 are constants of the
conditions ``phi(a) <= phi(0) + c1 a phi'(0)`` and ``|phi'(a)| <= -c2 phi'(0)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from neuromotor._checks import check_integer, check_number
from neuromotor.optim.objective import CountedObjective

__all__ = ["Backtracking", "SearchPoint", "StrongWolfe", "cubic_minimum"]


@dataclass(frozen=True)
class SearchPoint:
    """A point along a direction.

    Attributes:
        step: a.
        value: phi(a); infinity if the objective is not finite.
        slope: phi'(a); not a number if it was not computed.
        gradient: Gradient of the objective at the point, (P,), or None.
    """

    step: float
    value: float
    slope: float = math.nan
    gradient: Tensor | None = None


@dataclass(frozen=True)
class StrongWolfe:
    """Bracketing and zoom with cubic interpolation, for both strong Wolfe conditions.

    Source: Nocedal & Wright (2006), algorithms 3.5 and 3.6, with the constants and safeguards of
    minFunc (Schmidt 2005): extrapolation by 1 % of the last interval to 10 times the step, trial
    points at least 10 % of a bracket from its ends, at most 25 evaluations. A value that is not
    finite ends the bracket there.

    Attributes:
        c1: Constant of sufficient decrease.
        c2: Constant of the curvature condition; 0.9 for quasi-Newton, 0.2 for conjugate gradients.
        evaluations: Largest number of values with gradient.

    Raises:
        ValueError: The constants do not satisfy ``0 < c1 < c2 < 1``.
    """

    c1: float = 1e-4
    c2: float = 0.9
    evaluations: int = 25

    def __post_init__(self) -> None:
        check_number("c1", self.c1)
        check_number("c2", self.c2)
        check_integer("evaluations", self.evaluations, minimum=1)
        if not 0 < self.c1 < self.c2 < 1:
            raise ValueError(
                f"`c1` and `c2` must satisfy 0 < c1 < c2 < 1, got {self.c1}, {self.c2}."
            )

    def search(
        self,
        objective: CountedObjective,
        origin: Tensor,
        direction: Tensor,
        start: SearchPoint,
        step: float,
    ) -> SearchPoint:
        """Return a point that meets both conditions, or the lowest one that was found.

        Args:
            objective: Objective to be minimised.
            origin: theta, (P,).
            direction: d, (P,).
            start: The point at step 0, with its slope, which must be negative.
            step: First step to try, positive.

        Returns:
            The point with its gradient; `start` itself if no lower point was found.
        """

        def evaluate(a: float) -> SearchPoint:
            value, gradient = objective.value_and_gradient(origin + a * direction)
            slope = float(gradient @ direction)
            if not math.isfinite(value) or not math.isfinite(slope):
                return SearchPoint(a, math.inf)
            return SearchPoint(a, value, slope, gradient)

        before, low, high = start, start, None
        left = self.evaluations
        while left > 0:
            point = evaluate(step)
            left -= 1
            if self._too_high(point, start) or (
                before is not start and point.value >= before.value
            ):
                low, high = before, point
                break
            if self._flat(point, start):
                return point
            if point.slope >= 0:
                low, high = point, before
                break
            smallest, largest = step + 0.01 * (step - before.step), 10 * step
            guess = cubic_minimum(before, point)
            before, low = point, point
            step = min(max(guess, smallest), largest) if math.isfinite(guess) else largest
        if high is None:
            return low

        stuck = False
        while left > 0:
            width = abs(high.step - low.step)
            if width * max(1.0, abs(low.slope)) < 1e-14 * max(1.0, low.step):
                break
            step, stuck = self._inside(low, high, stuck)
            point = evaluate(step)
            left -= 1
            if self._too_high(point, start) or point.value >= low.value:
                high = point
                continue
            if self._flat(point, start):
                return point
            if point.slope * (high.step - low.step) >= 0:
                high = low
            low = point
        return low

    def _too_high(self, point: SearchPoint, start: SearchPoint) -> bool:
        """Return whether the decrease is not sufficient."""
        return point.value > start.value + self.c1 * point.step * start.slope

    def _flat(self, point: SearchPoint, start: SearchPoint) -> bool:
        """Return whether the curvature condition is met."""
        return abs(point.slope) <= -self.c2 * start.slope

    def _inside(self, low: SearchPoint, high: SearchPoint, stuck: bool) -> tuple[float, bool]:
        """Return the next trial step in a bracket, and whether it lies near an end."""
        left, right = sorted((low.step, high.step))
        step = cubic_minimum(low, high)
        if not math.isfinite(step):
            return 0.5 * (left + right), False
        step = min(max(step, left), right)
        margin = 0.1 * (right - left)
        if min(right - step, step - left) >= margin:
            return step, False
        if stuck or step in (left, right):
            near_right = abs(step - right) < abs(step - left)
            return (right - margin if near_right else left + margin), False
        return step, True


@dataclass(frozen=True)
class Backtracking:
    """Shrinks a step until it lowers the objective enough (Armijo 1966).

    Attributes:
        c1: Constant of sufficient decrease; 1e-2 in Martens (2010).
        factor: Each step as a fraction of the one before; 0.8 in the same source.
        evaluations: Largest number of values; 60 in the same source.

    Raises:
        ValueError: A setting is out of range.
    """

    c1: float = 1e-2
    factor: float = 0.8
    evaluations: int = 60

    def __post_init__(self) -> None:
        check_number("c1", self.c1, minimum=0.0)
        check_number("factor", self.factor)
        check_integer("evaluations", self.evaluations, minimum=1)
        if not 0 < self.factor < 1:
            raise ValueError(f"`factor` must lie between 0 and 1, got {self.factor!r}.")

    def search(
        self,
        objective: CountedObjective,
        origin: Tensor,
        direction: Tensor,
        start: SearchPoint,
        first: SearchPoint,
    ) -> SearchPoint:
        """Return a step with sufficient decrease, or `start` if there is none.

        Args:
            objective: Objective to be minimised.
            origin: theta, (P,).
            direction: d, (P,).
            start: The point at step 0, with its slope.
            first: First point to try, already evaluated.
        """
        point = first
        for _ in range(self.evaluations):
            if point.value <= start.value + self.c1 * point.step * min(start.slope, 0.0):
                return point
            step = self.factor * point.step
            point = SearchPoint(step, objective.value(origin + step * direction))
        return start


def cubic_minimum(one: SearchPoint, two: SearchPoint) -> float:
    """Return the minimiser of the cubic through two values and slopes, or nan if there is none.

    Source: Nocedal & Wright (2006), equation 3.59.
    """
    if one.step == two.step or not all(
        map(math.isfinite, (one.value, two.value, one.slope, two.slope))
    ):
        return math.nan
    a, b = (one, two) if one.step < two.step else (two, one)
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    square = d1 * d1 - a.slope * b.slope
    if square < 0:
        return math.nan
    d2 = math.sqrt(square)
    denominator = b.slope - a.slope + 2 * d2
    if denominator == 0:
        return math.nan
    return b.step - (b.step - a.step) * (b.slope + d2 - d1) / denominator
