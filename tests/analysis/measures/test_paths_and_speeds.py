"""Straightness and speed profiles of planted paths."""

import numpy as np
import pytest
from planted_courses import minimum_jerk
from scipy.integrate import quad

from neuromotor.analysis.measures import (
    MovementTimes,
    deviation_at_peak_speed,
    largest_deviation,
    path_curvature,
    profile_differences,
    speed_profiles,
)

DT = 0.005
ANGLES = (0.0, 1.0, 2.5)
REACH = minimum_jerk(angles=ANGLES)
LEFT = np.stack([-np.sin(ANGLES), np.cos(ANGLES)], axis=-1)
SHARE = np.clip((DT * np.arange(REACH.shape[1]) - 0.1) / 0.5, 0, 1)


def parabola(dt_s):
    """A reach with a parabola of speed, which is what least squared torque gives."""
    s = np.clip((dt_s * np.arange(round(0.7 / dt_s) + 1) - 0.1) / 0.5, 0, 1)
    return np.stack([0.1 * (3 * s**2 - 2 * s**3), 0 * s], axis=-1)[None]


@pytest.mark.parametrize("bow", [0.01, -0.02])
def test_a_bow_is_measured_with_its_sign(bow):
    """A bow of sin pi s across the reach is widest at half time, where the hand is fastest."""
    bent = REACH + bow * np.sin(np.pi * SHARE)[None, :, None] ** 2 * LEFT[:, None]
    np.testing.assert_allclose(path_curvature(bent, DT), abs(bow) / 0.1, rtol=1e-6)
    for targets in (None, bent[:, -1]):
        deviation = largest_deviation(bent, DT, targets=targets)
        np.testing.assert_allclose(deviation, bow, rtol=1e-6)
        at_peak = deviation_at_peak_speed(bent, DT, targets=targets)
        np.testing.assert_allclose(at_peak, bow, rtol=1e-2)


def test_straight_reaches_are_straight_and_a_late_hook_is_not_at_peak_speed():
    np.testing.assert_allclose(path_curvature(REACH, DT), 0, atol=1e-12)
    hook = 0.004 * np.sin(np.pi * np.clip(4 * SHARE - 3, 0, 1))
    late = REACH + hook[:, None] * LEFT[:, None]
    np.testing.assert_allclose(largest_deviation(late, DT), 0.004, rtol=1e-2)
    np.testing.assert_allclose(deviation_at_peak_speed(late, DT), 0, atol=1e-12)
    early = MovementTimes(np.full(3, 0.1), np.array([0.45, 0.45, np.nan]))
    np.testing.assert_allclose(path_curvature(late, DT, early)[:2], 0, atol=1e-12)
    assert np.isnan(path_curvature(late, DT, early)[2])
    assert np.isnan(largest_deviation(late, DT, times=early)[2])


def test_curvature_is_measured_in_space():
    """A half circle in any plane of space has its radius over its diameter."""
    angle = np.linspace(0, np.pi, 101)
    frame = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    circle = 0.1 * np.stack([np.cos(angle), np.sin(angle)], axis=-1) @ frame[:2]
    assert path_curvature(circle[None], DT)[0] == pytest.approx(0.5, rel=1e-3)


def test_speed_profiles_have_their_textbook_numbers():
    bell, round_top = speed_profiles(REACH, DT), speed_profiles(parabola(DT), DT)
    np.testing.assert_allclose(bell.peak_to_mean, 1.875, rtol=5e-3)
    np.testing.assert_allclose(bell.peak_at, 0.5, atol=0.02)
    np.testing.assert_allclose(bell.peak_m_s, 1.875 * 0.1 / 0.5, rtol=2e-3)
    np.testing.assert_allclose(round_top.peak_to_mean, 1.5, rtol=2 * DT / 0.5)
    np.testing.assert_allclose(bell.scaled.mean(1), 1, rtol=0.02)


def test_shapes_are_compared_after_scaling_in_time_and_size():
    paths = [minimum_jerk(t, DT, (0.3,), far) for t, far in [(0.4, 0.05), (0.5, 0.1), (0.8, 0.3)]]
    scaled = np.concatenate([speed_profiles(path, DT).scaled for path in paths])
    assert profile_differences(scaled).max() < 0.02
    other = speed_profiles(parabola(0.001), 0.001).scaled[0]
    area, _ = quad(lambda s: abs(30 * s**2 * (1 - s) ** 2 - 6 * s * (1 - s)), 0, 1, limit=200)
    assert area == pytest.approx(0.215, abs=5e-4)  # as the docstring says
    np.testing.assert_allclose(profile_differences(scaled, other), area, atol=0.01)
    assert np.isnan(profile_differences(scaled[:1])).all()
    lost = np.vstack([scaled, np.full((1, scaled.shape[1]), np.nan)])
    np.testing.assert_allclose(profile_differences(lost)[:3], profile_differences(scaled))
    assert np.isnan(profile_differences(lost)[3])


def test_a_course_that_is_cut_has_no_profile():
    found = speed_profiles(REACH[:, 60:], DT)
    assert np.isnan(found.peak_to_mean).all()
    assert np.isnan(found.scaled).all()
