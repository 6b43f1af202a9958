"""`neuromotor infer` of a recording, run as a user would, in one process."""

import json

import pytest
from typer.testing import CliRunner

from neuromotor.cli.app import app

PLANTED = {"task.energy_weight": 1e-3, "task.noise": 0.2, "task.sensory_noise": 0.01}
SIZES = {"plant": "point-mass", "plant.dt_s": 0.04, "task.radius_m": 0.1, "task.steps": 6}


def neuromotor(*arguments):
    return CliRunner().invoke(app, [str(part) for part in arguments])


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("moved") / "moved.nc"
    sizes = {**SIZES, **PLANTED, "task.directions": 1, "task.repeats": 20}
    settings = [word for key, value in sizes.items() for word in ("--set", f"{key}={value}")]
    done = neuromotor("record", "ilqg", "--task", "center-out", *settings, "--out", path)
    assert done.exit_code == 0, done.output
    return path


def test_a_planted_setting_is_printed_with_its_interval_and_drawn(recording, tmp_path):
    picture = tmp_path / "noise.png"
    options = ("--start", "noise=0.3", "--starts", "1", "--figure", picture, "--json")
    done = neuromotor("infer", recording, "--settings", "noise", *options)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    low, high = found["intervals"]["noise"]
    assert low < 0.2 < high
    assert found["recorded"] == {"noise": 0.2}
    assert found["measurements"] == 20 * 5 * 4  # the start is known, the last state not recorded
    assert picture.read_bytes()[1:4] == b"PNG"
    table = neuromotor("infer", recording, "--settings", "noise", "--starts", "1")
    assert "95% interval" in table.stdout
    assert "20 trials" in table.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--settings", "nois"), "`names` must be settings of the task, got 'nois'"),
        (("--settings", ","), "`names` must hold at least one setting"),
        (("--settings", "noise", "--start", "noise"), "`--start` must be NAME=VALUE"),
        (("--settings", "noise", "--start", "noise=big"), "`--start` must be NAME=VALUE"),
        (("--settings", "noise", "--signals", "elbow"), "must be state, joint_position"),
        (("--settings", "noise", "--figure", "x.txt"), "`--figure` must end in .png"),
    ],
)
def test_what_cannot_be_inferred_is_said(recording, options, message):
    done = neuromotor("infer", recording, *options)
    assert message in str(done.exception)


def test_a_cut_recording_is_refused(recording, tmp_path):
    from neuromotor.analysis import load_recording, save_recording

    cut = load_recording(recording).isel(time=slice(0, 4))
    save_recording(tmp_path / "cut.nc", cut)
    done = neuromotor("infer", tmp_path / "cut.nc", "--settings", "noise")
    assert "steps" in str(done.exception)
