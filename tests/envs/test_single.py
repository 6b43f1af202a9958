"""The interface that both environments share: actions, ends, seeds, copies."""

import pickle

import numpy as np
import pytest
from env_cases import Messy

from neuromotor import CenterOut
from neuromotor.envs import EnvOptions, MotorEnv, MotorVectorEnv


def test_equal_seeds_equal_bytes():
    task = Messy()

    def record(env, reset, actions):
        out = []
        observation, _ = env.reset(**reset)
        out.append(observation.tobytes())
        for action in actions:
            observation, reward, terminated, *_ = env.step(action)
            out += [observation.tobytes(), np.asarray(reward).tobytes()]
            if not isinstance(env, MotorVectorEnv) and terminated:
                env.reset()
        return out

    one = np.random.default_rng(0).uniform(-1, 1, (40, 2)).astype(np.float32)
    many = np.random.default_rng(0).uniform(-1, 1, (40, 3, 2)).astype(np.float32)
    for make, actions in ((lambda: MotorEnv(task), one), (lambda: MotorVectorEnv(3, task), many)):
        first = record(make(), {"seed": 4}, actions)
        env = make()
        record(env, {"seed": 9}, actions)
        assert record(env, {"seed": 4}, actions) == first
        assert record(make(), {"seed": 5}, actions) != first


@pytest.mark.parametrize(
    "env",
    [MotorEnv(Messy()), MotorVectorEnv(3, Messy()), MotorVectorEnv(3, Messy(), goal=True)],
    ids=["one", "many", "goals"],
)
def test_environments_can_be_pickled_in_mid_trial(env):
    action = np.zeros(env.action_space.shape)
    env.reset(seed=1)
    env.step(action)
    copy = pickle.loads(pickle.dumps(env))
    for _ in range(30):
        mine, theirs = env.step(action), copy.step(action)
        for name in mine[0] if isinstance(mine[0], dict) else (...,):
            np.testing.assert_array_equal(mine[0][name], theirs[0][name])
        if np.any(mine[2]) and isinstance(env, MotorEnv):
            np.testing.assert_array_equal(env.reset()[0], copy.reset()[0])


def test_actions_are_clipped_and_pay_for_what_they_do():
    task = CenterOut(steps=3, error_weight=0.0, velocity_weight=0.0, energy_weight=2.0)
    env = MotorEnv(task, command_limit=0.5)
    env.reset(seed=0)
    _, reward, *_ = env.step(np.array([7.0, -0.5]))
    assert reward == pytest.approx(-0.5 * 2.0 * 0.01 * (0.5**2 + 0.25**2))
    assert MotorEnv(task, command_limit=0.5, normalized=False).action_space.high[0] == 0.5
    assert MotorEnv(task).action_space.high[0] == 1.0
    for plant, limit in (("monkey-published", 2.0), ("monkey", 0.5), ("human", 5.0)):
        limits = EnvOptions({"type": "center-out", "plant": plant}).limits
        assert (limits.low, limits.high) == ((-limit, -limit), (limit, limit))


def test_horizon_may_be_a_truncation():
    env = MotorEnv(CenterOut(steps=1), horizon="truncated")
    env.reset(seed=0)
    assert env.step(np.zeros(2))[2:4] == (False, True)
    envs = MotorVectorEnv(2, CenterOut(steps=1), horizon="truncated")
    envs.reset(seed=0)
    _, _, terminated, truncated, _ = envs.step(np.zeros((2, 2)))
    assert truncated.all()
    assert not terminated.any()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros(3), r"must have shape \(2,\), got \(3,\)"),
        (np.zeros((1, 2)), r"must have shape \(2,\)"),
        (np.array([0.0, np.nan]), "must be finite"),
        (np.array([-np.inf, np.inf]), "must be finite"),
    ],
)
def test_bad_actions_are_refused(action, message):
    env, envs = MotorEnv(), MotorVectorEnv(2)
    with pytest.raises(RuntimeError, match="call `reset`"):
        env.step(np.zeros(2))
    env.reset(seed=0)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="`action` " + message):
        env.step(action)
    with pytest.raises(ValueError, match="`actions` must"):
        envs.step(np.stack([action, action]))


def test_no_step_after_the_end():
    env = MotorEnv(CenterOut(steps=1))
    env.reset(seed=0)
    env.step(np.zeros(2))
    with pytest.raises(RuntimeError, match="over"):
        env.step(np.zeros(2))
