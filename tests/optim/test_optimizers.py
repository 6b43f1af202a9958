"""Every optimizer on problems whose answer is known."""

import math

import numpy as np
import pytest
import scipy.optimize
import torch
from cases import SmallProblem, beale, normal, rosenbrock, stretched_quadratic, uniform

from neuromotor.optim import (
    LBFGS,
    OPTIMIZERS,
    Adam,
    Budget,
    CountedObjective,
    GradientDescent,
    NonlinearCG,
    SearchPoint,
    StrongWolfe,
    conjugate_gradient,
    cubic_minimum,
)

STANDARD = {
    "rosenbrock": (rosenbrock, torch.linspace(-1.2, 1.0, 10, dtype=torch.float64)),
    "beale": (beale, torch.tensor([1.0, 1.0], dtype=torch.float64)),
    "stretched quadratic": (stretched_quadratic, torch.zeros(20, dtype=torch.float64)),
}


@pytest.mark.parametrize("name", STANDARD)
def test_lbfgs_keeps_up_with_scipy(name):
    residuals, start = STANDARD[name]
    problem = SmallProblem(residuals)
    result = LBFGS(gradient_tolerance=1e-9).minimize(problem, start, Budget(calls=2000))

    def function(x):
        value, gradient = problem.value_and_gradient(torch.from_numpy(x))
        return value, gradient.numpy()

    reference = scipy.optimize.minimize(
        function,
        start.numpy(),
        jac=True,
        method="L-BFGS-B",
        options={"maxcor": 100, "ftol": 0, "gtol": 1e-9, "maxfun": 2000, "maxiter": 2000},
    )
    assert result.converged
    np.testing.assert_allclose(result.parameters.numpy(), reference.x, rtol=1e-4, atol=1e-4)
    assert result.value <= 1e-12
    assert result.counts.gradients <= 1.5 * reference.nfev


FIRST_ORDER = ("gd", "adam", "momentum", "nag")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_solves_a_small_quadratic(name):
    scale = torch.tensor([1.0, 0.7, 0.5, 0.3], dtype=torch.float64)
    target = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    problem = SmallProblem(lambda x: scale * (x - target))
    calls = dict.fromkeys((*FIRST_ORDER, "kron-descent"), 30_000) | {"kron-adam": 6_000}
    budget = Budget(calls=calls.get(name, 300))
    result = OPTIMIZERS[name].minimize(problem, torch.zeros(4, dtype=torch.float64), budget)
    assert result.value < 1e-12
    torch.testing.assert_close(result.parameters, target, rtol=0, atol=1e-5)
    assert result.counts.calls <= budget.calls + 100


@pytest.mark.parametrize("pairs", [0, 5])
def test_nonlinear_conjugate_gradients_end_a_quadratic_in_its_dimension(pairs):
    """With exact searches, n steps suffice (Nocedal & Wright 2006, theorem 5.1)."""
    scale = torch.linspace(1.0, 4.0, 8, dtype=torch.float64)
    problem = SmallProblem(lambda x: scale * (x - 1.0))
    exact = StrongWolfe(c1=1e-8, c2=1e-6, evaluations=60)
    result = NonlinearCG(pairs=pairs, line_search=exact, gradient_tolerance=1e-7).minimize(
        problem, torch.zeros(8, dtype=torch.float64), Budget(calls=1000)
    )
    assert result.converged
    assert len(result.history) - 1 <= 9


@pytest.mark.parametrize("name", ["lbfgs", "cg", "pcg", "hf", "kron-lbfgs"])
def test_second_order_methods_solve_rosenbrock(name):
    residuals, start = STANDARD["rosenbrock"]
    result = OPTIMIZERS[name].minimize(SmallProblem(residuals), start, Budget(calls=5000))
    torch.testing.assert_close(result.parameters, torch.ones_like(start), rtol=0, atol=1e-6)


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


class Cliff(SmallProblem):
    """A quadratic that is not a number beyond a radius."""

    def __init__(self, radius):
        super().__init__(lambda x: x - 1.0)
        self.radius = radius

    def value(self, parameters):
        return super().value(parameters) if parameters.norm() < self.radius else math.nan

    def value_and_gradient(self, parameters):
        value, gradient = super().value_and_gradient(parameters)
        if parameters.norm() < self.radius:
            return value, gradient
        return math.nan, torch.full_like(gradient, math.nan)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_cliff_is_stepped_back_from(name):
    start = torch.tensor([-1.9, 0.0], dtype=torch.float64)
    problem = Cliff(radius=2.0)
    budget = Budget(calls=10_000 if name in FIRST_ORDER else 3_000)
    result = OPTIMIZERS[name].minimize(problem, start, budget)
    assert math.isfinite(result.value)
    assert result.value < 1e-6


def test_a_start_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="`parameters` must be finite"):
        LBFGS().minimize(Cliff(2.0), torch.tensor([math.nan, 0.0]))
    with pytest.raises(ValueError, match="finite objective to start from"):
        LBFGS().minimize(Cliff(2.0), torch.tensor([3.0, 0.0], dtype=torch.float64))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_budgets_are_kept_and_calls_are_counted(name):
    problem = SmallProblem(rosenbrock)
    seen = []
    for kind in ("value", "value_and_gradient"):
        method = getattr(problem, kind)

        def spy(parameters, method=method):
            seen.append(1)
            return method(parameters)

        setattr(problem, kind, spy)
    start = STANDARD["rosenbrock"][1]
    result = OPTIMIZERS[name].minimize(problem, start, Budget(calls=60))
    assert result.counts.calls <= 60 + 80  # one line search may overrun
    assert result.counts.values + result.counts.gradients == len(seen)
    assert result.history[-1].calls == result.counts.calls
    assert "60 calls" in result.reason
    again = OPTIMIZERS[name].minimize(SmallProblem(rosenbrock), start, Budget(calls=60))
    assert torch.equal(again.parameters, result.parameters)


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


def test_conjugate_gradients_against_a_direct_solve():
    n = 30
    factor = normal(n, n)
    matrix = factor @ factor.T + 0.1 * torch.eye(n, dtype=torch.float64)
    right, start = normal(n, seed=1), uniform(-1, 1, n, seed=2)
    result = conjugate_gradient(
        lambda v: matrix @ v, right, start=start, iterations=500, tolerance=1e-13
    )
    solution = torch.linalg.solve(matrix, right)
    torch.testing.assert_close(result.solution, solution, rtol=1e-8, atol=1e-8)
    assert result.quadratic == pytest.approx(-0.5 * float(right @ solution), rel=1e-10)
    short = conjugate_gradient(lambda v: matrix @ v, right, iterations=n, keep_every=1.3)
    numbers = [number for number, _ in short.iterates]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1
    values = [0.5 * float(x @ matrix @ x) - float(right @ x) for _, x in short.iterates]
    assert values == sorted(values, reverse=True)
