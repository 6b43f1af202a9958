"""Entries of the zoo: what is measured of them, and how their histories are joined."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from neuromotor import DDN, ILQR, CenterOut, CommandTable, PointMass
from neuromotor.runs.zoo_entry import (
    Stage,
    joined_history,
    measure_entry,
    sensed_alike,
    trained_at,
    update_entry,
    write_entry,
)
from neuromotor.tasks import TASKS, Senses
from neuromotor.zoo import CONTROLLER
from neuromotor.zoo.saved_controller import SavedController, load_controller, save_controller

TASK = CenterOut(plant=PointMass(), directions=3, steps=10)


@pytest.fixture
def perfect():
    """A table of iLQR's commands, whose loss nothing is below."""
    commands = ILQR().solve(TASK, TASK.trials()).commands
    return SavedController(CommandTable(trials=3, steps=10), commands.flatten(), TASK, {})


def test_ilqrs_commands_have_a_ratio_of_one(perfect):
    found = measure_entry(TASK, perfect, seed=0)
    assert found["training"]["ratio"] == pytest.approx(1, rel=1e-12)
    assert found["training"]["trials"] == 3
    assert found["training"]["reference"] == "ilqr"
    assert found["evaluation"] is None  # nothing is random, nothing disturbs


def test_an_entry_is_written_once_and_measured_as_it_is_shipped(perfect, tmp_path):
    last = Stage(
        "neuromotor train center-out",
        {"seed": 0, "held_out": 4},
        {"method": "hf", "reason": "done", "values": 1, "gradients": 2, "products": 3}
        | {"calls": 6, "seconds": 0.5},
        {"calls": [1, 6], "seconds": [0.1, 0.5], "loss": [2.0, 1.0]},
        fresh=False,
    )
    place = tmp_path / "center-out/mine"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuromotor.runs.zoo_entry.describe", lambda *_, **__: {"usual": None})
        card = write_entry(tmp_path, "center-out/mine", perfect, TASK, [last], {"task": "x"})
        with pytest.raises(FileExistsError):
            write_entry(tmp_path, "center-out/mine", perfect, TASK, [last], {"task": "x"})
    assert json.loads((place / "card.json").read_text()) == card
    assert json.loads((place / "recipe.json").read_text())["stages"] == [
        {"command": last.command, "settings": last.settings}
    ]
    shipped = load_controller(place / CONTROLLER)
    assert torch.equal(shipped.parameters, perfect.parameters.float().double())
    assert card["training"]["ratio"] == pytest.approx(1, rel=1e-6)  # single precision
    assert (card["method"], card["calls"], card["parameters"]) == ("hf", 6, 60)


def test_an_entry_whose_file_says_no_task_is_refused(perfect, tmp_path):
    path = tmp_path / "center-out/mine" / CONTROLLER
    path.parent.mkdir(parents=True)
    save_controller(path, perfect.controller, perfect.parameters)
    with pytest.raises(ValueError, match="says no task"):
        update_entry(tmp_path, "center-out/mine")


def test_where_a_controller_was_trained_is_said_in_words():
    found = trained_at(DDN(noise=0.1, disturbance_nm=0.2))
    assert "0.1" in found["noise"]
    assert "0.2" in found["disturbance_nm"]
    assert set(trained_at(TASK)) >= {"radius_m"}


def stage(losses, fresh):
    count = len(losses)
    history = {
        "calls": list(range(1, count + 1)),
        "seconds": [0.1 * i for i in range(count)],
        "loss": list(losses),
    }
    return Stage("", {}, {"calls": count, "seconds": 0.1 * count, "method": "x"}, history, fresh)


def test_histories_are_joined_thinned_and_keep_their_meaning():
    losses = 1 / np.arange(1, 3001) + 0.1 * (np.arange(3000) % 2)
    best = joined_history([stage(losses, False)] * 2)
    assert len(best["calls"]) <= 400
    assert best["calls"][0] == 1
    assert best["calls"][-1] == 6000
    for calls, loss in zip(best["calls"], best["loss"], strict=True):
        assert loss == pytest.approx(losses[:calls].min(), rel=1e-6)
    fresh = joined_history([stage(losses, True)])
    ends = np.array(fresh["calls"])
    assert ends[-1] == 3000
    starts = np.concatenate([[0], ends[:-1]])
    total = sum(v * n for v, n in zip(fresh["loss"], ends - starts, strict=True))
    assert total == pytest.approx(losses.sum(), rel=1e-5)


def test_the_usual_task_tells_the_time_if_the_training_did():
    clock = Senses(clock="time-left")
    assert sensed_alike(TASKS["ddn"], DDN(senses=clock)) == DDN(senses=clock)
    jump = TASKS["target-jump"]
    own = replace(jump, reach=replace(jump.reach, senses=clock), jump_step=3)
    found = sensed_alike(jump, own)
    assert found == replace(jump, reach=replace(jump.reach, senses=clock))
