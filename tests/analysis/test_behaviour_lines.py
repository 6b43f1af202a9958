"""Deviation across and errors along a reach, on paths whose truth is planted."""

import numpy as np
import pytest

from neuromotor.analysis import behaviour, make_recording

ANGLES = np.radians([0, 45, 90, 200, 315])


def bowed(left_m, beyond_m, aside_m):
    """Minimum-jerk reaches of 10 cm that bow to one side and miss their targets by known parts."""
    time = np.linspace(0, 0.6, 61)
    s = np.clip((time - 0.05) / 0.5, 0, 1)
    profile = 10 * s**3 - 15 * s**4 + 6 * s**5
    along = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)
    left = np.stack([-np.sin(ANGLES), np.cos(ANGLES)], axis=-1)
    start = np.array([0.02, 0.3])
    bow = left_m * np.sin(np.pi * s) ** 2 + aside_m * profile
    hand = start + (0.1 + beyond_m) * profile[None, :, None] * along[:, None]
    hand = hand + bow[None, :, None] * left[:, None]
    parts = {"hand_position": hand, "target_position": start + 0.1 * along}
    return make_recording(time, np.arange(len(ANGLES)), parts)


@pytest.mark.parametrize("left", [0.02, -0.02])
def test_deviation_is_signed_to_the_left_of_the_reach_whatever_its_direction(left):
    found = behaviour(bowed(left, 0.0, 0.0))
    np.testing.assert_allclose(found.perpendicular_deviation_m, left, rtol=1e-3)
    np.testing.assert_allclose(found.lateral_error_m, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.along_error_m, 0.0, atol=1e-12)


def test_an_end_error_has_a_part_across_and_a_part_along():
    found = behaviour(bowed(0.0, -0.007, 0.003))
    np.testing.assert_allclose(found.lateral_error_m, 0.003, rtol=1e-9)
    np.testing.assert_allclose(found.along_error_m, -0.007, rtol=1e-9)
    np.testing.assert_allclose(found.end_error_m, np.hypot(0.003, 0.007), rtol=1e-9)


def test_what_does_not_move_or_has_no_target_has_no_deviation():
    reach = bowed(0.02, 0.0, 0.0)
    found = behaviour(reach.drop_vars("target_position"))
    assert np.isnan(found.perpendicular_deviation_m).all()
    assert np.isnan(found.lateral_error_m).all()
    still = reach.assign(target_position=reach["hand_position"][:, 0].drop_vars("time"))
    assert np.isnan(behaviour(still).along_error_m).all()
