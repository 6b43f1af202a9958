"""Planted sessions come back from arrays, pynapple and neo, aligned to the millisecond."""

import numpy as np
import pytest
from planted_session import check_planted, planted

from neuromotor.analysis import ImportOptions, RecordingError, from_neo, from_pynapple, from_spikes

PLAN = planted()
REACH = ImportOptions(
    align="go_time",
    window_s=(-0.2, 0.6),
    conditions=("angle",),
    behaviour={"hand_position": "hand"},
    units={"hand_position": "m"},
)
FINE = ImportOptions(align="go_cue_time", window_s=(0.0, 0.3), bin_s=0.001, conditions=("angle",))


def made(options=REACH, plan=PLAN, **changes):
    series = {"hand": (plan.time_s, plan.hand_m)}
    given = {"units": {"area": plan.areas}, "series": series, **changes}
    return from_spikes(plan.spikes, plan.trials, options, **given)


def test_spikes_become_the_planted_rates():
    recording = made()
    check_planted(recording, PLAN)
    assert recording["layer"].values.tolist() == PLAN.areas
    assert recording["rate"].attrs["units"] == "spikes/s"
    hand = recording["hand_position"].values
    still = recording["time"].values < 0.25 - 1e-9
    np.testing.assert_allclose(hand[:, still], 0, atol=1e-12)
    np.testing.assert_allclose(recording["movement_onset"], 0.25)
    assert "The column go_cue_time is taken for go_time." in recording.attrs["import_notes"]


def test_the_alignment_is_right_to_the_millisecond():
    recording = made(FINE, series={})
    spike = recording["time"].values[recording["rate"].values[:, :, 0].argmax(1)]
    np.testing.assert_allclose(spike, 0.123, atol=1e-9)  # planted 123.4 ms after the signal


def test_the_hand_is_resampled_and_its_onset_found():
    plan = planted(16, 2)
    trials = {k: v for k, v in plan.trials.items() if k != "move_onset_time"}
    options = ImportOptions(
        align="movement_onset",
        window_s=(-0.1, 0.5),
        behaviour={"hand_position": "hand"},
        units={"hand_position": "cm"},
    )
    series = {"hand": (plan.time_s, 100 * plan.hand_m)}
    recording = from_spikes(plan.spikes, trials, options, series=series)
    # 10 % of the peak speed of minimum jerk is reached 13 % of the way through the movement
    tau = np.linspace(0, 0.5, 100001)
    begun = tau[np.argmax(16 * tau**2 * (1 - tau) ** 2 >= 0.1)] * 0.5
    onset = recording["table_go_cue_time"].values + 0.25 + begun
    at = np.array([np.interp(t, plan.time_s, plan.hand_m[:, 0]) for t in onset])
    np.testing.assert_allclose(
        recording["hand_position"].sel(time=0, method="nearest")[:, 0], at, atol=4e-4
    )
    peak = np.linalg.norm(recording["hand_velocity"], axis=-1).max(1)
    np.testing.assert_allclose(peak, 0.1 * 1.875 / 0.5, rtol=2e-3)


def test_results_do_not_depend_on_the_order_of_trials_or_units():
    rng = np.random.default_rng(1)
    rows, units = rng.permutation(64), rng.permutation(len(PLAN.spikes))
    trials = {name: values[rows] for name, values in PLAN.trials.items()}
    one = made(ImportOptions(smooth="gaussian", conditions=("angle",), normalise="soft"))
    two = from_spikes(
        [PLAN.spikes[i] for i in units],
        trials,
        ImportOptions(smooth="gaussian", conditions=("angle",), normalise="soft"),
        units={"area": [PLAN.areas[i] for i in units]},
    )
    np.testing.assert_array_equal(one["time"], two["time"])
    np.testing.assert_allclose(
        one["rate"].values[rows][:, :, units], two["rate"].values, rtol=1e-5, atol=1e-7
    )
    np.testing.assert_array_equal(one["condition"].values[rows], two["condition"])


def test_pynapple_objects():
    nap = pytest.importorskip("pynapple")
    support = nap.IntervalSet(0.0, float(PLAN.time_s[-1]))
    group = nap.TsGroup(
        {i: nap.Ts(times) for i, times in enumerate(PLAN.spikes)},
        time_support=support,
        metadata={"area": PLAN.areas},
    )
    epochs = nap.IntervalSet(
        PLAN.trials["start_time"],
        PLAN.trials["stop_time"],
        metadata={"angle": PLAN.trials["angle"], "result": PLAN.trials["result"]},
    )
    hand = nap.TsdFrame(PLAN.time_s, PLAN.hand_m, columns=["x", "y"])
    events = {"go_time": nap.Ts(PLAN.trials["go_cue_time"])}
    own = from_pynapple(group, epochs, REACH, series={"hand": hand}, events=events)
    check_planted(own, PLAN)
    same = made()
    np.testing.assert_array_equal(own["rate"], same["rate"])
    np.testing.assert_allclose(own["hand_position"], same["hand_position"], atol=1e-12)
    np.testing.assert_array_equal(own["layer"], same["layer"])


def neo_block(neo, pq, segments):
    """The planted session with a segment a trial, or with epochs in one segment."""
    block = neo.Block(name="session")
    table = PLAN.trials
    spans = [(0.0, float(PLAN.time_s[-1] + 0.001))]
    if segments:
        spans = list(zip(table["start_time"], table["stop_time"], strict=True))
    for row, (begin, end) in enumerate(spans):
        zero = begin if segments else 0.0  # each segment has its own clock
        segment = neo.Segment(angle=float(table["angle"][row])) if segments else neo.Segment()
        for unit, times in enumerate(PLAN.spikes):
            own = times[(times >= begin) & (times < end)] - zero
            train = neo.SpikeTrain(
                own * pq.s,
                t_start=0 * pq.s,
                t_stop=(end - zero) * pq.s,
                name=f"u{unit}",
                area=PLAN.areas[unit],
            )
            segment.spiketrains.append(train)
        inside = (PLAN.time_s >= begin) & (PLAN.time_s <= end)
        signal = neo.AnalogSignal(
            100 * PLAN.hand_m[inside] * pq.cm,
            sampling_rate=1000 * pq.Hz,
            t_start=(PLAN.time_s[inside][0] - zero) * pq.s,
            name="hand",
        )
        segment.analogsignals.append(signal)
        go = table["go_cue_time"]
        own = go[(go >= begin) & (go < end)] - zero
        labels = np.array(["go_time"] * len(own))
        segment.events.append(neo.Event(times=1e3 * own * pq.ms, labels=labels))
        block.segments.append(segment)
    if not segments:
        epoch = neo.Epoch(
            times=table["start_time"] * pq.s,
            durations=(table["stop_time"] - table["start_time"]) * pq.s,
            name="trials",
            array_annotations={"angle": table["angle"]},
        )
        block.segments[0].epochs.append(epoch)
    return block


@pytest.mark.parametrize("segments", [True, False])
def test_neo_blocks(segments):
    neo = pytest.importorskip("neo")
    pq = pytest.importorskip("quantities")
    options = ImportOptions(
        align="go_time",
        window_s=(-0.2, 0.6),
        conditions=("angle",),
        behaviour={"hand_position": "hand"},
    )
    own = from_neo(neo_block(neo, pq, segments), options)
    check_planted(own, PLAN)
    same = made()
    np.testing.assert_array_equal(own["rate"], same["rate"])
    np.testing.assert_allclose(own["hand_position"], same["hand_position"], atol=1e-6)
    np.testing.assert_array_equal(own["layer"], same["layer"])


def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(RecordingError, match="`trials` names 'stop_time', which is no column"):
        from_spikes([[0.1]], {"start_time": [0.0]})
    with pytest.raises(RecordingError, match="'area' has 1 entries for 8 units"):
        made(units={"area": ["M1"]})
    with pytest.raises(RecordingError, match="equally long"):
        from_spikes([[0.1]], {"start_time": [0.0], "stop_time": [1.0, 2.0]})
    with pytest.raises(RecordingError, match="nothing says the unit of `hand_position`"):
        made(ImportOptions(behaviour={"hand_position": "hand"}))
    with pytest.raises(RecordingError, match=r"no series 'hnd' .* did you mean 'hand'"):
        made(ImportOptions(behaviour={"hand_position": "hnd"}))
