"""Compiled steps, floats and arrays go the same way, and compiled ones are left where they must."""

import copy
import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
from cases import generator, normal
from env_cases import EXACT, Messy, play, rolled

from neuromotor.compiled import availability
from neuromotor.envs import MotorEnv, MotorVectorEnv, arms
from neuromotor.plants import HUMAN, HUMAN_VISCOSITY, RK4, PointMass, TwoJointArm
from neuromotor.tasks import CursorReach

needs_numba = pytest.mark.skipif(availability() is not None, reason="needs numba")
ALL = ("state", "target", "hand", "hand_target", "time", "command", "cue")


@dataclass(frozen=True)
class Fieldless(Messy):
    """All noise, loads, forces on the hand, targets that move; no force field."""

    def trials(self, generator=None, **options):
        return replace(super().trials(generator, **options), field=None)


TASKS = {
    "arm": Fieldless(TwoJointArm(command_limit=(0.2, 0.3))),
    "viscous": Fieldless(TwoJointArm(HUMAN, viscosity=HUMAN_VISCOSITY), timed=True),
    "point-mass": Fieldless(PointMass(damping=0.3)),
}


def same(first, second):
    if isinstance(first, dict):
        for name in first:
            same(first[name], second[name])
    elif not (isinstance(first, np.ndarray) and first.dtype == object):
        np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-12)


@needs_numba
@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("goal", [False, True], ids=["box", "goal"])
def test_compiled_steps_are_those_of_floats_and_of_arrays(name, goal):
    options = {"observe": ALL, "goal": goal, "command_limit": 0.5, "dtype": "float64"}
    seeds = [3, 11]
    singles = [MotorEnv(TASKS[name], compiled=True, **options) for _ in seeds]
    floats = [MotorEnv(TASKS[name], compiled=False, **options) for _ in seeds]
    many = MotorVectorEnv(2, TASKS[name], compiled=True, **options)
    arrays = MotorVectorEnv(2, TASKS[name], compiled=False, **options)
    for env, other, seed in zip(singles, floats, seeds, strict=True):
        same(env.reset(seed=seed)[0], other.reset(seed=seed)[0])
    same(many.reset(seed=seeds)[0], arrays.reset(seed=seeds)[0])
    rng = np.random.default_rng(0)
    for t in range(2 * TASKS[name].steps):
        actions = rng.uniform(-1.3, 1.3, (2, 2))  # some are clipped
        for one, two in zip(many.step(actions), arrays.step(actions), strict=True):
            same(one, two)
        if t >= TASKS[name].steps:
            continue
        for env, other, action in zip(singles, floats, actions, strict=True):
            for one, two in zip(env.step(action), other.step(action), strict=True):
                same(one, two)
            same(env.state, other.state)
        same(many.states, np.stack([env.state for env in floats]))


@needs_numba
@pytest.mark.parametrize("name", TASKS)
def test_compiled_trials_are_those_of_the_closed_loop(name):
    task = TASKS[name]
    trials = task.trials(generator(4)).subset(np.array([2]))
    commands = 0.2 * normal(1, task.steps, 2)
    env = MotorEnv(task, compiled=True, command_limit=5.0, **EXACT)
    rewards, _, info = play(env, trials, commands[0].numpy())
    states = rolled(task, trials, commands)
    np.testing.assert_allclose(env.state, states[0, -1], rtol=1e-12, atol=1e-12)
    loss = task.cost.losses(states, commands, trials).item()
    assert -sum(rewards) == pytest.approx(loss, rel=1e-12)
    assert info["loss"] == pytest.approx(loss, rel=1e-12)
    assert info["energy"] == pytest.approx(0.01 * float((commands**2).sum()), rel=1e-12)


@needs_numba
@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_arms_that_fail_begin_apart_as_before(mode):
    options = {"command_limit": 150.0, "dtype": "float64", "autoreset_mode": mode}
    pair = [MotorVectorEnv(3, Fieldless(), compiled=c, **options) for c in (True, False)]
    for env in pair:
        env.reset(seed=[3, 11, 5])
    rng, failures = np.random.default_rng(0), 0
    for _ in range(40):
        actions = rng.uniform(-1, 1, (3, 2)) * np.array([[0.001], [1.0], [0.001]])
        first, second = (env.step(actions) for env in pair)
        for one, two in zip(first[:4], second[:4], strict=True):
            same(one, two)
        failures += int((first[2]).sum())
    assert failures > 6


@pytest.mark.slow
@needs_numba
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_compiled_environments_can_be_copied_in_mid_trial(copied):
    for env in (MotorEnv(TASKS["arm"], compiled=True), MotorVectorEnv(3, compiled=True)):
        action = np.full(env.action_space.shape, 0.1)
        env.reset(seed=1)
        env.step(action)
        other = copied(env)
        for _ in range(5):
            np.testing.assert_array_equal(env.step(action)[0], other.step(action)[0])


@needs_numba
def test_actions_that_are_refused_move_nothing():
    env = MotorEnv("center-out", compiled=True)
    env.reset(seed=0)
    before = env.state
    for action, message in ((np.zeros(3), "must have shape"), ([0.0, np.nan], "must be finite")):
        with pytest.raises(ValueError, match=message):
            env.step(action)
    np.testing.assert_array_equal(env.state, before)


def test_trials_are_compiled_only_after_many_steps(monkeypatch):
    made = []

    class Recorded(arms.Arms):
        def __init__(self, *_):
            made.append(self)
            raise InterruptedError

    for module in ("single", "vector"):
        monkeypatch.setattr(f"neuromotor.envs.{module}.Arms", Recorded)
    monkeypatch.setattr(arms, "availability", lambda: None)
    monkeypatch.setattr(arms, "PATIENCE", 3)
    env = MotorEnv("center-out")
    for _ in range(2):
        env.reset(seed=0)
        env.step(np.zeros(2))
    env.step(np.zeros(2))
    assert not made
    with pytest.raises(InterruptedError):
        env.reset()
    env = MotorEnv("center-out", compiled=True)
    monkeypatch.setattr(arms, "availability", lambda: "numba is not installed")
    env.reset(seed=0)
    monkeypatch.setattr(arms, "availability", lambda: None)
    MotorEnv("center-out", compiled=False).reset(seed=0)
    assert len(made) == 1


@needs_numba
@pytest.mark.parametrize(
    "plant", [TwoJointArm(), TwoJointArm(integrator=RK4())], ids=["field", "rk4"]
)
def test_fields_and_plants_without_components_take_the_other_way(plant):
    pair = [MotorEnv(Messy(plant), compiled=c, dtype="float64") for c in (True, False)]
    for env in pair:
        env.reset(seed=2)
    np.testing.assert_array_equal(*[env.step(np.full(2, 0.1))[0] for env in pair])


@needs_numba
def test_costs_that_weigh_features_take_the_other_way():
    task = CursorReach(pairs=3, steps=12, arrival_s=(0.05, 0.08), senses=None, work_weight=0.1)
    pair = [MotorEnv(task, compiled=c, dtype="float64") for c in (True, False)]
    for env in pair:
        env.reset(seed=2)
    for _ in range(12):
        one, other = (env.step(np.array([0.3, -0.2])) for env in pair)
        np.testing.assert_array_equal(one[0], other[0])
        assert one[1] == other[1] < 0
