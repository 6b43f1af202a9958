"""Planted onsets of responses of any size are found, and none where nothing responds."""

import numpy as np
import pytest

from neuromotor.analysis.measures import paired_responses, response_onset

DT, ONSET, LATENCY = 0.01, 0.2, 0.123


def pairs(slope, noise=0.0, count=20, seed=0):
    """Twins, and the same with a ramp that begins late, lasts 100 ms and goes back."""
    generator = np.random.default_rng(seed)
    time = DT * np.arange(60)
    since = time - ONSET - LATENCY
    ramp = slope * np.clip(np.minimum(since, 0.2 - since), 0, None)
    twins = generator.standard_normal((count, len(time), 2))
    drawn = noise * generator.standard_normal((count, len(time)))
    perturbed = twins.copy()
    perturbed[:, :, 0] += ramp + drawn * (time >= ONSET)
    return paired_responses(perturbed, twins, np.full(count, ONSET), DT)


@pytest.mark.parametrize("slope", [0.1, 10.0])
def test_onset_does_not_depend_on_size(slope):
    found = response_onset(pairs(slope), [1.0, 0.0])
    assert found.value == pytest.approx(LATENCY, abs=1e-3)
    assert (found.low, found.high) == pytest.approx((found.value, found.value))


def test_onset_of_noisy_pairs_has_an_interval_that_covers_it():
    found = response_onset(pairs(10.0, noise=0.1), [1.0, 0.0])
    assert found.low < LATENCY < found.high
    assert found.value == pytest.approx(LATENCY, abs=0.01)


def test_nothing_begins_where_nothing_responds():
    noise = pairs(0.0, noise=1.0)
    assert response_onset(noise, [1.0, 0.0]).value is None
    assert response_onset(pairs(0.0), [1.0, 0.0]).value is None
    # a response that goes the other way is none
    assert response_onset(pairs(1.0), [-1.0, 0.0]).value is None
    with pytest.raises(ValueError, match="two pairs or more"):
        response_onset(pairs(1.0, count=1), [1.0, 0.0])
