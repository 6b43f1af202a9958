"""NWB files in the manner of several labs, written by pynwb, become the planted recording."""

import datetime

import numpy as np
import pytest
from planted_session import check_planted, planted

from neuromotor.analysis import ImportOptions, RecordingError, from_nwb, save_nwb

pynwb = pytest.importorskip("pynwb")

PLAN = planted()
START = datetime.datetime(2024, 5, 1, 12, 0, tzinfo=datetime.UTC)
REACH = {"align": "go_time", "window_s": (-0.2, 0.6), "conditions": ("angle",)}


def empty(**about):
    return pynwb.NWBFile(
        session_description="reaching", identifier="x", session_start_time=START, **about
    )


def write(path, nwb):
    with pynwb.NWBHDF5IO(str(path), mode="w") as file:
        file.write(nwb)
    return path


def with_trials(nwb, *, names=None, leave_out=()):
    """Add the trials table, with a ragged column and one that has nothing but NaN."""
    names = names or {}
    table = {names.get(k, k): v for k, v in PLAN.trials.items() if k not in leave_out}
    ends = ("start_time", "stop_time")
    for name in table:
        if name not in ends:
            nwb.add_trial_column(name=name, description=name)
    nwb.add_trial_column(name="touches", description="ragged", index=True)
    nwb.add_trial_column(name="lost", description="never measured")
    for row in range(len(PLAN.areas) * 8):
        own = {name: values[row] for name, values in table.items()}
        nwb.add_trial(**own, touches=[0.1] * (row % 3), lost=np.nan)
    return nwb


def with_electrodes(nwb):
    """Add two arrays of electrodes, with locations of the groups."""
    device = nwb.create_device(name="array")
    for name in ("M1", "PMd"):
        group = nwb.create_electrode_group(
            name=f"{name} array", description=name, location=name, device=device
        )
        for _ in range(4):
            nwb.add_electrode(group=group, location="unknown")
    return nwb


def with_units(nwb, *, electrodes=False, intervals=False):
    whole = np.array([[0.0, PLAN.time_s[-1]]])
    nwb.add_unit_column(name="quality", description="by eye")
    for unit, times in enumerate(PLAN.spikes):
        more = {"electrodes": [unit]} if electrodes else {}
        if intervals:
            more["obs_intervals"] = whole
        nwb.add_unit(spike_times=times, quality="good" if unit else "clock", **more)
    return nwb


def with_hand(nwb, module, *, rate=None, unit="m", scale=1.0, name="hand_pos"):
    timing = {"rate": rate, "starting_time": 0.0} if rate else {"timestamps": PLAN.time_s}
    series = pynwb.behavior.SpatialSeries(
        name=name,
        data=PLAN.hand_m / scale,
        unit=unit,
        conversion=1.0,
        reference_frame="screen",
        **timing,
    )
    own = nwb.create_processing_module(name=module, description="behavior")
    own.add(pynwb.behavior.Position(name="Position", spatial_series=series))
    return nwb


def latent_benchmark(path):
    """Arrays in two areas, observed intervals, positions in mm with timestamps, go_cue_time."""
    nwb = with_units(with_electrodes(empty()), electrodes=True, intervals=True)
    return write(path, with_hand(with_trials(nwb), "behavior", unit="mm", scale=1e-3)), {}


def random_target(path):
    """Units without intervals or electrodes; a cursor sampled at a rate; other column names."""
    nwb = with_trials(with_units(empty()), names={"go_cue_time": "cue", "angle": "dir"})
    nwb = with_hand(nwb, "Kinematics", rate=1000.0, unit="cm", scale=0.01, name="cursor")
    options = {"events": {"go_time": "cue"}, "conditions": ("dir",)}
    return write(path, nwb), options


def intervals_of_their_own(path):
    """Trials in a table of intervals of another name, without onsets of movement."""
    nwb = with_hand(with_units(empty()), "behavior", unit="meters")
    table = pynwb.epoch.TimeIntervals(name="reaches", description="reaches")
    for name in ("go", "angle"):
        table.add_column(name=name, description=name)
    for row in range(64):
        start, stop = (float(PLAN.trials[name][row]) for name in ("start_time", "stop_time"))
        go, angle = PLAN.trials["go_cue_time"][row], PLAN.trials["angle"][row]
        table.add_row(start_time=start, stop_time=stop, go=go, angle=angle)
    nwb.add_time_intervals(table)
    return write(path, nwb), {"trials": "reaches", "events": {"go_time": "go"}}


@pytest.mark.parametrize("lab", [latent_benchmark, random_target, intervals_of_their_own])
def test_files_in_the_manner_of_a_lab(lab, tmp_path):
    path, changes = lab(tmp_path / "session.nwb")
    recording = from_nwb(path, ImportOptions(**{**REACH, **changes}))
    check_planted(recording, PLAN)
    still = recording["time"].values < 0.25 - 1e-9
    hand = recording["hand_position"].values
    np.testing.assert_allclose(hand[:, still], 0, atol=1e-9)
    assert np.linalg.norm(hand[:, -1], axis=-1).min() > 0.05
    onset = recording["movement_onset"].values
    np.testing.assert_allclose(onset, 0.25, atol=0.08)
    if lab is latent_benchmark:
        assert recording["layer"].values.tolist() == ["M1"] * 4 + ["PMd"] * 4
        assert (
            "columns with several values a trial were left out: touches"
            in (recording.attrs["import_notes"])
        )
        np.testing.assert_allclose(onset, 0.25)


def test_trials_units_and_areas_are_chosen(tmp_path):
    path, _ = latent_benchmark(tmp_path / "session.nwb")
    options = ImportOptions(
        **REACH,
        select="result == 'R' and angle != 90",
        select_units="quality == 'good'",
        areas=("M1",),
        minimum_rate_hz=1.0,
    )
    recording = from_nwb(path, options)
    wanted = (PLAN.trials["result"] == "R") & (PLAN.trials["angle"] != 90)
    np.testing.assert_array_equal(recording["trial"], np.flatnonzero(wanted))
    assert recording["unit_name"].values.tolist() == ["1", "2", "3"]
    assert "of other areas" in recording.attrs["import_notes"]


def test_units_that_come_and_go_are_missing_there(tmp_path):
    nwb = with_trials(empty())
    half = float(PLAN.trials["start_time"][32] - 0.05)
    for unit, times in enumerate(PLAN.spikes[:4]):
        end = half if unit == 2 else PLAN.time_s[-1]
        own = times[times < end]
        nwb.add_unit(spike_times=own, obs_intervals=np.array([[0.0, end]]))
    path = write(tmp_path / "x.nwb", nwb)
    options = {**REACH, "find_onset": False}
    kept = from_nwb(path, ImportOptions(**options))
    missing = np.isnan(kept["rate"].values)
    assert missing[32:, :, 2].all()
    assert missing.sum() == missing[32:, :, 2].size
    units = from_nwb(path, ImportOptions(**options, gaps="units"))
    assert units["unit_name"].values.tolist() == ["0", "1", "3"]
    trials = from_nwb(path, ImportOptions(**options, gaps="trials"))
    assert trials["trial"].values.tolist() == list(range(32))
    with pytest.raises(RecordingError, match="samples are missing in rate"):
        from_nwb(path, ImportOptions(**options, gaps="refuse"))


def test_our_own_files_come_back(tmp_path):
    path, _ = latent_benchmark(tmp_path / "session.nwb")
    about = {"subject_id": "J", "species": "Macaca mulatta", "sex": "M", "age": "P6Y"}
    first = from_nwb(path, ImportOptions(**REACH, about=about))
    save_nwb(tmp_path / "ours.nwb", first, session_start=START)
    again = from_nwb(
        tmp_path / "ours.nwb",
        ImportOptions(align="go_time", window_s=(-0.2, 0.6), behaviour={}),
    )
    np.testing.assert_allclose(again["rate"], first["rate"], rtol=1e-6)
    np.testing.assert_allclose(again["hand_position"], first["hand_position"], atol=1e-9)
    assert again["condition"].values.tolist() == [str(x) for x in first["condition"].values]
    inspector = pytest.importorskip("nwbinspector")
    found = list(inspector.inspect_nwbfile(nwbfile_path=str(tmp_path / "ours.nwb")))
    assert not found, [(message.check_function_name, message.message) for message in found]
    with pynwb.NWBHDF5IO(str(tmp_path / "ours.nwb"), "r") as file:
        nwb = file.read()
        assert nwb.subject.subject_id == "J"
        assert "imulat" not in nwb.session_description + nwb.lab + nwb.subject.description


def test_what_a_file_lacks_is_named(tmp_path):
    bare = write(tmp_path / "bare.nwb", with_units(empty()))
    with pytest.raises(RecordingError, match="has no trials table 'trials'"):
        from_nwb(bare)
    path = write(tmp_path / "x.nwb", with_trials(with_units(empty())))
    with pytest.raises(RecordingError, match="'go_tim', which is no column of the trials; did you"):
        from_nwb(path, ImportOptions(align="go_tim"))
    with pytest.raises(RecordingError, match="lost"):
        from_nwb(path, ImportOptions(align="lost"))
    broken = tmp_path / "broken.nwb"
    broken.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(RecordingError, match="cannot be read as NWB"):
        from_nwb(broken)
