"""`neuromotor fit-readout`, run as a user would, and what is done with its file."""

import json

from forked import neuromotor


def test_a_reservoir_imitates_and_its_file_is_a_controller(tmp_path):
    file, record = tmp_path / "reservoir.safetensors", tmp_path / "record.nc"
    sizes = ("--set", "controller.layers=[60]", "--set", "task.directions=2")
    done = neuromotor("fit-readout", "center-out", "--out", file, "--rounds", "2", *sizes, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["parameters"] == 2 * 61
    assert len(report["rounds"]) == 2
    assert "round 2 of 2" in done.stderr
    done = neuromotor("evaluate", file, "--json")
    assert done.returncode == 0, done.stderr
    assert abs(json.loads(done.stdout)["loss"] / report["loss"] - 1) < 1e-6
    done = neuromotor("record", file, "--out", record)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "run"
    train = (
        "train",
        "center-out",
        "--start",
        file,
        "--optimizer",
        "lbfgs",
        "--budget",
        "3",
        "--no-figures",
    )
    done = neuromotor(*train, "--out", run, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["settings"]["controller"]["type"] == "reservoir"


def test_a_problem_is_answered(tmp_path):
    file = tmp_path / "answers.safetensors"
    words = ("fit-readout", "memory-5bit", "--out", file, "--set", "problem.lag=3", "--json")
    done = neuromotor(*words)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["held_out"]["wrong"] == 0.0
    again = neuromotor(*words)
    assert again.returncode == 2
    assert "answers.safetensors exists" in again.stderr


def test_what_says_nothing_is_refused(tmp_path):
    out = ("--out", tmp_path / "x.safetensors")
    for words, message in (
        (("xor", "--teacher", "ilqr"), "`--teacher` is on tasks only; this is a problem"),
        (("center-out", "--held-out", "5"), "`--held-out` is for problems only; this is a task"),
        (("center-out", "--teacher", "ilq", "--smoke"), "unknown teacher 'ilq'"),
        (("center-out", "--controller", "command-table", "--smoke"), "got a CommandTable"),
        (("xor", "--set", "budget=3"), "unknown setting `budget`"),
    ):
        done = neuromotor("fit-readout", *words, *out)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1, done.stderr
        assert message in done.stderr
