"""Many arms at once: the single environment of each seed, each arm at its own step."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from cases import generator, normal
from env_cases import EXACT, Messy, rolled
from gymnasium.vector import AutoresetMode

from neuromotor import CenterOut
from neuromotor.envs import MotorEnv, MotorVectorEnv
from neuromotor.tasks import Trials


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
            np.testing.assert_allclose(observation[late, 8:9], cue[pick], rtol=1e-12)
    np.testing.assert_allclose(-total[late], losses[pick], rtol=1e-12)


def test_one_arm_of_a_vector_with_one_seed_is_the_single_env():
    envs, env = MotorVectorEnv(1, Messy()), MotorEnv(Messy())
    a, b = envs.reset(seed=6)[0], env.reset(seed=6)[0]
    np.testing.assert_array_equal(a[0], b)


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
