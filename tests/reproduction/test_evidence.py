"""Small trainings behind the thesis's words, and the file that they are kept in."""

import json

import pytest

from neuromotor.reproduction import evidence
from neuromotor.reproduction.rows import Measurement, collect


@pytest.mark.slow
def test_hessian_free_on_a_table_of_commands_finds_ilqrs_trajectories():
    row = evidence.table_row(directions=2)
    assert abs(row["excess"]) < 1e-9
    assert row["away_cm"] < 1e-4


def test_a_disturbance_needs_a_delay_to_move_the_hand_of_optimal_control():
    none, some = (evidence.feedback_row(delay, 2, pairs=4, count=12) for delay in (0, 7))
    assert 0 < 5 * none["ilqg_cm"] < some["ilqg_cm"]
    assert none["network_cm"] > 0


def test_small_trainings():
    row = evidence.failure_row("published", "ahf", 30, 0)
    assert row["ratio"] > 1
    assert row["calls"] >= 30
    long = evidence.long_row(20, 1, layers=(4,))
    assert long["early"] >= long["ratio"] > 1


def test_rows_are_collected_once(tmp_path):
    file, done = tmp_path / "rows.json", []

    def measurement(key, *, fails=False):
        def measure():
            if fails:
                raise KeyboardInterrupt
            done.append(key)
            return {"found": key + 1}

        return Measurement({"key": key, "layers": [2]}, measure, lambda row: f"{row['found']}")

    said = []
    with pytest.raises(KeyboardInterrupt):
        collect(file, [measurement(1), measurement(2), measurement(3, fails=True)], said.append)
    assert (done, said) == ([1, 2], ["2", "3"])
    data = collect(file, [measurement(1), measurement(2), measurement(3)], said.append)
    assert done == [1, 2, 3]
    assert [row["found"] for row in data["rows"]] == [2, 3, 4]
    assert data == json.loads(file.read_text())
