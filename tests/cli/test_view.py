"""`view`, in one process: the page of a controller, and what is refused."""

import json
import webbrowser

import pytest
from typer.testing import CliRunner

from neuromotor.cli.app import app
from neuromotor.controllers import CommandTable, ContinuousTimeRNN
from neuromotor.tasks import CenterOut
from neuromotor.training.single import initial_parameters
from neuromotor.zoo.saved_controller import save_controller

QUICK = ("--trials", "2", "--no-ilqr", "--no-fixed-points")
TASK = CenterOut(directions=4, steps=6)


def neuromotor(*arguments):
    return CliRunner().invoke(app, [str(part) for part in arguments])


@pytest.fixture
def saved(tmp_path):
    network = ContinuousTimeRNN(layers=(5,))
    path = tmp_path / "mine.safetensors"
    save_controller(path, network, initial_parameters(network, 0), task=TASK)
    return path


def test_a_page_is_written_once(saved, tmp_path):
    out = tmp_path / "mine.html"
    done = neuromotor("view", saved, *QUICK, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "out": str(out),
        "bytes": out.stat().st_size,
        "opened": False,
    }
    assert "mine.safetensors on center-out</title>" in out.read_text()
    again = neuromotor("view", saved, *QUICK, "--out", out)
    assert "overwrite it with `--force`" in str(again.exception)
    assert neuromotor("view", saved, *QUICK, "--out", out, "--force").exit_code == 0
    wrong = neuromotor("view", saved, *QUICK, "--out", tmp_path / "mine.png")
    assert "`--out` must end in .html" in str(wrong.exception)


def test_without_a_file_the_browser_opens_one(saved, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    done = neuromotor("view", saved, *QUICK, "--set", "task.steps=9")
    assert done.exit_code == 0, done.output
    (address,) = opened
    assert address.startswith("file:///")
    assert address.endswith("view.html")
    assert "6" in done.output
    assert "9" in done.output


def test_without_a_browser_the_file_is_named(saved, monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    done = neuromotor("view", saved, *QUICK)
    assert done.exit_code == 0, done.output
    assert "No browser could be opened here" in done.output


def test_what_cannot_be_shown_is_refused_and_nothing_is_written(tmp_path):
    table = CommandTable(steps=6, trials=4)
    path = tmp_path / "table.safetensors"
    save_controller(path, table, initial_parameters(table, 0), task=TASK)
    done = neuromotor("view", path, "--out", tmp_path / "page.html")
    assert "must be a network of cells for a page" in str(done.exception)
    assert list(tmp_path.iterdir()) == [path]


def test_a_training_keeps_a_page_of_its_network(tmp_path):
    sizes = ("task.directions=2", "task.steps=6", "controller.layers=[4]", "budget=3")
    settings = [part for one in sizes for part in ("--set", one)]
    out = tmp_path / "run"
    done = neuromotor("train", "center-out", *settings, "--no-figures", "--live", "--out", out)
    assert done.exit_code == 0, done.output
    assert 'src="live/lbfgs.html"' in (out / "live.html").read_text()
    assert "<title>lbfgs: " in (out / "live" / "lbfgs.html").read_text()
