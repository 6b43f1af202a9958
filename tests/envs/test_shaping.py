"""Shaped rewards: the potential is the least cost of a linear plant, and nothing else changes."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from neuromotor.envs import CostToGo, MotorEnv, MotorVectorEnv, rollout
from neuromotor.plants import PointMass
from neuromotor.tasks import TASKS, CenterOut, CursorReach


def _point_mass_task() -> CenterOut:
    return CenterOut(plant=PointMass(), radius_m=0.05, directions=3, steps=10)


def test_the_potential_is_the_least_cost_of_a_linear_plant():
    """On a linear plant, by least squares over all commands that are left."""
    task = _point_mass_task()
    to_go = CostToGo(task)
    weights = task.cost.state_weights.numpy()
    plant, n, m = task.plant, 4, 2
    eye = torch.eye(n, dtype=torch.float64)
    nothing, units = torch.zeros(1, m, dtype=torch.float64), torch.eye(m, dtype=torch.float64)
    a = plant.step(eye, nothing.expand(n, m)).T.numpy()
    b = plant.step(torch.zeros(m, n, dtype=torch.float64), units).T.numpy()
    rng = np.random.default_rng(0)
    for t in (0, task.steps // 2, task.steps - 1):
        start, left = rng.normal(size=n), task.steps - t
        reach = np.zeros((n, left * m))  # how the state depends on the commands
        drift, rows, wanted = start.copy(), [], []
        for k in range(left):
            reach = a @ reach
            reach[:, k * m : (k + 1) * m] += b
            drift = a @ drift
            root = np.sqrt(weights[t + k + 1])[:, None]
            rows.append(root * reach)
            wanted.append(-root[:, 0] * drift)
        rows.append(np.sqrt(task.cost.energy_weight) * np.eye(left * m))
        wanted.append(np.zeros(left * m))
        matrix, aim = np.concatenate(rows), np.concatenate(wanted)
        commands, *_ = np.linalg.lstsq(matrix, aim, rcond=None)
        least = 0.5 * np.square(matrix @ commands - aim).sum()
        assert to_go.at(list(start), [0.0] * n, t) == pytest.approx(least, rel=1e-9)
        assert -to_go.gains[t] @ start == pytest.approx(commands[:m], rel=1e-6, abs=1e-9)
    assert to_go.at([1.0] * n, [0.0] * n, task.steps) == 0.0


def test_what_is_best_stays_best_on_a_grid():
    """Dynamic programming over a discretised reach: the same best actions with and without."""
    task = _point_mass_task()
    to_go, energy = CostToGo(task), task.cost.energy_weight
    weights = task.cost.state_weights.numpy()
    places, speeds = np.linspace(-0.005, 0.005, 11), np.linspace(-0.1, 0.1, 9)
    forces = np.linspace(-5.0, 5.0, 5)
    states = np.array(list(itertools.product(places, speeds)))
    moved = task.plant.dt_s * np.stack(np.broadcast_arrays(states[:, 1:], forces), axis=-1)
    after = states[:, None] + moved
    distance = np.abs(after[..., None, :] - states) / [0.005, 0.1]
    following = distance.sum(-1).argmin(-1)  # (states, actions): the nearest place of the grid

    def left(t: int) -> np.ndarray:
        full = np.zeros((4, len(states)))
        full[0], full[2] = states.T
        return np.asarray(to_go.at(list(full), [0.0] * 4, t))

    plain, shaped = np.zeros(len(states)), np.zeros(len(states))
    compared = 0
    for t in reversed(range(task.steps)):
        paid = 0.5 * (weights[t + 1][[0, 2]] * np.square(states)).sum(-1)
        reward = -paid[following] - 0.5 * energy * np.square(forces)
        told = reward - left(t + 1)[following] + left(t)[:, None]
        worth, told_worth = reward + plain[following], told + shaped[following]
        chosen = told_worth.argmax(1)[:, None]
        found = np.take_along_axis(worth, chosen, axis=1)[:, 0]
        np.testing.assert_allclose(found, worth.max(1), rtol=1e-12)  # as good, to rounding
        compared += len(set(chosen[:, 0]))
        plain, shaped = worth.max(1), told_worth.max(1)
        np.testing.assert_allclose(shaped, plain + left(t), rtol=1e-9, atol=1e-12)
    assert compared > task.steps  # more than one action is best somewhere


@pytest.mark.parametrize("discount", [1.0, 0.9])
@pytest.mark.parametrize("name", ["center-out", "postural", "target-jump", "cursor-reach"])
def test_returns_differ_by_the_ends_of_the_potential(name, discount):
    task = TASKS[name]
    count = 3
    rng = np.random.default_rng(1)
    returns = {}
    for reward in ("loss", "shaped"):
        options = {"reward": reward} | ({"discount": discount} if reward == "shaped" else {})
        envs = MotorVectorEnv(count, task, autoreset_mode="Disabled", **options)
        envs.reset(seed=3)
        start, goal = envs.states.T, envs._trials.goal(0)
        total, factor = np.zeros(count), 1.0
        rng = np.random.default_rng(1)
        for _ in range(task.steps):
            _, rewards, *_ = envs.step(0.1 * rng.normal(size=(count, 2)))
            total += factor * rewards
            factor *= discount
        returns[reward] = total
    ends = CostToGo(task).at(list(start), list(goal), np.zeros(count, dtype=int))
    np.testing.assert_allclose(returns["shaped"], returns["loss"] + ends, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["center-out", "postural"])
def test_one_arm_many_arms_and_rollouts_agree(name, compiled):
    task = TASKS[name]
    options = {"reward": "shaped", "reward_unit": "task", "standardized": True}
    options |= {"compiled": compiled, "dtype": "float64"}
    one, many = MotorEnv(task, **options), MotorVectorEnv(2, task, **options)
    trials = task.trials().subset(slice(0, 2))
    seen, _ = many.reset(options={"trials": trials})
    alone, _ = one.reset(options={"trials": trials.subset(slice(1, 2))})
    actions = 0.1 * np.random.default_rng(0).normal(size=(task.steps, 2, 2))
    rewards = []
    np.testing.assert_allclose(seen[1], alone, atol=1e-9)
    for action in actions:
        seen, reward, *_ = many.step(action)
        alone, own, *_ = one.step(action[1])
        np.testing.assert_allclose(seen[1], alone, rtol=1e-9, atol=1e-9)
        assert own == pytest.approx(reward[1], rel=1e-9, abs=1e-9)
        rewards.append(reward)
    given = iter(torch.from_numpy(actions))
    options.pop("compiled")
    found = rollout(lambda _: next(given), task, trials, **options)
    np.testing.assert_allclose(found.rewards.numpy().T, rewards, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_a_new_trial_begins_with_its_own_potential(mode):
    """Two trials in a row give the returns of each alone."""
    task = CenterOut(directions=2)
    envs = MotorVectorEnv(2, task, reward="shaped", autoreset_mode=mode)
    envs.reset(seed=0)
    returns, total = [], np.zeros(2)
    for _ in range(2 * task.steps + 1):
        _, rewards, ended, _, _ = envs.step(np.zeros((2, 2)))
        total += rewards
        if ended.any():
            returns.append(total)
            total = np.zeros(2)
    assert len(returns) == 2
    np.testing.assert_allclose(np.sort(returns[0]), np.sort(returns[1]), rtol=1e-9)


def test_observations_are_of_order_one_and_the_scales_lead_back():
    task = CenterOut()
    plain = MotorVectorEnv(64, task, dtype="float64")
    scaled = MotorVectorEnv(64, task, dtype="float64", standardized=True)
    trials = task.trials()
    a, _ = plain.reset(options={"trials": trials})
    b, _ = scaled.reset(options={"trials": trials})
    centre, scale = scaled._layout.scales
    np.testing.assert_allclose(centre + scale * b, a, atol=1e-12)
    to_go = CostToGo(task)
    _, _, commands = to_go.run()
    given = iter((commands / 2.0).unbind(1))
    found = rollout(
        lambda _: next(given), task, trials, standardized=True, dtype="float64"
    ).observations
    numbers = found.flatten(0, 1)
    varies = scale != 1.0
    assert varies.sum() >= 7
    np.testing.assert_allclose(numbers.mean(0), 0.0, atol=1e-9)
    np.testing.assert_allclose(numbers.std(0, correction=0)[varies], 1.0, rtol=1e-9)


def test_the_unit_is_near_the_best_loss():
    """On a reach without delay, linear feedback on the arm comes within 2 % of iLQR's 8.95e-5."""
    assert CostToGo(CenterOut()).unit == pytest.approx(8.95e-5, rel=0.02)


def test_gymnasium_accepts_it():
    check_env(MotorEnv("center-out", reward="shaped", standardized=True), skip_render_check=True)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="`reward_unit` must be a positive number"):
        MotorEnv("center-out", reward_unit=0.0)
    with pytest.raises(ValueError, match=r"`discount` must be from 0 to 1, got 1\.5"):
        MotorEnv("center-out", discount=1.5)
    with pytest.raises(ValueError, match="`reward` must be sparse or dense with `goal`"):
        MotorEnv("center-out", reward="shaped", goal=True)
    still = MotorEnv(replace(TASKS["postural"], load_size=0.0), reward_unit="task")
    still.reset(seed=0)
    with pytest.raises(ValueError, match="`reward_unit` must be a number for this task"):
        still.step(np.zeros(2))


def _price_by_running(task: CenterOut, step: int, delay: int) -> float:
    """What a unit command costs on a linear plant whose feedback is blind for `delay` steps."""
    to_go, weights = CostToGo(task), task.cost.state_weights.numpy()
    at_rest = torch.zeros(1, 4, dtype=torch.float64)
    command = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    state, total = task.plant.step(at_rest, command), 0.5 * task.cost.energy_weight
    for t in range(step + 1, task.steps + 1):
        seen = state.numpy()[0]
        total += 0.5 * float(weights[t] @ seen**2)
        if t < task.steps:
            blind = t <= step + delay
            answer = np.zeros(2) if blind else -to_go.gains[t] @ seen
            total += 0.5 * task.cost.energy_weight * float(answer @ answer)
            state = task.plant.step(state, torch.from_numpy(answer)[None])
    return 2 * total


@pytest.mark.parametrize("delay", [0, 3])
def test_the_price_of_a_command_is_what_it_costs_in_a_run(delay):
    task = _point_mass_task()
    found = CostToGo(task).sensitivity(delay)
    for step in (0, 4, task.steps - 2, task.steps - 1):
        assert found[step, 0, 0] == pytest.approx(_price_by_running(task, step, delay), rel=1e-9)


def test_commands_narrow_to_what_costs_the_same():
    to_go = CostToGo(TASKS["ddn"])
    prices = np.trace(to_go.prices, axis1=1, axis2=2)
    np.testing.assert_allclose(to_go.taper**2 * prices, prices.min(), rtol=1e-12)
    assert to_go.taper.max() == 1.0
    # noise of 10 %, measured in 400 trials: a hundredth of the blind price comes on top
    blind, seeing = to_go.sensitivity(7)[-5], to_go.sensitivity()[-5]
    np.testing.assert_allclose(np.diag(to_go.prices[-5]), np.diag(seeing + 0.01 * blind), rtol=0.02)


def test_a_cost_of_features_counts_to_second_order_about_rest():
    task = CursorReach(pairs=6)
    trials = task.trials(torch.Generator().manual_seed(0))
    goal = trials.target.mean(dim=0)
    weights = task.cost.weights(trials).mean(dim=0)
    last = CostToGo(task)._costs[-1]

    step = 1e-6 * torch.eye(len(goal), dtype=goal.dtype)
    features = task.cost.features
    slopes = ((features(goal + step) - features(goal - step)) / 2e-6).T  # of features by the state
    wanted = slopes.T @ (weights[-1][:, None] * slopes)
    np.testing.assert_allclose(last, wanted.numpy(), rtol=1e-6, atol=1e-6)
