"""Plants on components against their torch steps: floats, arrays, Jacobians, fields."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import ARMS, arm_states, noisy, normal

from neuromotor.closed_loop.dynamics import (
    StepDraws,
    advance,
    advance_components,
    linearize_plant,
)
from neuromotor.plants import (
    HUMAN,
    HUMAN_VISCOSITY,
    RK4,
    JointLimits,
    MuscleArm,
    PointMass,
    TwoJointArm,
    signals_of,
)
from neuromotor.plants.plant import components_of
from neuromotor.tasks import Trials

FORMS = {
    **ARMS,
    "viscous": TwoJointArm(HUMAN, viscosity=HUMAN_VISCOSITY),
    "bounded": TwoJointArm(command_limit=0.3),
    "all options": TwoJointArm(
        HUMAN, dt_s=0.004, viscosity=((0.06, 0.01), (0.03, 0.05)), command_limit=(0.4, 0.2)
    ),
    "point-mass": PointMass(mass=0.7, damping=0.4, command_limit=(0.5, 0.7)),
}
COUNT = 40


def trials_of(kind):
    states = arm_states(COUNT)
    calm = Trials(states, states)
    if kind == "calm":
        return calm
    loaded = noisy(calm, 1)
    return loaded if kind == "loaded" else replace(loaded, field=0.5 * normal(COUNT, 2, 5, seed=9))


def any_states(plant):
    states = normal(COUNT, plant.state_size, seed=3)
    states[:, 4:] = states[:, 4:].sigmoid()  # activations
    return states


def acting(trials):
    """The parts of the only step as arrays, components first."""
    parts = {name: getattr(trials, name) for name in StepDraws._fields}
    present = {name: part for name, part in parts.items() if part is not None}
    return StepDraws(
        **{
            name: part.numpy().transpose(1, 2, 0) if name == "field" else part[:, 0].numpy().T
            for name, part in present.items()
        }
    )


@pytest.mark.parametrize("kind", ["calm", "loaded", "in a field"])
@pytest.mark.parametrize("plant", FORMS)
def test_steps_in_floats_and_arrays_are_the_step_in_torch(plant, kind):
    plant, trials = FORMS[plant], trials_of(kind)
    form, draws, command = components_of(plant), acting(trials), normal(COUNT, 2, seed=4)
    wanted = advance(plant, trials.initial_state, command, trials, 0).numpy()
    close = {"rtol": 1e-11, "atol": 1e-12}
    states, commands = trials.initial_state.numpy(), command.numpy()
    found = advance_components(plant, form, states.T, commands.T, draws)
    np.testing.assert_allclose(np.stack(list(found), axis=-1), wanted, **close)
    for i in range(3):
        own = StepDraws(*(None if part is None else part[..., i].tolist() for part in draws))
        one = advance_components(plant, form, states[i].tolist(), commands[i].tolist(), own)
        assert all(type(number) is float for number in one)
        np.testing.assert_allclose(list(one), wanted[i], **close)


@pytest.mark.parametrize("plant", FORMS)
def test_hands_in_components_are_the_hands_in_torch(plant):
    plant, states = FORMS[plant], arm_states(COUNT)
    wanted = torch.cat([plant.hand_position(states), plant.hand_velocity(states)], dim=-1)
    found = components_of(plant).hand(states.numpy().T)
    np.testing.assert_allclose(np.stack(list(found), axis=-1), wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("plant", [TwoJointArm(HUMAN), MuscleArm()])
def test_signals_on_components_and_their_slopes_are_the_plants(plant):
    states, form = any_states(plant), components_of(plant)
    known = [one for one in signals_of(plant).values() if one.compiled is not None]
    assert sorted(i for one in known for i in one.compiled) == list(range(form.signals))
    x = states.unbind(-1)
    found = torch.stack(form.functions.signals(form.numbers, x), dim=-1)
    rows = form.functions.signal_slopes(form.numbers, x)
    slopes = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    close = {"rtol": 1e-12, "atol": 1e-13}
    for one in known:
        places = list(one.compiled)
        torch.testing.assert_close(found[:, places], one.of(states), **close)
        wanted = torch.func.vmap(torch.func.jacrev(one.of))(states)
        torch.testing.assert_close(slopes[:, places], wanted, **close)


@pytest.mark.parametrize("kind", ["calm", "loaded"])
@pytest.mark.parametrize("plant", FORMS)
def test_the_jacobian_is_autograds(plant, kind):
    """Without the actuators' limit and the noise, which are not the plant's functions'."""
    plant = replace(FORMS[plant], command_limit=None)
    trials = replace(trials_of(kind), command_noise=None, plant_noise=None)
    command, states = normal(COUNT, 2, seed=4), trials.initial_state
    wanted = linearize_plant(plant, trials, states[:, None], command[:, None])[:, 0].numpy()
    form, draws = components_of(plant), acting(trials)
    rows = form.functions.jacobian(
        form.numbers, states.numpy().T, command.numpy().T, draws.load, draws.hand_force
    )
    found = np.array([[np.broadcast_to(entry, COUNT) for entry in row] for row in rows])
    np.testing.assert_allclose(found.transpose(2, 0, 1), wanted, rtol=1e-10, atol=1e-11)


def test_options_without_components_and_subclasses_have_none():
    class Own(TwoJointArm):
        """May override anything."""

    assert components_of(TwoJointArm(limits=JointLimits())) is None
    assert components_of(TwoJointArm(integrator=RK4())) is None
    assert components_of(PointMass(integrator=RK4())) is None
    assert components_of(Own()) is None


def test_step_draws_are_the_parts_of_trials_that_act_on_the_plant():
    assert Trials.names(seen_by="plant") == StepDraws._fields
