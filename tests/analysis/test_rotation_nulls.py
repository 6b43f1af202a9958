"""Rotations against reassigned conditions, and few signals against as many neurons."""

import numpy as np
import pytest
from planted import rotating, smooth_noise

from neuromotor.analysis import RecordingError, make_recording
from neuromotor.analysis.rotation_nulls import (
    covariance_matched,
    covariance_matched_test_of,
    downsampled_rotations,
)
from neuromotor.analysis.rotations import rotations_of


def tuned_to_velocity(seed, conditions=8, units=40, noise=0.02):
    """Cosine tuning to bell-shaped speed, each unit with its own latency: no dynamics at all."""
    generator = np.random.default_rng(seed)
    time = 0.01 * np.arange(40)
    angle = 2 * np.pi * np.arange(conditions) / conditions
    tuning = np.cos(angle[:, None] - generator.uniform(0, 2 * np.pi, units))
    moment = 0.2 + generator.normal(0, 0.05, units)
    speed = np.exp(-0.5 * ((time[:, None] - moment) / 0.06) ** 2)
    mean = tuning[:, None] * speed
    return mean + noise * generator.standard_normal(mean.shape), time


def test_permutations_have_the_data_s_covariance_and_no_mean():
    data = smooth_noise(conditions=8, units=20)
    axes = np.linalg.svd(data.reshape(-1, 20), full_matrices=False)[2][:6]
    scores = data.reshape(-1, 20) @ axes.T
    for other in covariance_matched(data, 6, 3, seed=1):
        flat = other.reshape(-1, 6)
        np.testing.assert_allclose(flat.T @ flat, scores.T @ scores, atol=1e-8 * (scores**2).sum())
        np.testing.assert_allclose(other.mean(0), 0, atol=1e-12)
        assert np.abs(other.reshape(-1, 6) - scores).max() > 0.1


def test_planted_rotations_need_the_units_of_one_condition_together():
    mean, time = rotating([3.0, 1.5, 0.8], noise=0.01)
    found = covariance_matched_test_of(mean, time, soft=0.0, permutations=39)
    assert found.p_ratio == found.p_skew == pytest.approx(1 / 40)
    assert found.ratio > 0.9 > found.null_ratio.max()
    assert found.difference == "starts"


def test_tuning_with_latencies_is_no_rotation():
    """Michaels et al. (2016): it looks like one, and does not stand out of permutations."""
    alarms = 0
    for seed in range(10):
        mean, time = tuned_to_velocity(seed)
        found = covariance_matched_test_of(
            mean, time, components=4, soft=0.0, permutations=19, seed=seed
        )
        alarms += found.p_ratio <= 0.05
    assert alarms <= 2


def test_muscles_that_do_not_turn_lie_below_as_many_neurons():
    mean, time = rotating([3.0, 1.5, 0.8], noise=0.01)
    neurons = make_recording(time, np.arange(12), {"rate": mean})
    grown = rotating([3.0], units=6)[0][:, :1] * np.linspace(0, 1, 60)[:, None]
    grown = grown + 1e-3 * np.random.default_rng(0).standard_normal(grown.shape)
    muscles = rotations_of(grown, time, components=2, soft=0.0, surrogates=0)
    found = downsampled_rotations(muscles, neurons, soft=0.0, draws=39)
    assert found.p_skew == pytest.approx(1 / 40)
    assert len(found.band.skew) == 39
    # Neurons against neurons: the middle of their own draws.
    own = rotations_of(mean[..., ::3], time, components=2, soft=0.0, surrogates=0)
    assert 0.05 < downsampled_rotations(own, neurons, soft=0.0, draws=39).p_skew <= 1
    with pytest.raises(RecordingError, match="as many neurons or more"):
        downsampled_rotations(own, neurons.isel(unit=slice(8)))
