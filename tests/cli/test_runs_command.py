"""`neuromotor runs`, in this process."""

import json
import sys

import pytest

from neuromotor.cli import main


@pytest.fixture
def command(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["neuromotor", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return run


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two real runs."""
    place = tmp_path_factory.mktemp("runs")
    small = (
        "--set",
        "task.directions=2",
        "--set",
        "task.steps=8",
        "--set",
        "controller.layers=[4]",
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, budget in (("one", 8), ("two", 16)):
            options = ("--budget", str(budget), "--no-figures", "--out", str(place / name))
            patch.setattr(sys, "argv", ["neuromotor", "train", "center-out", *small, *options])
            with pytest.raises(SystemExit) as end:
                main()
            assert end.value.code == 0
    return place


def test_runs_are_listed(folders, command):
    code, out, _ = command("runs", folders)
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[0][:5] == ["run", "task", "methods", "seeds", "state"]
    assert [row[:5] for row in rows[1:]] == [
        [str(folders / "two"), "center-out", "lbfgs", "0", "finished"],
        [str(folders / "one"), "center-out", "lbfgs", "0", "finished"],
    ]
    code, out, _ = command("runs", "list", folders, "--verify", "--json")
    data = json.loads(out)
    summary = json.loads((folders / "two/summary.json").read_text())
    assert data[0]["loss"] == summary["rows"][1]["loss"]
    assert data[0]["calls"] == summary["rows"][1]["calls"]
    assert {row["state"] for row in data} == {"finished"}


def test_runs_are_compared(folders, command, tmp_path):
    figure = tmp_path / "loss.png"
    code, out, _ = command("runs", "compare", folders / "one", folders / "two", "--figure", figure)
    assert code == 0
    assert "budget" in out
    drawn = figure.read_bytes()
    assert drawn.startswith(b"\x89PNG")
    code, _, err = command("runs", "compare", folders / "one", folders / "two", "--figure", figure)
    assert code != 0
    assert "exists; choose another name" in err
    assert figure.read_bytes() == drawn
    code, out, _ = command("runs", "compare", folders / "one", folders / "two", "--json")
    data = json.loads(out)
    assert data["settings"] == {"budget": [8, 16]}
    assert [run["results"][0]["method"] for run in data["runs"]] == ["lbfgs", "lbfgs"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("runs", "nowhere"), "is not a folder"),
        (("runs", "compare", "nowhere"), "two run folders or more"),
        (("runs", "compare", "nowhere", "neither"), "is no run folder"),
    ],
)
def test_bad_input_gets_one_line(arguments, message, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*arguments)
    assert code == 2
    assert message in err
    assert out == ""


def test_no_runs_is_no_error(command, tmp_path):
    code, out, err = command("runs", tmp_path)
    assert (code, out) == (0, "")
    assert "No run folders" in err
    assert command("runs", tmp_path, "--json")[1].strip() == "[]"
