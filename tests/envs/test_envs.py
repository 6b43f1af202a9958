"""Both environments: the task's loss and physics, delay, seeds, bounds, errors."""

import math
import pickle
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
import torch
from cases import generator, noisy, normal, timed
from gymnasium.vector import AutoresetMode

from neuromotor import CenterOut, ClosedLoop, CommandTable, ContinuousTimeRNN, PointMass
from neuromotor.closed_loop import advance
from neuromotor.envs import EnvOptions, MotorEnv, MotorVectorEnv, rollout
from neuromotor.plants import HUMAN, HUMAN_VISCOSITY, RK4, JointLimits, TwoJointArm
from neuromotor.tasks import InstructedDelay, QuadraticCost, TargetJump, Trials


@dataclass(frozen=True)
class Messy:
    """A task with everything: delay, loads, all noise, running costs from the first state on."""

    plant: object = TwoJointArm()
    steps: int = 12
    delay_steps: int = 3
    timed: bool = False

    @property
    def cost(self):
        weights = torch.arange(4.0 * (self.steps + 1), dtype=torch.float64).reshape(-1, 4) / 10
        return QuadraticCost(weights, 0.03)

    def trials(self, generator=None, *, dtype=torch.float64, device="cpu"):
        calm = CenterOut(plant=self.plant, directions=5).trials()
        seed = int(torch.randint(2**31, (1,), generator=generator))
        trials = messed(noisy(calm, self.steps, seed=seed), self.steps, seed)
        if self.timed:
            trials = timed(trials, self.steps, seed=seed)
        return trials.to(dtype=dtype, device=device)


def messed(trials, steps, seed):
    """With a force field and a target that moves."""
    batch = len(trials)
    shown = trials.target[:, None] + 0.1 * normal(batch, steps, 4, seed=seed + 1)
    return replace(trials, field=0.5 * normal(batch, 2, 5, seed=seed), shown_target=shown)


PLANTS = {
    "arm": TwoJointArm(),
    "viscous": TwoJointArm(HUMAN, viscosity=HUMAN_VISCOSITY),
    "limited": TwoJointArm(limits=JointLimits()),
    "rk4": TwoJointArm(integrator=RK4()),
    "point-mass": PointMass(damping=0.3),
}
EXACT = {"dtype": "float64", "normalized": False}


def play(env, trials, commands):
    """Rewards, observations and last info of one trial."""
    observation, info = env.reset(options={"trials": trials})
    rewards, seen = [], [observation]
    for t, command in enumerate(commands):
        observation, reward, terminated, truncated, info = env.step(command)
        assert (terminated, truncated) == (t + 1 == env.options.task.steps, False)
        rewards.append(reward)
        seen.append(observation)
    return rewards, seen, info


def rolled(task, trials, commands):
    """States by the closed loop's own step, (B, T + 1, n)."""
    states = [trials.initial_state]
    for t in range(task.steps):
        states.append(advance(task.plant, states[-1], commands[:, t], trials, t))
    return torch.stack(states, dim=1)


MESSY = {**{name: Messy(plant) for name, plant in PLANTS.items()}, "timed": Messy(timed=True)}


@pytest.mark.parametrize("task", MESSY.values(), ids=MESSY)
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
    np.testing.assert_allclose(np.stack(seen[:-1])[:, 4:], one.shown_target[0], rtol=1e-12)


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


@pytest.mark.parametrize("task", [CenterOut(directions=3, steps=9), Messy()], ids=["calm", "messy"])
@pytest.mark.parametrize("mode", list(AutoresetMode)[:2])
@pytest.mark.parametrize("goal", [False, True], ids=["box", "goal"])
@pytest.mark.parametrize("wild", [False, True], ids=["gentle", "wild"])
def test_single_and_vector_go_the_same_way(task, mode, goal, wild):
    """A list of seeds makes each arm the single environment of its seed, over several trials."""
    options = {"observe": ("state", "hand", "time", "command"), "goal": goal, "command_limit": 1.5}
    if wild:  # the second arm fails again and again, so that arms begin apart
        options["command_limit"] = 150.0
    seeds = [3, 11, 5]
    envs = MotorVectorEnv(3, task, autoreset_mode=mode, **options)
    singles = [MotorEnv(task, **options) for _ in seeds]
    shown, infos = envs.reset(seed=seeds)
    firsts = [env.reset(seed=seed) for env, seed in zip(singles, seeds, strict=True)]

    def same(many, i, one):
        if isinstance(one, dict):
            assert set(many) == set(one)
            for name in one:
                np.testing.assert_allclose(many[name][i], one[name], rtol=1e-6, atol=1e-9)
        else:
            np.testing.assert_allclose(many[i], one, rtol=1e-6, atol=1e-9)

    for i, (observation, info) in enumerate(firsts):
        same(shown, i, observation)
        assert infos["condition"][i] == info["condition"]
    rng = np.random.default_rng(0)
    resting, failures = [False] * 3, 0
    for _ in range(3 * task.steps + 2):
        actions = rng.uniform(-0.5, 0.5, (3, 2)).astype(np.float32)
        if wild:
            actions *= np.array([[0.01], [1.0], [0.01]], dtype=np.float32)
        shown, rewards, terminated, truncated, infos = envs.step(actions)
        failures += sum(infos.get("failed", infos.get("final_info", {}).get("failed", [0])))
        for i, env in enumerate(singles):
            if resting[i]:
                observation, info = env.reset()
                result = (0.0, False, False)
                resting[i] = False
            else:
                observation, *result, info = env.step(actions[i])
                if result[1] and mode == AutoresetMode.SAME_STEP:
                    assert infos["_final_obs"][i]
                    last = infos["final_obs"][i]
                    same(
                        {k: v[None] for k, v in last.items()} if goal else last[None],
                        0,
                        observation,
                    )
                    for name, value in info.items():
                        assert infos["final_info"][name][i] == pytest.approx(value, rel=1e-9)
                    observation, info = env.reset()
                resting[i] = result[1] and mode == AutoresetMode.NEXT_STEP
            same(shown, i, observation)
            assert rewards[i] == pytest.approx(result[0], rel=1e-10, abs=1e-15)
            assert (terminated[i], truncated[i]) == tuple(result[1:])
            for name, value in info.items():
                assert infos[name][i] == pytest.approx(value, rel=1e-9)
                assert infos[f"_{name}"][i]
    assert (failures > 0) == wild


@pytest.mark.parametrize("own_times", [False, True])
def test_arms_that_began_apart_go_the_same_way(own_times):
    """A mask resets some arms in mid-trial; each still plays its own trial, draw by draw."""
    task = Messy(timed=own_times)
    envs = MotorVectorEnv(4, task, autoreset_mode="Disabled", **EXACT)
    batches = [task.trials(generator(seed)) for seed in (0, 1)]
    parts = {part.name: [getattr(batch, part.name) for batch in batches] for part in fields(Trials)}
    trials = Trials(**{n: torch.cat(p)[3:7] for n, p in parts.items() if p[0] is not None})
    commands = 0.2 * normal(4, task.steps, 2)
    states = rolled(task, trials, commands)
    losses = task.cost.losses(states, commands, trials)
    envs.reset(seed=0)
    for _ in range(5):
        envs.step(np.zeros((4, 2)))
    late = np.array([False, True, False, True])
    pick = torch.from_numpy(late)
    envs.reset(options={"trials": trials.subset(pick), "reset_mask": late})
    total = np.zeros(4)
    for t in range(task.steps):
        actions = commands[:, t].numpy()
        if t == task.steps - 5:
            with pytest.raises(RuntimeError, match="2 arms have finished"):
                envs.step(actions)
            envs.reset(options={"reset_mask": ~late})
        observation, reward, *_ = envs.step(actions)
        total += reward
        expected = states[:, max(t + 1 - 3, 0)]
        if t + 1 < task.steps:
            expected = expected + trials.sensory_noise[:, t + 1]
        np.testing.assert_allclose(observation[late, :4], expected[pick], rtol=1e-11, atol=1e-13)
        shown = trials.shown_target[:, min(t + 1, task.steps - 1)]
        np.testing.assert_allclose(observation[late, 4:8], shown[pick], rtol=1e-12)
        if own_times:
            cue = trials.cue[:, min(t + 1, task.steps - 1)]
            np.testing.assert_allclose(observation[late, 8:], cue[pick], rtol=1e-12)
    np.testing.assert_allclose(-total[late], losses[pick], rtol=1e-12)


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
    assert envs.observation_labels[-1] == "cue (0 or 1)"
    shown, _ = envs.reset(options={"trials": trials})
    alone, first = MotorEnv(task, goal=True), trials.subset(slice(1))
    one, _ = alone.reset(options={"trials": first})
    for t in range(20):
        reached = (t > go)[:, None]
        expected = np.where(reached, target, start)
        np.testing.assert_allclose(shown["desired_goal"], expected, rtol=1e-6)
        np.testing.assert_allclose(one["desired_goal"], expected[0], rtol=1e-6)
        np.testing.assert_array_equal(shown["observation"][:, -1], t >= go)
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


def test_one_arm_of_a_vector_with_one_seed_is_the_single_env():
    envs, env = MotorVectorEnv(1, Messy()), MotorEnv(Messy())
    a, b = envs.reset(seed=6)[0], env.reset(seed=6)[0]
    np.testing.assert_array_equal(a[0], b)


def test_every_condition_comes_before_one_comes_twice():
    env = MotorEnv(CenterOut(directions=8, steps=2))
    first = [env.reset(seed=0 if i == 0 else None)[1]["condition"] for i in range(16)]
    assert sorted(first[:8]) == sorted(first[8:]) == list(range(8))
    assert first[:8] != first[8:]
    envs = MotorVectorEnv(8, CenterOut(directions=8, steps=2))
    assert sorted(envs.reset(seed=0)[1]["condition"]) == list(range(8))


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


def test_rewards_other_than_the_loss():
    task = CenterOut(steps=5)
    dense = MotorEnv(task, reward="dense")
    dense.reset(seed=0)
    total = 0.0
    for _ in range(5):
        _, reward, _, _, info = dense.step(np.zeros(2))
        total += reward
    error = 0.04463 / 0.01  # the arm stays at the centre: at rest, 4.463 cm off
    assert total == pytest.approx(-error - 0.5 * error, rel=1e-9)
    assert info["loss"] > 0
    assert info["target_error_m"] == pytest.approx(0.04463)
    envs = MotorVectorEnv(2, task, reward="dense")
    envs.reset(seed=0)
    total = sum(envs.step(np.zeros((2, 2)))[1] for _ in range(5))
    np.testing.assert_allclose(total, -1.5 * error, rtol=1e-9)


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


def test_actions_are_clipped_and_pay_for_what_they_do():
    task = CenterOut(steps=3, error_weight=0.0, velocity_weight=0.0, energy_weight=2.0)
    env = MotorEnv(task, command_limit=0.5)
    env.reset(seed=0)
    _, reward, *_ = env.step(np.array([7.0, -0.5]))
    assert reward == pytest.approx(-0.5 * 2.0 * 0.01 * (0.5**2 + 0.25**2))
    assert MotorEnv(task, command_limit=0.5, normalized=False).action_space.high[0] == 0.5
    assert MotorEnv(task).action_space.high[0] == 1.0
    for plant, limit in (("monkey-published", 2.0), ("monkey", 0.5), ("human", 5.0)):
        assert EnvOptions({"type": "center-out", "plant": plant}).limits.command == limit


def test_horizon_may_be_a_truncation():
    env = MotorEnv(CenterOut(steps=1), horizon="truncated")
    env.reset(seed=0)
    assert env.step(np.zeros(2))[2:4] == (False, True)
    envs = MotorVectorEnv(2, CenterOut(steps=1), horizon="truncated")
    envs.reset(seed=0)
    _, _, terminated, truncated, _ = envs.step(np.zeros((2, 2)))
    assert truncated.all()
    assert not terminated.any()


def test_tensors_share_memory_with_what_comes_out():
    envs = MotorVectorEnv(3, Messy(), arrays="torch")
    shown, _ = envs.reset(seed=0)
    assert shown.dtype == torch.float32
    actions = torch.full((3, 2), 0.25)
    shown, reward, terminated, truncated, _ = envs.step(actions)
    assert all(isinstance(out, torch.Tensor) for out in (shown, reward, terminated, truncated))
    assert (actions == 0.25).all()
    plain = MotorVectorEnv(3, Messy())
    plain.reset(seed=0)
    np.testing.assert_array_equal(plain.step(actions.numpy())[0], shown.numpy())


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


def test_labels_name_every_number():
    options = {"observe": ("state", "target", "hand", "hand_target", "time", "command")}
    env = MotorEnv("center-out", **options)
    assert len(env.observation_labels) == env.observation_space.shape[0] == 4 + 4 + 4 + 2 + 1 + 2
    assert env.observation_labels[0] == "shoulder angle (rad)"
    assert env.action_labels == ("shoulder torque (N m)", "elbow torque (N m)")
    assert env.metadata["render_fps"] == 100


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"observe": ("sight",)}, ValueError, "unknown part of `observe` 'sight'"),
        ({"observe": ()}, ValueError, "`observe` must name"),
        ({"reward": "gold"}, ValueError, "`reward` must be one of loss"),
        ({"reward": "sparse"}, ValueError, "`reward` must be loss or dense without `goal`"),
        ({"goal": True, "reward": "loss"}, ValueError, "`reward` must be sparse or dense with"),
        ({"goal": True, "observe": ("target",)}, ValueError, "must name a part that does not tell"),
        ({"goal": 1}, TypeError, "`goal` must be True or False"),
        ({"command_limit": -1.0}, ValueError, "`command_limit` must be a positive"),
        ({"horizon": "never"}, ValueError, "`horizon` must be one of"),
        ({"dtype": "float16"}, ValueError, "`dtype` must be one of"),
        ({"success_error_m": 0.0}, ValueError, "`success_error_m` must be"),
        ({"render_mode": "ascii"}, ValueError, "`render_mode` must be None, rgb_array"),
        ({"torque": 1.0}, TypeError, "unexpected keyword argument 'torque'"),
        ({"task": "centre-out"}, ValueError, "did you mean 'center-out'"),
        ({"task": {"radius": 0.1}}, ValueError, "unknown setting `task.radius`"),
        ({"task": 3}, TypeError, "`task` must be a task"),
    ],
)
@pytest.mark.parametrize("kind", [MotorEnv, MotorVectorEnv])
def test_bad_settings_are_refused(kind, options, error, message):
    with pytest.raises(error, match=message):
        kind(**options)


def test_a_plant_of_ones_own_needs_a_limit():
    plant = TwoJointArm(replace(HUMAN, mass_1=2.0))
    with pytest.raises(ValueError, match="`command_limit` must be given"):
        MotorEnv(CenterOut(plant=plant))
    assert MotorEnv(CenterOut(plant=plant), command_limit=3).options.limits.command == 3.0


def test_bad_vector_settings_are_refused():
    with pytest.raises(ValueError, match="`num_envs` must be"):
        MotorVectorEnv(0)
    with pytest.raises(ValueError, match="`arrays` must be"):
        MotorVectorEnv(1, arrays="jax")
    envs = MotorVectorEnv(2, autoreset_mode="Disabled")
    with pytest.raises(RuntimeError, match="call `reset`"):
        envs.step(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="`seed` must be one number or 2"):
        envs.reset(seed=[1, 2, 3])
    with pytest.raises(RuntimeError, match="call `reset` without a mask"):
        envs.reset(options={"reset_mask": np.array([True, False])})
    envs.reset(seed=0)
    with pytest.raises(TypeError, match="array of booleans"):
        envs.reset(options={"reset_mask": [True, False]})
    with pytest.raises(ValueError, match="at least one arm"):
        envs.reset(options={"reset_mask": np.array([False, False])})


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


def test_no_step_after_the_end():
    env = MotorEnv(CenterOut(steps=1))
    env.reset(seed=0)
    env.step(np.zeros(2))
    with pytest.raises(RuntimeError, match="over"):
        env.step(np.zeros(2))


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
