"""First-order methods against their equations, closed forms and torch."""

import numpy as np
import pytest
import torch
from cases import SmallProblem, normal

from neuromotor.optim import Adam, Budget, GradientDescent


def test_gradient_descent_contracts_at_the_optimal_rate():
    """With rate 2 / (lmin + lmax) a quadratic's error shrinks by (k - 1) / (k + 1) a step."""
    smallest, largest = 0.5, 8.0
    scale = torch.tensor([smallest, largest], dtype=torch.float64).sqrt()
    problem = SmallProblem(lambda x: scale * x)
    method = GradientDescent(learning_rate=2 / (smallest + largest), gradient_tolerance=0.0)
    start = torch.ones(2, dtype=torch.float64)
    result = method.minimize(problem, start, Budget(calls=21))  # 20 steps, and a look at the end
    condition = largest / smallest
    expected = ((condition - 1) / (condition + 1)) ** 20 * start.norm()
    assert float(result.parameters.norm()) == pytest.approx(float(expected), rel=1e-10)


def test_momentum_and_nesterov_follow_their_equations():
    """Sutskever (2013), equations 7.1-7.2 and 7.12-7.13, with constant momentum."""
    hessian = torch.tensor([1.0, 5.0], dtype=torch.float64)
    problem = SmallProblem(lambda x: hessian.sqrt() * x)
    start, rate, mu = torch.tensor([1.0, -1.0], dtype=torch.float64), 0.05, 0.8
    for nesterov in (False, True):
        points = []
        GradientDescent(learning_rate=rate, momentum_max=mu, nesterov=nesterov).minimize(
            problem,
            start,
            Budget(interrupted=lambda points=points: len(points) >= 10),
            lambda progress, points=points: points.append(progress.point.value),
        )
        theta, velocity, expected = start.clone(), torch.zeros_like(start), []
        for _ in range(10):
            ahead = theta + mu * velocity if nesterov else theta
            expected.append(0.5 * float((hessian * ahead.square()).sum()))
            velocity = mu * velocity - rate * hessian * ahead
            theta = theta + velocity
        np.testing.assert_allclose(points, expected, rtol=1e-12)


def test_nesterov_is_momentum_damped_by_the_curvature():
    """Sutskever (2013), section 7.2: along an eigenvector of a quadratic, Nesterov's gradient with
    momentum mu is classical momentum with mu (1 - epsilon lambda)."""
    curvature, rate, mu = 4.0, 0.1, 0.9
    effective = mu * (1 - rate * curvature)
    problem = SmallProblem(lambda x: curvature**0.5 * x)
    start = torch.ones(1, dtype=torch.float64)
    seen = {}
    for nesterov, momentum in ((True, mu), (False, effective)):
        values = seen.setdefault(nesterov, [])
        GradientDescent(learning_rate=rate, momentum_max=momentum, nesterov=nesterov).minimize(
            problem,
            start,
            Budget(interrupted=lambda values=values: len(values) >= 12),
            lambda progress, values=values: values.append(progress.point.value),
        )
    # Nesterov's values are taken ahead, at theta + mu v: classical theta and v give them too.
    theta, velocity, ahead = 1.0, 0.0, []
    for value in seen[False]:
        assert value == pytest.approx(0.5 * curvature * theta**2, rel=1e-10)
        ahead.append(0.5 * curvature * (theta + mu * velocity) ** 2)
        velocity = effective * velocity - rate * curvature * theta
        theta += velocity
    np.testing.assert_allclose(seen[True], ahead, rtol=1e-10)


def test_adam_agrees_with_torch():
    target = normal(6)
    problem = SmallProblem(lambda x: torch.linspace(1, 2, 6, dtype=x.dtype) * (x - target))
    ours = Adam(learning_rate=0.05, warmup=0.0, clip_norm=None)
    points = []
    ours.minimize(
        problem,
        torch.zeros(6, dtype=torch.float64),
        Budget(interrupted=lambda: len(points) >= 30),  # no limit: a constant learning rate
        lambda progress: points.append(progress.point.value),
    )
    theta = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    peer, expected = torch.optim.Adam([theta], lr=0.05), []
    for _ in range(30):
        peer.zero_grad()
        loss = 0.5 * problem.residuals(theta).square().sum()
        loss.backward()
        expected.append(float(loss.detach()))
        peer.step()
    np.testing.assert_allclose(points, expected, rtol=1e-10)


def test_schedules_follow_the_budget():
    """Without a budget there is no schedule; with one the last step of Adam has no length."""
    problem = SmallProblem(lambda x: x - 1.0)
    start = torch.zeros(1, dtype=torch.float64)
    seen = []
    Adam(learning_rate=1e-3, clip_norm=None).minimize(
        problem,
        start,
        Budget(interrupted=lambda: len(seen) >= 5),
        lambda progress: seen.append(1 - (2 * progress.point.value) ** 0.5),
    )
    np.testing.assert_allclose(np.diff(seen), 1e-3, rtol=1e-3)  # far off, Adam steps by its rate
    steps = []
    Adam(learning_rate=1e-3, warmup=0.25, clip_norm=None).minimize(
        problem,
        start,
        Budget(calls=101),
        lambda progress: steps.append(1 - (2 * progress.point.value) ** 0.5),
    )
    sizes = np.diff(steps)
    assert 20 <= np.argmax(sizes) <= 30  # the end of the warm-up
    assert sizes[0] < 0.1 * sizes.max()
    assert sizes[-1] < 0.01 * sizes.max()


def test_rates_and_momenta_hold_from_their_iterations_on():
    hessian = torch.tensor([1.0, 5.0], dtype=torch.float64)
    problem = SmallProblem(lambda x: hessian.sqrt() * x)
    start, points = torch.tensor([1.0, -1.0], dtype=torch.float64), []
    GradientDescent(rates=((0, 0.1), (3, 0.02)), momenta=((0, 0.0), (2, 0.9))).minimize(
        problem,
        start,
        Budget(calls=7),
        lambda progress: points.append(progress.point.value),
    )
    theta, velocity, expected = start.clone(), torch.zeros_like(start), []
    for step in range(7):
        expected.append(0.5 * float((hessian * theta.square()).sum()))
        rate, mu = (0.1 if step < 3 else 0.02), (0.0 if step < 2 else 0.9)
        velocity = mu * velocity - rate * hessian * theta
        theta = theta + velocity
    np.testing.assert_allclose(points, expected, rtol=1e-12)
    for wrong in (((1, 0.1),), ((0, 0.1), (0, 0.2))):
        with pytest.raises(ValueError, match="`rates` must be pairs of an iteration"):
            GradientDescent(rates=wrong)
    with pytest.raises(ValueError, match="`momenta` must be below 1"):
        GradientDescent(momenta=((0, 1.0),))


def test_entries_of_the_gradient_are_clipped_before_its_norm():
    problem = SmallProblem(lambda x: x * torch.tensor([1.0, 10.0, 1.0]).double())
    start = torch.tensor([0.5, 1.0, -2.0], dtype=torch.float64)  # gradient 0.5, 100, -2
    method = GradientDescent(learning_rate=1.0, clip_entry=1.0, clip_norm=0.75)
    points = []
    method.minimize(problem, start, Budget(calls=2), lambda at: points.append(at.snapshot().state))
    expected = start - torch.tensor([0.5, 1.0, -1.0]).double() * (0.75 / 1.5)
    torch.testing.assert_close(points[1]["theta"], expected)
