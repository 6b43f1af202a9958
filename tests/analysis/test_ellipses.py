"""Ellipses of known end points."""

import numpy as np
import pytest

from neuromotor.analysis import RecordingError, make_recording
from neuromotor.analysis.ellipses import end_points


def test_the_ellipse_of_known_end_points():
    draws = np.random.default_rng(0).standard_normal((4000, 2)) * [0.004, 0.001]
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    hand = (draws @ np.array([[c, s], [-s, c]]))[:, None] * np.array([0.0, 1.0])[:, None]
    target = np.zeros((4000, 2))
    recording = make_recording(
        [0, 0.1],
        np.zeros(4000),
        {"rate": np.zeros((4000, 2, 1)), "hand_position": hand, "target_position": target},
    )
    found = end_points(recording)
    np.testing.assert_allclose(found.axes_m, np.array([[0.004, 0.001]]) * 2.4477, rtol=0.05)
    assert found.orientation_deg == pytest.approx([30], abs=1)
    assert np.isnan(found.turned_deg).all()  # the target is where the hand starts
    with pytest.raises(RecordingError, match="three trials or more of one condition"):
        end_points(recording.isel(trial=[0, 1]))


def test_ellipses_of_eight_directions_are_not_pooled():
    """3:1 along each of eight movements: pooled, they would add up to a circle."""
    generator = np.random.default_rng(0)
    angle = np.repeat(np.arange(8) * np.pi / 4, 500)
    along = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    draws = generator.standard_normal((len(angle), 2, 1)) * np.array([0.006, 0.002])[:, None]
    target = 0.08 * along
    end = target + draws[:, 0] * along + draws[:, 1] * across
    variables = {
        "rate": np.zeros((len(angle), 2, 1)),
        "hand_position": np.stack([0 * end, end], axis=1),
        "target_position": target,
    }
    # One label for all: the targets alone tell the directions apart.
    for labels in (np.repeat(np.arange(8), 500), np.zeros(len(angle))):
        found = end_points(make_recording([0, 0.1], labels, variables))
        assert len(found.conditions) == 8
        np.testing.assert_allclose(found.axes_m[:, 0] / found.axes_m[:, 1], 3, rtol=0.12)
        np.testing.assert_allclose(found.turned_deg, 0, atol=4)
        np.testing.assert_array_equal(found.counts, 500)
    few = end_points(make_recording([0, 0.1], labels, variables).isel(trial=slice(0, 502)))
    assert (few.left_out, len(few.conditions)) == (2, 1)
