"""Every optimizer on problems whose answer is known, and what all of them promise."""

import math

import pytest
import torch
from cases import SmallProblem, beale, rosenbrock, stretched_quadratic

from neuromotor.optim import LBFGS, OPTIMIZERS, Budget

STANDARD = {
    "rosenbrock": (rosenbrock, torch.linspace(-1.2, 1.0, 10, dtype=torch.float64)),
    "beale": (beale, torch.tensor([1.0, 1.0], dtype=torch.float64)),
    "stretched quadratic": (stretched_quadratic, torch.zeros(20, dtype=torch.float64)),
}


FIRST_ORDER = ("gd", "adam", "momentum", "nag")


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_solves_a_small_quadratic(name):
    scale = torch.tensor([1.0, 0.7, 0.5, 0.3], dtype=torch.float64)
    target = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    problem = SmallProblem(lambda x: scale * (x - target))
    budget = Budget(calls=30_000 if name in (*FIRST_ORDER, "kron-descent", "kron-adam") else 300)
    result = OPTIMIZERS[name].minimize(problem, torch.zeros(4, dtype=torch.float64), budget)
    assert result.value < 1e-12
    torch.testing.assert_close(result.parameters, target, rtol=0, atol=1e-5)
    assert result.counts.calls <= budget.calls + 100


@pytest.mark.parametrize("name", ["lbfgs", "cg", "pcg", "hf", "kron-lbfgs"])
def test_second_order_methods_solve_rosenbrock(name):
    residuals, start = STANDARD["rosenbrock"]
    result = OPTIMIZERS[name].minimize(SmallProblem(residuals), start, Budget(calls=5000))
    torch.testing.assert_close(result.parameters, torch.ones_like(start), rtol=0, atol=1e-6)


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
    result = OPTIMIZERS[name].minimize(problem, start, Budget(calls=10_000))
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
