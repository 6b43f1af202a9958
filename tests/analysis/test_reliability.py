"""Planted signals have their reliability; noise is called reliable as rarely as is said."""

import numpy as np
import pytest
from scipy.stats import binom

from neuromotor.analysis import RecordingError, make_recording, split_half_reliability


def noisy(signal_sd, noise_sd, conditions=8, repeats=10, steps=6, seed=0):
    """Units whose true averages have a variance, seen through independent noise."""
    rng = np.random.default_rng(seed)
    condition = np.repeat(np.arange(conditions), repeats)
    truth = rng.standard_normal((conditions, steps, len(signal_sd)))
    truth = truth - truth.mean(0)
    truth *= np.asarray(signal_sd) / truth.std((0, 1))
    common = 5 * np.sin(np.arange(steps))[None, :, None]  # the same in every condition
    noise = noise_sd * rng.standard_normal((len(condition), steps, len(signal_sd)))
    rate = truth[condition] + common + noise
    return make_recording(0.01 * np.arange(steps), condition, {"rate": rate})


def test_reliability_is_the_share_of_signal_in_the_averages():
    signal = np.repeat([0.0, 0.3, 1.0, 2.0], 30)
    found = split_half_reliability(noisy(signal, 2.0, 12, 10), splits=8, shuffles=99)
    # of averages over 10 trials less their mean over 12 conditions, whose own noise goes too
    noise = 2.0**2 / 10 * 11 / 12
    expected = signal**2 / (signal**2 + noise)
    for level in np.unique(signal)[1:]:
        own = found.reliability[signal == level]
        assert np.median(own) == pytest.approx(expected[signal == level][0], abs=0.06)
    np.testing.assert_allclose(found.ceiling, np.sqrt(found.reliability))
    assert found.reliable[signal >= 1].all()
    assert found.reliable[signal == 0].sum() <= 5
    assert found.population_p == pytest.approx(0.01)


def test_signal_dimensions_are_found():
    rng = np.random.default_rng(1)
    condition = np.repeat(np.arange(10), 8)
    latent = rng.standard_normal((10, 5, 3)) * [4.0, 3.0, 2.0]
    rate = (latent @ rng.standard_normal((3, 30)))[condition]
    rate = rate + rng.standard_normal((80, 5, 30))
    recording = make_recording(0.01 * np.arange(5), condition, {"rate": rate})
    found = split_half_reliability(recording, splits=5, shuffles=39)
    assert found.dimensions == 3
    assert found.signal[:3].sum() == pytest.approx(1, abs=0.02)
    assert np.abs(found.signal[3:]).max() < 0.01


def test_noise_is_called_reliable_as_rarely_as_is_said():
    population, units, family = 0, 0, 0
    for seed in range(200):
        recording = noisy([0.0] * 6, 1.0, 4, 4, 3, seed)
        found = split_half_reliability(recording, splits=1, shuffles=19, seed=seed)
        population += found.population_p <= 0.05
        units += int((found.p <= 0.05).sum())
        family += found.reliable.any()
    most = binom.ppf(0.999, 200, 0.05)
    assert population <= most
    assert family <= most
    assert units <= binom.ppf(0.999, 1200, 0.05) + 10
    assert units >= binom.ppf(0.001, 1200, 0.05) - 10  # p is exact, so it is not too careful


def test_the_order_of_trials_and_units_does_not_matter():
    recording = noisy(np.linspace(0, 2, 8), 1.0)
    rng = np.random.default_rng(0)
    units = rng.permutation(8)
    other = recording.isel(trial=rng.permutation(80), unit=units)
    one, two = (split_half_reliability(r, splits=200, shuffles=1) for r in (recording, other))
    np.testing.assert_allclose(one.reliability[units], two.reliability, atol=0.05)


def test_what_has_no_halves_is_refused_or_counted():
    recording = noisy([1.0] * 3, 1.0, 4, 5)
    single = recording.isel(trial=[0, 5, 10, 15])
    with pytest.raises(RecordingError, match="two conditions with two trials or more"):
        split_half_reliability(single)
    some = recording.isel(trial=[0, 1, 2, 5, 6, 7, 10, 15])
    assert split_half_reliability(some, shuffles=2).left_out == 2
    constant = recording.assign(rate=recording["rate"] * np.array([1.0, 1.0, 0.0]))
    found = split_half_reliability(constant, shuffles=2)
    assert np.isnan(found.correlation[2])
    assert not found.reliable[2]
