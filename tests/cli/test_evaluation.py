"""`neuromotor evaluate`, run as a user would."""

import json

import matplotlib.pyplot as plt
import pytest
from forked import neuromotor


@pytest.mark.parametrize("method", ["lbfgs", "ilqr"])
def test_evaluate_agrees_with_compare(smoke_run, method):
    folder, report = smoke_run
    done = neuromotor("evaluate", folder / f"controllers/{method}.safetensors", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    row = next(row for row in report["rows"] if row["method"] == method)
    assert result["loss"] == pytest.approx(row["loss"], rel=1e-12)
    assert result["trials"] == 8
    assert result["ratios"]["ilqr"] == pytest.approx(row["ratio"], rel=1e-9)
    assert result["references"]["ilqr"] == pytest.approx(report["rows"][0]["loss"], rel=1e-12)


def test_evaluate_on_another_task_size(smoke_run):
    folder, _ = smoke_run
    file = folder / "controllers/lbfgs.safetensors"
    arguments = ("--set", "task.radius_m=0.06", "--set", "task.directions=16")
    for task in ((), ("--task", "center-out")):
        done = neuromotor("evaluate", file, *task, *arguments, "--json")
        result = json.loads(done.stdout)
        assert result["trials"] == 16
        assert float(f"{result['references']['ilqr']:.3g}") == 1.64e-4


@pytest.mark.parametrize(
    ("task", "trials"), [("ddn", 40), pytest.param("postural", 18, marks=pytest.mark.slow)]
)
def test_tasks_with_disturbances_report_intervals_and_responses(task, trials, tmp_path):
    folder = tmp_path / "run"
    arguments = ("--optimizer", "adam", "--smoke", "--out", folder)
    done = neuromotor("train", task, *arguments)
    assert done.returncode == 0, done.stderr
    assert f"evaluation on {trials} trials" in done.stdout
    assert "response to the load" in done.stdout
    bound, row = json.loads((folder / "summary.json").read_text())["rows"]
    assert bound["method"] == "clairvoyant"
    found = row["evaluation"]
    assert found["trials"] == trials
    assert found["loss"]["low"] < found["loss"]["value"] < found["loss"]["high"]
    assert set(found["response"]["displacement_cm"]) == {"100", "200", "300", "500"}
    file = folder / "controllers/adam.safetensors"
    held = () if task == "postural" else ("--set", "held_out=40")
    held += ("--set", "references=ilqg,online-predictive")
    done = neuromotor("evaluate", file, *held, "--json")
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert again["evaluation"] == found
    assert set(found["ratios"]) == {"clairvoyant", "ilqg", "online-predictive"}
    value = bound["evaluation"]["loss"]["value"]
    assert again["references"]["clairvoyant"] == pytest.approx(value, rel=1e-9)


def test_the_excess_over_ilqg_is_explained(tmp_path):
    picture = tmp_path / "why.png"
    words = ("evaluate", "center-out/lbfgs", "--explain", "--json")
    done = neuromotor(*words, "--figure", picture)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["explanation"]
    whole = found["conditions"]["as it is"]
    assert whole["loss"] - whole["reference"] == pytest.approx(whole["excess"])
    total = sum(sum(kinds.values()) for kinds in found["excess"].values())
    assert total == pytest.approx(whole["excess"])
    assert found["handover_loss"][0] <= found["handover_loss"][-1]
    width, height = plt.imread(picture).shape[1::-1]
    assert height > width > 400
    done = neuromotor(*words, "--figure", picture)
    assert done.returncode != 0
    assert "exists; choose another name for `--figure`" in done.stderr
    other = tmp_path / "other.png"
    done = neuromotor("evaluate", "center-out/lbfgs", "--figure", other)
    assert done.returncode != 0
    assert "give `--explain` too" in done.stderr
