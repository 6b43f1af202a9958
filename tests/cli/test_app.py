"""What all commands share: help, and one clear line for bad input."""

import json
import sys

import pytest
from forked import neuromotor

from neuromotor.cli import main


@pytest.mark.parametrize("command", [(), ("compare",), ("train",), ("evaluate",), ("info",)])
def test_help_teaches(command):
    done = neuromotor(*command, "--help")
    assert done.returncode == 0
    assert "neuromotor" in done.stdout
    if command:
        assert "Example" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "center-uot"), "unknown task 'center-uot'; did you mean 'center-out'"),
        (("train", "center-out", "--optimizer", "lbgfs"), "did you mean 'lbfgs'"),
        (("train", "center-out", "--optimizer", "lbfgs,adam"), "must be one name"),
        (("compare", "center-out", "--plant", "monky"), "did you mean 'monkey'"),
        (("compare", "center-out", "--budget", "0"), "`budget` must be a whole number, 1 or more"),
        (("compare", "center-out", "--dtype", "float8"), "unknown dtype 'float8'"),
        (("compare", "center-out", "--device", "warp"), "`device` must be"),
        (("compare", "center-out", "--set", "task.radus_m=1"), "did you mean 'radius_m'"),
        (("compare", "center-out", "--set", "tsk.radius_m=1"), "did you mean 'task'"),
        (("compare", "center-out", "--set", "task.radius_m=4.0"), "`hand_position` must lie"),
        (("compare", "center-out", "--set", "radius"), "`--set` must be KEY=VALUE"),
        (("compare", "center-out", "--set", "plant.parameters.mass_1=-1"), "`mass_1` must be"),
        (("compare", "center-out", "--set", "lbfgs.history=0"), "`history` must be"),
        (("compare", "center-out", "--config", "missing.toml"), "`--config` cannot be read"),
        (("compare", "center-out", "--config", "broken.toml"), "is not valid TOML"),
        (
            ("compare", "center-out", "--config", "typo.toml"),
            "unknown setting `sede`; did you mean",
        ),
        (("compare", "center-out", "--out", "."), "not a neuromotor run"),
        (("evaluate", "missing.safetensors"), "is not a file"),
        (("evaluate", "broken.toml"), "not a safetensors file"),
        (("info", "lbfsg"), "did you mean 'lbfgs'"),
        (("compare",), "Missing argument"),
        (("compare", "center-out", "--budgt", "3"), "No such option"),
    ],
)
def test_bad_input_gets_one_clear_line(tmp_path, arguments, message):
    (tmp_path / "broken.toml").write_text("seed = = 3")
    (tmp_path / "typo.toml").write_text("sede = 3")
    before = sorted(p.name for p in tmp_path.iterdir())
    done = neuromotor(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_without_words_it_says_what_to_do_first():
    done = neuromotor()
    assert "neuromotor compare center-out" in done.stdout
    assert "error" not in done.stderr


def test_a_component_of_ones_own_is_started_and_used(tmp_path):
    done = neuromotor("new", "task", "my-reach", "--json", cwd=tmp_path)
    words = json.loads(done.stdout)["command"].split()
    assert words[:3] == ["neuromotor", "train", "my-reach"]
    done = neuromotor(*words[1:], "--smoke", "--no-figures", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = neuromotor("new", "task", "my-reach", cwd=tmp_path)
    assert again.returncode != 0
    assert "is there already" in again.stderr


@pytest.mark.parametrize("words", [("--out", ""), ("--out=",), ("--config", "")])
def test_an_empty_value_is_refused_before_anything_is_done(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["neuromotor", "train", "center-out", "--smoke", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert f"`{words[0].rstrip('=')}` must not be empty" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
