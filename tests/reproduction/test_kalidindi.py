"""The study of Kalidindi et al. (2021) again, at a size that says nothing about networks."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from neuromotor.cli.app import app
from neuromotor.controllers import CONTROLLERS
from neuromotor.reproduction.kalidindi import measure, results
from neuromotor.reproduction.kalidindi.networks import CONDITIONS, Effort, network, task_of
from neuromotor.reproduction.kalidindi.results import PAPER, reproduce
from neuromotor.tasks import PostureLoads

TINY = Effort(seeds=1, units=8, calls=2, surrogates=2)


def test_every_published_row_belongs_to_a_condition_and_its_task_can_be_made():
    assert {name for name, _ in PAPER} == set(CONDITIONS)
    for condition in CONDITIONS.values():
        task = task_of(condition)
        assert len(task.trials()) in (9, 33)
        assert condition.controller in CONTROLLERS


def test_behaviour_is_that_of_planted_courses():
    """A hand that is 3 cm away 350 ms after each load, a muscle that starts after 60 ms."""
    task = PostureLoads()
    steps = np.arange(task.steps + 1)
    since = np.clip((steps - 100) / 35, 0, None)
    course = 0.03 * since * np.exp(1 - since)  # largest, 3 cm, at step 135
    angles = task.angles.numpy()
    hand = course[None, :, None] * np.stack([np.cos(angles), np.sin(angles)], -1)[:, None]
    hand = np.concatenate([hand, np.zeros((1, task.steps + 1, 2))])
    muscles = np.zeros((9, task.steps, 6))
    muscles[:8, 105:, 0] = 1.0  # the state after step 105 is that of 60 ms after the load
    units = np.zeros((9, task.steps, 3))
    for unit, preferred in enumerate((30.0, 30.0, 210.0)):
        units[:8, 100:, unit] = np.cos(angles - math.radians(preferred))[:, None]
    found = measure.behaviour_of(task, hand, {"muscles": muscles, "output layer": units})
    assert found.displacement_cm == pytest.approx(3.0)
    assert found.reversal_ms == pytest.approx(350.0)
    assert found.muscles_ms == pytest.approx(60.0)
    assert found.axis_deg == pytest.approx(30.0)
    assert found.axis_strength == pytest.approx(1.0)


def test_planted_rotations_of_the_rates_are_found():
    """Three groups of units, each a plane of its own that turns from where the load sets it."""
    angles, time = PostureLoads().angles.numpy(), 0.01 * np.arange(30)
    groups = []
    for number, (hz, units) in enumerate(((2.0, 30), (1.2, 24), (0.6, 18)), start=1):
        phase = number * angles[:, None, None] + 2 * math.pi * hz * time[:, None]
        groups.append(np.cos(phase + 2 * math.pi * np.arange(units) / units))
    rates = np.concatenate(groups, axis=2)
    found = measure.rotations_in({"output layer": rates}, 0.01, surrogates=0)["output layer"]
    assert found.frequencies_hz == pytest.approx([2.0, 1.2, 0.6], rel=0.02)
    assert found.r2_skew > 0.99


@pytest.mark.slow  # compiles its loops
def test_tables_and_figure_are_written_and_trained_networks_are_used_again(tmp_path):
    out, nets = tmp_path / "out", tmp_path / "nets"
    about = {"command": "here"}
    told = []
    tables = reproduce(nets, out, about, conditions=["posture"], effort=TINY, progress=told.append)
    assert [table.name for table in tables] == ["rotations", "behaviour"]
    assert tables[0].rows[0]["skew, paper"] == "0.55"
    assert json.loads((out / "tables.json").read_text())["command"] == "here"
    assert (out / "rotations.png").stat().st_size > 1000
    assert any("updates" in words for words in told)
    told.clear()
    saved = network(CONDITIONS["posture"], 0, replace(TINY, calls=99), nets, told.append)
    assert not told
    assert saved.task == task_of(CONDITIONS["posture"])


def test_an_unknown_condition_is_refused():
    result = CliRunner().invoke(app, ["reproduce", "kalidindi2021", "--conditions", "postures"])
    assert result.exit_code != 0
    assert "postures" in str(result.exception) or "postures" in result.output


def test_the_shipped_posture_network_turns_as_the_published_ones_do(tmp_path):
    """Output and input layer of Kalidindi et al. (2021): R², and the first two frequencies."""
    posture = CONDITIONS["posture"]
    saved = network(posture, 0, Effort(shipped=True), tmp_path, print)
    assert (tmp_path / "posture-0.safetensors").exists()
    assert saved.task == task_of(posture)
    found = measure.measured(saved, saved.task, surrogates=0)
    for layer in ("output layer", "input layer"):
        skew, free, hz, _ = PAPER["posture", layer]
        own = found.rotations[layer]
        assert own.r2_skew == pytest.approx(skew, abs=0.1)
        assert own.r2_unconstrained == pytest.approx(free, abs=0.1)
        assert own.frequencies_hz[:2] == pytest.approx(hz, abs=0.5)
    assert 300 <= found.behaviour.reversal_ms <= 400
    assert found.behaviour.end_error_cm < 0.1


def test_what_does_not_come_with_the_package_is_left_out():
    effort = Effort(shipped=True, seeds=3)
    assert 0 in effort.seeds_of(CONDITIONS["posture"])
    assert effort.seeds_of(CONDITIONS["posture-hand"]) == []
    assert Effort(seeds=3).seeds_of(CONDITIONS["posture-hand"]) == [0, 1, 2]


def test_a_signal_with_one_plane_has_one_frequency():
    """Kinematics keep two components."""
    angles, time = PostureLoads().angles.numpy(), 0.01 * np.arange(30)
    phase = angles[:, None] + 2 * math.pi * time
    courses = np.stack([np.cos(phase), np.sin(phase)], axis=-1)
    found = measure.rotations_in({"kinematics": courses}, 0.01, surrogates=0)["kinematics"]
    row = results.row_of("posture", "kinematics", None, [found])
    assert row["Hz"] == "1.00"
    assert row["planes 1 + 2"] == "100 %"
