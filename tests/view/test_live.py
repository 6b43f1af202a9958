"""Pages of networks in training, beside what trains them."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

import neuromotor as nm
from neuromotor.runs.execute import RunOutputs, Watcher, run_comparison
from neuromotor.runs.settings import resolve
from neuromotor.training.single import initial_parameters
from neuromotor.view import ViewError
from neuromotor.view.live import LivePages

TASK = nm.CenterOut(directions=3, steps=6)
NETWORK = nm.ContinuousTimeRNN(layers=(5,))
REFRESH = 'http-equiv="refresh"'


def parameters_in(page: Path) -> np.ndarray:
    """The weights that a page holds."""
    found = re.search(
        r'<script type="application/json" id="model">(.*?)</script>', page.read_text()
    )
    assert found is not None
    packed = json.loads(found[1])["network"]["weights"]
    return np.frombuffer(base64.b64decode(packed["base64"]), f"<{packed['type']}")


def test_pages_follow_the_training(tmp_path):
    pages = LivePages(tmp_path, TASK, NETWORK, ["lbfgs", "adam"], seed=0)
    index = (tmp_path / "live.html").read_text()
    assert re.findall(r'src="([^"]+)"', index) == ["live/lbfgs.html", "live/adam.html"]
    own = tmp_path / "live" / "lbfgs.html"
    assert "lbfgs: not begun" in own.read_text()
    first, second, third = (initial_parameters(NETWORK, seed) for seed in (1, 2, 3))
    pages.note("lbfgs", 7, 0.25, first)
    assert "lbfgs: 7 calls, loss 0.25" in own.read_text()
    assert np.allclose(parameters_in(own), first)
    assert REFRESH in own.read_text()
    pages.note("lbfgs", 8, 0.24, second)  # too early for another page
    assert np.allclose(parameters_in(own), first)
    pages.finished("lbfgs", 9, 0.23, third)
    assert np.allclose(parameters_in(own), third)
    assert REFRESH not in own.read_text()
    assert REFRESH in (tmp_path / "live" / "adam.html").read_text()


def test_what_cannot_be_shown_is_refused_before_the_training(tmp_path):
    table = nm.CommandTable(steps=6, trials=3)
    with pytest.raises(ViewError, match="must be a network of cells"):
        LivePages(tmp_path, TASK, table, ["lbfgs"], seed=0)


def test_a_run_leaves_the_pages_of_its_controllers(tmp_path):
    said = []

    class Listener(Watcher):
        def say(self, words):
            said.append(words)

    settings = resolve(
        {
            "task": {"type": "center-out", "directions": 3, "steps": 6},
            "controller": {"type": "rnn", "layers": [5]},
            "optimizers": "lbfgs",
            "budget": 4,
        }
    )
    outputs = RunOutputs(figures=False, live=True)
    folder = tmp_path / "run"
    run_comparison(settings, folder, outputs=outputs, watcher=Listener())
    saved = nm.load_controller(folder / "controllers" / "lbfgs.safetensors")
    assert np.allclose(parameters_in(folder / "live" / "lbfgs.html"), saved.parameters)
    assert said[0] == f"Live page: {folder / 'live.html'}"
    run_comparison(settings, folder, outputs=RunOutputs(figures=False), force=True)
    assert not (folder / "live.html").exists()
    assert not (folder / "live").exists()
