"""`neuromotor drive`, run as a user would."""

import json

from forked import neuromotor

from neuromotor import CenterOut, ContinuousTimeRNN
from neuromotor.analysis import load_recording, record, save_recording
from neuromotor.training.single import initial_parameters


def test_a_reservoir_takes_the_units_place(tmp_path):
    network = ContinuousTimeRNN(layers=(7,))
    trials = record(CenterOut(directions=4), network, initial_parameters(network, seed=0))
    save_recording(tmp_path / "session.nc", trials)
    words = ("drive", tmp_path / "session.nc", "--out", tmp_path / "echoes.nc")
    more = ("--inputs", "rate,hand_velocity", "--set", "controller.layers=[30]", "--json")
    done = neuromotor(*words, *more)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["unit"] == 30
    echoes = load_recording(tmp_path / "echoes.nc")
    assert (echoes["hand_position"] == trials["hand_position"]).all()
    other = ("--force", "--controller", "center-out/lbfgs")
    for wrong, message in (
        ((), "echoes.nc exists"),
        (("--force", "--inputs", "rates"), "the recording lacks `rates`"),
        (("--force", "--set", "budget=3"), "unknown setting `budget`"),
        (other, "as many inputs as rate have numbers, 7"),
        ((*other, "--set", "controller.layers=[3]"), "are for a reservoir"),
    ):
        done = neuromotor(*words, *wrong)
        assert done.returncode != 0
        assert message in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
