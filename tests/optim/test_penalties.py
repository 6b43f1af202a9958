"""Penalties: against the sum written out, and what bounds and stops they bring along."""

import pytest
import torch
from cases import generator, normal

from neuromotor import CenterOut, ClosedLoop, Network
from neuromotor.optim import Budget, GradientDescent, HessianFree, Penalized
from neuromotor.optim.first_order import DescentState
from neuromotor.optim.objective import CountedObjective


def loop_objective(layers=(5,)):
    task = CenterOut(directions=3, steps=10)
    network = Network(layers=layers)
    theta = network.initial_parameters(generator(1)) + 0.2 * normal(network.parameter_count)
    return ClosedLoop(task, network).objective(task.trials()), theta


def cubes(theta):
    return theta.pow(3).sum()


def test_the_sum_has_the_derivatives_of_the_sum():
    plain, theta = loop_objective()
    objective = Penalized(plain, l2=0.3, penalty=cubes, weight=0.7)
    value, gradient = plain.value_and_gradient(theta)
    expected = value + 0.15 * float(theta @ theta) + 0.7 * float(theta.pow(3).sum())
    assert objective.value(theta) == pytest.approx(expected, rel=1e-13)
    found = objective.value_and_gradient(theta)
    assert found[0] == pytest.approx(expected, rel=1e-13)
    torch.testing.assert_close(found[1], gradient + 0.3 * theta + 2.1 * theta.square())
    at, direction = objective.linearize(theta), normal(len(theta), seed=3)
    assert at.value == pytest.approx(expected, rel=1e-13)
    torch.testing.assert_close(at.gradient, found[1])
    torch.testing.assert_close(
        at.product(direction), plain.linearize(theta).product(direction) + 0.3 * direction
    )
    part = CountedObjective(objective).value_of_part(2, generator(4))
    assert part(theta) == pytest.approx(
        plain.part(2, generator(4)).value(theta) + expected - value, rel=1e-12
    )
    assert objective.readout == plain.readout
    assert objective.has_factors


def test_without_penalties_nothing_changes():
    plain, theta = loop_objective()
    found = Penalized(plain).value_and_gradient(theta)
    wanted = plain.value_and_gradient(theta)
    assert found[0] == wanted[0]
    assert torch.equal(found[1], wanted[1])


def test_wrong_weights_are_named():
    plain, _ = loop_objective()
    with pytest.raises(ValueError, match="`l2` must be"):
        Penalized(plain, l2=-1.0)
    with pytest.raises(ValueError, match="`weight` must be"):
        Penalized(plain, weight=float("nan"))


def state_with(gradient):
    state = DescentState(torch.zeros(2).double())
    state.gradient = torch.tensor(gradient).double()
    return state


def test_a_gradient_is_bounded_by_entry_by_norm_and_by_its_average():
    """Numbers worked out by hand: (3, 4) has the norm 5."""
    bounds = GradientDescent(clip_entry=3.5, clip_norm=None)
    assert state_with([3.0, -4.0]).clipped(bounds).tolist() == [3.0, -3.5]
    bounds = GradientDescent(clip_norm=2.5)
    assert state_with([3.0, -4.0]).clipped(bounds).tolist() == [1.5, -2.0]
    bounds, state = GradientDescent(clip_average=2.0), state_with([3.0, -4.0])
    assert state.clipped(bounds).tolist() == [3.0, -4.0]  # the first one sets the average
    assert state.usual_norm == 5.0
    state.gradient = torch.tensor([30.0, -40.0]).double()
    assert state.clipped(bounds).tolist() == pytest.approx([6.0, -8.0])  # to twice the average
    assert state.usual_norm == pytest.approx(0.99 * 5 + 0.01 * 10)
    both = GradientDescent(clip_average=2.0, clip_norm=1.0)
    assert float(state.clipped(both).norm()) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="`clip_average` must be"):
        GradientDescent(clip_average=0.0)


class Valley:
    """A quadratic model whose products see half of the curvature that the objective has."""

    def __init__(self):
        self.values = 0

    def value(self, theta):
        self.values += 1
        return float((SCALES * theta.square()).sum()) + float(theta.pow(4).sum())

    def value_and_gradient(self, theta):
        return self.value(theta), 2 * SCALES * theta + 4 * theta.pow(3)

    def linearize(self, theta):
        value, gradient = self.value_and_gradient(theta)
        return type(
            "At",
            (),
            {
                "value": value,
                "gradient": gradient,
                "product": staticmethod(lambda v, structural=0.0: 0.05 * SCALES * v),
            },
        )()


SCALES = torch.logspace(-2, 1, 30).double()


def test_conjugate_gradients_stop_where_the_objective_gets_worse():
    """The model promises too much, so that later iterates overshoot; the stop saves products."""
    counts = {}
    for share in (None, 0.9):
        objective, theta = Valley(), torch.ones(30).double()
        method = HessianFree(damping=1e-6, least_reduction=share)
        result = method.minimize(objective, theta, Budget(calls=200))
        first = result.history[1]
        counts[share] = first.calls
        assert first.value < objective.value(theta)
    assert counts[0.9] < 0.7 * counts[None]
    with pytest.raises(ValueError, match="`least_reduction` must be"):
        HessianFree(least_reduction=1.5)


def test_the_stop_looks_at_the_trials_of_the_curvature():
    plain, theta = loop_objective()
    method = HessianFree(curvature_trials=2, least_reduction=0.9)
    found = method.minimize(plain, theta, Budget(calls=60))
    assert found.value < plain.value(theta)
