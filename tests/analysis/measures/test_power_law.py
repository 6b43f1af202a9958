"""Exponents of ellipses that are traced with a known one."""

import numpy as np
import pytest
from planted_courses import ellipse, minimum_jerk

from neuromotor.analysis.measures import MovementTimes, power_law

DT = 0.002


@pytest.mark.parametrize("exponent", [-1 / 3, -0.2, 0.0])
def test_the_planted_exponent_is_found(exponent):
    found = power_law(ellipse(exponent), DT)
    assert found.exponent[0] == pytest.approx(exponent, abs=2e-3)
    assert found.angular_exponent[0] == pytest.approx(1 + exponent, abs=2e-3)
    assert found.angular_correlation[0] > 0.999
    if exponent:
        assert found.correlation[0] < -0.999


def test_simple_harmonic_motion_along_both_axes_is_the_law():
    """An affine picture of a circle at constant speed: Lacquaniti et al. (1983)."""
    phase = 2 * np.pi * np.arange(0, 1, DT)
    course = np.stack([0.1 * np.cos(phase), 0.04 * np.sin(phase)], axis=-1)
    assert power_law(course[None], DT).exponent[0] == pytest.approx(-1 / 3, abs=1e-3)


def test_slow_ends_do_not_count():
    """Speeding up and slowing down bends the line, unless what is slow is cut off."""
    fine = ellipse(-1 / 3, dt_s=1e-4)[0]  # one lap in two seconds
    time = np.arange(0, 2.4, DT)
    s = np.clip(np.minimum(time, 2.4 - time) / 0.4, 0, 1)
    pace = 3 * s**2 - 2 * s**3  # of the lap's own speed, between rest and rest
    clock = np.cumsum(pace) * DT
    course = np.stack([np.interp(clock, 1e-4 * np.arange(len(fine)), x) for x in fine.T], axis=-1)
    inner = MovementTimes(np.array([0.45]), np.array([1.95]))
    whole, cut, middle = (
        power_law(course[None], DT, **given, smoothing_s=0.03).exponent[0]
        for given in ({"cut": 0.0}, {"cut": 0.3}, {"times": inner})
    )
    assert middle == pytest.approx(-1 / 3, abs=0.01)
    assert abs(cut + 1 / 3) < 0.05 < abs(whole + 1 / 3)


def test_noisy_positions_want_smoothing():
    course = ellipse(0.0, dt_s=0.005)
    noisy = course + 1e-3 * np.random.default_rng(0).standard_normal(course.shape)
    rough = power_law(noisy, 0.005).exponent[0]
    smooth = power_law(noisy, 0.005, smoothing_s=0.2).exponent[0]
    assert abs(smooth) < 0.05
    assert rough < -0.15  # noise alone pretends the law (Maoz et al. 2006)


def test_speed_that_does_not_know_curvature_has_no_exponent():
    """Laps of an ellipse with speeds that wander: what curvature is there, they do not know."""
    generator = np.random.default_rng(1)
    time = np.arange(0, 40, DT)
    wander = np.interp(time, np.arange(0, 41, 0.2), generator.standard_normal(205))
    way = np.cumsum(0.3 * np.exp(0.3 * wander)) * DT
    angle = np.linspace(0, 2 * np.pi, 5001)
    steps = np.hypot(0.1 * np.sin(angle), 0.03 * np.cos(angle))
    length = np.concatenate([[0], np.cumsum(0.5 * (steps[1:] + steps[:-1]) * np.diff(angle))])
    place = np.interp(way % length[-1], length, angle)
    course = np.stack([0.1 * np.cos(place), 0.03 * np.sin(place)], axis=-1)[None]
    found = power_law(course, DT)
    assert found.exponent[0] == pytest.approx(0, abs=0.05)
    assert abs(found.correlation[0]) < 0.15


def test_straight_and_round_paths_have_no_exponent():
    assert np.isnan(power_law(minimum_jerk(), 0.005).exponent).all()
    phase = 2 * np.pi * np.arange(0, 1, DT)
    circle = 0.1 * np.stack([np.cos(phase), np.sin(phase)], axis=-1)
    assert np.isnan(power_law(circle[None], DT).exponent).all()
    with pytest.raises(ValueError, match="`smoothing_s` must be shorter"):
        power_law(circle[None, :20], DT, smoothing_s=1.0)
