"""`record` of anything, in one process: the file's name says its format."""

import json

import pytest
from typer.testing import CliRunner

from neuromotor.cli.app import app

REACH = ("--task", "center-out", "--set", "task.directions=2", "--set", "task.steps=12")


def neuromotor(*arguments):
    return CliRunner().invoke(app, [str(part) for part in arguments])


def test_a_reference_is_recorded_and_the_name_says_the_format(tmp_path):
    pytest.importorskip("pynwb")
    done = neuromotor("record", "ilqg", *REACH, "--out", tmp_path / "x.nc", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["trial"] == 2
    assert (tmp_path / "x.nc").read_bytes()[:3] == b"CDF"
    change = ("--feedback", "replay", "3", "9", "--replay", tmp_path / "x.nc")
    done = neuromotor("record", "lqg", *REACH, *change, "--out", tmp_path / "y.nwb")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "y.nwb").read_bytes()[1:4] == b"HDF"
    wrong = neuromotor("analyze", tmp_path / "y.nwb", "--out", tmp_path / "report")
    assert "is an NWB file; make a recording of it first" in str(wrong.exception)
    wrong = neuromotor("record", "ilqg", *REACH, "--out", tmp_path / "x.nc")
    assert "overwrite it with `--force`" in str(wrong.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.nc", "y.nwb"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "z.nc"), "`--task` must say what ilqg does"),
        ((*REACH, "--out", "z.mat"), "must end in .nc, .nc4 or .nwb, got 'z.mat'"),
        ((*REACH, "--out", "z"), "must end in .nc, .nc4 or .nwb, got 'z'"),
        ((*REACH, "--out", "z.nc", "--format", "nwb"), "must end in .nwb, got 'z.nc'"),
        ((*REACH, "--format", "matlab"), "`--format` must be netcdf, netcdf4 or nwb"),
        ((*REACH, "--feedback", "stop", "1", "2"), "unknown change of feedback 'stop'"),
        ((*REACH, "--feedback", "cut", "1", "12"), "must end before step 12"),
        ((*REACH, "--replay", "x.nc"), "need `--feedback`"),
        ((*REACH, "--out", "z.nc", "--spike-rate", "5"), "needs `--format nwb`"),
    ],
)
def test_what_cannot_be_recorded_is_said_and_nothing_is_written(
    arguments, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    wrong = neuromotor("record", "ilqg", *arguments)
    assert isinstance(wrong.exception, ValueError)
    assert message in str(wrong.exception)
    assert not list(tmp_path.iterdir())
