"""Target jumps: who sees them corrects them, who ignores feedback does not; the command too."""

import json

import pytest
from typer.testing import CliRunner

from neuromotor.cli.app import app
from neuromotor.experiments import (
    EXPERIMENTS,
    CannotBeAskedError,
    Optimal,
    Session,
    TargetJumps,
    put_through,
    subject_of,
)
from neuromotor.tasks import CursorReach

SMALL = TargetJumps(distance_m=0.1, arrival_s=0.4, jumps_s=(0.05, 0.2), repeats=3)


def test_optimal_control_corrects_early_jumps_whole_and_late_ones_in_part():
    found, judged = put_through(SMALL, Session(Optimal(), CursorReach()))
    assert found is not None
    assert found.measures["early"].value == pytest.approx(100, abs=10)
    assert found.measures["late less than early"].high < -20
    assert all(one.verdict in ("inside", "same direction") for one in judged)
    # nothing can be answered before it is seen
    assert found.measures["latency"].value >= 100


def test_who_ignores_feedback_shows_nothing():
    _, judged = put_through(SMALL, Session(subject_of("open-loop"), CursorReach()))
    assert [one.verdict for one in judged] == ["absent"] * 4


def test_network_of_another_task_cannot_be_asked():
    _, judged = put_through(SMALL, Session(subject_of("center-out/best"), CursorReach()))
    assert {one.verdict for one in judged} == {"cannot be asked"}
    assert "sees no cursor" in judged[0].reason
    with pytest.raises(ValueError, match="must be a controller file"):
        subject_of("no-such-subject")


def test_units_of_a_controller_without_units_cannot_be_asked():
    session = Session(Optimal(), CursorReach(steps=12))
    task = session.world
    run = session.run(task, task.reaches(task.home[None] + 0.02, arrival_s=0.1))
    with pytest.raises(CannotBeAskedError, match="no units"):
        run.rates()


def test_command_puts_a_controller_through_and_prints_json(tmp_path):
    said = CliRunner().invoke(
        app,
        [
            *("experiment", "target-jumps", "--controller", "open-loop", "--json"),
            *("--set", "experiment.repeats=2", "--set", "experiment.arrival_s=0.3"),
            *("--set", "experiment.jumps_s=[0.1, 0.2]", "--figures", str(tmp_path)),
        ],
    )
    assert said.exit_code == 0, said.output
    data = json.loads(said.stdout)
    assert data["outcomes"][0]["verdict"] == "absent"
    assert data["experiments"]["target-jumps"]["repeats"] == 2
    assert (tmp_path / "target-jumps_open-loop.png").exists()


def test_list_of_experiments_and_wrong_settings():
    said = CliRunner().invoke(app, ["experiment", "--json"])
    assert set(json.loads(said.stdout)) == set(EXPERIMENTS)
    said = CliRunner().invoke(app, ["experiment", "target-jumps", "--set", "experiment.repats=2"])
    assert said.exit_code != 0
    assert "repeats" in said.output + str(said.exception)
