"""The environments' benchmark measures what it says; how long anything takes is no test."""

import json

import pytest
from forked import neuromotor

from neuromotor.benchmark import EnvBenchmarkSettings
from neuromotor.envs import environment_ids


def bench(*options):
    return neuromotor("bench", "--envs", *options)


def test_smoke_bench_prints_the_promised_json():
    done = bench("--smoke", "--no-peers", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["machine"]["cores"] >= 1
    keys = {"env", "implementation", "num_envs", "steps_per_second"}
    assert all(set(row) == keys and row["steps_per_second"] > 0 for row in report["rows"])
    measured = [(row["env"], row["implementation"], row["num_envs"]) for row in report["rows"]]
    ids = [env_id for env_id in environment_ids() if "Goal" not in env_id]
    ids.append("CenterOut-v0, muscles with length and velocity")
    kinds = [("single", 1), ("vector", 1), ("vector", 8)]
    assert measured == [(env_id, *kind) for env_id in ids for kind in kinds]


def test_a_bad_option_gets_one_clear_line():
    done = bench("--repeats", "0")
    assert done.returncode == 2
    assert "`repeats` must be" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_are_checked():
    with pytest.raises(ValueError, match="`num_envs` must be"):
        EnvBenchmarkSettings(num_envs=(0,))
    with pytest.raises(ValueError, match="`slice_s` must be"):
        EnvBenchmarkSettings(slice_s=0.0)
