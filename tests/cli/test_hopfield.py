"""`neuromotor hopfield`, run as a user would."""

import json

import numpy as np
import pytest
from forked import neuromotor

from neuromotor.analysis import hebbian_weights, random_patterns


def test_random_patterns_files_and_weights(tmp_path):
    figure = tmp_path / "capacity.png"
    words = ("--units", 100, "--loads", "0.05,0.3", "--flips", "0,0.2", "--starts", 10)
    done = neuromotor("hopfield", *words, "--figure", figure, "--json")
    assert done.returncode == 0, done.stderr
    low, high = json.loads(done.stdout)["tests"]
    assert (low["patterns"], high["patterns"]) == (5, 30)
    assert low["rows"][1]["recalled"] == 1.0
    assert high["rows"][0]["overlap"] < 0.8
    assert figure.stat().st_size > 2000
    xi = random_patterns(2, 40)
    np.save(tmp_path / "xi.npy", xi)
    np.save(tmp_path / "w.npy", hebbian_weights(xi))
    shown = neuromotor("hopfield", "--patterns", tmp_path / "xi.npy", "--flips", "0.1")
    assert "100 %" in shown.stdout
    found = neuromotor("hopfield", "--weights", tmp_path / "w.npy", "--json")
    shares = [row["share"] for row in json.loads(found.stdout)["attractors"]]
    assert sum(shares) == pytest.approx(1)
    assert sum(shares[:4]) > 0.8  # both patterns and their mirror images
    np.save(tmp_path / "odd.npy", np.triu(np.ones((4, 4)), 1))
    for words, message in (
        (("--weights", tmp_path / "odd.npy"), "must be symmetric"),
        (("--controller", "center-out/lbfgs"), "one layer of tanh units"),
        (("--patterns", tmp_path / "none.npy"), "must be a matrix written by numpy.save"),
        (("--loads", "0.001"), "must be at least 0.005"),
        (("--flips", "a"), "must be numbers with commas"),
    ):
        done = neuromotor("hopfield", *words)
        assert done.returncode == 2, (words, done.stderr)
        assert message in done.stderr
        assert "Traceback" not in done.stderr
