"""First-order methods against their equations, closed forms and torch."""

import numpy as np
import pytest
import torch
from cases import SmallProblem, normal

from neuromotor.optim import Adam, Budget, GradientDescent, Resampled, TruncatedNewton


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


def quadratic(seed=0, size=6):
    """f = (x - x*)^T A (x - x*) / 2 with a dense A: the objective, A and x*."""
    axes = torch.linalg.qr(normal(size, size, seed=seed))[0]
    curvature = torch.linspace(0.5, 8.0, size, dtype=torch.float64)
    root = axes @ torch.diag(curvature.sqrt()) @ axes.T
    best = normal(size, seed=seed + 1)
    return SmallProblem(lambda x: root @ (x - best)), (root @ root).numpy(), best.numpy()


def steps_of(method, problem, start, count):
    """Values and points of the first iterations, the start among them."""
    values, points = [], []

    def told(progress):
        values.append(progress.point.value)
        points.append(progress.snapshot().state["theta"].numpy())

    method.minimize(
        problem, torch.as_tensor(start), Budget(interrupted=lambda: len(values) > count), told
    )
    return np.array(values), np.array(points)


def test_the_error_along_each_eigenvector_shrinks_by_its_own_factor():
    """Cueva's dissertation on recurrent networks, equations 1.18 to 1.20: along the eigenvector of
    lambda by 1 - alpha lambda a step, and the excess of f by its square."""
    problem, matrix, best = quadratic()
    curvature, axes = np.linalg.eigh(matrix)
    start, rate = normal(6, seed=9).numpy(), 0.2
    values, points = steps_of(
        GradientDescent(learning_rate=rate, gradient_tolerance=0.0), problem, start, 15
    )
    along = axes.T @ (start - best)
    for i, (value, point) in enumerate(zip(values, points, strict=True)):
        factors = (1 - rate * curvature) ** i
        np.testing.assert_allclose(axes.T @ (point - best), factors * along, rtol=1e-9, atol=1e-12)
        assert value == pytest.approx(0.5 * np.sum(factors**2 * along**2 * curvature), rel=1e-9)


@pytest.mark.parametrize(("share", "falls"), [(0.02, True), (0.99, True), (1.01, False)])
def test_learning_rates_below_two_over_the_largest_curvature_lower_the_error(share, falls):
    """The same, equation 1.21: 0 < alpha < 2 / lambda for every lambda; beyond, the error along
    the steepest eigenvector grows."""
    problem, matrix, best = quadratic()
    curvature, axes = np.linalg.eigh(matrix)
    rate = share * 2 / curvature[-1]
    method = GradientDescent(learning_rate=rate, gradient_tolerance=0.0)
    for start in (best + axes[:, -1], best + axes[:, 0]):  # the steepest and the flattest way
        values, _ = steps_of(method, problem, start, 10)
        steepest = abs(float((start - best) @ axes[:, -1])) > 0.5
        assert (np.diff(values) < 0).all() == (falls or not steepest)
        if steepest:
            ratio = (1 - rate * curvature[-1]) ** 2
            np.testing.assert_allclose(values[1:] / values[:-1], ratio, rtol=1e-7)


def test_a_matrix_before_the_gradient_scales_the_rate_along_its_eigenvectors():
    """The same, equation 1.13: descent on y, theta = B y, is theta' = theta - alpha M g, M = B B^T,
    with the learning rates alpha times M's eigenvalues along its eigenvectors."""
    problem, matrix, best = quadratic()
    change = np.linalg.cholesky(np.cov(np.random.default_rng(3).normal(size=(6, 20))))
    scales, axes = np.linalg.eigh(change @ change.T)
    to = torch.as_tensor(change)
    moved = SmallProblem(lambda y: problem.residuals(to @ y))
    start, rate = normal(6, seed=9).numpy(), 0.05
    _, points = steps_of(
        GradientDescent(learning_rate=rate), moved, np.linalg.solve(change, start), 3
    )
    theta = start
    for y in points[1:]:
        gradient = matrix @ (theta - best)
        theta = theta - rate * sum(
            s * (v @ gradient) * v for s, v in zip(scales, axes.T, strict=True)
        )
        np.testing.assert_allclose(change @ y, theta, rtol=1e-9)


def test_newtons_step_ends_at_the_minimum():
    """The same, equations 1.9 and 1.10: the sum over eigenvectors of (g.v) v / lambda."""
    problem, matrix, best = quadratic()
    curvature, axes = np.linalg.eigh(matrix)
    start = normal(6, seed=9)
    gradient = matrix @ (start.numpy() - best)
    step = sum((gradient @ v) / c * v for c, v in zip(curvature, axes.T, strict=True))
    np.testing.assert_allclose(start.numpy() - step, best, rtol=1e-10)
    found = TruncatedNewton().minimize(problem, start, Budget(calls=60))
    np.testing.assert_allclose(found.parameters.numpy(), start.numpy() - step, rtol=1e-5)


def test_the_constant_momentum_of_a_strongly_convex_objective():
    """Sutskever (2013), section 7.5. Along the flattest eigenvector, with epsilon = 1 / L and
    q = sqrt(sigma / L), both roots of Nesterov's recursion are 1 - q, so that the point where its
    t-th gradient is taken is (1 + q t / (1 + q)) (1 - q)^t times the first; and bound 7.15."""
    problem, matrix, best = quadratic()
    curvature, axes = np.linalg.eigh(matrix)
    smallest, largest = curvature[0], curvature[-1]
    method = GradientDescent(
        learning_rate=1 / largest,
        nesterov=True,
        condition=largest / smallest,
        gradient_tolerance=0.0,
    )
    q = (smallest / largest) ** 0.5
    _, points = steps_of(method, problem, best + axes[:, 0], 25)
    t = np.arange(len(points))
    expected = (1 + q * t / (1 + q)) * (1 - q) ** t
    np.testing.assert_allclose((points - best) @ axes[:, 0], expected, rtol=1e-6)
    values, _ = steps_of(method, problem, best + np.ones(6), 60)
    bound = largest * (1 - q) ** np.arange(len(values)) * 6
    assert (values <= bound).all()
    with pytest.raises(ValueError, match="`condition` must be a finite number, 1 or more"):
        GradientDescent(condition=0.5)
    with pytest.raises(ValueError, match="both give the momentum"):
        GradientDescent(condition=4.0, momenta=((0, 0.9),))


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_restart_sets_the_velocity_to_zero_when_the_objective_rises(nesterov):
    hessian = np.array([0.05, 5.0])
    problem = SmallProblem(lambda x: torch.as_tensor(hessian).sqrt() * x)
    start, rate, mu = np.array([1.0, -1.0]), 0.05, 0.97
    settings = {"learning_rate": rate, "momentum_max": mu, "nesterov": nesterov}
    values, _ = steps_of(GradientDescent(**settings, restart=True), problem, start, 80)
    y, velocity, before, restarts, expected = start, np.zeros(2), np.inf, 0, []
    for _ in values:
        value = 0.5 * hessian @ y**2
        expected.append(value)
        restarts += value > before
        theta = y - mu * velocity if nesterov else y
        if value > before:
            theta, velocity = y, np.zeros(2)
        before = value
        velocity = mu * velocity - rate * hessian * y
        theta = theta + velocity
        y = theta + mu * velocity if nesterov else theta
    assert restarts > 1
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    plain, _ = steps_of(GradientDescent(**settings), problem, start, 80)
    assert values[-1] < 0.1 * plain[-1]


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


def test_adam_gives_the_running_mean_of_its_points():
    """On an objective whose draws change, so that what it gives is not the best of its points."""
    problem, _, _ = quadratic()
    drawn, keep, means, points = Resampled(lambda number: problem), 0.8, [], []

    def told(progress):
        means.append(progress.parameters.numpy())
        points.append(progress.snapshot().state["theta"].numpy())

    Adam(learning_rate=0.1, averaging=keep).minimize(
        drawn, normal(6, seed=9), Budget(calls=13), told
    )
    expected = points[1]  # the mean begins with the first step
    for mean, point in zip(means[2:], points[2:], strict=True):
        expected = keep * expected + (1 - keep) * point
        np.testing.assert_allclose(mean, expected, rtol=1e-12)
    assert np.abs(means[-1] - points[-1]).max() > 1e-3
