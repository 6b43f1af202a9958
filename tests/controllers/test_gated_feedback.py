"""Gated feedback against its equations, written out by hand in numpy, and on a reach."""

import numpy as np
import pytest
from cases import generator, normal

from neuromotor import LBFGS, Budget, CenterOut, load_controller, save_controller, train
from neuromotor.controllers import GatedFeedbackNetwork


def logistic(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("skip", [True, False])
def test_layers_feed_back_through_gates(skip):
    """Chung et al. (2015), equations 3 to 6, from the flat vector in its order."""
    net = GatedFeedbackNetwork(layers=(4, 3), skip_inputs=skip, private_noise=0.1)
    theta = net.initial_parameters(generator(1)) + 0.3 * normal(net.parameter_count)
    flat, position = theta.numpy(), 0

    def take(*shape):
        nonlocal position
        position += int(np.prod(shape))
        return flat[position - int(np.prod(shape)) : position].reshape(shape)

    layers = []
    for units, inputs in ((4, 8), (3, 12 if skip else 4)):
        shapes = ((units, inputs), (units, 7), (units,), (2, inputs), (2, 7))
        layers.append([take(*shape) for shape in shapes])
    w_out, b_out = take(2, 3), take(2)
    assert position == net.parameter_count
    weights = net.unpack(theta)
    memory = net.initial_memory(weights, 1)
    rates = [np.zeros(4), np.zeros(3)]
    for t in range(4):
        x, noise = normal(1, 8, seed=t), normal(1, 7, seed=50 + t)
        memory, command = net.step(weights, memory, x[:, :4], x[:, 4:], t, noise)
        everything, new = np.concatenate(rates), []
        for j, (f, u, b, below, before) in enumerate(layers):
            given = x[0].numpy() if j == 0 else new[0]
            if j and skip:
                given = np.concatenate([x[0].numpy(), new[0]])
            xi = 0.1 * noise[0].numpy()[slice(0, 4) if j == 0 else slice(4, 7)]
            drive = f @ given + b + xi
            for i, old in enumerate(rates):
                gate = logistic(below[i] @ given + before[i] @ everything)
                columns = slice(0, 4) if i == 0 else slice(4, 7)
                drive = drive + gate * (u[:, columns] @ old)
            new.append(np.tanh(drive))
        rates = new
        for found, expected in zip(memory, rates, strict=True):
            np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(command[0].numpy(), w_out @ rates[1] + b_out, rtol=1e-12)


def test_it_is_trained_saved_and_loaded(tmp_path):
    task, net = CenterOut(directions=2, steps=10), GatedFeedbackNetwork(layers=(5, 4))
    result = train(task, net, LBFGS(), budget=Budget(calls=20))
    assert result.value < 0.9 * result.history[0].value
    save_controller(tmp_path / "one.safetensors", net, result.parameters, task=task)
    assert load_controller(tmp_path / "one.safetensors").controller == net
