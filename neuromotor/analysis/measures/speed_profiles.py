"""The shape of speed over time: its peak, its mean, and whether it is the same after scaling.

Minimum jerk has peak / mean speed 1.875 and its peak at half time (Flash & Hogan 1985). That is the
mean over the whole movement: between two crossings of 10 % of the peak the same movement has 1.59.
So shapes are taken from rest to rest: from the onset back, and from the end on, as long as the hand
gets slower. Noise ends this early, so smooth measured positions first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromotor._checks import check_integer
from neuromotor.analysis.measures.courses import check_array, check_courses, hand_speed
from neuromotor.analysis.measures.movement_times import MovementTimes, movement_times

__all__ = ["SpeedProfiles", "profile_differences", "rest_to_rest", "speed_profiles"]

_TRACE = 2e-3  # of peak speed
_FALL = 0.01  # of a step's pace: what the next falls below is rounding of a hand at rest
_REST = 0.02  # of peak speed: what is faster at the first or last sample is not at rest


@dataclass(frozen=True)
class SpeedProfiles:
    """Speed over time of B movements, from rest to rest; NaN where a course does not cover that.

    Attributes:
        peak_m_s: Peak speed, (B,).
        mean_m_s: Mean speed, (B,).
        duration_s: Time from rest to rest, (B,).
        peak_to_mean: Peak over mean speed, (B,).
        peak_at: Time of the peak as a share of the duration, (B,).
        scaled: Speed over mean speed at even shares of the duration, from 0 to 1, (B, K): profiles
            that are the same but for their time and their size are equal here.
    """

    peak_m_s: NDArray[np.float64]
    mean_m_s: NDArray[np.float64]
    duration_s: NDArray[np.float64]
    peak_to_mean: NDArray[np.float64]
    peak_at: NDArray[np.float64]
    scaled: NDArray[np.float64]


def speed_profiles(
    positions: ArrayLike,
    dt_s: float,
    *,
    speed: ArrayLike | None = None,
    times: MovementTimes | None = None,
    points: int = 101,
) -> SpeedProfiles:
    """Return the speed profiles of movements.

    Args:
        positions: Hand positions (m), (B, T, d).
        dt_s: Time between samples (s).
        speed: Speed of the hand (m/s), (B, T); by default by central differences.
        times: Onsets and ends; by default between 10 % of each peak.
        points: How many shares of the duration `scaled` has.

    Raises:
        ValueError: An array is not finite or has another shape, or `points` is below 3.
    """
    check_integer("points", points, minimum=3)
    array = check_courses("positions", positions, dt_s)
    fast = (
        hand_speed(array, dt_s) if speed is None else check_array("speed", speed, array.shape[:2])
    )
    found = times or movement_times(array, dt_s, speed=fast)
    rows = np.full((len(array), 5), np.nan)
    scaled = np.full((len(array), points), np.nan)
    for trial in np.flatnonzero(np.isfinite(found.duration_s)):
        first, last = (round(t[trial] / dt_s) for t in (found.onset_s, found.end_s))
        span = rest_to_rest(array[trial], fast[trial], dt_s, first, last)
        if span is None:
            continue
        start, end = span
        trace = fast[trial, start : end + 1]
        duration = (end - start) * dt_s
        mean = float(np.trapezoid(trace, dx=dt_s)) / duration
        share = np.linspace(0, 1, len(trace))
        rows[trial] = trace.max(), mean, duration, trace.max() / mean, share[trace.argmax()]
        scaled[trial] = np.interp(np.linspace(0, 1, points), share, trace) / mean
    peak, average, duration_s, peak_to_mean, peak_at = rows.T
    return SpeedProfiles(peak, average, duration_s, peak_to_mean, peak_at, scaled)


def profile_differences(scaled: ArrayLike, to: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return the area between each scaled profile and another, as a share of either's own, (B,).

    0 is the same shape. Minimum jerk differs from a parabola of speed by .215 and from a constant
    speed by .587 (each a definite integral).

    Args:
        scaled: Speed over mean speed, (B, K), as in `SpeedProfiles`; rows may be NaN.
        to: The other profile, (K,); by default the mean of the other rows, for each its own.

    Raises:
        ValueError: A shape does not fit.
    """
    rows = np.asarray(scaled, np.float64)
    if rows.ndim != 2:
        raise ValueError(f"`scaled` must have shape (*, *), got {rows.shape}.")
    known = np.isfinite(rows).all(1)
    if to is not None:
        other = check_array("to", to, (rows.shape[1],))[None]
    elif known.sum() < 2:
        return np.full(len(rows), np.nan)
    else:
        other = (rows[known].sum(0) - rows) / (known.sum() - 1)
    gap = np.trapezoid(np.abs(rows - other), dx=1 / (rows.shape[1] - 1), axis=1)
    return np.asarray(gap, np.float64)


def rest_to_rest(
    hand: NDArray[np.float64], speed: NDArray[np.float64], dt_s: float, start: int, end: int
) -> tuple[int, int] | None:
    """Return the samples at which a movement begins and ends at rest, None where it does not.

    Args:
        hand: Hand positions of one trial (m), (T, d).
        speed: Its speed (m/s), (T,).
        dt_s: Time between samples (s).
        start: Sample of the onset by any rule.
        end: Sample of the end.
    """
    peak = speed[start : end + 1].max()
    # What moves in a step: by its ends, or by its speeds where these are not the mere trace that
    # central differences leave beside a movement (Euler's first step does not move the hand yet).
    pace = np.linalg.norm(np.diff(hand, axis=0), axis=-1) / dt_s
    speeds = 0.5 * (speed[1:] + speed[:-1])
    pace = np.maximum(pace, np.where(speeds > _TRACE * peak, speeds, 0.0))
    while start > 0 and _FALL * pace[start] < pace[start - 1] < pace[start]:
        start -= 1
    while end < len(pace) and _FALL * pace[end - 1] < pace[end] < pace[end - 1]:
        end += 1
    if (start == 0 and speed[0] > _REST * peak) or (end == len(pace) and speed[end] > _REST * peak):
        return None
    return start, end
