"""`neuromotor compare`, run as a user would."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from forked import neuromotor

from neuromotor.optim import OPTIMIZERS
from neuromotor.zoo.saved_controller import load_controller


def test_smoke_compare_prints_the_promised_json(smoke_run):
    _, report = smoke_run
    assert report["task"] == "center-out"
    rows = {row["method"]: row for row in report["rows"]}
    assert list(rows) == ["ilqr", "kron-lbfgs", "lbfgs", "adam"]
    assert rows["ilqr"]["ratio"] == 1.0
    assert rows["ilqr"]["loss"] == pytest.approx(8.95e-5, rel=1e-3)
    for row in rows.values():
        assert {"method", "loss", "ratio", "calls", "seconds", "target_error_cm"} <= set(row)
        assert row["loss"] >= rows["ilqr"]["loss"]
    assert rows["lbfgs"]["loss"] < 0.5


def test_smoke_compare_leaves_a_whole_run_folder(smoke_run):
    folder, report = smoke_run
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert files == sorted(
        [f"controllers/{m}.safetensors" for m in ("ilqr", "kron-lbfgs", "lbfgs", "adam")]
        + [
            f"figures/{f}.{s}"
            for f in ("hand_paths", "reach", "convergence")
            for s in ("png", "pdf")
        ]
        + [f"results/{m}.safetensors" for m in ("kron-lbfgs", "lbfgs", "adam")]
        + ["history.json", "metrics.jsonl", "settings.json", "summary.json"]
    )
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["rows"] == report["rows"]
    assert summary["seed"] == 0
    assert summary["versions"]["torch"]
    assert summary["command"].startswith("neuromotor compare center-out --smoke")
    history = json.loads((folder / "history.json").read_text())["lbfgs"]
    assert len(history["calls"]) == len(history["loss"]) == len(history["seconds"])
    assert load_controller(folder / "controllers/lbfgs.safetensors").info["method"] == "lbfgs"


@pytest.mark.slow
def test_several_seeds_leave_a_folder_each_and_their_medians(tmp_path):
    folder = tmp_path / "seeds"
    arguments = ("--optimizers", "kron-lbfgs", "--seed", "3", "--seeds", "2", "--smoke", "--json")
    done = neuromotor("compare", "center-out", *arguments, "--out", folder)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["seeds"] == [3, 4]
    ratios = []
    for seed in report["seeds"]:
        summary = json.loads((folder / f"seed-{seed}/summary.json").read_text())
        assert summary["seed"] == seed
        ratios.append(summary["rows"][1]["ratio"])
    (row,) = report["rows"]
    assert (row["ratio_min"], row["ratio_max"]) == (min(ratios), max(ratios))
    picture = plt.imread(folder / "figures/seeds.png")
    assert min(picture.shape[:2]) > 200
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 10  # something is drawn
    assert report["rows"] == json.loads((folder / "summary.json").read_text())["rows"]


def test_the_settings_of_a_run_repeat_it(smoke_run, tmp_path):
    folder, report = smoke_run
    done = neuromotor(
        "compare",
        "center-out",
        "--config",
        folder / "settings.json",
        "--json",
        "--out",
        tmp_path / "x",
    )
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert again["settings"] == report["settings"]
    assert [row["loss"] for row in again["rows"]] == [row["loss"] for row in report["rows"]]


def test_methods_that_need_factors_are_left_out_or_refused(tmp_path):
    table = ("--controller", "command-table", "--set", "task.directions=2", "--set", "task.steps=5")
    small = (*table, "--budget", "3", "--no-figures", "--json")
    done = neuromotor(
        "compare", "center-out", "--optimizers", "all", *small, "--out", tmp_path / "all"
    )
    assert done.returncode == 0, done.stderr
    left_out = ["kron-lbfgs", "kron-descent", "kron-adam", "kron-hf"]
    assert f"Left out {', '.join(left_out)}: there are no Kronecker factors" in done.stderr
    methods = [row["method"] for row in json.loads(done.stdout)["rows"]]
    assert methods == ["ilqr", *(name for name in OPTIMIZERS if name not in left_out)]
    for command in (("compare", "--optimizers"), ("train", "--optimizer")):
        verb, option = command
        done = neuromotor(verb, "center-out", option, "kron-adam", *small, "--out", tmp_path / "no")
        assert done.returncode == 2
        assert "`optimizers` must be without kron-adam" in done.stderr
        assert not (tmp_path / "no").exists()


@pytest.mark.slow
def test_seeds_of_a_random_task_report_the_evaluations(tmp_path):
    arguments = ("--optimizers", "adam", "--seeds", "2", "--smoke", "--out", tmp_path / "x")
    done = neuromotor("compare", "ddn-robust", *arguments)
    assert done.returncode == 0, done.stderr
    assert "evaluation loss" in done.stdout
    (row,) = json.loads((tmp_path / "x/summary.json").read_text())["rows"]
    own = [
        json.loads((tmp_path / f"x/seed-{seed}/summary.json").read_text())["rows"][1]
        for seed in (0, 1)
    ]
    assert row["evaluated"] == [run["evaluation"]["loss"]["value"] for run in own]
