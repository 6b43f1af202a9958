"""NWB files hold the recording's arrays and pass the inspector."""

import datetime

import numpy as np
import pytest
import torch

pynwb = pytest.importorskip("pynwb")

from cases import noisy  # noqa: E402

from neuromotor import CenterOut, ContinuousTimeRNN, MuscleArm  # noqa: E402
from neuromotor.analysis import RecordingError, make_recording, record  # noqa: E402
from neuromotor.analysis.nwb import save_nwb  # noqa: E402
from neuromotor.training.single import initial_parameters  # noqa: E402

TASK = CenterOut(directions=4, steps=12)
NET = ContinuousTimeRNN(layers=(5, 3))
START = datetime.datetime(2024, 5, 1, 12, 0, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("nwb") / "session.nwb"
    recording = record(TASK, NET, initial_parameters(NET, 0), noisy(TASK.trials(), TASK.steps))
    save_nwb(path, recording, spike_rate_hz=100, session_start=START)
    return path, recording


def test_what_is_written_is_read_again(written):
    path, recording = written
    with pynwb.NWBHDF5IO(path, "r") as file:
        nwb = file.read()
        for name in ("rate", "activation"):
            series = nwb.processing["ecephys"][name]
            np.testing.assert_array_equal(series.data[:].reshape(4, 12, 8), recording[name])
        hand = nwb.processing["behavior"]["Position"]["hand_position"]
        np.testing.assert_array_equal(hand.data[:].reshape(4, 12, 2), recording["hand_position"])
        load = nwb.processing["misc"]["load"]
        assert load.unit == "N m"
        trials = nwb.trials.to_dataframe()
        assert trials["condition"].tolist() == ["0", "1", "2", "3"]
        target = recording["target_position"].values[:, 0]
        np.testing.assert_array_equal(trials["target_position_x"], target)
        stamps = hand.timestamps[:].reshape(4, 12)
        np.testing.assert_allclose(stamps[:, 0], trials["start_time"])
        np.testing.assert_allclose(stamps - stamps[:, :1], 0.01 * np.arange(12)[None].repeat(4, 0))
        np.testing.assert_allclose(trials["stop_time"] - trials["start_time"], 0.12)
        assert (trials["start_time"].values[1:] > trials["stop_time"].values[:-1]).all()
        assert '"rnn"' in nwb.devices["network"].description


def test_muscles_are_written_too(tmp_path):
    task = CenterOut(plant=MuscleArm(), directions=2, steps=3)
    recording = record(task, lambda seen, target, t: torch.full((2, 6), 0.3).double())
    save_nwb(tmp_path / "muscles.nwb", recording, session_start=START)
    with pynwb.NWBHDF5IO(tmp_path / "muscles.nwb", "r") as file:
        misc = file.read().processing["misc"]
        units = {"activation": "n.a.", "length": "m", "velocity": "m/s"}
        for name, unit in units.items():
            series = misc[f"actuator_{name}"]
            values = series.data[:].reshape(2, 3, 6)
            np.testing.assert_array_equal(values, recording[f"actuator_{name}"])
            assert series.unit == unit
            assert "columns: shoulder flexor" in series.description


def test_spikes_follow_the_rates(written):
    path, recording = written
    with pynwb.NWBHDF5IO(path, "r") as file:
        units = file.read().units
        assert len(units) == 8
        assert units["layer"][:].tolist() == ["layer 1"] * 5 + ["layer 2"] * 3
        rate = recording["rate"].values
        for unit in range(8):
            own = rate[:, :, unit]
            expected = 100 * 0.01 * (own - own.min()).sum()
            count = len(units.get_unit_spike_times(unit))
            assert abs(count - expected) < 5 * np.sqrt(expected + 1)


def test_the_inspector_finds_nothing_to_complain_about(written):
    inspector = pytest.importorskip("nwbinspector")
    found = list(inspector.inspect_nwbfile(nwbfile_path=str(written[0])))
    assert not found, [(message.check_function_name, message.message) for message in found]


def test_an_existing_file_is_kept(written):
    path, recording = written
    with pytest.raises(FileExistsError, match="overwrite"):
        save_nwb(path, recording)
    with pytest.raises(ValueError, match="spike_rate_hz"):
        save_nwb(path.with_name("other.nwb"), recording, spike_rate_hz=0.0)


def test_units_and_names_from_elsewhere_are_safe_in_nwb(tmp_path):
    hand = 0.01 * np.arange(24.0).reshape(2, 6, 2)
    own = make_recording(
        1e3 * np.arange(6) * 0.01,
        ["a/b", "../c"],
        {"rate": np.ones((2, 6, 2)), "hand_position": 100 * hand, "target": np.zeros((2, 3))},
        layer=["x/y", "../../z"],
        labels={"state": ["p/q", "p q", "p_q"]},
        units={"time": "ms", "hand_position": "cm", "rate": "Hz"},
    )
    save_nwb(tmp_path / "x.nwb", own, spike_rate_hz=1.0)
    with pynwb.NWBHDF5IO(tmp_path / "x.nwb", "r") as file:
        nwb = file.read()
        series = nwb.processing["behavior"]["Position"]["hand_position"]
        assert (series.unit, series.conversion) == ("meters", 1.0)
        np.testing.assert_allclose(series.data[:].reshape(2, 6, 2), hand)
        assert nwb.processing["ecephys"]["rate"].unit == "spikes/s"
        assert nwb.trials.to_dataframe()["condition"].tolist() == ["a/b", "../c"]
        assert set(nwb.trials.colnames) > {"target_p-q", "target_p_q", "target_p_q-2"}
    in_cm = own.assign(hand_position=own["hand_position"].assign_attrs(units="cm"))
    with pytest.raises(RecordingError, match="`hand_position` must be in m, got 'cm'"):
        save_nwb(tmp_path / "y.nwb", in_cm)
    with pytest.raises(ValueError, match=r"must end in \.nwb for `save_nwb`, got 'y.nc'"):
        save_nwb(tmp_path / "y.nc", own)


def test_pynapple_opens_it(written):
    nap = pytest.importorskip("pynapple")
    path, recording = written
    data = nap.load_file(str(path))
    rate = data["rate"]
    np.testing.assert_array_equal(np.asarray(rate).reshape(4, 12, 8), recording["rate"])
    trials = data["trials"]
    assert len(trials) == 4
    hand = np.asarray(data["hand_position"].restrict(trials[2]))
    np.testing.assert_array_equal(hand, recording["hand_position"][2])
    assert len(data["units"]) == 8
    data.close()
