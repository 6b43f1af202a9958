"""Penalties by `--set`, on a problem and on a limb, and tasks that take a memory."""

import json

from forked import neuromotor


def test_penalties_are_settings_of_a_problem_and_of_a_limb(tmp_path):
    words = ("--set", "l2=1e-3", "--set", "norm_preserving=0.1", "--json")
    run = tmp_path / "xor"
    done = neuromotor("solve", "xor", "--smoke", "--optimizers", "adam", *words, "--out", run)
    assert done.returncode == 0, done.stderr
    settings = json.loads((run / "problem.json").read_text())
    assert (settings["l2"], settings["norm_preserving"]) == (1e-3, 0.1)

    run = tmp_path / "reach"
    train = ("train", "memory-reach", "--smoke", "--budget", "3", "--optimizer", "hf")
    stop = ("--set", "hf.least_reduction=0.9", "--no-figures", "--out", run)
    done = neuromotor(*train, *words, *stop)
    assert done.returncode == 0, done.stderr
    settings = json.loads((run / "settings.json").read_text())
    assert (settings["l2"], settings["norm_preserving"]) == (1e-3, 0.1)
    assert settings["hf"]["least_reduction"] == 0.9
    again = neuromotor("train", "--resume", run, "--budget", "6", "--no-figures")
    assert again.returncode == 0, again.stderr

    for name in ("l2", "norm_preserving"):
        done = neuromotor("train", "center-out", "--smoke", "--set", f"{name}=-1", "--out", run)
        assert done.returncode == 2
        assert f"`{name}` must be" in done.stderr
