"""`neuromotor train`, run as a user would: settings, stops, and going on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from forked import neuromotor

from neuromotor.zoo.saved_controller import load_controller

COMMAND = str(Path(sys.executable).parent / "neuromotor")


def test_an_existing_run_is_kept_unless_forced(smoke_run):
    folder, _ = smoke_run
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    done = neuromotor("train", "center-out", "--smoke", "--out", folder)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


@pytest.mark.slow
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


@pytest.mark.slow
def test_noise_that_stays_the_same_is_said_in_one_line(tmp_path):
    words = ("train", "center-out", "--smoke", "--no-figures", "--set", "task.noise=0.1")
    for more, said in (((), 1), (("--set", "refresh=1"), 0)):
        done = neuromotor(*words, *more, "--set", "held_out=4", "--out", tmp_path / str(said))
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stderr.splitlines() if "learns by heart" in line]
        assert len(lines) == said
        assert all(line.startswith("warning: every iteration") for line in lines)
