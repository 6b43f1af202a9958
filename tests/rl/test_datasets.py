"""Data sets of optimal control: what the environment shows, pays and takes, and Minari's files."""

import json
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from neuromotor import CenterOut, load_controller
from neuromotor.cli.app import app
from neuromotor.closed_loop import simulate
from neuromotor.evaluation.references import reference_trajectories
from neuromotor.rl.datasets import drawn_trials, episodes, write_dataset
from neuromotor.tasks import DDN, TASKS

TASK = DDN(pairs=3, steps=20)


def test_returns_are_the_losses_of_the_reference():
    trials = drawn_trials(TASK, 4, seed=1)
    done = episodes(TASK, trials, "ilqg", observe=("state", "target", "time"))
    reference = reference_trajectories(TASK, trials, ["ilqg"])["ilqg"].trajectory
    losses = TASK.cost.losses(reference.states, reference.commands, trials)
    np.testing.assert_allclose(-done.rewards.sum(axis=1), losses.numpy(), rtol=1e-3)
    assert done.observations.shape == (4, 21, 9)
    np.testing.assert_allclose(
        done.observations[:, :-1, :4], reference.observations.numpy(), rtol=1e-4, atol=1e-5
    )
    limit = done.options["command_limit"]  # ILQG commands more than the environment's 2 N m
    assert limit >= float(reference.commands.abs().max()) > 2.0
    np.testing.assert_allclose(limit * done.actions, reference.commands.numpy(), atol=1e-5)
    assert done.terminations[:, -1].all()
    assert done.terminations.sum() == len(done)
    assert not done.truncations.any()


def test_the_same_seed_gives_the_same_trials_and_each_batch_is_new():
    one, two = (drawn_trials(TASK, 5, seed=2) for _ in range(2))
    assert torch.equal(one.target, two.target)
    assert len(torch.unique(one.target, dim=0)) == 5
    assert not torch.equal(one.target, drawn_trials(TASK, 5, seed=3).target)


def test_commands_beyond_the_limit_are_refused():
    trials = drawn_trials(TASK, 2, seed=1)
    with pytest.raises(ValueError, match=r"`command_limit` must be at least .* got 0\.5"):
        episodes(TASK, trials, "ilqg", command_limit=0.5)


def test_a_missing_minari_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "minari", None)
    result = CliRunner().invoke(app, ["dataset", "ddn", "--out", str(tmp_path / "x")])
    assert result.exit_code != 0
    assert r"pip install -c constraints.txt -e '.[minari]'" in str(result.exception)
    assert not (tmp_path / "x").exists()


def test_minari_gives_back_what_was_written(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari", reason="needs the extra `minari`")
    trials = drawn_trials(TASK, 3, seed=1)
    done = episodes(TASK, trials, "ilqg")
    folder = write_dataset(done, TASK, "mine/ilqg-v0", root=tmp_path, algorithm="ilqg", seed=1)
    assert (folder / "data/main_data.hdf5").is_file()
    with pytest.raises(FileExistsError, match="choose another name"):
        write_dataset(done, TASK, "mine/ilqg-v0", root=tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    found = minari.load_dataset("mine/ilqg-v0")
    assert (found.total_episodes, found.total_steps) == (3, 60)
    env = found.recover_environment()
    assert env.unwrapped.options.typed_task == TASK
    for episode in found.iterate_episodes():
        i = episode.id
        np.testing.assert_array_equal(episode.observations, done.observations[i])
        seen, _ = env.reset(options={"trials": trials.subset(slice(i, i + 1))})
        np.testing.assert_allclose(seen, episode.observations[0], rtol=1e-6)
        for t, action in enumerate(episode.actions):
            seen, reward, *_ = env.step(action)
            np.testing.assert_allclose(seen, episode.observations[t + 1], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(reward, episode.rewards[t], rtol=1e-4, atol=1e-12)


def test_the_command_writes_a_trained_network_too(tmp_path):
    pytest.importorskip("minari", reason="needs the extra `minari`")
    given = ["--controller", "center-out/lbfgs", "--trials", "3", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, ["dataset", "center-out", *given])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["name"] == "neuromotor/center-out/lbfgs-v0"
    assert found["steps"] == 3 * TASKS["center-out"].steps
    saved, task = load_controller("center-out/lbfgs"), CenterOut()
    trials = drawn_trials(task, 3, seed=0)
    done = simulate(task, saved.controller, saved.parameters, trials)
    loss = float(task.cost.losses(done.states, done.commands, trials).mean())
    assert found["mean_return"] == pytest.approx(-loss, rel=1e-3)
