"""The network without recurrence: its equations, its window, and its derivatives."""

import numpy as np
import pytest
import torch
from cases import generator, normal

from neuromotor import CenterOut, ClosedLoop
from neuromotor.controllers import FeedforwardNetwork
from neuromotor.controllers.controller import writes_tape


def made(**more):
    network = FeedforwardNetwork(**{"layers": (6, 5), "window": 3, **more})
    return network, network.initial_parameters(generator(1)) + 0.2 * normal(network.parameter_count)


def test_it_sees_the_last_steps_and_nothing_else():
    """Against numpy, from the flat vector in its order."""
    network, theta = made()
    flat, at = theta.numpy(), 0

    def take(*shape):
        nonlocal at
        at += int(np.prod(shape))
        return flat[at - int(np.prod(shape)) : at].reshape(shape)

    f1, b1, f2, b2, w, c = take(6, 24), take(6), take(5, 6), take(5), take(2, 5), take(2)
    assert at == network.parameter_count
    assert network.readout == slice(at - 12, None)
    weights = network.unpack(theta)
    memory, given = network.initial_memory(weights, 2), normal(2, 7, 8, seed=3)
    past = np.zeros((2, 2, 8))
    for t in range(7):
        now = given[:, t]
        memory, command = network.step(weights, memory, now[:, :4], now[:, 4:], t, None)
        seen = np.concatenate([now.numpy(), past[:, 0], past[:, 1]], axis=1)
        past = np.stack([now.numpy(), past[:, 0]], axis=1)
        first = np.tanh(seen @ f1.T + b1)
        second = np.tanh(first @ f2.T + b2)
        np.testing.assert_allclose(command.numpy(), second @ w.T + c, rtol=1e-12, atol=1e-14)
        for rate, wanted in zip(network.rates(memory), (first, second), strict=True):
            np.testing.assert_allclose(rate.numpy(), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("window", [1, 4])
def test_the_limb_moves_and_there_are_derivatives(window):
    network, theta = made(window=window)
    task = CenterOut(directions=2, steps=8)
    objective = ClosedLoop(task, network).objective(task.trials())
    _, gradient = objective.value_and_gradient(theta)
    direction = normal(len(theta), seed=3)
    step = 1e-6 * direction / direction.norm()
    slope = (objective.value(theta + step) - objective.value(theta - step)) / 2
    assert float(gradient @ step) == pytest.approx(slope, rel=1e-5)
    product = objective.linearize(theta).product
    assert direction @ product(direction, 0.1) > direction @ product(direction) > 0


def test_kronecker_factors_cover_all_weights():
    network, theta = made()
    assert writes_tape(network)
    task = CenterOut(directions=2, steps=8)
    blocks = (
        ClosedLoop(task, network).objective(task.trials()).kronecker_factors(theta, generator(0))
    )
    places = torch.cat([block.places.flatten() for block in blocks])
    assert torch.equal(places.sort().values, torch.arange(network.parameter_count))


def test_wrong_use_is_named():
    with pytest.raises(ValueError, match="`window` must be a whole number, 1 or more"):
        FeedforwardNetwork(window=0)
    with pytest.raises(TypeError, match="`layers` must be a tuple"):
        FeedforwardNetwork(layers=[3])
    network, theta = made()
    weights = network.unpack(theta)
    zero = torch.zeros(1, 5, dtype=torch.float64)
    with pytest.raises(ValueError, match="set its `input_size` to 10"):
        network.step(weights, network.initial_memory(weights, 1), zero, zero, 0, None)
