"""Environments of tasks with senses of their own show what the closed loop lets controllers see."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from cases import generator, normal

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.controllers.function import FunctionController
from neuromotor.envs import ControllerPolicy, MotorEnv, MotorVectorEnv, rollout
from neuromotor.plants import PLANTS
from neuromotor.tasks import DDN, SENSES, CenterOut, Channel, InstructedDelay, Senses, TargetJump

EYES = Senses(
    channels=(
        Channel("joint_position", delay_steps=2, noise=0.01, relative=True),
        Channel("hand_velocity", delay_steps=5, signal_noise=0.2, scale=0.5),
    ),
    target=(Channel("hand_position", delay_steps=3), Channel("joint_velocity")),
)
REACH = CenterOut(directions=3, steps=20, senses=EYES)
TASKS = {
    "hand": REACH,
    "preset": DDN(pairs=3, steps=14, senses=SENSES["proprioception-and-vision"]),
    "muscles": replace(REACH, plant=PLANTS["monkey-muscles"], senses=SENSES["kalidindi-2021"]),
    "jump": TargetJump(REACH, jump_step=6),
    "cue": InstructedDelay(
        replace(REACH, steps=30), repeats=1, target_step=4, hold_steps=(3, 9), reach_steps=8
    ),
}


def seen_in_the_loop(task, trials, commands):
    """What the closed loop lets a controller see and tells it, under given commands."""
    told = []

    def controller(observation, target, t):
        told.append(target)
        return commands[:, t]

    run = ClosedLoop(task, FunctionController(controller, task.plant.command_size)).simulate(
        torch.zeros(0, dtype=torch.float64), trials
    )
    share = torch.arange(task.steps, dtype=torch.float64) / task.steps
    time = share[None, :, None].expand(len(trials), -1, 1)
    return torch.cat([run.observations, torch.stack(told, dim=1), time], dim=-1).numpy()


@pytest.mark.parametrize("name", TASKS)
def test_they_show_what_the_closed_loop_shows(name):
    task = TASKS[name]
    trials = task.trials(generator(2))
    count, m = len(trials), task.plant.command_size
    options = {"task": task, "normalized": False, "dtype": "float64", "command_limit": 5.0}
    commands = 0.1 * normal(count, task.steps, m, seed=3).abs()
    expected = seen_in_the_loop(task, trials, commands)

    many = MotorVectorEnv(count, **options)
    found = [many.reset(options={"trials": trials})[0]]
    for t in range(task.steps - 1):
        found.append(many.step(commands[:, t].numpy())[0])
    np.testing.assert_allclose(np.stack(found, axis=1), expected, rtol=0, atol=1e-9)
    assert len(many.observation_labels) == expected.shape[-1]
    assert all(many.single_observation_space.contains(row) for row in found[-1])

    one = MotorEnv(**options)
    found = [one.reset(options={"trials": trials.subset(slice(1, 2))})[0]]
    for t in range(task.steps - 1):
        found.append(one.step(commands[1, t].numpy())[0])
    np.testing.assert_allclose(np.stack(found), expected[1], rtol=0, atol=1e-9)

    del options["task"]
    step = iter(commands.unbind(1))
    shown = rollout(lambda _: next(step), task, trials, **options).observations
    np.testing.assert_allclose(shown.numpy(), expected, rtol=0, atol=1e-9)


def test_arms_apart_see_as_alone():
    """One arm begins its second trial while others go on with their first."""
    task = TASKS["jump"]
    envs = MotorVectorEnv(3, task, autoreset_mode="Disabled", dtype="float64")
    alone = MotorEnv(task, dtype="float64")
    envs.reset(seed=[5, 6, 7])
    alone.reset(seed=6)
    action = np.full((3, 2), 0.01)
    for _ in range(8):
        envs.step(action)
    mask = np.array([False, True, False])
    observation, _ = envs.reset(options={"reset_mask": mask})
    expected, _ = alone.reset()
    for _ in range(12):
        np.testing.assert_allclose(observation[1], expected, rtol=0, atol=1e-12)
        observation, expected = envs.step(action)[0], alone.step(action[1])[0]


def test_a_controller_acts_in_them_as_in_the_closed_loop():
    task = TASKS["preset"]
    trials = task.trials(generator(4))
    net = ContinuousTimeRNN(layers=(9,), input_size=12)
    theta = net.initial_parameters(generator(0), dtype=torch.float64)
    run = ClosedLoop(task, net).simulate(theta, trials)
    envs = MotorVectorEnv(3, task, dtype="float64", command_limit=50.0, normalized=False)
    policy, memory = ControllerPolicy(net, theta, envs.options), None
    observation, _ = envs.reset(options={"trials": trials})
    for t in range(task.steps):
        np.testing.assert_allclose(envs.states, run.states[:, t].numpy(), rtol=0, atol=1e-5)
        action, memory = policy.predict(observation, memory)
        observation = envs.step(action)[0]


def test_their_space_names_the_channels_and_goals_are_refused():
    env = MotorEnv(REACH)
    assert env.observation_labels == (
        "shoulder angle from home (rad)",
        "elbow angle from home (rad)",
        "0.5 x hand x velocity (m/s)",
        "0.5 x hand y velocity (m/s)",
        "target hand x (m)",
        "target hand y (m)",
        "target shoulder velocity (rad/s)",
        "target elbow velocity (rad/s)",
        "elapsed share of trial",
    )
    with pytest.raises(ValueError, match="`goal` must be False"):
        MotorEnv(REACH, goal=True)
    with pytest.raises(ValueError, match="must be without 'hand'"):
        MotorEnv(REACH, observe=("state", "hand"))
    made = gymnasium.make(
        "neuromotor/DDN-v0", task={"type": "ddn", "senses": "proprioception-and-vision"}
    )
    assert made.observation_space.shape == (13,)
