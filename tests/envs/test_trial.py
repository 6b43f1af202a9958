"""What a trial costs, shows and wants, in both environments, against the closed loop."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import generator, normal
from env_cases import EXACT, MESSY, Messy, play, rolled

from neuromotor import CenterOut, ClosedLoop, CommandTable, ContinuousTimeRNN, PointMass
from neuromotor.closed_loop import advance
from neuromotor.envs import MotorEnv, MotorVectorEnv, rollout
from neuromotor.plants import TwoJointArm
from neuromotor.tasks import CuedReach, CursorReach, InstructedDelay, TargetJump, Trials

# one whose cost weighs features of the states among them
RETURNS = {**MESSY, "cursor": CursorReach(pairs=5, steps=20, arrival_s=(0.05, 0.15))}


@pytest.mark.parametrize("task", RETURNS.values(), ids=RETURNS)
def test_the_return_is_minus_the_loss_of_the_task(task):
    trials = task.trials(generator())
    commands = 0.3 * normal(5, task.steps, 2)
    states = rolled(task, trials, commands)
    losses = task.cost.losses(states, commands, trials)

    env = MotorEnv(task, **EXACT)
    for i in range(5):
        rewards, _, info = play(env, trials.subset(slice(i, i + 1)), commands[i].numpy())
        assert sum(rewards) == pytest.approx(-float(losses[i]), rel=1e-12)
        assert info["loss"] == pytest.approx(float(losses[i]), rel=1e-12)
        np.testing.assert_allclose(env.state, states[i, -1], rtol=1e-11, atol=1e-13)

    envs = MotorVectorEnv(5, task, **EXACT)
    envs.reset(options={"trials": trials})
    total = sum(envs.step(commands[:, t].numpy())[1] for t in range(task.steps))
    np.testing.assert_allclose(total, -losses, rtol=1e-12)
    np.testing.assert_allclose(envs.states, states[:, -1], rtol=1e-11, atol=1e-13)


def test_a_controllers_return_is_the_closed_loops_loss():
    """The commands of a simulated network, played in the environment."""
    task, net = Messy(), ContinuousTimeRNN(layers=(6,))
    theta = 0.3 * net.initial_parameters(generator(1))
    trials = task.trials(generator(2))
    loop = ClosedLoop(task, net)
    commands = loop.simulate(theta, trials).commands
    one = trials.subset(slice(2, 3))
    rewards, seen, _ = play(MotorEnv(task, **EXACT), one, commands[2].numpy())
    assert -sum(rewards) == pytest.approx(float(loop.losses(theta, trials)[2]), rel=1e-12)
    observations = loop.simulate(theta, trials).observations[2]
    np.testing.assert_allclose(np.stack(seen[:-1])[:, :4], observations, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(np.stack(seen[:-1])[:, 4:8], one.shown_target[0], rtol=1e-12)


def test_an_open_loop_table_has_the_loss_of_its_trials():
    """Float32 actions on the normalised scale: the same loss up to their rounding."""
    task = CenterOut(directions=4, steps=10)
    table = CommandTable(trials=4, steps=10)
    theta = 0.2 * normal(table.parameter_count)
    loss = ClosedLoop(task, table).losses(theta, task.trials())
    envs = MotorVectorEnv(4, task)
    envs.reset(options={"trials": task.trials()})
    actions = (theta.view(4, 10, 2) / 2.0).float()
    total = sum(envs.step(actions[:, t])[1] for t in range(10))
    np.testing.assert_allclose(-total, loss, rtol=1e-4)


@pytest.mark.parametrize("delay", [0, 1, 5])
def test_an_impulse_is_seen_after_the_delay(delay):
    """By Euler, velocity changes one step after the impulse; it is seen `delay` later."""
    task = CenterOut(directions=1, steps=12, delay_steps=delay)
    impulse = np.zeros((12, 2))
    impulse[3] = [1.0, 0.5]
    env = MotorEnv(task)
    _, seen, _ = play(env, task.trials(), impulse)
    velocity = np.stack(seen)[:, 2:4]
    moved = np.flatnonzero(np.abs(velocity).max(axis=1) > 0)
    assert moved[0] == 3 + 1 + delay
    envs = MotorVectorEnv(3, task)
    envs.reset(seed=0)
    for t in range(12):
        observation = envs.step(np.tile(impulse[t].astype(np.float32), (3, 1)))[0]
        assert (np.abs(observation[:, 2:4]).max() > 0) == (t + 1 >= 4 + delay)


def test_the_cue_comes_with_the_jump():
    """And before it tells nothing of whether one comes."""
    task = TargetJump(reach=CenterOut(directions=2, steps=9), jump_step=4)
    trials = task.trials()
    jumps = np.array([1.0, 0.0, 1.0] * 2)
    envs = MotorVectorEnv(6, task, observe=("cue", "time"), autoreset_mode="Disabled")
    seen, _ = envs.reset(options={"trials": trials})
    for t in range(9):
        np.testing.assert_array_equal(seen[:, 0], jumps * (t >= 4))
        if t == 2:  # two trials begin anew, apart from the others
            envs.reset(
                options={"trials": trials.subset(slice(0, 2)), "reset_mask": np.arange(6) < 2}
            )
        seen, *_ = envs.step(np.zeros((6, 2), np.float32))
        if t >= 2:
            jumped = np.where(np.arange(6) < 2, t - 1 >= 4, t + 1 >= 4)
            np.testing.assert_array_equal(seen[:, 0], jumps * jumped)
            break
    for i in (0, 1):
        _, alone, _ = play(
            MotorEnv(task, observe=("cue",)), trials.subset(slice(i, i + 1)), np.zeros((9, 2))
        )
        np.testing.assert_array_equal(np.stack(alone)[:, 0], jumps[i] * (np.arange(10) >= 4))
    run = rollout(
        lambda seen: seen.new_zeros(6, 2), task, trials, observe=("cue",), dtype="float64"
    )
    expected = jumps[:, None] * (np.arange(9) >= 4)
    np.testing.assert_array_equal(run.observations[..., 0], expected)


def test_while_a_trial_waits_the_goal_is_the_start():
    """Goals, dense rewards and success go by where the hand is to be, not by what is shown."""
    reach = CenterOut(directions=2, steps=20, delay_steps=2)
    task = InstructedDelay(reach, repeats=2, target_step=2, hold_steps=(3, 8), reach_steps=8)
    trials = task.trials(generator(1))
    go = trials.cue[..., 0].numpy().argmax(1)
    start, target = (
        task.plant.hand_position(x).numpy() for x in (trials.initial_state, trials.end)
    )
    envs = MotorVectorEnv(4, task, goal=True)
    assert envs.observation_labels[-2:] == ("cue (0 or 1)", "elapsed share of trial")
    shown, _ = envs.reset(options={"trials": trials})
    alone, first = MotorEnv(task, goal=True), trials.subset(slice(1))
    one, _ = alone.reset(options={"trials": first})
    for t in range(20):
        reached = (t > go)[:, None]
        expected = np.where(reached, target, start)
        np.testing.assert_allclose(shown["desired_goal"], expected, rtol=1e-6)
        np.testing.assert_allclose(one["desired_goal"], expected[0], rtol=1e-6)
        np.testing.assert_array_equal(shown["observation"][:, -2], t >= go)
        shown, *_ = envs.step(np.zeros((4, 2)))
        one, *_ = alone.step(np.zeros(2))
    caught = replace(task, catch_fraction=1.0)
    for env in (MotorEnv(caught, reward="dense"), MotorVectorEnv(1, caught, reward="dense")):
        env.reset(seed=0)
        batch = isinstance(env, MotorVectorEnv)
        for _ in range(20):
            _, reward, _, _, info = env.step(np.zeros((1, 2)) if batch else np.zeros(2))
            assert np.sum(reward) == 0.0  # nothing moves, and nothing should
        assert np.all(info["is_success"])
        assert np.all(info["loss"] == 0.0)


@pytest.mark.parametrize("own_times", [False, True])
def test_a_failed_trial_pays_the_rest_where_it_stands(own_times):
    task = Messy(plant=replace(TwoJointArm(), dt_s=0.05), steps=12, timed=own_times)
    trial = task.trials(generator()).subset(slice(0, 1))
    limit = 200.0
    for env, batch in (
        (MotorEnv(task, command_limit=limit), False),
        (MotorVectorEnv(1, task, command_limit=limit), True),
    ):
        env.reset(options={"trials": trial})
        total, states, commands = 0.0, [trial.initial_state], []
        for t in range(12):
            action = np.ones((1, 2)) if batch else np.ones(2)
            _, reward, terminated, _, _ = env.step(action)
            command = torch.full((1, 2), limit, dtype=torch.float64)
            states.append(advance(task.plant, states[-1], command, trial, t))
            commands.append(command)
            total += np.sum(reward)
            if np.all(terminated):
                break
        assert t < 11
        states += [states[-1]] * (12 - len(commands))
        commands += [torch.zeros_like(command)] * (12 - len(commands))
        loss = task.cost.losses(torch.stack(states, 1), torch.stack(commands, 1), trial)
        assert total == pytest.approx(-float(loss), rel=1e-10)


def test_success_is_near_and_slow():
    task = CenterOut(plant=PointMass(), steps=1, directions=1)
    target = task.trials().target[0]
    for shift, speed, success in ((0.009, 0.04, True), (0.011, 0.0, False), (0.0, 0.06, False)):
        start = target + torch.tensor([shift, 0.0, 0.0, speed])
        trial = Trials(initial_state=start[None], target=target[None])
        info = play(MotorEnv(task), trial, [np.zeros(2)])[2]
        assert info["is_success"] is success
        assert info["hand_speed_m_s"] == pytest.approx(speed)
    assert play(MotorEnv(task, success_speed_m_s=0.1), trial, [np.zeros(2)])[2]["is_success"]


@pytest.mark.parametrize("compiled", [False, True])
def test_all_cues_of_a_task_are_shown(compiled):
    reach = CenterOut(directions=3, steps=30, delay_steps=2)
    times = {"target_step": 2, "show_steps": 4, "hold_steps": (3, 8), "reach_steps": 8}
    task = CuedReach(reach, repeats=1, targets=3, **times)
    trials = task.trials(generator(1))
    options = {"observe": ("time", "cue", "target"), "compiled": compiled}
    envs = MotorVectorEnv(3, task, **options)
    assert envs.observation_labels[1:5] == tuple(f"cue {i + 1} (0 or 1)" for i in range(4))
    seen, _ = envs.reset(options={"trials": trials})
    one = MotorEnv(task, **options)
    alone, _ = one.reset(options={"trials": trials.subset(slice(1))})
    for t in range(29):
        for shown, rows in ((seen, slice(0, 3)), (alone[None], slice(0, 1))):
            np.testing.assert_array_equal(shown[:, 1:5], trials.cue[rows, t].numpy())
            told = trials.shown_target[rows, t].numpy()
            np.testing.assert_allclose(shown[:, 5:], told, rtol=0, atol=1e-6)
        seen, *_ = envs.step(np.zeros((3, 2), np.float32))
        alone, *_ = one.step(np.zeros(2, np.float32))
