"""What optimizers see: every call is counted, and what an objective lacks is said."""

import math

import pytest
import torch
from cases import SmallProblem, generator, rosenbrock

from neuromotor.optim import Counts, Resampled
from neuromotor.optim.objective import CountedObjective, gives_factors, or_infinity, part_of

POINT = torch.tensor([1.5, -0.5, 2.0], dtype=torch.float64)


def test_every_call_is_counted_as_what_it_is():
    counted = CountedObjective(SmallProblem(rosenbrock))
    counted.value(POINT)
    counted.value_and_gradient(POINT)
    linear = counted.linearize(POINT)
    for _ in range(3):
        linear.product(POINT)
    counted.linearize(POINT, counted=False).product(POINT)
    counted.kronecker_factors(POINT, generator())
    assert counted.counts == Counts(values=1, gradients=3, products=4)
    assert counted.counts.calls == 8


def test_counting_changes_no_number():
    problem = SmallProblem(rosenbrock)
    counted, linear = CountedObjective(problem), problem.linearize(POINT)
    value, gradient = counted.value_and_gradient(POINT)
    assert value == counted.value(POINT) == problem.value(POINT)
    jacobian = torch.autograd.functional.jacobian(rosenbrock, POINT)
    torch.testing.assert_close(gradient, jacobian.T @ rosenbrock(POINT), rtol=1e-12, atol=0)
    product = counted.linearize(POINT).product(POINT)
    assert torch.equal(product, linear.product(POINT))


def test_no_number_is_infinitely_bad():
    counted = CountedObjective(SmallProblem(lambda x: x * math.nan))
    assert counted.value(POINT) == counted.value_and_gradient(POINT)[0] == math.inf
    assert counted.linearize(POINT).value == math.inf
    assert [or_infinity(value) for value in (-math.inf, math.nan, 2.0)] == [math.inf, math.inf, 2.0]


def test_what_an_objective_lacks_is_said():
    class Plain:
        """Values and gradients alone."""

        def value(self, parameters):
            return 0.0

    counted = CountedObjective(Plain())
    assert not counted.stochastic
    assert not counted.redraw(3)
    assert counted.readout is None
    assert not gives_factors(Plain())
    with pytest.raises(ValueError, match=r"that gives factors.*got Plain without"):
        counted.kronecker_factors(POINT, generator())
    with pytest.raises(ValueError, match=r"`curvature_trials` needs an objective.*got Plain"):
        part_of(Plain(), 3, generator())
    assert counted.counts == Counts()


def test_draws_change_when_they_are_due():
    counted = CountedObjective(Resampled(lambda k: SmallProblem(lambda x: x - k), every=2))
    assert counted.stochastic
    assert [counted.redraw(iteration) for iteration in range(5)] == [
        False,
        False,
        True,
        False,
        True,
    ]
    assert counted.value(torch.full((1,), 2.0)) == 0.0  # of draw 2
