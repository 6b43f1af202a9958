"""Walls that do not give way: exactness, energy, the force on them, every kind of array."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import ARMS, PLANTS, arm_states, generator, normal

from neuromotor.closed_loop import ClosedLoop, advance, channel_force
from neuromotor.closed_loop.dynamics import StepDraws, advance_components
from neuromotor.controllers import CommandTable, ContinuousTimeRNN
from neuromotor.plants import (
    INTEGRATORS,
    MuscleArm,
    PointMass,
    SpatialArm,
    TwoJointArm,
    held_in_channel,
    moving_state,
)
from neuromotor.plants.plant import components_of
from neuromotor.tasks import CenterOut, Trials

NORMAL = torch.tensor([0.6, 0.8], dtype=torch.float64)
ALONG = torch.tensor([0.8, -0.6], dtype=torch.float64)


def channel_at(place, normal=NORMAL):
    return torch.cat([(place * normal).sum(-1, keepdim=True), normal.expand_as(place)], dim=-1)


def gliding(plant, speed=0.4, count=3):
    """A hand at home that moves along the channel, and the channel."""
    home = plant.hand_position(torch.tensor(plant.home, dtype=torch.float64)).repeat(count, 1)
    return moving_state(plant, home, speed * ALONG.expand(count, 2)), channel_at(home)


@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("plant", PLANTS)
def test_the_hand_stays_in_the_channel_to_rounding_whatever_pushes_it(plant, integrator):
    plant = replace(PLANTS[plant], integrator=INTEGRATORS[integrator])
    state, channel = gliding(plant)
    scale = plant.load_scale
    trials = Trials(
        state,
        state,
        channel=channel,
        hand_force=2.0 * scale * normal(3, 60, 2),
        plant_noise=1e-4 * normal(3, 60, 4, seed=2),
        field=torch.cat([torch.zeros(3, 2, 3), 5.0 * scale * torch.eye(2).repeat(3, 1, 1)], -1)
        .double()
        .roll(1, -2),
    )
    for t in range(60):
        state = advance(plant, state, 0.02 * scale * normal(3, 2, seed=t), trials, t)
        away = (plant.hand_position(state) * NORMAL).sum(-1) - channel[:, 0]
        across = (plant.hand_velocity(state) * NORMAL).sum(-1)
        assert away.abs().max() < 1e-12
        assert across.abs().max() < 1e-12 * (1 + plant.hand_velocity(state).norm(dim=-1).max())


@pytest.mark.parametrize("plant", PLANTS)
def test_walls_never_add_to_the_energy_of_a_step(plant):
    plant = PLANTS[plant]
    free = arm_states(200)
    held = held_in_channel(plant, free, channel_at(plant.hand_position(free)))
    assert torch.equal(held[:, :2], free[:, :2])  # the hand was there
    assert (plant.kinetic_energy(held) <= plant.kinetic_energy(free) * (1 + 1e-12)).all()
    # The projection is the nearest in the metric of the inertia: nothing else is so near.
    lost = plant.kinetic_energy(free) - plant.kinetic_energy(held)
    moved = torch.cat([free[:, :2], free[:, 2:] - held[:, 2:]], dim=-1)
    torch.testing.assert_close(plant.kinetic_energy(moved), lost, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("arm", ARMS)
def test_a_passive_arm_in_a_channel_and_a_curl_field_gains_no_energy(arm):
    arm = replace(ARMS[arm], integrator=INTEGRATORS["rk4"])
    start, channel = gliding(arm)
    field = torch.zeros(3, 2, 5, dtype=torch.float64)
    field[:, 0, 4], field[:, 1, 3] = -13.0, 13.0
    trials = Trials(start, start, channel=channel, field=field)
    state, first = start, arm.kinetic_energy(start)
    for _ in range(30):
        state = advance(arm, state, torch.zeros(3, 2).double(), trials, 0)
        assert (arm.kinetic_energy(state) <= first * (1 + 1e-3)).all()
    assert (arm.hand_velocity(state) * ALONG).sum(-1).abs().min() > 0.2  # it glides on


def test_a_mass_presses_on_the_wall_with_what_is_commanded_across():
    mass = PointMass(mass=0.7)
    task = CenterOut(plant=mass, directions=4, steps=20)
    trials = task.trials()
    held = replace(trials, channel=channel_at(mass.hand_position(trials.initial_state)))
    commands = normal(4, 20, 2)
    states = ClosedLoop(task, CommandTable(4, 20)).simulate(commands.flatten(), held).states
    force = channel_force(mass, states, commands, held)
    torch.testing.assert_close(force, (commands * NORMAL).sum(-1), rtol=1e-9, atol=1e-12)
    along = 0.01 * ((commands / 0.7) @ ALONG).cumsum(1)
    torch.testing.assert_close(mass.hand_velocity(states)[:, 1:] @ ALONG, along)


def test_an_arm_in_a_channel_has_the_acceleration_of_lagranges_equations_with_a_multiplier():
    """M q'' + c = u + J^T n F and n (J q'' + J' q') = 0, solved densely, as the step shrinks."""
    arm = TwoJointArm(dt_s=1e-5)
    state, channel = gliding(arm, count=1)
    torque = torch.tensor([[0.3, -0.1]], dtype=torch.float64)
    trials = Trials(state, state, channel=channel)
    after = advance(arm, state, torque, trials, 0)
    hand, inertia = arm.jacobian(state)[0], arm.inertia_matrix(state)[0]
    free = arm.acceleration(state, torque)[0]
    turned = state.clone()
    turned[:, :2] += 1e-6 * state[:, 2:]
    curving = ((arm.jacobian(turned)[0] - hand) @ state[0, 2:]) / 1e-6  # J' q'
    b = hand.T @ NORMAL
    a = torch.linalg.solve(inertia, b)
    multiplier = -(b @ free + NORMAL @ curving) / (b @ a)
    wanted = free + a * multiplier
    torch.testing.assert_close((after - state)[0, 2:] / 1e-5, wanted, rtol=1e-3, atol=1e-3)
    force = channel_force(arm, torch.stack([state, after], 1), torque[:, None], trials)
    torch.testing.assert_close(force[0, 0], -multiplier, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("plant", ["human", "point-mass"])
def test_floats_arrays_and_tensors_agree_and_zeros_are_no_walls(plant):
    plant, states = PLANTS[plant], arm_states(20)
    channel = channel_at(plant.hand_position(states) + 1e-4)
    channel[::2] = 0.0
    field = 0.5 * normal(20, 2, 5, seed=9)
    trials = Trials(states, states, channel=channel, field=field)
    command, form = normal(20, 2, seed=4), components_of(plant)
    wanted = advance(plant, states, command, trials, 0)
    free = advance(plant, states, command, replace(trials, channel=None), 0)
    assert torch.equal(wanted[::2], free[::2])
    assert not torch.equal(wanted[1::2], free[1::2])
    draws = StepDraws(channel=channel.numpy().T, field=field.numpy().transpose(1, 2, 0))
    many = advance_components(plant, form, states.numpy().T, command.numpy().T, draws)
    np.testing.assert_allclose(np.stack(list(many), -1), wanted, rtol=1e-10, atol=1e-11)
    for i in range(4):
        draws = StepDraws(channel=channel[i].tolist(), field=field[i].tolist())
        one = advance_components(plant, form, states[i].tolist(), command[i].tolist(), draws)
        assert all(type(number) is float for number in one)
        np.testing.assert_allclose(one, wanted[i], rtol=1e-10, atol=1e-11)


def test_the_derivative_is_exact():
    arm = ARMS["monkey-published"]
    states, channel = gliding(arm)
    states = states + 0.01 * normal(3, 4)
    assert torch.autograd.gradcheck(
        lambda x: held_in_channel(arm, x, channel), states.requires_grad_(True)
    )


def test_muscles_and_networks_run_in_a_channel_and_what_cannot_is_refused():
    arm = MuscleArm()
    task = CenterOut(plant=arm, directions=2, steps=12, radius_m=0.02)
    start = arm.hand_position(task.trials().initial_state)
    trials = replace(task.trials(), channel=channel_at(start))
    net = ContinuousTimeRNN(input_size=20, layers=(5,), command_size=6)
    loop = ClosedLoop(task, net)
    states = loop.simulate(net.initial_parameters(generator()), trials).states
    assert ((arm.hand_position(states) - start[:, None]) @ NORMAL).abs().max() < 1e-12
    assert loop.why_not_compiled(trials) == "a channel has no compiled pieces"
    with pytest.raises(ValueError, match=r"`trials.channel` must be left out for a plant without"):
        held_in_channel(SpatialArm(), torch.zeros(1, 8), torch.ones(1, 4))
    with pytest.raises(ValueError, match=r"`trials.channel` must have 3 numbers"):
        loop.simulate(net.initial_parameters(generator()), replace(trials, channel=channel_at(
            torch.zeros(2, 3).double(), torch.tensor([1.0, 0, 0]).double())))  # fmt: skip
    with pytest.raises(ValueError, match="must have a `channel`"):
        channel_force(arm, states, states[:, :-1], replace(trials, channel=None))
