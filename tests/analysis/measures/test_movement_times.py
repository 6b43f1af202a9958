"""Onsets and ends of planted movements, by each rule."""

import numpy as np
import pytest
from planted_courses import minimum_jerk
from scipy.optimize import brentq

from neuromotor.analysis.measures import (
    LeavesStart,
    PeakFraction,
    SpeedThreshold,
    StaysInTarget,
    movement_times,
)

DT = 0.001
REACH = minimum_jerk(dt_s=DT)
TARGETS = REACH[:, -1]
SPEED = 0.1 / 0.5 * 1.875  # peak of minimum jerk (m/s)


def share(value, of):
    """When minimum jerk first reaches a value, as a share of its duration."""
    return brentq(lambda s: of(s) - value, 0, 0.5)


def profile(s):
    return 16 * s**2 * (1 - s) ** 2  # over its peak


def way(s):
    return 10 * s**3 - 15 * s**4 + 6 * s**5


@pytest.mark.parametrize("fraction", [0.05, 0.1])
def test_a_share_of_peak_speed(fraction):
    rule = PeakFraction(fraction)
    found = movement_times(REACH, DT, onset=rule, end=rule)
    lag = 0.5 * share(fraction, profile)
    np.testing.assert_allclose(found.onset_s, 0.1 + lag, atol=DT)
    np.testing.assert_allclose(found.end_s, 0.6 - lag, atol=DT)
    np.testing.assert_allclose(found.duration_s, 0.5 - 2 * lag, atol=2 * DT)


@pytest.mark.parametrize("speed", [0.02, 0.1])
def test_a_speed(speed):
    rule = SpeedThreshold(speed)
    found = movement_times(REACH, DT, onset=rule, end=rule)
    lag = 0.5 * share(speed / SPEED, profile)
    np.testing.assert_allclose(found.onset_s, 0.1 + lag, atol=DT)
    np.testing.assert_allclose(found.end_s, 0.6 - lag, atol=DT)


def test_a_short_burst_of_speed_is_no_onset():
    speed = np.zeros((1, 200))
    speed[0, 20:25] = speed[0, 100:160] = 1.0
    still = np.zeros((1, 200, 2))
    rules = {"onset": SpeedThreshold(0.1, 0.02), "end": SpeedThreshold(0.1, 0.02)}
    found = movement_times(still, DT, speed=speed, **rules)
    assert (found.onset_s[0], found.end_s[0]) == pytest.approx((0.099, 0.16))
    rules = {"onset": SpeedThreshold(0.1, 0.0), "end": SpeedThreshold(0.1, 0.0)}
    found = movement_times(still, DT, speed=speed, **rules)
    assert (found.onset_s[0], found.end_s[0]) == pytest.approx((0.019, 0.025))


def test_circles_about_start_and_target():
    rules = {"onset": LeavesStart(0.01), "end": StaysInTarget(0.01)}
    found = movement_times(REACH, DT, targets=TARGETS, **rules)
    lag = 0.5 * share(0.1, way)
    np.testing.assert_allclose(found.onset_s, 0.1 + lag, atol=DT)
    np.testing.assert_allclose(found.end_s, 0.6 - lag, atol=DT)


def test_a_hand_that_leaves_its_target_again_has_not_ended():
    """It swings through the target, out, and back: the last entry counts, or one that lasts."""
    place = np.concatenate([np.linspace(0, 0.1, 101), np.full(30, 0.1), np.full(20, 0.15)])
    place = np.concatenate([place, np.full(60, 0.1)])
    course = np.stack([place, 0 * place], axis=-1)[None]
    target = [[0.1, 0.0]]
    ends = {
        lasting: movement_times(
            course, DT, targets=target, onset=LeavesStart(), end=StaysInTarget(0.0101, lasting)
        ).end_s[0]
        for lasting in (None, 0.02, 0.05)
    }
    assert ends[None] == pytest.approx(0.151)
    assert ends[0.02] == pytest.approx(0.09)
    assert ends[0.05] == pytest.approx(0.151)
    gone = course[:, :150]
    found = movement_times(gone, DT, targets=target, onset=LeavesStart(), end=StaysInTarget())
    assert np.isnan(found.end_s).all()
    assert np.isfinite(found.onset_s).all()


def test_what_does_not_move_or_had_begun_has_no_times():
    still = np.zeros((2, 50, 2))
    rules = [(PeakFraction(), PeakFraction()), (SpeedThreshold(), SpeedThreshold())]
    rules.append((LeavesStart(), StaysInTarget()))
    for onset, end in rules:
        found = movement_times(still, DT, targets=still[:, 0], onset=onset, end=end)
        assert np.isnan([found.onset_s, found.end_s]).all()
    begun = movement_times(REACH[:, 350:], DT)
    assert np.isnan(begun.end_s).all()
    cut = movement_times(REACH[:, :400], DT)
    assert np.isfinite(cut.onset_s).all()
    assert np.isnan(cut.end_s).all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="`targets` must be given"):
        movement_times(REACH, DT, end=StaysInTarget())
    with pytest.raises(ValueError, match="`positions` must have shape"):
        movement_times(REACH[0], DT)
    with pytest.raises(ValueError, match="leave those trials out"):
        movement_times(np.where(REACH > 0.05, np.nan, REACH), DT)
    with pytest.raises(ValueError, match="`dt_s` must be a positive number"):
        movement_times(REACH, 0.0)
    with pytest.raises(ValueError, match="three samples"):
        movement_times(REACH[:, :2], DT)
    for rule, arguments in [
        (PeakFraction, {"fraction": 1.0}),
        (SpeedThreshold, {"speed_m_s": 0.0}),
        (LeavesStart, {"radius_m": -1.0}),
        (StaysInTarget, {"lasting_s": -1.0}),
    ]:
        with pytest.raises(ValueError, match=next(iter(arguments))):
            rule(**arguments)
