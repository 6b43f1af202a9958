"""A limit on commands: off by default, smooth, the same in every copy of the physics."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import generator, noisy, normal

from neuromotor.closed_loop import ClosedLoop, advance, linearize_plant
from neuromotor.control import ILQG, ILQR, Uncertainty
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.envs import MotorEnv, MotorVectorEnv, rollout
from neuromotor.plants import RK4, PointMass, TwoJointArm, actuated
from neuromotor.tasks import CenterOut

PLANTS = {
    "arm": TwoJointArm(command_limit=0.2),
    "each": TwoJointArm(command_limit=(0.2, 0.05)),
    "rk4": TwoJointArm(command_limit=(0.2, 0.05), integrator=RK4()),
    "mass": PointMass(command_limit=(0.5, 0.3)),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_a_limited_plant_steps_as_one_without_a_limit_under_what_its_actuators_give(plant):
    limited, free = PLANTS[plant], replace(PLANTS[plant], command_limit=None)
    state, command, load = 0.5 * normal(50, 4), normal(50, 2, seed=1), normal(50, 2, seed=2)
    limit = torch.tensor(limited.command_limit).double()
    given = limit * torch.tanh(command / limit)  # the documented form
    torch.testing.assert_close(actuated(limited, command), given)
    torch.testing.assert_close(limited.step(state, command, load), free.step(state, given, load))
    assert actuated(free, command) is command
    assert (actuated(limited, 1e6 * command).abs() <= limit).all()
    small = 1e-3 * command
    torch.testing.assert_close(actuated(limited, small), small, rtol=0.01, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS)
def test_closed_loop_passes_and_environments_share_the_limit(plant):
    plant = PLANTS[plant]
    task = CenterOut(plant=plant, directions=4, steps=15, delay_steps=2)
    net = ContinuousTimeRNN(layers=(12,))
    theta = 3 * net.initial_parameters(generator())
    trials = noisy(task.trials(), 15)
    loop = ClosedLoop(task, net)
    trajectory = loop.simulate(theta, trials)
    beyond = trajectory.commands.abs() > torch.tensor(plant.command_limit).double()
    assert beyond.any()
    fast, slow = (loop.objective(trials, fast=fast) for fast in (None, False))
    (value, gradient), (other, expected) = (o.value_and_gradient(theta) for o in (fast, slow))
    assert value == pytest.approx(other, rel=1e-12)
    assert (gradient - expected).norm() < 1e-10 * expected.norm()
    direction, h = normal(len(theta), seed=3), 1e-6
    ahead, behind = (float(loop.losses(theta + a * direction, trials).mean()) for a in (h, -h))
    assert float(gradient @ direction) == pytest.approx((ahead - behind) / (2 * h), rel=1e-5)
    products = [o.linearize(theta).product(direction) for o in (fast, slow)]
    assert (products[0] - products[1]).norm() < 1e-10 * products[1].norm()

    quiet = replace(trials, sensory_noise=None)
    commands = normal(4, 15, 2)
    states = [quiet.initial_state]
    for t in range(15):
        states.append(advance(plant, states[-1], commands[:, t], quiet, t))
    for envs, arms in ((MotorEnv, [0]), (MotorVectorEnv, range(4))):
        options = {"normalized": False, "command_limit": 10.0}
        env = envs(task=task, **options) if envs is MotorEnv else envs(4, task, **options)
        env.reset(options={"trials": quiet.subset(slice(0, len(arms)))})
        for t in range(15):
            env.step(commands[0, t].numpy() if envs is MotorEnv else commands[:, t].numpy())
        found = env.state[None] if envs is MotorEnv else env.states
        np.testing.assert_allclose(found, states[-1][list(arms)].numpy(), rtol=1e-12, atol=1e-13)
    done = rollout(lambda o: o[:, :2] * 5, task, quiet, normalized=False, command_limit=10.0)
    after = advance(plant, quiet.initial_state, done.actions[:, 0], quiet, 0)
    torch.testing.assert_close(done.states[:, 1], after)


@pytest.mark.parametrize("plant", PLANTS)
def test_derivatives_of_a_limited_step_against_finite_differences(plant):
    task = CenterOut(plant=PLANTS[plant], directions=3, steps=1)
    trials = noisy(task.trials(), 1)
    state, command, h = trials.initial_state, 0.3 * normal(3, 2), 1e-6
    got = linearize_plant(task.plant, trials, state[:, None], command[:, None])[:, 0, :, 4:]
    for column in range(2):
        step = h * torch.eye(2).double()[column]
        ends = (advance(task.plant, state, command + s * step, trials, 0) for s in (1, -1))
        slope = torch.sub(*ends) / (2 * h)
        torch.testing.assert_close(got[..., column], slope, rtol=1e-6, atol=1e-9)


def test_ilqr_and_ilqg_respect_a_limit_that_binds():
    free = CenterOut(directions=4)
    best = ILQR().solve(free, free.trials())
    limit = 0.6 * float(best.commands.abs().max())
    task = replace(free, plant=TwoJointArm(command_limit=limit))
    solution = ILQR().solve(task, task.trials())
    assert solution.converged
    assert float(actuated(task.plant, solution.commands).abs().max()) < limit
    assert solution.value > best.value * 1.01
    # A generous limit changes next to nothing.
    wide = replace(free, plant=TwoJointArm(command_limit=1e3 * limit))
    assert ILQR().solve(wide, wide.trials()).value == pytest.approx(best.value, rel=1e-5)
    # A load does not pass through the actuators: the filter's model of it is the plant's.
    design = ILQG(relinearizations=0).design(task, task.trials(), Uncertainty(load=0.05))
    tables = design.controller.unpack(design.parameters)
    calm = task.trials()
    nudge = torch.zeros(4, 2).double()
    nudge[:, 0] = 1e-6
    state, command = solution.states[:, 10], solution.commands[:, 10]
    ends = [task.plant.step(state, command, scale * nudge) for scale in (1, -1)]
    slope = (ends[0] - ends[1]) / 2e-6
    torch.testing.assert_close(tables.disturbance[:, 10, :, 0], slope, rtol=1e-5, atol=1e-8)
    assert len(calm) == 4


@pytest.mark.parametrize("limit", [0.0, -1.0, math.inf, (0.1, 0.0), (0.1, 0.2, 0.3)])
def test_a_limit_out_of_range_is_refused_by_name(limit):
    for plant in (TwoJointArm, PointMass):
        with pytest.raises(ValueError, match="`command_limit` must be"):
            plant(command_limit=limit)
