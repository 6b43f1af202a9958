"""A recording becomes zeros and ones by its own unit, by bins and thresholds."""

import numpy as np
import pytest

from neuromotor.analysis import RecordingError, binarized, make_recording


def spikes(unit="spikes/s", trials=6, steps=21, units=4):
    """Counts in bins of 10 ms as rates; the last unit never fires."""
    counts = np.random.default_rng(0).poisson(0.3, (trials, steps, units)).astype(float)
    counts[..., -1] = 0
    recording = make_recording(
        0.01 * np.arange(steps), np.arange(trials), {"rate": 100 * counts}, units={"rate": unit}
    )
    return counts, recording


def test_a_one_means_a_spike_or_more():
    counts, recording = spikes()
    found = binarized(recording)
    np.testing.assert_array_equal(found.frames, counts > 0)
    wide = binarized(recording, bin_s=0.04)  # five bins of four samples; the last sample is over
    np.testing.assert_array_equal(wide.frames, counts[:, :20].reshape(6, 5, 4, 4).sum(2) > 0)
    np.testing.assert_allclose(wide.time_s, 0.04 * np.arange(5))
    assert (wide.bin_s, wide.constant) == (pytest.approx(0.04), 1)


def test_other_rates_are_cut_at_their_medians_or_where_one_says():
    rate = np.random.default_rng(1).normal(size=(4, 10, 3))
    recording = make_recording(0.01 * np.arange(10), np.zeros(4), {"rate": rate})
    found = binarized(recording)
    np.testing.assert_allclose(found.frames.mean((0, 1)), 0.5)
    np.testing.assert_allclose(found.thresholds, np.median(rate.reshape(-1, 3), axis=0))
    each = [0.1, -0.2, 0.0]
    np.testing.assert_array_equal(binarized(recording, threshold=each).frames, rate > each)


def test_what_gives_no_sequences_is_refused():
    _, recording = spikes()
    with pytest.raises(ValueError, match=r"whole number of samples of 0\.01 s, got 0\.015 s"):
        binarized(recording, bin_s=0.015)
    with pytest.raises(RecordingError, match="hold 1 bins of 20"):
        binarized(recording, bin_s=0.2)
    with pytest.raises(ValueError, match="`threshold` must be one number or 4, got 2"):
        binarized(recording, threshold=[1, 2])
    smoothed = recording.assign(rate=recording["rate"] + 1.0)
    with pytest.raises(RecordingError, match="4 of 4 units are the same in every bin"):
        binarized(smoothed)
