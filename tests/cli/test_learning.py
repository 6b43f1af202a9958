"""`neuromotor learn-plant`, run as a user would, and what is done with its file."""

import json

from forked import neuromotor


def test_a_plant_is_learned_and_used(tmp_path):
    file, run = tmp_path / "mass.safetensors", tmp_path / "run"
    options = ("--smoke", "--load-range", "0.5", "--layers", "8", "--out", file)
    done = neuromotor("learn-plant", "point-mass", *options, "--set", "plant.dt_s=0.02", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [row["steps"] for row in report["errors"]] == [1, 2, 5, 10]
    assert report["sampling"]["load_range"] == 0.5
    assert (
        report["errors"][0]["error"]["velocity"] < 1e-9 < report["errors"][0]["change"]["velocity"]
    )

    again = neuromotor("learn-plant", "point-mass", *options)
    assert again.returncode == 2
    assert "mass.safetensors exists; choose another name" in again.stderr

    shown = neuromotor("info", file)
    assert "A plant with derivatives that a network learned" in shown.stdout
    assert "steps ahead" in shown.stdout

    train = ("train", "center-out", "--smoke", "--optimizer", "lbfgs", "--no-figures")
    done = neuromotor(*train, "--plant", file, "--out", run, "--json")
    assert done.returncode == 0, done.stderr
    settings = json.loads((run / "settings.json").read_text())
    assert settings["task"]["plant"]["type"] == str(file)
    assert settings["controller"]["dt_s"] == 0.02
    done = neuromotor("evaluate", run / "controllers/lbfgs.safetensors", "--smoke", "--json")
    assert done.returncode == 0, done.stderr


def test_what_cannot_be_learned_ends_with_one_line(tmp_path):
    for words, message in (
        (("monkey", "--layers", "8,x"), "`layers` must be numbers with commas"),
        (("monkey", "--trajectories", "3"), "`trajectories` must be a whole number, 10 or more"),
        (("monkey", "--set", "task.steps=3"), "unknown setting `task`"),
        (("monky",), "unknown plant 'monky'; did you mean 'monkey'?"),
        (("CartPole-v1",), "CartPole-v1 is not simulated by MuJoCo"),
    ):
        done = neuromotor("learn-plant", *words, "--out", tmp_path / "arm.safetensors")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert message in done.stderr
