"""MuJoCo environments as plants, against the arm whose equations one of them simulates."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import mujoco_cases
import pytest
import torch
from cases import normal, uniform

from neuromotor.plants import (
    PLANTS,
    MujocoPlant,
    SemiImplicitEuler,
    TwoJointArm,
    UnreachableError,
    moving_state,
)
from neuromotor.plants.plant import check_plant
from neuromotor.storage.components import SettingsError, decode, encode

ARM = MujocoPlant("tests/Arm-v0")
TRUE = TwoJointArm(dt_s=mujoco_cases.STEP_S, integrator=SemiImplicitEuler())  # as MuJoCo's Euler


def states_of(count):
    return torch.cat([uniform(-1.0, 2.0, count, 2), 3 * normal(count, 2, seed=1)], dim=-1)


def test_steps_are_those_of_the_equations():
    states, commands = states_of(50), uniform(-1.5, 1.5, 50, 2, seed=2)
    load, force = normal(50, 2, seed=3), normal(50, 2, seed=4)
    found = ARM.step(states, commands, load, force)
    bend = torch.func.vmap(torch.func.jacrev(TRUE.hand_position))(states[:, :2])
    torque = 2.0 * commands.clamp(-1, 1) + load + (bend.mT @ force[:, :, None])[:, :, 0]
    wanted = TRUE.step(TRUE.step(states, torque), torque)
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(ARM.step(states, commands, load, force), found, rtol=0, atol=0)
    wide = ARM.step(states[:6].reshape(2, 3, 4).float(), commands[0].float())
    assert (wide.dtype, wide.shape) == (torch.float32, (2, 3, 4))
    lost = ARM.step(torch.full((1, 4), math.nan, dtype=torch.float64), commands[:1])
    assert lost.isnan().all()


def test_the_hand_is_where_the_limb_ends():
    states = states_of(20).requires_grad_()
    hand, velocity = ARM.hand_position(states), ARM.hand_velocity(states)
    torch.testing.assert_close(hand, TRUE.hand_position(states), rtol=0, atol=1e-12)
    torch.testing.assert_close(velocity, TRUE.hand_velocity(states), rtol=0, atol=1e-12)
    torch.testing.assert_close(ARM.limb(states), TRUE.limb(states), rtol=0, atol=1e-12)
    (slope,) = torch.autograd.grad(hand.sum(), states)
    (wanted,) = torch.autograd.grad(TRUE.hand_position(states).sum(), states)
    torch.testing.assert_close(slope, wanted, rtol=0, atol=1e-12)
    goals = TRUE.hand_position(torch.tensor([[0.3, 1.2], [-0.2, 1.8]], dtype=torch.float64))
    found = ARM.configuration_at(goals)
    torch.testing.assert_close(TRUE.hand_position(found), goals, rtol=0, atol=1e-9)
    moves = torch.tensor([[0.4, 0.0], [-0.1, 0.3]], dtype=torch.float64)
    moving = moving_state(ARM, goals, moves)
    torch.testing.assert_close(TRUE.hand_velocity(moving), moves, rtol=0, atol=1e-9)


def test_it_says_what_the_environment_is():
    check_plant(ARM)
    assert ARM.dt_s == 2 * mujoco_cases.STEP_S
    assert ARM.state_labels[1::2] == ("elbow position (rad)", "elbow velocity (rad/s)")
    assert ARM.load_labels == ("shoulder load (N m)", "elbow load (N m)")
    assert ARM.command_bounds == ((-1.0, -1.0), (1.0, 1.0))
    assert ARM.hand_size == 2
    assert ARM.home == (0.0, math.pi / 2)  # stretched, it could not be moved along its length
    assert replace(ARM, posture=(0.2, 0.9)).home == (0.2, 0.9)
    assert float(replace(ARM, hand="forearm").hand_position(torch.zeros(2))[0]) == pytest.approx(
        0.145
    )


def test_settings_name_it_by_its_environment():
    plant = replace(ARM, posture=(0.2, 0.9))
    assert decode("tests/Arm-v0", PLANTS, "plant") == ARM
    assert decode(encode(plant, PLANTS), PLANTS, "plant") == plant
    assert pickle.loads(pickle.dumps(plant)) == plant


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tests/NoisyArm-v0", "different states from equal states.*must be deterministic"),
        ("tests/FreeGoal-v0", "free joint or a ball"),
        ("tests/Idle-v0", "no joint that its actions move"),
        ("CartPole-v1", "not simulated by MuJoCo"),
        ("tests/Nothing-v0", "no environment 'tests/Nothing-v0' can be made"),
    ],
)
def test_what_cannot_be_a_plant_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        MujocoPlant(name)
    with pytest.raises(SettingsError, match=message):
        decode(name, PLANTS, "plant")


def test_wrong_use_is_refused():
    state, command = torch.zeros(4), torch.zeros(2)
    with pytest.raises(ValueError, match="`command` must have 2 entries on its last axis"):
        ARM.step(state, torch.zeros(3))
    with pytest.raises(ValueError, match="has no derivatives; learn them by `neuromotor learn-"):
        ARM.step(state, command.requires_grad_())
    with pytest.raises(ValueError, match=r"`posture` must have 2 numbers.*shoulder, elbow"):
        replace(ARM, posture=(1.0,))
    with pytest.raises(ValueError, match=r"`hand` must be a body of.*forearm"):
        replace(ARM, hand="foot")
    with pytest.raises(UnreachableError, match=r"does not reach.*m away"):
        ARM.configuration_at(torch.tensor([1.0, 0.0]))
