"""Dynamics of some conditions predict the others where there are dynamics."""

import numpy as np
import pytest
from planted import rotating, smooth_noise

from neuromotor.analysis import RecordingError, make_recording
from neuromotor.analysis.rotation_validation import (
    cross_validated_rotations,
    cross_validated_rotations_of,
)


def test_planted_rotations_predict_conditions_that_were_left_out():
    mean, time = rotating([3.0, 1.5, 0.8])
    found = cross_validated_rotations_of(mean, time, soft=0.0)
    assert found.r2_unconstrained > 0.95
    assert found.r2_skew > 0.85
    assert len(found.left_out) == 5
    assert sorted(sum(found.left_out, ())) == list(range(12))
    recording = make_recording(time, np.arange(8), {"rate": mean[:8]})
    one_by_one = cross_validated_rotations(recording, soft=0.0, difference="midpoints")
    assert {len(part) for part in one_by_one.left_out} == {1}
    assert one_by_one.difference == "midpoints"
    assert len(one_by_one.fold_r2_skew) == 8


def test_held_out_error_is_that_of_a_fit_by_hand():
    """One fold again, by numpy's least squares on the other conditions."""
    mean = smooth_noise(conditions=4, steps=30, units=6)
    found = cross_validated_rotations_of(mean, 0.01 * np.arange(30), soft=0.0, folds=4)
    place = found.left_out[0][0]
    others = np.delete(mean, place, axis=0)
    size = np.ptp(others, axis=(0, 1))
    data = (others - others.mean(0)) / size
    x = data[:, :-1].reshape(-1, 6)
    y = (np.diff(data, axis=1) / 0.01).reshape(-1, 6)
    step = np.linalg.lstsq(x, y, rcond=None)[0]
    unseen = (mean[place] - others.mean(0)) / size
    change = np.diff(unseen, axis=0) / 0.01
    left = ((change - unseen[:-1] @ step) ** 2).sum() / (change**2).sum()
    assert found.fold_r2_unconstrained[0] == pytest.approx(1 - left)


def test_noise_predicts_nothing():
    found = cross_validated_rotations_of(smooth_noise(), 0.01 * np.arange(60), soft=0.0)
    assert found.r2_skew < 0.1
    assert found.r2_unconstrained < 0.1


def test_what_cannot_be_validated_is_refused():
    mean = smooth_noise(conditions=4)
    with pytest.raises(RecordingError, match="three conditions or more, got 2"):
        cross_validated_rotations_of(mean[:2], 0.01 * np.arange(60), soft=0.0)
    with pytest.raises(ValueError, match="`folds` must be at most the 4 conditions"):
        cross_validated_rotations_of(mean, 0.01 * np.arange(60), soft=0.0, folds=5)
