"""The norm-preserving regularizer: planted networks, and finite differences of its value."""

from dataclasses import replace

import pytest
import torch
from cases import generator, normal

from neuromotor import CenterOut, ClosedLoop, train
from neuromotor.closed_loop.transport import loop_norm_change
from neuromotor.controllers import (
    FeedforwardNetwork,
    GatedCell,
    LeakyCell,
    LSTMCell,
    Network,
    Orthogonal,
)
from neuromotor.optim import Adam, Budget
from neuromotor.problems import Memorization, SequenceObjective, fitted

PROBLEM = Memorization(length=2, lag=3)  # 7 steps


def objective_of(network):
    batch = PROBLEM.sequences(4, generator(0))
    return SequenceObjective(PROBLEM, fitted(network, PROBLEM), batch)


@pytest.mark.parametrize("gain", [1.0, 0.5, 1.3])
def test_a_linear_network_shrinks_gradients_by_its_singular_values(gain):
    """With a loss at the last step alone, each step back multiplies by an orthogonal matrix."""
    network = Network(
        layers=(6,), cell=LeakyCell(("linear",)), initializer=Orthogonal(recurrent_gain=gain)
    )
    objective = objective_of(network)
    last = torch.zeros_like(objective.sequences.counted)
    last[:, -1] = 1.0
    objective.sequences = replace(objective.sequences, counted=last)
    theta = objective.controller.initial_parameters(generator(1))
    found = objective.norm_change(theta.requires_grad_(True))
    steps = last.shape[1]
    assert float(found.detach()) == pytest.approx((steps - 1) * (gain - 1) ** 2, abs=1e-12)


@pytest.mark.parametrize(
    "cell", [LeakyCell(), GatedCell(), LSTMCell(), LeakyCell(("rectified", "logistic"), (0.4,))]
)
def test_its_gradient_is_that_of_finite_differences(cell):
    objective = objective_of(Network(layers=(4, 3), cell=cell))
    theta = objective.controller.initial_parameters(generator(1))
    theta = theta + 0.2 * normal(len(theta))
    compare(objective.norm_change, theta)


def test_a_closed_loop_has_it_too():
    task = CenterOut(directions=2, steps=8)
    network = Network(layers=(5,))
    theta = network.initial_parameters(generator(2)) + 0.1 * normal(network.parameter_count)
    compare(loop_norm_change(task, network, task.trials()), theta)


def test_a_network_without_memory_carries_no_gradient():
    network = fitted(FeedforwardNetwork(layers=(4,)), PROBLEM)
    batch = PROBLEM.sequences(4, generator(0))
    objective = SequenceObjective(PROBLEM, network, batch)
    theta = network.initial_parameters(generator(1)).requires_grad_(True)
    assert float(objective.norm_change(theta).detach()) == 0.0


def test_training_keeps_the_norm():
    """On a short reach, with the regularizer alone weighing much more than the loss."""
    task, network = CenterOut(directions=2, steps=10), Network(layers=(8,))
    omega = loop_norm_change(task, network, task.trials())
    found = {}
    for weight in (0.0, 1.0):
        result = train(
            task,
            network,
            Adam(learning_rate=1e-2, clip_norm=None),
            budget=Budget(calls=60),
            norm_preserving=weight,
        )
        with torch.enable_grad():
            found[weight] = float(omega(result.parameters.requires_grad_(True)).detach())
    assert found[1.0] < 0.3 * found[0.0]


def test_small_weights_come_of_l2():
    task, network = CenterOut(directions=2, steps=10), Network(layers=(8,))
    norms = [
        float(train(task, network, Adam(), budget=Budget(calls=40), l2=l2).parameters.norm())
        for l2 in (0.0, 1.0)
    ]
    assert norms[1] < norms[0]
    with pytest.raises(ValueError, match="`l2` must be"):
        train(task, network, Adam(), l2=-1.0)
    loop = ClosedLoop(task, network)
    assert loop.why_not_compiled() is None


def compare(function, theta):
    """A function's gradient against finite differences along a direction."""
    theta = theta.detach()

    def at(point):
        value = function(point.detach().requires_grad_(True))
        return float(value.detach())

    free = theta.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(function(free), free)
    direction = normal(len(theta), seed=4)
    step = 1e-5 * direction / direction.norm()
    slope = (at(theta + step) - at(theta - step)) / 2
    assert float(gradient @ step) == pytest.approx(slope, rel=1e-4)
