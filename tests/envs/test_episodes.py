"""Where trials come from, and what the options of a reset change about them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import generator
from env_cases import Messy

from neuromotor import CenterOut
from neuromotor.closed_loop import advance
from neuromotor.envs import MotorEnv, MotorVectorEnv
from neuromotor.tasks import InstructedDelay


def test_every_condition_comes_before_one_comes_twice():
    env = MotorEnv(CenterOut(directions=8, steps=2))
    first = [env.reset(seed=0 if i == 0 else None)[1]["condition"] for i in range(16)]
    assert sorted(first[:8]) == sorted(first[8:]) == list(range(8))
    assert first[:8] != first[8:]
    envs = MotorVectorEnv(8, CenterOut(directions=8, steps=2))
    assert sorted(envs.reset(seed=0)[1]["condition"]) == list(range(8))


def test_another_target_is_reached_after_the_cue():
    task = InstructedDelay(repeats=1)
    env = MotorEnv(task, dtype="float64")
    first = task.trials(generator(1)).subset(slice(1))
    goal = np.array([0.9, 1.4, 0.0, 0.0])
    env.reset(options={"trials": first, "target": goal})
    total, go = 0.0, int(first.cue.argmax())
    for _ in range(150):
        _, reward, *_ = env.step(np.zeros(2))
        total += reward
    error = torch.from_numpy(goal) - first.initial_state[0]
    counted = 151 - (go + 50)  # the hand has stayed at the start
    assert -total == pytest.approx(0.5 * counted * float(error.square().sum()), rel=1e-10)


def test_trials_that_are_played_stay_as_they_are():
    task = Messy()
    trials = task.trials(generator())
    before = trials.load.clone()
    envs = MotorVectorEnv(5, task)
    envs.reset(options={"trials": trials})
    envs.reset(options={"reset_mask": np.arange(5) < 2})
    assert torch.equal(trials.load, before)


def test_reset_options_change_one_trial():
    task = CenterOut(steps=6)
    env = MotorEnv(task, observe=("target", "hand_target"), dtype="float64")
    hand = np.array([0.05, 0.32])
    shown, _ = env.reset(seed=0, options={"target": hand, "disturbance": [0.1, -0.2]})
    np.testing.assert_allclose(shown[4:], hand, rtol=1e-12)
    position = task.plant.hand_position(torch.from_numpy(env.target))
    np.testing.assert_allclose(position, hand, rtol=1e-12)
    trial = replace(
        task.trials().subset(slice(0, 1)),
        load=torch.tensor([[[0.1, -0.2]] * 6], dtype=torch.float64),
    )
    env.step(np.zeros(2))
    expected = advance(task.plant, trial.initial_state, torch.zeros(1, 2).double(), trial, 0)
    np.testing.assert_allclose(env.state, expected[0], rtol=1e-12)
    shown, _ = env.reset()  # the next trial is the task's again
    assert not np.allclose(shown[4:], hand)
    env.step(np.zeros(2))
    np.testing.assert_allclose(env.state, trial.initial_state[0])

    envs = MotorVectorEnv(3, task, observe=("hand_target",), dtype="float64")
    shown, _ = envs.reset(options={"target": np.stack([hand, hand + 0.01, hand])})
    np.testing.assert_allclose(shown, [hand, hand + 0.01, hand], rtol=1e-12)
    envs.reset(options={"disturbance": np.zeros((6, 2))})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"goal": [0, 0]}, ValueError, "unknown reset option 'goal'"),
        ({"target": [9.0, 9.0]}, ValueError, "must lie between"),
        ({"target": [0.1, 0.2, 0.3]}, ValueError, "`options\\['target'\\]` must have shape"),
        ({"target": [np.nan] * 4}, ValueError, "must be finite"),
        ({"disturbance": [1.0, 2.0, 3.0]}, ValueError, "`options\\['disturbance'\\]` must have"),
        ({"disturbance": np.zeros((3, 2))}, ValueError, "must have shape"),
        ({"trials": 1}, TypeError, "must be a Trials batch"),
        ({"trials": CenterOut().trials()}, ValueError, "must hold"),
    ],
)
def test_bad_reset_options_are_refused(options, error, message):
    for env in (MotorEnv(), MotorVectorEnv(3)):
        env.reset(seed=0)
        with pytest.raises(error, match=message):
            env.reset(options=options)
