"""What several seeds came to is read from their run folders as it stands there."""

import json

import pytest
from typer.testing import CliRunner

from neuromotor.cli.app import app
from neuromotor.reproduction.data import load_data
from neuromotor.reproduction.seeds import seed_rows
from neuromotor.storage.claims import RunFolderError
from neuromotor.storage.files import write_json


def leave_run(folder, *, seed, loss, calls=25_003, ratios=None, swings=0.5):
    """What `neuromotor train ddn` leaves, as far as the table reads it."""
    evaluation = {
        "trials": 1000,
        "loss": {"value": loss},
        "ratios": {"clairvoyant": {"value": 9e9}, "ilqg": {"value": 10 * loss}},
        "means": {"target_error_cm": 0.25},
        "response": None if swings is None else {"oscillations": swings},
    }
    if ratios is not None:
        evaluation["ratios"] = ratios
    rows = [
        {"method": "clairvoyant"},
        {"method": "lbfgs", "calls": calls, "evaluation": evaluation},
    ]
    about = {"task": "ddn", "seed": seed, "command": f"neuromotor train ddn --seed {seed}"}
    write_json(folder / "summary.json", {**about, "rows": rows, "interrupted": False})


def test_rows_of_runs_and_of_comparisons_replace_those_from_before(tmp_path):
    leave_run(tmp_path / "one", seed=0, loss=2.0)
    write_json(tmp_path / "all/summary.json", {"seeds": [2, 1], "interrupted": False})
    for seed in (1, 2):
        leave_run(tmp_path / f"all/seed-{seed}", seed=seed, loss=3.0 + seed, swings=None)
    old = [{"network": "ddn/lbfgs", "calls": 25_000, "seed": 0, "loss": 99.0}]
    found = seed_rows([tmp_path / "all", tmp_path / "one"], old)
    assert [(row["seed"], row["loss"], row["ratio"]) for row in found] == [
        (0, 2.0, 20.0),
        (1, 4.0, 40.0),
        (2, 5.0, 50.0),
    ]
    assert found[0] == {
        "network": "ddn/lbfgs",
        "calls": 25_000,
        "seed": 0,
        "trials": 1000,
        "loss": 2.0,
        "reference": "ilqg",
        "ratio": 20.0,
        "error_cm": 0.25,
        "swings": 0.5,
        "command": "neuromotor train ddn --seed 0",
    }
    assert found[1]["swings"] is None


def test_runs_without_such_numbers_are_refused(tmp_path):
    leave_run(tmp_path / "alone", seed=0, loss=1.0, ratios={"clairvoyant": {"value": 2.0}})
    with pytest.raises(RunFolderError, match="an evaluation against ilqg or ilqr, got none"):
        seed_rows([tmp_path / "alone"])
    about = {"command": "neuromotor rl ddn --steps 5", "rows": [{"algorithm": "ppo"}]}
    write_json(tmp_path / "rl/summary.json", {**about, "interrupted": False})
    with pytest.raises(RunFolderError, match="`compare`, got one of `neuromotor rl`"):
        seed_rows([tmp_path / "rl"])


def test_the_command_keeps_what_its_file_holds(tmp_path):
    file = tmp_path / "seeds.json"
    for seed in (1, 0):
        leave_run(tmp_path / str(seed), seed=seed, loss=1.0)
        words = ["reproduce", "seeds", str(tmp_path / str(seed)), "--out", str(file)]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
    assert [row["seed"] for row in json.loads(file.read_text())["rows"]] == [0, 1]
    other = tmp_path / "other.json"
    write_json(other, {"rows": [{"about": "failures"}]})
    refused = CliRunner().invoke(app, [*words[:-1], str(other)])
    assert "is no file of this command: it lacks `network`" in str(refused.exception)
    assert json.loads(other.read_text()) == {"rows": [{"about": "failures"}]}


def test_a_file_that_is_none_of_ours_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"there\.json must be a JSON file that can be read \(No such"
    ):
        load_data(tmp_path / "there.json")
    bad = tmp_path / "bad.json"
    bad.write_text("x{")
    with pytest.raises(
        ValueError, match=r"bad\.json must be a JSON file that can be read \(Expecting"
    ):
        load_data(bad)
    bad.write_text("[1]")
    with pytest.raises(ValueError, match="it lacks a table"):
        load_data(bad)
    bad.write_text('{"rows": [{"a": 1}, 2]}')
    with pytest.raises(ValueError, match="it lacks `b`, `a`; name"):
        load_data(bad, ["b"], ["a"])
