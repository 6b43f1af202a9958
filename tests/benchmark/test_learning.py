"""The benchmark of learning: a line for each implementation, of the same PPO."""

import json

import pytest
from typer.testing import CliRunner

pytest.importorskip("stable_baselines3", reason="needs the extra `rl`")

from neuromotor.benchmark.learning import LearningBenchmarkSettings
from neuromotor.cli.app import app


def test_the_command_measures_both():
    result = CliRunner().invoke(app, ["bench", "--rl", "--smoke", "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert [(row["implementation"], row["epochs"]) for row in rows] == [
        ("neuromotor.rl", 0),
        ("DummyVecEnv", 0),
        ("neuromotor.rl", 10),
        ("DummyVecEnv", 10),
    ]
    assert all(row["steps_per_second"] > 0 for row in rows)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="`num_envs` must be"):
        LearningBenchmarkSettings(num_envs=(0,))
