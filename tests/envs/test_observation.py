"""Observations stay in their space and name every number; goals suit hindsight replay."""

import math

import numpy as np
import pytest
from env_cases import Messy

from neuromotor import CenterOut
from neuromotor.envs import MotorEnv, MotorVectorEnv


@pytest.mark.parametrize("goal", [False, True])
def test_observations_stay_in_their_space(goal):
    """Full torque on the lightest arm, which then flies off: failed, and nothing is infinite."""
    task = {"type": "center-out", "plant": "monkey", "steps": 60}
    options = {"goal": goal, "observe": ("state", "hand", "time", "command", "hand_target")}
    env = MotorEnv(task, command_limit=2.0, **options)
    envs = MotorVectorEnv(16, task, command_limit=2.0, **options)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    shown, _ = envs.reset(seed=0)
    assert shown in envs.observation_space
    failures = 0
    for t in range(400):
        corner = np.sign(rng.standard_normal(2)) if t % 40 == 0 else corner  # noqa: F821
        observation, reward, terminated, _, info = env.step(corner)
        assert observation in env.observation_space
        assert math.isfinite(reward)
        if terminated:
            failures += info["failed"]
            assert not (info["failed"] and info["is_success"])
            env.reset()
        shown, rewards, *_ = envs.step(
            rng.uniform(-1, 1, (16, 2)) if t % 2 else np.tile(corner, (16, 1))
        )
        assert shown in envs.observation_space
        assert np.isfinite(rewards).all()
    assert failures > 0


def test_labels_name_every_number():
    options = {"observe": ("state", "target", "hand", "hand_target", "time", "command")}
    env = MotorEnv("center-out", **options)
    assert len(env.observation_labels) == env.observation_space.shape[0] == 4 + 4 + 4 + 2 + 1 + 2
    assert env.observation_labels[0] == "shoulder angle (rad)"
    assert env.action_labels == ("shoulder torque (N m)", "elbow torque (N m)")
    assert env.metadata["render_fps"] == 100


def test_goals_are_rewarded_as_hindsight_replay_recomputes_them():
    env = MotorEnv(Messy(), goal=True)
    envs = MotorVectorEnv(5, Messy(), goal=True)
    env.reset(seed=0)
    envs.reset(seed=0)
    achieved = []
    for _ in range(10):
        shown, reward, _, _, info = env.step(np.array([0.1, 0.2]))
        args = shown["achieved_goal"], shown["desired_goal"]
        assert reward == env.compute_reward(*args, info)
        achieved.append(shown["achieved_goal"])
        many, rewards, *_ = envs.step(np.full((5, 2), 0.1))
        args = many["achieved_goal"], many["desired_goal"]
        np.testing.assert_array_equal(rewards, envs.compute_reward(*args, {}))
    achieved = np.stack(achieved)
    hindsight = env.compute_reward(achieved, np.tile(achieved[-1], (10, 1)), [{}] * 10)
    assert hindsight.shape == (10,)
    assert hindsight[-1] == 0.0
    assert set(hindsight) <= {0.0, -1.0}
    far = env.compute_reward(achieved, achieved + np.array([0.0, 0.0101]), None)
    np.testing.assert_array_equal(far, -1.0)
    delayed = MotorEnv(CenterOut(directions=1, steps=9, delay_steps=3), goal=True)
    start = delayed.reset(seed=0)[0]["achieved_goal"]
    for t in range(9):
        now = delayed.step(np.array([1.0, 1.0]))[0]["achieved_goal"]
        assert np.array_equal(now, start) == (t < 4)  # positions move in the second Euler step
