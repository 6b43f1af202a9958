"""Recordings with missing samples: what is averaged, what is left out, what is refused."""

import numpy as np
import pytest

from neuromotor.analysis import (
    RecordingError,
    align,
    analyze,
    complete_trials,
    complete_units,
    condition_averages,
    decode,
    load_recording,
    make_recording,
    missing_samples,
    principal_components,
    rotational_dynamics,
    save_recording,
)
from neuromotor.analysis.gaps import averaged_window, fullest_window

pytest.importorskip("sklearn")


def ragged(trials=48, units=8, steps=60, seed=0, gaps=True):
    """Eight conditions of rates and a hand, whose trials end at different times."""
    rng = np.random.default_rng(seed)
    condition = np.arange(trials) % 8
    time = 0.01 * np.arange(steps)
    angle = 2 * np.pi * condition / 8
    turn = np.exp(1j * (angle[:, None] + 2 * np.pi * 2 * time))
    weights = rng.standard_normal((2, units))
    rate = np.stack([turn.real, turn.imag], -1) @ weights + 0.1 * rng.standard_normal(
        (trials, steps, units)
    )
    profile = np.clip(time / 0.4, 0, 1) ** 2
    hand = profile[None, :, None] * 0.1 * np.stack([np.cos(angle), np.sin(angle)], -1)[:, None]
    lengths = rng.integers(45, steps + 1, trials)
    lost = np.arange(steps) >= lengths[:, None]
    whole = rate.copy(), hand.copy()
    if gaps:
        rate[lost], hand[lost] = np.nan, np.nan
    recording = make_recording(time, condition, {"rate": rate, "hand_position": hand}, gaps=gaps)
    return recording, lost, whole


def test_averages_are_over_the_trials_that_have_a_sample():
    recording, lost, (rate, _) = ragged()
    found = condition_averages(recording, gaps=True, shuffles=20)
    member = recording["condition"].values
    masked = np.ma.array(rate, mask=np.broadcast_to(lost[..., None], rate.shape))
    for place, label in enumerate(found.conditions):
        own = masked[member == label]
        np.testing.assert_allclose(found.mean[place], own.mean(0).filled(np.nan))
        np.testing.assert_array_equal(found.behind[place], own.count(0))
        count = own.count(0)
        error = own.std(0, ddof=1).filled(np.nan) / np.sqrt(np.where(count, count, 1))
        np.testing.assert_allclose(found.standard_error[place], np.where(count > 1, error, np.nan))
    total = ((masked - masked.mean(0)) ** 2).sum((0, 1))
    mean = np.ma.array(found.mean[member], mask=masked.mask)
    expected = 1 - ((masked - mean) ** 2).sum((0, 1)) / total
    np.testing.assert_allclose(found.explained, expected)
    assert (found.explained > found.null_explained).all()


def test_an_average_without_a_trial_is_refused_with_the_window_that_has_all():
    recording, _, _ = ragged()
    first, last = averaged_window(recording)
    with pytest.raises(RecordingError, match=f"every average is there from {first:g} to {last:g}"):
        condition_averages(recording)
    condition_averages(recording, window_s=(first, last))
    rotational_dynamics(recording, window_s=(first, last), surrogates=2, components=2)


def test_analyses_of_single_trials_refuse_missing_samples():
    recording, lost, _ = ragged()
    with pytest.raises(RecordingError, match="`complete_trials"):
        decode(recording)
    window_s = fullest_window(recording)
    time = recording["time"].values
    inside = (time >= window_s[0]) & (time <= window_s[1])
    whole = ~lost[:, inside].any(1)
    best = max((~lost[:, :n].any(1)).sum() * n for n in range(1, len(time) + 1))
    assert whole.sum() * inside.sum() == best
    found = complete_trials(recording.isel(time=inside))
    np.testing.assert_array_equal(found["trial"], np.flatnonzero(whole))
    assert not missing_samples(found)
    decode(found)


def test_a_report_says_what_it_left_out(tmp_path):
    recording, _, _ = ragged()
    save_recording(tmp_path / "x.nc", recording)
    report = analyze(load_recording(tmp_path / "x.nc"), surrogates=2)
    texts = {s.name: s.text for s in report.sections if not s.skipped}
    assert {"movement", "averages", "tuning", "components", "decoding", "rotations"} <= set(texts)
    count = complete_trials(
        recording.sel(time=slice(None, fullest_window(recording)[1] + 1e-9))
    ).sizes["trial"]
    for name in ("movement", "tuning", "decoding"):
        assert f"this is of the {count} of 48 trials that lack none" in texts[name]
    assert "averages are over the trials that have them" in texts["averages"]
    numbers = report.as_dict()["sections"]["averages"]
    assert numbers["fewest_trials_behind_an_average"] >= 1


def test_units_without_gaps():
    recording, _, (rate, _) = ragged(gaps=False)
    rate[3, :, 2] = np.nan
    own = make_recording(recording["time"], recording["condition"], {"rate": rate}, gaps=True)
    found = complete_units(own)
    assert found["unit"].values.tolist() == [0, 1, 3, 4, 5, 6, 7]
    assert missing_samples(own) == {"rate": 60}
    assert not missing_samples(found)
    rate[:, 0] = np.nan
    own = make_recording(recording["time"], recording["condition"], {"rate": rate}, gaps=True)
    with pytest.raises(RecordingError, match="every unit lacks samples"):
        complete_units(own)
    with pytest.raises(RecordingError, match="every trial lacks samples of `rate`; all have them"):
        complete_trials(own.isel(unit=[0, 1]))


def test_trials_with_gaps_are_aligned():
    recording, _, _ = ragged()
    go = np.full(48, 0.1)
    cut = align(recording.assign(go_time=("trial", go)), "go_time", 0.1, 0.3)
    np.testing.assert_array_equal(cut["rate"], recording["rate"][:, :41])


@pytest.mark.parametrize("kind", ["silent", "constant", "one condition", "one trial each"])
def test_no_number_for_data_that_cannot_carry_one(kind):
    recording, _, (rate, hand) = ragged(gaps=False)
    condition = recording["condition"].values.copy()
    time = recording["time"].values
    if kind == "silent":
        rate[:, :, :2] = 0
    elif kind == "constant":
        rate[:, :, :2] = 7
    elif kind == "one condition":
        condition[:] = 0
    else:
        rate, hand, condition = rate[:8], hand[:8], condition[:8]
    own = make_recording(time, condition, {"rate": rate, "hand_position": hand})
    report = analyze(own, surrogates=2)
    done = {s.name: s for s in report.sections}
    averages = report.as_dict()["sections"]["averages"]
    if kind in ("silent", "constant"):
        assert averages["constant_units"] == 2
        assert not done["rotations"].skipped
        tuning = report.as_dict()["sections"]["tuning"]
        assert tuning
    elif kind == "one condition":
        assert "two conditions" in done["rotations"].skipped
        assert averages["median_null_95"] in (None, 0) or averages["conditions"] == 1
    else:
        assert averages["fewest_trials"] == 1
        assert averages["median_null_95"] is None
        assert np.isnan(condition_averages(own).standard_error).all()


def test_more_than_a_thousand_units():
    recording, _, _ = ragged(units=1100)
    span = {"window_s": averaged_window(recording)}
    averages = condition_averages(recording, shuffles=0, **span)
    found = rotational_dynamics(recording, surrogates=1, components=2, **span)
    assert found.r2_skew > 0.9
    few = recording.isel(unit=slice(0, 40))
    whole = principal_components(recording, shuffles=0, **span)
    assert whole.explained[:2].sum() > 0.9
    np.testing.assert_array_equal(
        averages.mean[..., :40], condition_averages(few, shuffles=0, **span).mean
    )
