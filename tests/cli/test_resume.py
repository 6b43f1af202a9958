"""Runs that are killed or stopped, at any moment, go on to the same bits."""

import json
import os
import random
import signal
import time

import pytest
import torch
from forked import finish, start

from neuromotor import CenterOut, ContinuousTimeRNN, load_controller, save_controller
from neuromotor.files import folder_in_use
from neuromotor.run_records import read_run
from neuromotor.training import initial_parameters

SMALL = ("--set", "controller.layers=[8]", "--set", "task.directions=3", "--set", "task.steps=15")
TRAIN = ("train", "center-out", *SMALL, "--optimizer", "hf", "--budget", "500")
COMPARE = ("compare", "center-out", *SMALL, "--optimizers", "lbfgs,adam", "--budget", "150")
SEEDS = (*COMPARE, "--seeds", "2")


def content(folder):
    """Everything that a run computed, without seconds."""
    found = {}
    for path in sorted(folder.rglob("controllers/*.safetensors")):
        saved = load_controller(path)
        name = str(path.relative_to(folder))
        found[name] = (saved.controller, saved.parameters.numpy().tobytes())
    for path in sorted([*folder.rglob("history.json"), *folder.rglob("summary.json")]):
        data = json.loads(path.read_text())
        if path.name == "summary.json":
            data = {key: data[key] for key in ("rows", "settings", "task", "interrupted")}
        found[str(path.relative_to(folder))] = without_seconds(data)
    return found


def without_seconds(data):
    if isinstance(data, dict):
        return {
            key: without_seconds(value)
            for key, value in data.items()
            if key not in ("seconds", "seconds_to")
        }
    return [without_seconds(part) for part in data] if isinstance(data, list) else data


def assert_metrics_fit(folder):
    """No line twice, in order, and each of them a point of the history."""
    for path in folder.rglob("metrics.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        history = json.loads((path.parent / "history.json").read_text())
        for method, table in history.items():
            own = [line for line in lines if line["method"] == method]
            order = [line["iteration"] for line in own]
            assert order == sorted(set(order))
            assert {0, len(table["loss"]) - 1} <= set(order)
            for line in own:
                assert line["value"] == table["loss"][line["iteration"]]
                assert line["calls"] == table["calls"][line["iteration"]]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The folder of each command without a stop, and how long it took."""
    made = {}

    def get(arguments):
        if arguments not in made:
            folder = tmp_path_factory.mktemp("whole") / "run"
            begin = time.monotonic()
            code, text = finish(*arguments, "--out", folder, log=folder.with_name("log"))
            assert code == 0, text
            made[arguments] = content(folder), time.monotonic() - begin
        return made[arguments]

    return get


def kill_and_resume(arguments, folder, moment, every, whole):
    log = folder.with_name("log")
    process = start(*arguments, "--checkpoint-every", every, "--out", folder, log=log)
    process.join(moment)
    process.kill()
    process.join()
    again = (*arguments, "--out", folder)
    if (folder / "settings.json").exists():
        assert read_run(folder, verify=True).state in ("finished", "unfinished")
        again = (*arguments[:2], "--resume", folder)
    code, text = finish(*again, "--checkpoint-every", every, log=log)
    assert code == 0, text
    assert content(folder) == whole
    assert_metrics_fit(folder)
    assert not list(folder.rglob(".*"))
    assert read_run(folder, verify=True).state == "finished"


def test_killed_three_times_it_comes_to_the_same_bits(uninterrupted, tmp_path):
    choice = random.Random(os.getpid())
    for number, arguments in enumerate((TRAIN, COMPARE, SEEDS)):
        whole, duration = uninterrupted(arguments)
        moment = choice.uniform(0.1, 1.0) * duration
        folder = tmp_path / str(number)
        folder.mkdir()
        kill_and_resume(arguments, folder / "run", moment, 0, whole)


@pytest.mark.slow
def test_killed_fifty_times_at_random_moments(uninterrupted, tmp_path):
    choice = random.Random(os.getpid())
    for number in range(50):
        arguments = (TRAIN, COMPARE, SEEDS)[number % 3]
        whole, duration = uninterrupted(arguments)
        moment = choice.uniform(0.0, 1.1) * duration
        (tmp_path / str(number)).mkdir()
        every = choice.choice([0, 0.05])
        kill_and_resume(arguments, tmp_path / str(number) / "run", moment, every, whole)
