"""Connections and signs are what they were made for, before, during and after training."""

import dataclasses

import pytest
import torch
from cases import generator, normal

from neuromotor import (
    LBFGS,
    Adam,
    Budget,
    CenterOut,
    ClosedLoop,
    HessianFree,
    KroneckerLBFGS,
    load_controller,
    save_controller,
    train,
)
from neuromotor.controllers import CONTROLLERS, ConstrainedNetwork, LeakyCell, Network, TanhCell

TASK = CenterOut(directions=2, steps=10)


def check_signs(network, theta):
    first, second = network.unpack(theta).layers
    for layer in (first, second):
        assert (layer.recurrent[:, :6] >= 0).all()
        assert (layer.recurrent[:, 6:] <= 0).all()
    between = second.feedforward[:, network.input_size :]
    assert (between[:, :6] >= 0).all()
    assert (between[:, 6:] <= 0).all()
    inputs = first.feedforward
    assert inputs.min() < 0 < inputs.max()


@pytest.mark.parametrize("optimizer", [LBFGS(), Adam(), HessianFree()])
def test_signs_hold_through_training(optimizer):
    network = ConstrainedNetwork(layers=(8, 8), excitatory=0.75)
    seen = []
    result = train(
        TASK,
        network,
        optimizer,
        budget=Budget(calls=30),
        callback=lambda at: seen.append(at.parameters.clone()),
    )
    assert result.value < 0.9 * result.history[0].value
    assert len(seen) > 2
    for theta in [*seen, 100 * normal(network.parameter_count)]:
        check_signs(network, theta)


def test_masks_hold_and_leave_the_rest_alone():
    free = Network(layers=(12,), cell=TanhCell())
    shared = {"layers": (12,), "cell": TanhCell(), "excitatory": None}
    theta = normal(free.parameter_count)
    plain = free.unpack(theta).layers[0]
    same = ConstrainedNetwork(**shared).unpack(theta).layers[0]
    assert torch.equal(same.recurrent, plain.recurrent)
    none = ConstrainedNetwork(**shared, recurrence=False).unpack(theta).layers[0]
    assert not none.recurrent.any()
    assert torch.equal(none.feedforward, plain.feedforward)
    areas = ConstrainedNetwork(**shared, areas=(4, 8), between=0.0).unpack(theta).layers[0]
    assert torch.equal(areas.recurrent[:4, :4], plain.recurrent[:4, :4])
    assert torch.equal(areas.recurrent[4:, 4:], plain.recurrent[4:, 4:])
    assert not areas.recurrent[:4, 4:].any()
    assert not areas.recurrent[4:, :4].any()


def test_a_share_of_the_connections_exists():
    network = ConstrainedNetwork(layers=(200,), density=0.3, mask_seed=4)
    theta = normal(network.parameter_count)
    recurrent = network.unpack(theta).layers[0].recurrent
    share = (recurrent != 0).double().mean()
    assert 0.28 < share < 0.33  # 40,000 draws: the standard deviation is 0.002
    assert torch.diagonal(recurrent).all()
    other = ConstrainedNetwork(layers=(200,), density=0.3, mask_seed=5)
    assert not torch.equal(other.unpack(theta).layers[0].recurrent != 0, recurrent != 0)


def test_a_constrained_network_is_saved_and_loaded(tmp_path):
    network = ConstrainedNetwork(layers=(6,), areas=(2, 4), between=0.5, excitatory=0.5)
    theta = network.initial_parameters(generator())
    save_controller(tmp_path / "one.safetensors", network, theta, task=TASK)
    saved = load_controller(tmp_path / "one.safetensors")
    assert saved.controller == network
    one, two = (n.unpack(theta).layers[0].recurrent for n in (network, saved.controller))
    assert torch.equal(one, two)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="`cell` must have rates that are never negative"):
        ConstrainedNetwork(cell=TanhCell())
    with pytest.raises(ValueError, match="`cell` must have rates that are never negative"):
        ConstrainedNetwork(cell=LeakyCell(("rectified", "tanh")))
    with pytest.raises(ValueError, match="`areas` must add up to the units of every layer"):
        ConstrainedNetwork(layers=(10,), areas=(5, 6))
    with pytest.raises(ValueError, match="`density` must be at most 1"):
        ConstrainedNetwork(density=1.2)
    with pytest.raises(ValueError, match="Kronecker factors"):
        train(TASK, ConstrainedNetwork(layers=(4,)), KroneckerLBFGS(), budget=Budget(calls=3))


@pytest.mark.parametrize("more", [{}, {"areas": (60, 40), "between": 0.1}])
def test_the_registered_network_can_start_on_a_limb(more):
    network = dataclasses.replace(CONTROLLERS["constrained"], **more)
    task = CenterOut(directions=4)
    parameters = network.initial_parameters(torch.Generator().manual_seed(0))
    commands = ClosedLoop(task, network).simulate(parameters, task.trials()).commands
    assert float(commands.abs().max()) < 10  # N m
