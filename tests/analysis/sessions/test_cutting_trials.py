"""Options of an import do what they say, and what they leave out is counted."""

import numpy as np
import pytest
from planted_session import planted

from neuromotor.analysis import (
    ImportOptions,
    RecordingError,
    complete_trials,
    condition_averages,
    from_spikes,
    load_recording,
    save_recording,
)

PLAN = planted(32, 3)
HAND = {"behaviour": {"hand_position": "hand"}, "units": {"hand_position": "m"}}


def made(trials=PLAN.trials, spikes=PLAN.spikes, **options):
    series = {"hand": (PLAN.time_s, PLAN.hand_m)}
    return from_spikes(spikes, trials, ImportOptions(**options), series=series)


def test_trials_of_unequal_lengths_are_masked_counted_and_kept_in_files(tmp_path):
    recording = made(align="go_time", conditions=("angle",), **HAND)
    time = recording["time"].values
    relative = {
        name: PLAN.trials[name] - PLAN.trials["go_cue_time"] for name in ("start_time", "stop_time")
    }
    whole = (time - 0.005 >= relative["start_time"][:, None] - 1e-7) & (
        time + 0.005 <= relative["stop_time"][:, None] + 1e-7
    )
    for name in ("rate", "hand_position"):
        np.testing.assert_array_equal(np.isfinite(recording[name]).all("trial").any(), True)
        np.testing.assert_array_equal(np.isfinite(recording[name].values).all(-1), whole)
    averages = condition_averages(recording, gaps=True, shuffles=2)
    labels = recording["condition"].values
    behind = [whole[labels == label].sum(0) for label in averages.conditions]
    np.testing.assert_array_equal(averages.behind[:, :, 0], behind)
    place = int(np.argmin(np.abs(time)))
    own = recording["rate"].values[labels == 45, place].mean(0)
    np.testing.assert_allclose(averages.mean[averages.conditions == 45, place][0], own, rtol=1e-6)
    with pytest.raises(RecordingError, match=r"every average is there from -[\d.]+ to [\d.]+ s"):
        condition_averages(recording)
    save_recording(tmp_path / "x.nc", recording)
    again = load_recording(tmp_path / "x.nc")
    np.testing.assert_array_equal(again["rate"], recording["rate"])
    with pytest.raises(RecordingError, match="all have them from -0"):
        complete_trials(recording)


def test_all_trials_cut_to_what_they_share():
    recording = made(align="go_time", lengths="shortest")
    assert np.isfinite(recording["rate"].values).all()
    before = (PLAN.trials["go_cue_time"] - PLAN.trials["start_time"]).min()
    after = (PLAN.trials["stop_time"] - PLAN.trials["go_cue_time"]).min()
    first, last = recording["time"].values[[0, -1]]
    assert -before <= first - 0.005 < -before + 0.01
    assert after - 0.01 < last + 0.005 <= after


def test_time_is_stretched_between_events():
    events = ("start_time", "go_time", "movement_onset", "stop_time")
    recording = made(warp=events, conditions=("angle",), smooth="gaussian", **HAND)
    table = [PLAN.trials[n] for n in ("start_time", "go_cue_time", "move_onset_time", "stop_time")]
    common = np.concatenate([[0], np.cumsum(np.median(np.diff(table, axis=0), axis=1))])
    np.testing.assert_allclose(recording["go_time"], common[1])
    np.testing.assert_allclose(recording["movement_onset"], common[2])
    assert recording["time"].values[-1] == pytest.approx(common[3], abs=0.01)
    assert np.isfinite(recording["rate"].values).all()
    for unit in (1, 2, 3):  # rates are those of real time, however time was stretched
        middle = recording["rate"].values[:, 20:-20, unit]
        expected = PLAN.rate(unit, PLAN.trials["angle"])
        lengths = PLAN.trials["stop_time"] - PLAN.trials["start_time"] - 0.4
        error = np.sqrt(expected.mean() / lengths.sum())
        assert abs(middle.mean() - expected.mean()) < 4 * error
    speed = np.linalg.norm(recording["hand_velocity"], axis=-1)
    moved = common[3] - common[2] > 0.5
    assert moved
    np.testing.assert_allclose(speed.max(1), 0.1 * 1.875 / 0.5, rtol=0.02)


def test_conditions_come_from_angles_in_bins_and_from_columns():
    rng = np.random.default_rng(0)
    away = np.radians(PLAN.trials["angle"] + rng.uniform(-20, 20, 32))
    place = 5 + 10 * np.stack([np.cos(away), np.sin(away)], axis=1)
    trials = {**PLAN.trials, "target": place, "direction": away - 2 * np.pi}
    window = {"align": "go_time", "window_s": (-0.1, 0.3), "angle_bins": 8}
    units = {"target": "cm", "angle": "rad"}
    by_place = made(trials, target=("target",), center=(5.0, 5.0), units=units, **window)
    np.testing.assert_allclose(by_place["condition"], PLAN.trials["angle"])
    np.testing.assert_allclose(by_place["target_position"], 0.01 * place)
    by_angle = made(trials, angle="direction", units=units, **window)
    np.testing.assert_allclose(by_angle["condition"], PLAN.trials["angle"])
    np.testing.assert_allclose(by_angle["target_angle"], np.degrees(away) % 360)
    both = made(trials, angle="direction", units=units, conditions=("result",), **window)
    expected = [f"{r}, {a:g}" for r, a in zip(trials["result"], trials["angle"], strict=True)]
    assert both["condition"].values.tolist() == expected


def test_columns_of_a_series_are_chosen():
    window = {"align": "go_time", "window_s": (0.0, 0.5), "units": {"hand_position": "m"}}
    both = np.concatenate([PLAN.hand_m[:, ::-1], PLAN.hand_m], axis=1)
    whole = made(behaviour={"hand_position": "hand"}, **window)
    for name, order in (("kin[2,3]", [0, 1]), ("kin[0,1]", [1, 0])):
        options = ImportOptions(behaviour={"hand_position": name}, **window)
        own = from_spikes(PLAN.spikes, PLAN.trials, options, series={"kin": (PLAN.time_s, both)})
        np.testing.assert_array_equal(own["hand_position"], whole["hand_position"][..., order])
    with pytest.raises(RecordingError, match="has 2 columns, counted from 0"):
        made(behaviour={"hand_position": "hand[1,2]"}, **window)


def test_rates_are_normalised():
    window = {"align": "go_time", "window_s": (-0.1, 0.3), "conditions": ("angle",)}
    plain = made(**window)["rate"].values
    root = made(normalise="sqrt", **window)["rate"]
    np.testing.assert_allclose(root, np.sqrt(plain), rtol=1e-6)
    assert root.attrs["units"] == "sqrt(spikes/s)"
    soft = made(normalise="soft", **window)["rate"]
    labels = PLAN.trials["angle"]
    mean = np.stack([plain[labels == label].mean(0) for label in np.unique(labels)])
    np.testing.assert_allclose(soft, plain / (np.ptp(mean, axis=(0, 1)) + 5), rtol=1e-5)


def test_what_is_left_out_is_counted():
    trials = {name: values.copy() for name, values in PLAN.trials.items()}
    trials["go_cue_time"][:3] = np.nan
    trials["stop_time"][3] = trials["start_time"][3] - 1
    recording = made(trials, align="go_time", window_s=(-0.1, 0.3), minimum_rate_hz=3.0)
    notes = recording.attrs["import_notes"]
    assert "1 of 32 trials have no start, no end, or end before they start" in notes
    assert "3 of 32 trials lack go_time; they were left out." in notes
    assert "2 of 5 units fire less than 3 spikes/s; they were left out." in notes
    assert recording.sizes["trial"] == 28
    assert (
        "1 units are silent throughout"
        in made(align="go_time", window_s=(-0.1, 0.3)).attrs["import_notes"]
    )


def test_one_trial_and_one_condition():
    recording = made(select="start_time < 1", align="go_time")
    assert recording.sizes["trial"] == 1
    assert recording["condition"].values.tolist() == ["all"]
    assert "No conditions were named" in recording.attrs["import_notes"]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"select": "angle == 7"}, "no trial of arrays is left: 32 of 32 trials do not fit"),
        ({"warp": ("go_time", "start_time")}, "have go_time, start_time in another order"),
        ({"areas": ("M3",)}, "names 'M3', which no unit is of; known: all"),
        ({"minimum_rate_hz": 1e4}, "no unit is left"),
        ({"angle": "angle", "angle_bins": 8}, "nothing says the unit of 'angle'"),
        ({"target": ("angle",)}, "must give 2 or 3 numbers a trial"),
        ({"rates": "hand", "smooth": "causal"}, "these are rates"),
        ({"bin_s": 1e-7}, "are allowed; give a `window_s`"),
        ({"bin_s": 100.0}, "every trial is shorter than one step"),
        ({"align": "result"}, "must hold one number a trial"),
        ({"behaviour": {"hand_position": "hand"}, "units": {"hand_position": "foo"}}, "unknown un"),
        ({"behaviour": {"hand_position": "hand"}, "units": {"hand_position": "s"}}, "must be in m"),
    ],
)
def test_what_cannot_be_done_is_refused(options, what):
    with pytest.raises(RecordingError, match=what):
        made(**options)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"smooth": "boxcar"}, "unknown `smooth` 'boxcar'"),
        ({"window_s": (0.3, -0.1)}, "times before the event are negative"),
        ({"warp": ("go_time",)}, "two events or more"),
        ({"warp": ("a", "b"), "window_s": (0.0, 1.0)}, "in place of `align` and `window_s`"),
        ({"angle_bins": 8}, "needs `target` or `angle`"),
        ({"bin_s": 0.0}, "`bin_s` must be a positive number of seconds"),
        ({"events": {"go": "x"}}, "unknown entry of `events` 'go'"),
        ({"units": {"hand": "cm"}}, "unknown entry of `units` 'hand'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, what):
    with pytest.raises(ValueError, match=what):
        ImportOptions(**options)
