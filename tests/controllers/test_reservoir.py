"""Reservoirs: what is frozen, what is trained, and their numbers against a network's."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import generator, normal

from neuromotor import CenterOut, ClosedLoop
from neuromotor.controllers import EchoState, GatedCell, Network, Reservoir


def small(**more):
    return Reservoir(**{"layers": (12, 7), "cell": GatedCell(), **more})


def test_it_is_a_network_whose_read_out_alone_has_parameters():
    reservoir, theta = small(), normal(2 * 8, seed=3)
    assert reservoir.parameter_count == 16
    assert reservoir.readout == slice(0, None)
    weights = reservoir.unpack(theta)
    network = Network(layers=reservoir.layers, cell=reservoir.cell)
    frozen = [part.flatten() for layer in weights.layers for part in layer[:3]]
    whole = torch.cat([*frozen, theta])
    task = CenterOut(directions=3, steps=10)
    runs = [
        ClosedLoop(task, one).simulate(parameters, task.trials())
        for one, parameters in ((reservoir, theta), (network, whole))
    ]
    torch.testing.assert_close(runs[0].states, runs[1].states, rtol=1e-12, atol=1e-13)
    gradients = [
        ClosedLoop(task, one).objective(task.trials(), fast=False).value_and_gradient(parameters)[1]
        for one, parameters in ((reservoir, theta), (network, whole))
    ]
    torch.testing.assert_close(gradients[0], gradients[1][network.readout], rtol=1e-9, atol=1e-12)


def test_frozen_weights_belong_to_a_seed_and_have_the_radius():
    reservoir = Reservoir(layers=(60,), initializer=EchoState(spectral_radius=0.9))
    (layer,) = reservoir.unpack(torch.zeros(reservoir.parameter_count)).layers
    assert layer.recurrent.dtype == torch.float32
    radius = np.abs(np.linalg.eigvals(layer.recurrent.double().numpy())).max()
    assert radius == pytest.approx(0.9, rel=1e-5)
    (again,) = reservoir.unpack(torch.ones(reservoir.parameter_count)).layers
    assert torch.equal(again.recurrent, layer.recurrent)
    other = replace(reservoir, frozen_seed=1).unpack(torch.zeros(reservoir.parameter_count))
    assert not torch.equal(other.layers[0].recurrent, layer.recurrent)
    assert float(layer.bias.std()) == pytest.approx(0.2, rel=0.3)


def test_it_starts_silent():
    reservoir = small()
    assert not reservoir.initial_parameters(generator(1)).any()


def test_an_echo_fades():
    """The echo-state property: two starts, the same inputs, and rates that come together."""
    reservoir = Reservoir(layers=(100,), initializer=EchoState(spectral_radius=0.8))
    weights = reservoir.unpack(torch.zeros(reservoir.parameter_count).double())
    memory, distances = (normal(2, 100, seed=5),), []
    for t in range(60):
        given = normal(1, 8, seed=100 + t).expand(2, -1)
        memory, _ = reservoir.step(weights, memory, given[:, :4], given[:, 4:], t, None)
        distances.append(float((memory[0][0] - memory[0][1]).norm()))
    assert distances[-1] < 1e-4 * distances[0]


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="`bias_scale` must be"):
        Reservoir(bias_scale=-1.0)
    with pytest.raises(ValueError, match="`frozen_seed`"):
        Reservoir(frozen_seed=-1)
