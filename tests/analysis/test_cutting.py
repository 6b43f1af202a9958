"""Recordings are cut around events."""

import numpy as np
import pytest

from neuromotor.analysis import RecordingError, make_recording
from neuromotor.analysis.cutting import align


def test_alignment_moves_events_to_zero():
    time = 0.01 * np.arange(40)
    onset = np.array([0.1, 0.2, np.nan])
    rate = np.where(np.isclose(time, np.nan_to_num(onset)[:, None]), 1.0, 0.0)[..., None]
    recording = make_recording(time, [0, 1, 2], {"rate": rate, "movement_onset": onset})
    cut = align(recording, "movement_onset", 0.05, 0.1)
    assert cut.sizes["trial"] == 2
    np.testing.assert_allclose(cut["time"], 0.01 * np.arange(-5, 11))
    np.testing.assert_array_equal(cut["rate"].values[..., 0].argmax(1), [5, 5])
    with pytest.raises(RecordingError, match="does not cover"):
        align(recording, "movement_onset", 0.15, 0.1)
    with pytest.raises(RecordingError, match="lacks `go_time`"):
        align(recording, "go_time", 0.0, 0.1)
