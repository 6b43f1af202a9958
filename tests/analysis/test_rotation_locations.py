"""Planted planes that location sets, and planes that it does not."""

import numpy as np
import pytest

from neuromotor.analysis import RecordingError
from neuromotor.analysis.rotation_locations import location_planes_of


def planted(by_location, noise=0.02, conditions=16, units=40, steps=60, dt=0.01, seed=0):
    """Two rotations, 2.5 and 1.2 Hz, about locations on a circle."""
    generator = np.random.default_rng(seed)
    time = dt * np.arange(steps)
    angle = 2 * np.pi * np.arange(conditions) / conditions
    place = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    axes = np.linalg.qr(generator.standard_normal((units, units)))[0]
    mean = np.repeat((place @ axes[:2])[:, None], steps, axis=1)
    for hz in (2.5, 1.2):
        turn = np.stack([np.cos(2 * np.pi * hz * time), np.sin(2 * np.pi * hz * time)], axis=1)
        weights = generator.standard_normal((2, 2, 8))
        for c in range(conditions):
            if by_location:
                loading = np.einsum("i,sik->sk", place[c], weights)
            else:  # one plane; phase and size by chance
                loading = generator.standard_normal((2, 2)) @ weights[:, 0]
            mean[c] += 0.3 * turn @ loading @ axes[2:10]
    return mean + noise * generator.standard_normal(mean.shape), time


def test_planes_that_location_sets_are_found():
    mean, time = planted(True)
    found = location_planes_of(mean, time, rotations=2, soft=0.0)
    np.testing.assert_allclose(found.frequencies_hz, [2.5, 1.2], rtol=0.02)
    assert found.r2_by_condition > 0.95
    assert found.r2_by_location > 0.9
    assert found.r2_one_plane < 0.85
    assert found.r2_mean < 0.1
    assert found.p_by_location == pytest.approx(0.01)
    assert found.null_by_location.max() < found.r2_by_location


def test_one_plane_with_phases_by_chance_is_not_set_by_location():
    mean, time = planted(False)
    found = location_planes_of(mean, time, rotations=2, soft=0.0)
    np.testing.assert_allclose(found.frequencies_hz, [2.5, 1.2], rtol=0.05)
    assert found.r2_one_plane > found.r2_by_condition - 0.01
    assert found.r2_by_location < 0.2
    assert found.p_by_location > 0.05


def test_prediction_from_location_leaves_the_condition_out():
    """Against ordinary regressions that are fitted without each condition."""
    mean, time = planted(True, noise=0.2, conditions=8)
    found = location_planes_of(mean, time, rotations=2, soft=0.0, shuffles=0)
    about = found.locations - found.locations.mean(0)
    place = np.linalg.svd(about, full_matrices=False)[0][:, :2]
    left = total = 0.0
    for c in range(8):
        others = np.delete(np.arange(8), c)
        design = np.concatenate([np.ones((7, 1)), place[others]], axis=1)
        weights = np.linalg.lstsq(design, found.loadings[others].reshape(7, -1), rcond=None)[0]
        predicted = (np.r_[1.0, place[c]] @ weights).reshape(found.loadings.shape[1:])
        own = found.courses @ found.loadings[c]
        # what no courses explain stays the same, whichever loadings are taken
        left += ((own - found.courses @ predicted) ** 2).sum()
        total += (own**2).sum()
    share = found.r2_by_condition * (1 - left / total)
    assert found.r2_by_location == pytest.approx(share, abs=1e-6)
    assert np.isnan(found.p_by_location)


def test_too_little_for_planes_is_an_error():
    mean, time = planted(True)
    with pytest.raises(RecordingError, match="need 14 times or more, got 10"):
        location_planes_of(mean[:, :10], time[:10], soft=0.0)
    few = location_planes_of(mean[:5], time, rotations=2, soft=0.0)
    assert np.isnan(few.r2_by_location)
    with pytest.raises(RecordingError, match="fewer than 6 time courses"):
        location_planes_of(planted(True, noise=0.0)[0], time, rotations=3, soft=0.0)
