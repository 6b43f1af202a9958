"""Sessions with different units become one population, matched by condition."""

import numpy as np
import pytest

from neuromotor.analysis import RecordingError, condition_averages, make_recording, pool_sessions


def session(units, repeats, conditions=4, seed=0, layer="M1"):
    rng = np.random.default_rng(seed)
    condition = rng.permutation(np.repeat(np.arange(conditions), repeats))
    rate = rng.poisson(3, (len(condition), 5, units)) + 10.0 * condition[:, None, None]
    return make_recording(
        0.01 * np.arange(5),
        condition,
        {"rate": rate},
        layer=[layer] * units,
        units={"rate": "spikes/s"},
    )


def test_every_trial_has_units_of_its_condition_from_every_session():
    parts = [session(3, 5), session(2, 7, seed=1, layer="PMd"), session(4, 6, 5, seed=2)]
    pooled = pool_sessions(parts, ["a", "b", "c"])
    assert dict(pooled.sizes) == {"trial": 20, "time": 5, "unit": 9}
    assert pooled["unit_session"].values.tolist() == ["a"] * 3 + ["b"] * 2 + ["c"] * 4
    assert pooled["layer"].values.tolist() == ["M1"] * 3 + ["PMd"] * 2 + ["M1"] * 4
    notes = pooled.attrs["import_notes"]
    assert "1 conditions are not in every session" in notes
    assert f"{20 + 28 + 30 - 60} trials have no counterpart" in notes
    start = 0
    for own in parts:
        stop = start + own.sizes["unit"]
        for label in range(4):
            drawn = pooled["rate"].values[pooled["condition"].values == label][:, :, start:stop]
            there = own["rate"].values[own["condition"].values == label]
            found = [int(np.flatnonzero((there == x).all((1, 2)))[0]) for x in drawn]
            assert len(set(found)) == 5  # each trial is used once
        start = stop
    whole = pool_sessions([parts[0], parts[0]])
    twice = condition_averages(whole, shuffles=0).mean
    once = condition_averages(parts[0], shuffles=0).mean
    np.testing.assert_allclose(twice, np.concatenate([once, once], axis=2))


def test_what_cannot_be_matched_is_refused():
    one = session(2, 3)
    with pytest.raises(RecordingError, match="other times than a"):
        pool_sessions([one, one.isel(time=[0, 1, 2])], ["a", "b"])
    with pytest.raises(RecordingError, match="no condition is in every session"):
        pool_sessions([one, one.assign_coords(condition=("trial", ["x"] * 12))])
    other = one.assign(rate=one["rate"].assign_attrs(units="1"))
    with pytest.raises(RecordingError, match="has rates in 1, 1 in spikes/s"):
        pool_sessions([one, other])
    with pytest.raises(RecordingError, match="two sessions or more"):
        pool_sessions([one])
