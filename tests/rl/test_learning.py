"""Learning by reinforcement: the same seed, the same curve; what is saved is what was learnt."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from recipe_words import settings_of
from typer.testing import CliRunner

pytest.importorskip("stable_baselines3", reason="needs the extra `rl`")
pytest.importorskip("sb3_contrib", reason="needs the extra `rl`")

from neuromotor import ILQR, CenterOut, PulsedReach, load_controller
from neuromotor.cli.app import app
from neuromotor.closed_loop import simulate
from neuromotor.envs import MotorVectorEnv
from neuromotor.rl import ALGORITHMS, learn, yardstick
from neuromotor.rl.arms import GoalArms, SB3Arms
from neuromotor.rl.learners import learner_of
from neuromotor.runs.learning_recipes import learning_stage
from neuromotor.storage.claims import RunFolderError
from neuromotor.storage.tensor_file import CheckpointError
from neuromotor.tasks import TASKS

TASK = CenterOut(directions=4, steps=20)
SMALL = {
    "ppo": {"arms": 8, "layers": (8,), "epochs": 2},
    "recurrent-ppo": {"arms": 4, "layers": (8,), "memory_units": 8, "epochs": 1, "batches": 1},
    "sac": {"arms": 4, "layers": (8,), "updates": 1, "warm_up": 20, "batch": 16},
    "td3": {"arms": 4, "layers": (8,), "updates": 1, "warm_up": 20, "batch": 16},
    "her": {"arms": 4, "layers": (8,), "updates": 1, "warm_up": 20, "batch": 16},
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


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("ppo", {}),
        ("ppo", {"taper": 0.05}),
        ("recurrent-ppo", {"taper": 0.05}),
        ("sac", {}),
        ("td3", {"taper": 0.5}),
        ("her", {}),
    ],
)
def test_the_controller_does_what_the_model_does(name, changes):
    """The environment, led by Stable-Baselines3's `predict`, against the closed loop."""
    learner = learner_of(TASK, replace(small(name), arms=4, **changes), 0)
    learner.advance(learner.least, 0.0, 0)
    controller, parameters = learner.policy()
    trials, arms = TASK.trials(), learner._arms
    arms.reset()
    seen, _ = arms.envs.reset(options={"trials": trials})
    seen = arms._parted(seen) if name == "her" else seen
    memory, states = None, [arms.envs.states]
    for t in range(TASK.steps):
        start = np.full(4, t == 0)
        actions, memory = learner._model.predict(seen, memory, start, deterministic=True)
        seen = arms.step(actions)[0]
        if t < TASK.steps - 1:  # the arms begin anew after the last one
            states.append(arms.envs.states)
    found = simulate(TASK, controller, parameters, trials).states[:, :-1]
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


def test_hindsight_replays_goals_that_were_reached():
    """The reward of a goal that the hand reached is 0, and of one that is 2 cm away -1."""
    arms = GoalArms(4, TASK, **small("her").options(TASK))
    seen = arms.reset()
    assert list(seen) == list(arms.observation_space.spaces)
    whole, _ = arms.envs.reset(options={"trials": TASK.trials()})
    np.testing.assert_array_equal(whole, np.concatenate(list(arms._parted(whole).values()), 1))
    scales, plant = arms.envs.observation_scales, TASK.plant
    state = TASK.trials().target.numpy()
    achieved = (state - scales.centre[:4]) / scales.scale[:4]
    desired = (state - scales.centre[4:8]) / scales.scale[4:8]
    assert arms.compute_reward(achieved, desired).tolist() == [0.0] * 4
    hand = plant.hand_position(torch.from_numpy(state))
    for shift, reward in ((0.005, 0.0), (0.02, -1.0)):
        angles = plant.configuration_at(hand + torch.tensor([shift, 0.0], dtype=hand.dtype))
        away = np.concatenate([angles.numpy(), state[:, 2:]], axis=1)
        away = (away - scales.centre[:4]) / scales.scale[:4]
        assert (
            arms.env_method("compute_reward", away, desired, indices=[0])[0].tolist()
            == [reward] * 4
        )
    cued = TASKS["instructed-delay"]
    with pytest.raises(ValueError, match="cue or senses of its own"):
        GoalArms(2, cued, **small("her").options(cued))


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


def test_what_cannot_learn_is_refused_before_anything_is_trained(tmp_path):
    out = tmp_path / "run"
    given = ["rl", "cued-reach", "--algorithm", "td3,her", "--steps", "40", "--out", str(out)]
    refused = CliRunner().invoke(app, given)
    assert refused.exit_code != 0
    assert "`her` must be left out for cued-reach: `task` must show" in str(refused.exception)
    assert not out.exists()


def test_where_ilqg_does_not_know_what_disturbs_the_yardstick_is_ilqr():
    task = PulsedReach(reach=CenterOut(directions=2, steps=30, delay_steps=5))
    found = yardstick(task, trials=4)
    assert found.name == "ilqr"
    assert found.loss == pytest.approx(ILQR().solve(task, found.trials).value)


def test_losses_may_be_held_against_a_saved_controller():
    task = CenterOut(directions=8)
    found = yardstick(task, reference="center-out/lbfgs")
    saved = load_controller("center-out/lbfgs")
    done = simulate(task, saved.controller, saved.parameters, task.trials())
    assert found.name == "center-out/lbfgs"
    assert found.loss == pytest.approx(
        float(task.cost.losses(done.states, done.commands, task.trials()).mean())
    )
    with pytest.raises(ValueError, match="centre-out"):
        yardstick(task, reference="centre-out/lbfgs")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "stable_baselines3.common.vec_env", None)
    with pytest.raises(
        RuntimeError, match=r"stable_baselines3: pip install -c constraints.txt -e '\.\[rl\]'"
    ):
        learner_of(TASK, small("ppo"), 0)


def test_a_policys_recipe_means_the_settings_that_it_was_trained_with(tmp_path):
    run = tmp_path / "run"
    given = ["rl", "center-out", "--algorithm", "ppo,analytic", "--steps", "640", "--seed", "4"]
    changed = ["ppo.arms=4", "ppo.layers=[8]", "ppo.taper=0.1", "analytic.layers=[8]", "tests=2"]
    changed += ["task.directions=4", "task.steps=20", "analytic.arms=4"]
    words = [word for one in changed for word in ("--set", one)]
    result = CliRunner().invoke(app, [*given, *words, "--out", str(run)])
    assert result.exit_code == 0, result.output
    stage = learning_stage(run, "ppo-4", "runs/center-out-policy")
    assert settings_of(stage.command) == stage.settings
    assert stage.settings["ppo"]["taper"] == 0.1
    assert stage.settings["task"]["steps"] == 20
    row = json.loads((run / "results/ppo-4.json").read_text())
    assert stage.row["calls"] == row["steps"] == stage.history["calls"][-1]
    assert stage.history["loss"][-1] == row["loss"]
    with pytest.raises(RunFolderError, match="only analytic-4, ppo-4"):
        learning_stage(run, "ppo-0", "runs/other")
