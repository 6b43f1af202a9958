"""MATLAB and numpy files in the manner of several labs become the planted recording."""

import h5py
import numpy as np
import pytest
from planted_session import check_planted, planted
from scipy.io import savemat

from neuromotor.analysis import (
    FileNames,
    ImportOptions,
    RecordingError,
    from_mat,
    from_npz,
    import_recording,
)

PLAN = planted()
T = PLAN.trials
REACH = {"align": "go_time", "window_s": (-0.2, 0.6)}


def in_trial(times, row):
    return times[(times >= T["start_time"][row]) & (times < T["stop_time"][row])]


def trial_data(path):
    """Bins of 10 ms, events as numbers of bins, one structure a trial (Limb Lab's TrialData)."""
    trials = []
    for row in range(64):
        zero = T["go_cue_time"][row] - 1.0  # so that the signal lies in the middle of bin 101
        low = zero + 0.01 * (np.ceil((T["start_time"][row] - zero) * 100) + 0.5)
        count = int((T["stop_time"][row] - low) / 0.01)
        edges = low - 0.005 + 0.01 * np.arange(count + 1)
        bins = np.stack([np.histogram(s, edges - 0.005)[0] for s in PLAN.spikes], axis=1)
        own = low - 0.005 + 0.01 * np.arange(count)
        hand = np.stack([np.interp(own, PLAN.time_s, x) for x in PLAN.hand_m.T], axis=1)
        trials.append(
            {
                "target_direction": np.radians(T["angle"][row]),
                "result": T["result"][row],
                "idx_goCueTime": round((T["go_cue_time"][row] - own[0]) / 0.01) + 1,
                "idx_nothing": np.zeros(0),
                "bin_size": 0.01,
                "spikes": {"M1": bins.astype(np.uint8)},
                "pos": 100 * hand,
            }
        )
    savemat(path, {"trial_data": trials})
    names = FileNames(
        trials="trial_data",
        counts="spikes.M1",
        bin="bin_size",
        series={"hand": "pos"},
        samples=True,
    )
    return ImportOptions(
        **REACH,
        names=names,
        angle="target_direction",
        angle_bins=8,
        events={"go_time": "idx_goCueTime"},
        units={"angle": "rad", "hand_position": "cm"},
    )


def r_struct(path):
    """Spike times in ms from each trial's start, `unit(i).spikeTimes` (Shenoy lab's R struct)."""
    trials = []
    for row in range(64):
        zero = T["start_time"][row]
        units = [{"spikeTimes": 1e3 * (in_trial(s, row) - zero)} for s in PLAN.spikes]
        inside = (PLAN.time_s >= zero) & (PLAN.time_s < T["stop_time"][row])
        trials.append(
            {
                "unit": units,
                "begin": 0.0,
                "finish": 1e3 * (T["stop_time"][row] - zero),
                "goCue": 1e3 * (T["go_cue_time"][row] - zero),
                "target": {"angle": T["angle"][row]},
                "hand": 1e3 * PLAN.hand_m[inside],
                "handTime": 1e3 * (PLAN.time_s[inside] - zero),
            }
        )
    savemat(path, {"R": trials})
    names = FileNames(
        trials="R",
        spikes="unit.spikeTimes",
        start="begin",
        stop="finish",
        series={"hand": "hand"},
        series_time="handTime",
    )
    return ImportOptions(
        **REACH,
        names=names,
        conditions=("target_angle",),
        units={"time": "ms", "hand_position": "mm"},
    )


def session_v73(path):
    """MATLAB 7.3: a cell of spike times a channel, positions on their own clock (Sabes lab)."""
    with h5py.File(path, "w", userblock_size=512) as file:
        references = file.create_group("#refs#")

        def array(group, name, values, kind="double"):
            item = group.create_dataset(name, data=np.atleast_2d(np.asarray(values).T))
            item.attrs["MATLAB_class"] = np.bytes_(kind)
            return item

        cells = np.empty((1, len(PLAN.spikes)), dtype=h5py.ref_dtype)
        areas = cells.copy()
        for i, times in enumerate(PLAN.spikes):
            own = array(references, f"s{i}", times[:, None] if len(times) else np.zeros((0, 0)))
            if not len(times):
                own.attrs["MATLAB_empty"] = np.uint8(1)
            cells[0, i] = own.ref
            codes = np.array([[ord(c)] for c in PLAN.areas[i]], np.uint16).T
            areas[0, i] = array(references, f"a{i}", codes, "char").ref
        for name, own in (("spikes", cells), ("chan_area", areas)):
            item = file.create_dataset(name, data=own.T, dtype=h5py.ref_dtype)
            item.attrs["MATLAB_class"] = np.bytes_("cell")
        array(file, "t", PLAN.time_s[:, None])
        array(file, "cursor_pos", 1e3 * PLAN.hand_m)
        table = file.create_group("trials")
        table.attrs["MATLAB_class"] = np.bytes_("struct")
        radius = 80.0
        target = radius * np.stack([np.cos(np.radians(T["angle"])), np.sin(np.radians(T["angle"]))])
        for name, values in {
            "start": T["start_time"],
            "stop": T["stop_time"],
            "go": T["go_cue_time"],
        }.items():
            array(table, name, values[:, None])
        array(table, "target_pos", target.T)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512, b" "))
    names = FileNames(
        trials="trials",
        start="start",
        stop="stop",
        spikes="spikes",
        time="t",
        series={"hand": "cursor_pos"},
        units={"area": "chan_area"},
    )
    return ImportOptions(
        **REACH,
        names=names,
        target=("target_pos",),
        angle_bins=8,
        events={"go_time": "go"},
        units={"hand_position": "mm", "target": "mm"},
    )


def sorted_spikes(path):
    """One array of spike times and one of clusters, trials as arrays (phy, IBL)."""
    times = np.concatenate(PLAN.spikes)
    clusters = np.repeat(np.arange(8), [len(s) for s in PLAN.spikes])
    order = np.argsort(times, kind="stable")
    np.savez(
        path,
        spikes_times=times[order],
        spikes_clusters=clusters[order],
        clusters_area=np.array(PLAN.areas),
        intervals_0=T["start_time"],
        intervals_1=T["stop_time"],
        goCue_times=T["go_cue_time"],
        direction=T["angle"],
    )
    names = FileNames(
        spikes="spikes_times",
        spike_units="spikes_clusters",
        start="intervals_0",
        stop="intervals_1",
        columns=("goCue_times", "direction"),
        units={"area": "clusters_area"},
    )
    return ImportOptions(
        **REACH, names=names, conditions=("direction",), events={"go_time": "goCue_times"}
    )


def aligned_counts(path):
    """Counts over trials, units and times, already about the signal."""
    time = 0.01 * np.arange(-25, 66)
    edges = np.append(time, time[-1] + 0.01) - 0.005
    counts = np.stack(
        [[np.histogram(s, edges + go)[0] for s in PLAN.spikes] for go in T["go_cue_time"]]
    )
    np.savez(path, counts=counts, time=1e3 * time, direction=T["angle"], cue=np.zeros(64))
    names = FileNames(counts="counts", axes="trial unit time", time="time")
    return ImportOptions(
        **REACH,
        names=names,
        conditions=("direction",),
        events={"go_time": "cue"},
        units={"time": "ms"},
    )


LABS = {
    trial_data: ".mat",
    r_struct: ".mat",
    session_v73: ".mat",
    sorted_spikes: ".npz",
    aligned_counts: ".npz",
}


@pytest.mark.parametrize("lab", LABS)
def test_files_in_the_manner_of_a_lab(lab, tmp_path):
    path = tmp_path / f"session{LABS[lab]}"
    options = lab(path)
    recording = import_recording(path, options)
    units = list(range(8))
    if lab is sorted_spikes:
        units.remove(7)  # a silent unit has no entry among sorted spikes
    check_planted(recording, PLAN, units)
    assert recording.sizes["trial"] == 64
    if lab in (trial_data, r_struct, session_v73):
        reach = np.linalg.norm(recording["hand_position"][:, -1], axis=-1)
        truth = [np.hypot(*PLAN.hand_m[int(1e3 * (go + 0.6))]) for go in T["go_cue_time"]]
        np.testing.assert_allclose(reach, truth, atol=2e-3)
    if lab in (session_v73, sorted_spikes):
        assert recording["layer"].values.tolist() == [PLAN.areas[i] for i in units]


def test_condition_averages_in_the_layout_of_jpca(tmp_path):
    """`Data(c).A` (time, unit) with `times` in ms, as Churchland's code takes them."""
    rng = np.random.default_rng(0)
    rates = [rng.uniform(0, 40, (30, 5)) for _ in range(8)]
    data = [{"A": a, "times": np.arange(-50, 250, 10.0)} for a in rates]
    savemat(tmp_path / "x.mat", {"Data": data})
    options = ImportOptions(
        align="zero",
        conditions=("trial",),
        units={"time": "ms", "rate": "spikes/s"},
        names=FileNames(trials="Data", rates="A", time="times"),
    )
    with pytest.raises(RecordingError, match="'zero', which is no column"):
        from_mat(tmp_path / "x.mat", options)
    for own in data:
        own["zero"] = 0.0
    savemat(tmp_path / "x.mat", {"Data": data})
    recording = from_mat(tmp_path / "x.mat", options)
    np.testing.assert_allclose(recording["rate"], rates, rtol=1e-6)
    np.testing.assert_allclose(recording["time"], np.arange(-0.05, 0.25, 0.01), atol=1e-9)
    assert recording["rate"].attrs["units"] == "spikes/s"


def test_pickles_are_never_loaded(tmp_path):
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.zeros(3), np.zeros(2)]
    np.savez(tmp_path / "x.npz", spikes=ragged)
    with pytest.raises(RecordingError, match="pickles are never loaded"):
        from_npz(tmp_path / "x.npz", ImportOptions(names=FileNames(spikes="spikes")))


def test_what_is_not_there_is_named(tmp_path):
    path = tmp_path / "x.mat"
    options = r_struct(path)
    for changes, what in (
        ({"spikes": "unit.spikeTime"}, "there is no 'spikeTime'; did you mean 'spikeTimes'"),
        ({"trials": "S"}, "`names.trials` names 'S', but there is no 'S'"),
        ({"start": "", "stop": ""}, "its own clock"),
        ({"series_time": "unit"}, "`names.series_time` names 'unit', which is no array of numbers"),
        ({"stop": "hand"}, r"`names.stop` names 'hand', which is \d+ numbers, not one"),
        ({"spikes": "unit"}, "spike times must be numbers, one array a unit, got dict"),
        ({"time": "target"}, "`names.time` names 'target', which is no array of numbers"),
        ({"series_time": ""}, "has .* samples in trial 0, and .* times|nothing says the times"),
    ):
        names = FileNames(**{**vars(options.names), **changes})
        own = ImportOptions(**{**vars(options), "names": names})
        with pytest.raises(RecordingError, match=what):
            from_mat(path, own)
    with pytest.raises(RecordingError, match=r"say where things stand in x\.mat.* it holds R"):
        from_mat(path, ImportOptions())
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(RecordingError, match="cannot be read"):
        from_mat(path, options)
    with pytest.raises(RecordingError, match=r"x\.plx is not there"):
        import_recording(tmp_path / "x.plx")
