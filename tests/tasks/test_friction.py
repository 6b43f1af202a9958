"""Friction that begins on the way: its energy, its onset, and every way to take the same step."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import PLANTS, arm_states, check_against_a_mass, generator, normal
from scipy.integrate import solve_ivp

from neuromotor.analysis import record
from neuromotor.closed_loop import ClosedLoop, advance
from neuromotor.control import ILQR
from neuromotor.controllers import CommandTable, ContinuousTimeRNN
from neuromotor.envs import MotorEnv, MotorVectorEnv, rollout
from neuromotor.evaluation.load_responses import load_onsets
from neuromotor.plants import RK4, PointMass, TwoJointArm
from neuromotor.tasks import CenterOut, Friction, with_plant

REACH = CenterOut(directions=2, steps=12, delay_steps=2)
TASK = Friction(REACH, factors=(0.0, 1.0, 2.0), onset_step=5)


def test_a_coasting_mass_slows_by_the_exponential_from_the_onset_on():
    """``m v' = -b v``: the velocity falls by exp(-b dt / m) a step, the energy by its square."""
    plant = PointMass(mass=0.7)
    task = with_plant(TASK, plant)
    start = torch.tensor([[0.0, 0.0, 0.3, -0.4]] * 6, dtype=torch.float64)
    trials = replace(task.trials(), initial_state=start)
    table = CommandTable(trials=6, steps=12)
    states = ClosedLoop(task, table).simulate(torch.zeros(144).double(), trials).states
    energy = plant.kinetic_energy(states)
    for trial, factor in enumerate((0.0, 1.0, 2.0) * 2):
        for t in range(13):
            kept = math.exp(-2 * 10.0 * factor * 0.01 / 0.7 * max(t - 5, 0))
            assert float(energy[trial, t]) == pytest.approx(0.5 * 0.7 * 0.25 * kept, rel=1e-12)


def test_an_arm_loses_the_work_of_the_friction():
    """Energy lost by a passive arm is the integral of b |v|^2, from an independent integration."""
    arm = TwoJointArm(integrator=RK4(), dt_s=0.001)
    task = with_plant(replace(TASK, reach=replace(REACH, steps=200), onset_step=50), arm)
    start = torch.tensor([[0.5, 1.5, 1.0, -1.0]]).double()
    trials = replace(task.trials().subset(slice(1, 2)), initial_state=start)
    table = CommandTable(trials=1, steps=200, dt_s=0.001)
    states = ClosedLoop(task, table).simulate(torch.zeros(400).double(), trials).states[0]
    energy = arm.kinetic_energy(states)
    torch.testing.assert_close(energy[:51], energy[:1].expand(51), rtol=1e-9, atol=0)
    power = 10.0 * arm.hand_velocity(states[50:]).square().sum(-1)
    work = torch.trapezoid(power, dx=0.001)
    assert float(energy[50] - energy[-1]) == pytest.approx(float(work), rel=5e-3)

    def rate(_, x):
        state = torch.tensor(x)[None]
        force = -10.0 * arm.hand_velocity(state)
        return arm.derivative(state, torch.zeros(1, 2).double(), None, force)[0].numpy()

    exact = solve_ivp(rate, (0, 0.15), states[50].numpy(), rtol=1e-10, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(states[-1], exact, rtol=0, atol=5e-4)  # of order 1 in the step


def test_the_best_commands_are_those_of_a_dense_solution():
    check_against_a_mass(with_plant(TASK, PointMass(mass=0.7, damping=0.4)))


@pytest.mark.parametrize("plant", ["monkey-published", "viscous", "point-mass"])
def test_every_way_to_step_is_the_same(plant):
    task = with_plant(TASK, PLANTS[plant])
    trials, net = task.trials(), ContinuousTimeRNN(layers=(6,))
    loop, theta = ClosedLoop(task, net), net.initial_parameters(generator(1))
    run = loop.simulate(theta, trials)
    objective = loop.objective(trials)
    losses = task.cost.losses(run.states, run.commands, trials)
    assert objective.value(theta) == pytest.approx(float(losses.mean()), rel=1e-10)
    direction, h = normal(len(theta), seed=3), 1e-5
    slope = (objective.value(theta + h * direction) - objective.value(theta - h * direction)) / (
        2 * h
    )
    assert float(objective.value_and_gradient(theta)[1] @ direction) == pytest.approx(
        slope, rel=1e-5
    )

    options = {"normalized": False, "command_limit": 100.0}
    many = MotorVectorEnv(6, task, **options)
    many.reset(options={"trials": trials})
    rewards = [many.step(run.commands[:, t].numpy())[1] for t in range(12)]
    torch.testing.assert_close(-torch.tensor(sum(rewards)), losses, rtol=1e-9, atol=0)
    one = MotorEnv(task, **options)
    one.reset(options={"trials": trials.subset(slice(1, 2))})
    total = sum(one.step(run.commands[1, t].numpy())[1] for t in range(12))
    assert -total == pytest.approx(float(losses[1]), rel=1e-9)
    given = iter(run.commands.unbind(1))
    rolled = rollout(lambda _: next(given), task, trials, **options)
    torch.testing.assert_close(-rolled.returns, losses, rtol=1e-9, atol=0)


def test_steps_of_a_slice_are_those_one_by_one():
    task, states, commands = TASK, arm_states(6), normal(6, 12, 2)
    trials = task.trials()
    whole = advance(task.plant, states[:, None].repeat(1, 12, 1), commands, trials, slice(0, 12))
    for t in range(12):
        torch.testing.assert_close(
            whole[:, t], advance(task.plant, states, commands[:, t], trials, t)
        )


def test_it_is_a_perturbation_with_an_onset():
    trials = TASK.trials()
    assert load_onsets(trials).tolist() == [-1, 5, 5] * 2
    assert trials.loaded
    calm = trials.without_loads()
    assert calm.field is None
    assert not calm.loaded
    table = CommandTable(trials=6, steps=12)
    found = record(TASK, table, torch.zeros(144).double(), trials)
    np.testing.assert_allclose(found["perturbation_time"], [np.nan, 0.05, 0.05] * 2)


def test_commands_for_no_friction_fall_short_in_it():
    best = ILQR().solve(TASK, TASK.trials().without_loads())
    table = CommandTable(trials=6, steps=12)
    states = ClosedLoop(TASK, table).simulate(best.commands.flatten(), TASK.trials()).states
    hand = TASK.plant.hand_position(states)
    gone = (hand[:, -1] - hand[:, 0]).norm(dim=-1).view(2, 3)
    assert (gone.diff(dim=1) < 0).all()


def test_its_size_is_the_plants():
    for plant, size in (("monkey-published", 10.0), ("monkey", 1.0), ("point-mass", 10.0)):
        task = with_plant(TASK, PLANTS[plant])
        assert task.friction_in_use == size
        assert float(task.trials().field.min()) == -2 * size
    assert replace(TASK, friction_ns_m=3.0).friction_in_use == 3.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"friction_ns_m": -1.0}, "`friction_ns_m` must be"),
        ({"factors": ()}, "`factors` must hold at least one"),
        ({"factors": (-1.0,)}, "`factors` must be"),
        ({"onset_step": 12}, "`onset_step` must be below the 12 steps"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Friction(REACH, **{"onset_step": 5, **settings})
