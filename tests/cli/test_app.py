"""The real command, run as a user would."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from neuromotor.cli import main
from neuromotor.optim import OPTIMIZERS
from neuromotor.zoo.saved_controller import load_controller

COMMAND = str(Path(sys.executable).parent / "neuromotor")


def neuromotor(*arguments, cwd=None):
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False
    )


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """One smoke comparison that several tests look at."""
    folder = tmp_path_factory.mktemp("runs") / "smoke"
    done = neuromotor("compare", "center-out", "--smoke", "--json", "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_smoke_compare_prints_the_promised_json(smoke):
    _, report = smoke
    assert report["task"] == "center-out"
    rows = {row["method"]: row for row in report["rows"]}
    assert list(rows) == ["ilqr", "kron-lbfgs", "lbfgs", "adam"]
    assert rows["ilqr"]["ratio"] == 1.0
    assert rows["ilqr"]["loss"] == pytest.approx(8.95e-5, rel=1e-3)
    for row in rows.values():
        assert {"method", "loss", "ratio", "calls", "seconds", "target_error_cm"} <= set(row)
        assert row["loss"] >= rows["ilqr"]["loss"]
    assert rows["lbfgs"]["loss"] < 0.5


def test_smoke_compare_leaves_a_whole_run_folder(smoke):
    folder, report = smoke
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
    assert (folder / "figures/seeds.png").stat().st_size > 1000
    assert report["rows"] == json.loads((folder / "summary.json").read_text())["rows"]


def test_the_settings_of_a_run_repeat_it(smoke, tmp_path):
    folder, report = smoke
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


@pytest.mark.parametrize("method", ["lbfgs", "ilqr"])
def test_evaluate_agrees_with_compare(smoke, method):
    folder, report = smoke
    done = neuromotor("evaluate", folder / f"controllers/{method}.safetensors", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    row = next(row for row in report["rows"] if row["method"] == method)
    assert result["loss"] == pytest.approx(row["loss"], rel=1e-12)
    assert result["trials"] == 8
    assert result["ratios"]["ilqr"] == pytest.approx(row["ratio"], rel=1e-9)
    assert result["references"]["ilqr"] == pytest.approx(report["rows"][0]["loss"], rel=1e-12)


def test_evaluate_on_another_task_size(smoke):
    folder, _ = smoke
    file = folder / "controllers/lbfgs.safetensors"
    arguments = ("--set", "task.radius_m=0.06", "--set", "task.directions=16")
    for task in ((), ("--task", "center-out")):
        done = neuromotor("evaluate", file, *task, *arguments, "--json")
        result = json.loads(done.stdout)
        assert result["trials"] == 16
        assert float(f"{result['references']['ilqr']:.3g}") == 1.64e-4


def test_an_existing_run_is_kept_unless_forced(smoke):
    folder, _ = smoke
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    done = neuromotor("train", "center-out", "--smoke", "--out", folder)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_train_from_a_toml_file_and_go_on_from_its_controller(tmp_path):
    (tmp_path / "run.toml").write_text(
        """
        optimizers = ["hf"]
        budget = 50
        plant = "monkey"
        [task]
        radius_m = 0.03
        directions = 4
        [controller]
        layers = [6]
        initializer = { type = "gaussian", output_gain = 0.01 }
        [hf]
        damping = 0.5
        """
    )
    done = neuromotor(
        "train", "center-out", "--config", "run.toml", "--out", "one", "--seed", "2", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    settings = json.loads((tmp_path / "one/settings.json").read_text())
    assert settings["seed"] == 2
    assert settings["task"]["radius_m"] == 0.03
    assert settings["task"]["plant"]["parameters"]["inertia_1"] == 2.7e-4
    assert settings["hf"]["damping"] == 0.5
    first = json.loads((tmp_path / "one/summary.json").read_text())["rows"][1]
    more = ("--start", "one/controllers/hf.safetensors", "--budget", "30", "--json")
    done = neuromotor(
        "train", "center-out", "--config", "run.toml", "--out", "two", *more, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    history = json.loads((tmp_path / "two/history.json").read_text())["hf"]
    assert history["loss"][0] == pytest.approx(first["loss"], rel=1e-12)
    assert history["loss"][-1] < first["loss"]


def test_a_command_table_and_a_point_mass_are_reachable(tmp_path):
    done = neuromotor(
        *("train", "center-out", "--plant", "point-mass", "--controller", "command-table"),
        *("--optimizer", "hf", "--set", "hf.damping=1e-6", "--budget", "400"),
        *("--set", "task.directions=4", "--json", "--out", tmp_path / "x"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"][1]["ratio"] == pytest.approx(1.0, abs=1e-6)


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


def test_ctrl_c_saves_what_there_is_and_says_where(tmp_path):
    folder = tmp_path / "run"
    with subprocess.Popen(
        [COMMAND, "train", "center-out", "--budget", "1000000", "--out", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        deadline = time.monotonic() + 60
        while not (folder / "controllers/ilqr.safetensors").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted; what there is was saved in" in stderr
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["interrupted"] is True
    row = summary["rows"][1]
    assert row["reason"] == "interrupted"
    assert load_controller(folder / "controllers/lbfgs.safetensors").info["loss"] == row["loss"]


def test_methods_that_need_factors_are_left_out_or_refused(tmp_path):
    table = ("--controller", "command-table", "--set", "task.directions=2", "--set", "task.steps=5")
    small = (*table, "--budget", "3", "--no-figures", "--json")
    done = neuromotor(
        "compare", "center-out", "--optimizers", "all", *small, "--out", tmp_path / "all"
    )
    assert done.returncode == 0, done.stderr
    left_out = ["kron-lbfgs", "kron-descent", "kron-adam"]
    assert f"Left out {', '.join(left_out)}: there are no Kronecker factors" in done.stderr
    methods = [row["method"] for row in json.loads(done.stdout)["rows"]]
    assert methods == ["ilqr", *(name for name in OPTIMIZERS if name not in left_out)]
    for command in (("compare", "--optimizers"), ("train", "--optimizer")):
        verb, option = command
        done = neuromotor(verb, "center-out", option, "kron-adam", *small, "--out", tmp_path / "no")
        assert done.returncode == 2
        assert "`optimizers` must be without kron-adam" in done.stderr
        assert not (tmp_path / "no").exists()


SMALL = ("--set", "controller.layers=[12]", "--set", "task.directions=4", "--optimizer", "hf")


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_bits(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    budget = ("--budget", "3000")
    done = neuromotor("train", "center-out", *SMALL, *budget, "--out", whole)
    assert done.returncode == 0, done.stderr
    arguments = ("train", "center-out", *SMALL, *budget, "--out", str(killed))
    with subprocess.Popen(
        [COMMAND, *arguments, "--checkpoint-every", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        deadline = time.monotonic() + 60
        while not (killed / "checkpoints/hf.safetensors").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    assert not (killed / "summary.json").exists()
    done = neuromotor("train", "center-out", "--resume", killed)
    assert done.returncode == 0, done.stderr
    one, two = (load_controller(f / "controllers/hf.safetensors") for f in (whole, killed))
    assert torch.equal(one.parameters, two.parameters)
    rows = [json.loads((f / "summary.json").read_text())["rows"][1] for f in (whole, killed)]
    for row in rows:
        del row["seconds"]
    assert rows[0] == rows[1]
    more = neuromotor("train", "center-out", "--resume", killed, "--budget", "3300")
    assert more.returncode == 0, more.stderr
    later = json.loads((killed / "summary.json").read_text())["rows"][1]
    assert later["calls"] >= 3300
    assert later["loss"] < rows[0]["loss"]


def test_what_cannot_be_resumed_is_said(tmp_path):
    done = neuromotor("train", "center-out", "--resume", tmp_path)
    assert done.returncode == 2
    assert "without settings.json" in done.stderr
    done = neuromotor("train", "center-out", "--resume", tmp_path, "--seed", "3")
    assert done.returncode == 2
    assert "got `--seed` too" in done.stderr


def test_info_lists_and_explains():
    everything = json.loads(neuromotor("info", "--json").stdout)
    assert "neuromotor/CenterOutGoal-v0" in everything["environment"]
    assert "center-out" in everything["task"]
    assert everything["machine"]["cores"] >= 1
    one = json.loads(neuromotor("info", "center-out", "--json").stdout)
    assert one["settings"]["radius_m"] == 0.04463
    text = neuromotor("info", "monkey").stdout
    assert "monkey" in text
    assert "inertia_1" in text
    assert neuromotor("info").returncode == 0


@pytest.mark.parametrize("command", [(), ("compare",), ("train",), ("evaluate",), ("info",)])
def test_help_teaches(command):
    done = neuromotor(*command, "--help")
    assert done.returncode == 0
    assert "neuromotor" in done.stdout
    if command:
        assert "Example" in done.stdout


@pytest.mark.parametrize(
    ("task", "trials"), [("ddn", 40), pytest.param("postural", 8, marks=pytest.mark.slow)]
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


@pytest.mark.slow
def test_the_plant_option_reaches_a_reach_within_an_experiment(tmp_path):
    arguments = ("--plant", "monkey", "--optimizer", "adam", "--smoke", "--out", tmp_path / "x")
    done = neuromotor("train", "force-field", *arguments, "--set", "task.strength_ns_m=0.3")
    assert done.returncode == 0, done.stderr
    task = json.loads((tmp_path / "x/settings.json").read_text())["task"]
    assert task["reach"]["plant"]["parameters"]["inertia_1"] == 2.7e-4
    assert task["reach"]["directions"] == 2
    assert task["strength_ns_m"] == 0.3


@pytest.mark.slow
def test_an_instructed_delay_goes_all_the_way(tmp_path):
    pytest.importorskip("sklearn")
    folder = tmp_path / "run"
    arguments = ("--optimizer", "kron-lbfgs", "--smoke", "--out", folder)
    done = neuromotor("train", "instructed-delay", *arguments)
    assert done.returncode == 0, done.stderr
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["controller"]["input_size"] == 9
    file = folder / "controllers/kron-lbfgs.safetensors"
    done = neuromotor("evaluate", file, "--set", "held_out=8", "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["evaluation"]["ratios"]) == {"clairvoyant"}
    done = neuromotor("evaluate", file, "--set", "held_out=8", "--set", "references=online")
    assert done.returncode == 2
    assert "does not know when it will come" in done.stderr
    recording = tmp_path / "x.nc"
    done = neuromotor("record", file, "--out", recording, "--set", "task.repeats=6")
    assert done.returncode == 0, done.stderr
    arguments = ("--controller", file, "--surrogates", "2", "--out", tmp_path / "report", "--json")
    done = neuromotor("analyze", recording, "--align", "go_time", "0.3", "0.5", *arguments)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "report/settings.json").read_text())["align"][0] == "go_time"
    wrong = neuromotor("analyze", recording, "--align", "gone", "0.3", "0.5")
    assert wrong.returncode == 2
    assert "`--align` must name one of target_time, go_time" in wrong.stderr


def test_record_and_analyze(smoke, tmp_path):
    pytest.importorskip("sklearn")
    folder, _ = smoke
    controller = folder / "controllers/kron-lbfgs.safetensors"
    file = tmp_path / "recording.nc"
    done = neuromotor("record", controller, "--out", file, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trial"] == 8
    again = neuromotor("record", controller, "--out", file)
    assert again.returncode == 2
    assert "exists" in again.stderr
    report = tmp_path / "report"
    arguments = ("--controller", controller, "--surrogates", "2", "--json", "--out", report)
    done = neuromotor("analyze", file, *arguments)
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)
    assert numbers == json.loads((report / "analysis.json").read_text())
    assert "speed_1_s" in numbers["sections"]["fixed-points"]
    assert (report / "report.html").stat().st_size > 100_000
    assert "similarity" not in numbers["sections"]
    pair = ("--against", file, "--surrogates", "2", "--json", "--out", tmp_path / "pair")
    done = neuromotor("analyze", file, *pair, "--soft", "0.1")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "pair/report.html").read_text()
    assert "Each unit is divided by its range plus 0.1" in page
    found = json.loads(done.stdout)["sections"]["similarity"]
    first = found["layer 1 - layer 1"]
    assert first["procrustes_rad"] < 1e-6 < first["procrustes_null_median_rad"]
    wrong = neuromotor("analyze", controller, "--out", tmp_path / "x")
    assert wrong.returncode == 2
    assert "not a netCDF file" in wrong.stderr


@pytest.mark.parametrize("words", [("--out", ""), ("--out=",), ("--config", "")])
def test_an_empty_value_is_refused_before_anything_is_done(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["neuromotor", "train", "center-out", "--smoke", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert f"`{words[0].rstrip('=')}` must not be empty" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
