"""Learned plants: true steps with the network's derivatives, their files, and what they refuse."""

from __future__ import annotations

import pickle
from dataclasses import replace

import mujoco_cases  # noqa: F401 -- registers its environments
import pytest
import torch
from cases import arm_states, generator, normal, uniform

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.plants import (
    PLANTS,
    ChangeNetwork,
    LearnedPlant,
    MujocoPlant,
    MuscleArm,
    PointMass,
    TwoJointArm,
    save_learned,
    signals_of,
)
from neuromotor.plants.plant import check_plant, muscles_of
from neuromotor.runs.settings import resolve
from neuromotor.storage.components import SettingsError, decode, encode
from neuromotor.storage.tensor_file import CheckpointError
from neuromotor.tasks import CenterOut

MASS = PointMass(mass=0.7, damping=0.4)
DT = 0.01


def wide(network):
    network.low.fill_(-50.0)
    network.high.fill_(50.0)
    return network


def exact_mass():
    """The network that is the point mass: x' = x + dt v, v' = v + dt (u + d + f - b v) / m."""
    network, one = wide(ChangeNetwork(10, 4, ())), torch.eye(2, dtype=torch.float64)
    network.linear[:2, 2:4] = DT * one
    network.linear[2:, 2:4] = -DT * 0.4 / 0.7 * one
    for column in (4, 6, 8):
        network.linear[2:, column : column + 2] = DT / 0.7 * one
    return network


def some_network(inputs=10, outputs=4):
    """A network with random weights in all its parts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = wide(ChangeNetwork(inputs, outputs, (7, 5)))
    network.scale.copy_(uniform(0.5, 2.0, inputs))
    network.mean.copy_(normal(inputs))
    network.linear.copy_(0.1 * normal(outputs, inputs, seed=1))
    network.error.fill_(0.3)
    return network


@pytest.fixture
def mass(tmp_path):
    save_learned(tmp_path / "mass.safetensors", exact_mass(), MASS)
    return LearnedPlant(str(tmp_path / "mass.safetensors"))


@pytest.fixture
def arm(tmp_path):
    save_learned(tmp_path / "arm.safetensors", some_network(), TwoJointArm(), info={"seed": 3})
    return LearnedPlant(str(tmp_path / "arm.safetensors"))


def everything(count=6):
    """States, commands, loads and hand forces."""
    return arm_states(count), normal(count, 2), normal(count, 2, seed=1), normal(count, 2, seed=2)


# ---- derivatives ----


def test_an_exact_network_gives_the_true_gradient_and_product(mass):
    net = ContinuousTimeRNN(layers=(6,))
    loops = [ClosedLoop(CenterOut(plant=plant, directions=5), net) for plant in (MASS, mass)]
    theta = 0.3 * net.initial_parameters(generator(1))
    true, learned = (loop.objective(loop.task.trials(), fast=False) for loop in loops)
    one, two = true.value_and_gradient(theta), learned.value_and_gradient(theta)
    assert two[0] == pytest.approx(one[0], rel=1e-12)
    torch.testing.assert_close(two[1], one[1], rtol=1e-9, atol=1e-12)
    direction = normal(len(theta), seed=5)
    products = [objective.linearize(theta).product(direction) for objective in (true, learned)]
    torch.testing.assert_close(products[1], products[0], rtol=1e-9, atol=1e-12)


def test_steps_are_true_to_the_bit_and_derivatives_the_networks(arm):
    parts = [part.requires_grad_() for part in everything()]
    after = arm.step(*parts)
    with torch.no_grad():
        torch.testing.assert_close(after, TwoJointArm().step(*parts), rtol=0, atol=0)
    pull = normal(*after.shape, seed=9)
    slopes = torch.cat(torch.autograd.grad(after, parts, pull), dim=-1)
    given, h = torch.cat(parts, dim=-1).detach(), 1e-6
    network = some_network()
    for i in range(given.shape[1]):
        step = h * torch.eye(given.shape[1], dtype=torch.float64)[i]
        with torch.no_grad():
            change = (network(given + step) - network(given - step)) / (2 * h)
        wanted = (pull * change).sum(-1) + (pull[:, i] if i < 4 else 0.0)
        torch.testing.assert_close(slopes[:, i], wanted, rtol=1e-6, atol=1e-8)


def test_beyond_the_range_derivatives_are_those_at_its_border(tmp_path):
    network = some_network()
    network.high[2] = 1.0
    save_learned(tmp_path / "arm.safetensors", network, TwoJointArm())
    arm = LearnedPlant(str(tmp_path / "arm.safetensors"))

    def slope(speed):
        state = torch.tensor([0.3, 1.2, speed, 0.0], dtype=torch.float64, requires_grad=True)
        after = arm.step(state, torch.zeros(2, dtype=torch.float64))
        return torch.autograd.grad(after[3], state)[0]

    torch.testing.assert_close(slope(4.0), slope(1.0), rtol=0, atol=0)
    assert not torch.equal(slope(0.5), slope(1.0))


def test_without_true_forward_steps_are_the_networks(mass, arm):
    states, *acting = everything()
    predicted = replace(mass, true_forward=False).step(states, *acting)
    torch.testing.assert_close(predicted, MASS.step(states, *acting), rtol=1e-12, atol=1e-12)
    own = replace(arm, true_forward=False).step(states, *acting)
    wanted = states + some_network()(torch.cat([states, *acting], dim=-1))
    torch.testing.assert_close(own, wanted)
    half = replace(arm, true_forward=False).step(states.float(), acting[0].float())
    assert half.dtype == torch.float32
    zero = torch.zeros(6, 4, dtype=torch.float64)
    wanted = states + some_network()(torch.cat([states, acting[0], zero], dim=-1))
    torch.testing.assert_close(half.double(), wanted, rtol=1e-5, atol=1e-5)


def test_commands_act_within_the_bounds_of_the_body(tmp_path):
    body = MujocoPlant("tests/Arm-v0")
    save_learned(tmp_path / "arm.safetensors", some_network(), body)
    arm = LearnedPlant(str(tmp_path / "arm.safetensors"))
    command = torch.tensor([3.0, 0.5], dtype=torch.float64, requires_grad=True)
    state = torch.tensor([0.1, 1.0, 0.0, 0.0], dtype=torch.float64)
    after = arm.step(state, command)
    with torch.no_grad():
        torch.testing.assert_close(after, body.step(state, command), rtol=0, atol=0)
    slope = torch.autograd.grad(after.sum(), command)[0]
    assert slope[0] == 0
    assert slope[1] != 0


# ---- files and settings ----


def test_a_file_stands_for_a_plant(arm):
    check_plant(arm)
    assert arm.body == TwoJointArm()
    assert arm.info == {"seed": 3}
    assert (arm.dt_s, arm.home, arm.command_labels) == (DT, arm.body.home, arm.body.command_labels)
    assert decode(arm.file, PLANTS, "plant") == arm
    predicted = replace(arm, true_forward=False)
    assert decode(encode(predicted, PLANTS), PLANTS, "plant") == predicted
    assert pickle.loads(pickle.dumps(arm)) == arm
    settings = resolve({"plant": {"type": arm.file, "true_forward": False}})
    assert settings.task.plant == predicted
    assert resolve(settings.as_dict()).task == settings.task


def test_it_has_what_its_body_may_have(tmp_path, arm):
    assert arm.velocity_rates == arm.body.velocity_rates
    assert muscles_of(arm) is None
    body = MuscleArm()
    save_learned(tmp_path / "muscles.safetensors", some_network(20, 10), body)
    muscles = LearnedPlant(str(tmp_path / "muscles.safetensors"))
    assert muscles_of(muscles) == body
    assert "muscle_length" in signals_of(muscles)
    save_learned(tmp_path / "mujoco.safetensors", some_network(), MujocoPlant("tests/Arm-v0"))
    assert not hasattr(LearnedPlant(str(tmp_path / "mujoco.safetensors")), "velocity_rates")


def test_another_file_in_its_place_is_refused(arm):
    data = encode(arm, PLANTS)
    save_learned(arm.file, some_network(), TwoJointArm(), info={"seed": 4}, overwrite=True)
    with pytest.raises(SettingsError, match="is not the file that the settings mean"):
        decode(data, PLANTS, "plant")
    assert LearnedPlant(arm.file).info == {"seed": 4}


def test_files_that_cannot_be_are_refused(tmp_path, arm):
    with pytest.raises(FileExistsError, match="exists"):
        save_learned(arm.file, some_network(), TwoJointArm())
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        save_learned(tmp_path / "arm.bin", some_network(), TwoJointArm())
    with pytest.raises(SettingsError, match="is not a file; give the path of a learned plant"):
        decode(str(tmp_path / "none.safetensors"), PLANTS, "plant")
    bent = tmp_path / "bent.safetensors"
    data = bytearray((tmp_path / "arm.safetensors").read_bytes())
    data[-3] ^= 1
    bent.write_bytes(data)
    with pytest.raises(CheckpointError, match="checksum is wrong"):
        LearnedPlant(str(bent))
    save_learned(tmp_path / "wrong.safetensors", some_network(12, 4), TwoJointArm())
    with pytest.raises(CheckpointError, match="network has 12 inputs and 4 outputs, its body 10"):
        LearnedPlant(str(tmp_path / "wrong.safetensors"))


def test_wrong_sizes_and_states_out_of_range_are_refused(arm):
    states, *acting = everything()
    with pytest.raises(ValueError, match="`command` must have 2 entries"):
        arm.step(states, acting[0][:, :1])
    predicted, far = replace(arm, true_forward=False), states.clone()
    far[3, 1] = 60.0
    message = r"`elbow angle \(rad\)` must lie between -50 and 50, where.*got 60; learn it on a"
    with pytest.raises(ValueError, match=message):
        predicted.step(far, acting[0])
    with pytest.raises(ValueError, match=r"`hand force x \(N\)` must lie between"):
        predicted.step(states, *acting[:2], 99 * torch.ones(2, dtype=torch.float64))
    with pytest.raises(ValueError, match="got nan"):
        predicted.step(states * torch.nan, acting[0])
