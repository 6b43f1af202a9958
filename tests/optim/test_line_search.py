"""The line search against its conditions, and cubic interpolation."""

import math

import numpy as np
import pytest
import torch
from cases import SmallProblem

from neuromotor.optim import CountedObjective, SearchPoint, StrongWolfe, cubic_minimum


def test_strong_wolfe_conditions_hold_where_the_search_ends():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b, c = rng.uniform(0.2, 5, 3)
        # Value and slope of a bumpy function along one direction.
        problem = SmallProblem(
            lambda x, a=a, b=b, c=c: torch.stack([a * x[0] - b, 0.3 * torch.sin(c * x[0])])
        )
        origin, direction = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        value, gradient = problem.value_and_gradient(origin)
        search = StrongWolfe(c2=0.1)
        start = SearchPoint(0.0, value, float(gradient[0]), gradient)
        found = search.search(
            CountedObjective(problem), origin, direction, start, float(rng.uniform(1e-3, 20))
        )
        assert found.value <= value + search.c1 * found.step * start.slope
        assert abs(found.slope) <= -search.c2 * start.slope


def test_cubic_interpolation_finds_the_minimum_of_a_cubic():
    def point(a):
        return SearchPoint(a, a**3 - 3 * a, 3 * a**2 - 3)  # minimum at 1

    assert cubic_minimum(point(0.3), point(2.2)) == pytest.approx(1.0)
    assert cubic_minimum(point(2.2), point(0.3)) == pytest.approx(1.0)
    assert math.isnan(cubic_minimum(point(0.3), SearchPoint(1.0, math.inf)))
