"""The table of all tasks: a run for each, a reason where an algorithm cannot learn, and its end."""

import json
import math

import pytest
from typer.testing import CliRunner

pytest.importorskip("stable_baselines3", reason="needs the extra `rl`")

from neuromotor import load_controller
from neuromotor.cli.app import app
from neuromotor.evaluation.performance import Performance
from neuromotor.rl import learning
from neuromotor.runs import learning_table
from neuromotor.tasks import TASKS

FEW = ("center-out", "cursor-reach")


def run(*words):
    result = CliRunner().invoke(app, ["rl", *map(str, words), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_task_has_a_run_or_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(learning_table, "TASKS", {name: TASKS[name] for name in FEW})
    out = tmp_path / "all"
    found = run("all", "--algorithm", "her", "--smoke", "--out", out)
    assert list(found["tasks"]) == list(FEW)
    reach, cursor = found["tasks"].values()
    own = json.loads((out / "center-out/results/her-0.json").read_text())
    assert reach["medians"][0]["ratio"] == own["ratio"]
    assert reach["refused"] == {}
    assert cursor["medians"] == []
    assert "its state, its target and the time alone" in cursor["refused"]["her"]
    *_, first, second = (out / "table.md").read_text().splitlines()
    head, numbers = first.removesuffix(" |").rsplit("| ", 1)
    assert head == "| `center-out` | ilqr, 8.95e-05 "
    shown = [float(words.replace(",", "")) for words in numbers.split(", from ")]
    assert shown == pytest.approx([own["ratio"], own["curve"][0]["ratio"]], rel=5e-3)
    assert second == "| `cursor-reach` |  | refused |"
    (out / "center-out/summary.json").unlink()  # as if it had been stopped then
    again = run("--resume", out)
    assert again["tasks"] == found["tasks"]


def test_a_limb_that_flies_off_ends_no_table(tmp_path, monkeypatch):
    """Its numbers are None in JSON, words in tables, and the runs beside it are kept."""
    monkeypatch.setattr(learning_table, "TASKS", {"center-out": TASKS["center-out"]})
    flown = Performance(math.nan, math.nan, math.nan, math.nan)
    monkeypatch.setattr(learning, "measure", lambda *_: flown)
    out = tmp_path / "all"
    found = run("all", "--algorithm", "ppo,analytic", "--smoke", "--out", out)
    assert [row["ratio"] for row in found["tasks"]["center-out"]["medians"]] == [None, None]
    text = (out / "table.md").read_text()
    assert text.count("flies off, from flies off") == 2
    (out / "center-out/summary.json").unlink()  # as if it had been stopped then
    assert run("--resume", out)["tasks"] == found["tasks"]
    shown = CliRunner().invoke(app, ["rl", "--resume", str(out)])
    assert shown.exit_code == 0
    assert shown.stdout.count("flies off") == 8
    saved = load_controller(out / "center-out/controllers/ppo-0.safetensors")
    assert saved.info["loss"] is None


def test_what_is_wrong_for_every_task_is_refused(tmp_path):
    for words, told in (
        (["--plant", "human"], "`plant` must be left out for all tasks"),
        (["--algorithm", "dqn"], "dqn"),
    ):
        result = CliRunner().invoke(app, ["rl", "all", *words, "--out", str(tmp_path / "x")])
        assert result.exit_code != 0
        assert told in str(result.exception)
    assert not (tmp_path / "x").exists()
