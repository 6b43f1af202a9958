"""Learning by reinforcement: the same seed, the same curve; what is saved is what was learnt."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

pytest.importorskip("stable_baselines3", reason="needs the extra `rl`")
pytest.importorskip("sb3_contrib", reason="needs the extra `rl`")

from neuromotor import CenterOut, load_controller
from neuromotor.cli.app import app
from neuromotor.closed_loop import simulate
from neuromotor.envs import MotorVectorEnv
from neuromotor.rl import ALGORITHMS, learn, yardstick
from neuromotor.rl.arms import SB3Arms
from neuromotor.rl.learners import learner_of
from neuromotor.storage.tensor_file import CheckpointError

TASK = CenterOut(directions=4, steps=20)
SMALL = {
    "ppo": {"arms": 8, "layers": (8,), "epochs": 2},
    "recurrent-ppo": {"arms": 4, "layers": (8,), "memory_units": 8, "epochs": 1, "batches": 1},
    "sac": {"arms": 4, "layers": (8,), "updates": 1, "warm_up": 20, "batch": 16},
    "td3": {"arms": 4, "layers": (8,), "updates": 1, "warm_up": 20, "batch": 16},
    "analytic": {"arms": 4, "layers": (8,)},
}


def small(name):
    return replace(ALGORITHMS[name], **SMALL[name])


@pytest.fixture(scope="module")
def against():
    return yardstick(TASK)


@pytest.mark.parametrize("name", SMALL)
def test_equal_seeds_give_equal_curves(name, against):
    curves = [
        [
            point.loss
            for point in learn(
                TASK, small(name), steps=320, tests=2, seed=seed, against=against
            ).curve
        ]
        for seed in (1, 1, 2)
    ]
    assert curves[0] == curves[1]
    assert curves[0] != curves[2]
    assert len(set(curves[0])) > 1  # it learns something, right or wrong


@pytest.mark.parametrize("name", ["ppo", "recurrent-ppo", "analytic"])
def test_a_training_that_was_stopped_comes_to_the_same_numbers(name, against, tmp_path):
    settings = {"steps": 640, "tests": 4, "seed": 3, "against": against}
    whole = learn(TASK, small(name), **settings)
    path = tmp_path / "stopped.safetensors"
    asked = iter([False, False, True])
    half = learn(TASK, small(name), **settings, checkpoint=path, interrupted=lambda: next(asked))
    assert half.reason == "interrupted"
    assert half.curve[-1].steps < whole.curve[-1].steps
    with pytest.raises(FileExistsError, match="resume from it"):
        learn(TASK, small(name), **settings, checkpoint=path)
    with pytest.raises(CheckpointError, match="other settings"):
        learn(TASK, small(name), **{**settings, "seed": 4}, checkpoint=path, resume=True)
    rest = learn(TASK, small(name), **settings, checkpoint=path, resume=True)
    assert [p.loss for p in rest.curve] == [p.loss for p in whole.curve]
    assert torch.equal(rest.parameters, whole.parameters)


@pytest.mark.parametrize("name", ["ppo", "recurrent-ppo", "sac", "td3"])
def test_the_controller_does_what_the_model_does(name):
    """The environment, led by Stable-Baselines3's `predict`, against the closed loop."""
    learner = learner_of(TASK, small(name), 0)
    learner.advance(learner.least, 0.0, 0)
    controller, parameters = learner.policy()
    trials = TASK.trials()
    envs = MotorVectorEnv(4, TASK, **small(name).options(TASK))
    seen, _ = envs.reset(options={"trials": trials})
    memory, states = None, [envs.states]
    for t in range(TASK.steps):
        start = np.full(4, t == 0)
        actions, memory = learner._model.predict(seen, memory, start, deterministic=True)
        seen, *_ = envs.step(actions)
        states.append(envs.states)
    found = simulate(TASK, controller, parameters, trials).states
    np.testing.assert_allclose(found.numpy(), np.stack(states, axis=1), rtol=1e-4, atol=1e-5)


def test_arms_of_stable_baselines_are_the_environments():
    """Rewards, ends and last observations of the vector environment in the form that SB3 wants."""
    ours = SB3Arms(3, TASK, reward="shaped")
    theirs = MotorVectorEnv(3, TASK, reward="shaped", autoreset_mode="SameStep")
    ours.seed(5)
    np.testing.assert_array_equal(ours.reset(), theirs.reset(seed=5)[0])
    total = np.zeros(3)
    for t in range(TASK.steps):
        actions = np.full((3, 2), 0.01 * t, dtype=np.float32)
        seen, rewards, done, infos = ours.step(actions)
        other, expected, ended, _, last = theirs.step(actions)
        total += expected
        np.testing.assert_array_equal(seen, other)
        np.testing.assert_allclose(rewards, expected, rtol=1e-6)
        np.testing.assert_array_equal(done, ended)
    assert done.all()
    for i in range(3):
        np.testing.assert_array_equal(infos[i]["terminal_observation"], last["final_obs"][i])
        assert infos[i]["episode"]["r"] == pytest.approx(total[i])
        assert not infos[i]["TimeLimit.truncated"]


def test_gradients_through_the_physics_learn(against):
    found = learn(
        TASK, replace(ALGORITHMS["analytic"], arms=4), steps=16_000, tests=2, against=against
    )
    assert found.curve[-1].ratio < 0.2 * found.curve[0].ratio


def test_the_command_and_its_resume(tmp_path):
    out = tmp_path / "run"
    given = ["rl", "center-out", "--smoke", "--algorithm", "ppo,analytic", "--json"]
    result = CliRunner().invoke(app, [*given, "--out", str(out)])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert [row["algorithm"] for row in summary["medians"]] == ["ppo", "analytic"]
    saved = load_controller(out / "controllers/ppo-0.safetensors")
    done = simulate(saved.task, saved.controller, saved.parameters, saved.task.trials())
    loss = saved.task.cost.losses(done.states, done.commands, saved.task.trials()).mean()
    assert float(loss) == pytest.approx(saved.info["loss"], rel=1e-5)
    assert (out / "figures/learning.pdf").is_file()
    again = CliRunner().invoke(app, ["rl", "--resume", str(out), "--json"])
    assert json.loads(again.stdout)["rows"] == summary["rows"]
    refused = CliRunner().invoke(app, [*given, "--out", str(out)])
    assert refused.exit_code != 0
    assert "holds a run already" in str(refused.exception)
    for words, told in (
        (["--set", "ppo.epoch=3"], "epoch"),
        (["--algorithm", "dqn"], "dqn"),
        (["--set", "trace=1"], "trace"),
    ):
        bad = CliRunner().invoke(app, ["rl", "center-out", *words, "--out", str(tmp_path / "x")])
        assert bad.exit_code != 0
        assert told in str(bad.exception)
    assert not (tmp_path / "x").exists()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "stable_baselines3.common.vec_env", None)
    with pytest.raises(RuntimeError, match=r"stable_baselines3: pip install 'neuromotor\[rl\]'"):
        learner_of(TASK, small("ppo"), 0)
