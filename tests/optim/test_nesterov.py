"""Nesterov's method against the bound that its source proves, and against its equations."""

import math

import pytest
import torch
from cases import SmallProblem, normal, rosenbrock

from neuromotor.optim import Budget, NesterovGradient


def quadratic(condition, size=30):
    hessian = torch.logspace(-math.log10(condition), 0, size, dtype=torch.float64)
    return SmallProblem(lambda x: hessian.sqrt() * x), normal(size)


@pytest.mark.parametrize("condition", [10.0, 1e4])
def test_the_error_stays_below_nesterovs_bound(condition):
    """Sutskever (2013), equation 7.14, with L = 1, and theta* = 0."""
    problem, start = quadratic(condition)
    values = []
    NesterovGradient(restart=False).minimize(
        problem, start, Budget(calls=600), lambda at: values.append(problem.value(at.parameters))
    )
    assert len(values) > 200
    for t, value in enumerate(values):
        assert value <= 4 * float(start @ start) / (t + 2) ** 2


def test_a_restart_makes_it_linear():
    """O'Donoghue & Candes (2012), section 3: on strongly convex objectives."""
    problem, start = quadratic(1e3)
    ends = [
        NesterovGradient(restart=restart).minimize(problem, start, Budget(calls=1000)).value
        for restart in (False, True)
    ]
    assert ends[1] < 1e-4 * ends[0]


def test_points_follow_the_equations():
    problem, start = quadratic(50.0, size=4)
    points = []
    NesterovGradient(restart=False).minimize(
        problem,
        start,
        Budget(interrupted=lambda: len(points) >= 12),
        lambda at: points.append(at.snapshot().state),
    )
    rates = [point["rate"] for point in points[1:]]
    assert rates == sorted(rates, reverse=True)
    y, reached, a = start, start, 1.0
    for point in points[1:]:
        gradient = problem.value_and_gradient(y)[1]
        before, reached = reached, y - point["rate"] * gradient
        after = (1 + math.sqrt(4 * a * a + 1)) / 2
        y, a = reached + (a - 1) / after * (reached - before), after
        torch.testing.assert_close(point["theta"], y, rtol=1e-12, atol=1e-13)
        assert point["a"] == pytest.approx(a)


def test_steps_are_halved_where_the_curvature_grows():
    result = NesterovGradient().minimize(
        SmallProblem(rosenbrock), torch.tensor([-1.2, 1.0]).double(), Budget(calls=4000)
    )
    assert result.value < 1e-8
