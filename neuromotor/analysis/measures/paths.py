"""How straight movements are: curvature of paths, and deviations from the line to the target.

Paths are cut to the times of their movements where these are given; a trial without them has NaN.
Deviations are positive to the left of the reach.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromotor.analysis.measures.courses import (
    check_array,
    check_courses,
    hand_speed,
    left_of,
)
from neuromotor.analysis.measures.movement_times import MovementTimes

__all__ = ["deviation_at_peak_speed", "during", "largest_deviation", "path_curvature"]


def path_curvature(
    positions: ArrayLike, dt_s: float, times: MovementTimes | None = None
) -> NDArray[np.float64]:
    """Return the largest distance of each path from its chord, over the chord's length, (B,).

    0 is straight (Atkeson & Hollerbach 1985). NaN where a path ends where it began.

    Args:
        positions: Hand positions (m), (B, T, d).
        dt_s: Time between samples (s).
        times: Onsets and ends; the whole course by default.

    Raises:
        ValueError: Positions are not finite or have another shape.
    """
    array = check_courses("positions", positions, dt_s)
    inside = during(times, len(array), array.shape[1], dt_s)
    found = np.full(len(array), np.nan)
    for trial in np.flatnonzero(inside.any(1)):
        away = array[trial, inside[trial]] - array[trial, inside[trial]][0]
        length = float(np.linalg.norm(away[-1]))
        if length > 0:
            along = away[-1] / length
            off = away - (away @ along)[:, None] * along
            found[trial] = np.linalg.norm(off, axis=-1).max() / length
    return found


def largest_deviation(
    positions: ArrayLike,
    dt_s: float,
    *,
    targets: ArrayLike | None = None,
    times: MovementTimes | None = None,
) -> NDArray[np.float64]:
    """Return the largest deviations from the straight line, with their sign (m), (B,).

    Args:
        positions: Hand positions in the plane (m), (B, T, 2).
        dt_s: Time between samples (s).
        targets: Where the lines from the first positions lead (m), (B, 2); the last positions of
            the movements by default.
        times: Onsets and ends; the whole course by default.

    Raises:
        ValueError: An array is not finite or has another shape.
    """
    off, inside = _off_the_line(positions, dt_s, targets, times)
    size = np.where(inside, np.abs(off), -np.inf)
    worst = np.take_along_axis(off, size.argmax(1)[:, None], 1)[:, 0]
    return np.where(inside.any(1), worst, np.nan)


def deviation_at_peak_speed(
    positions: ArrayLike,
    dt_s: float,
    *,
    targets: ArrayLike | None = None,
    times: MovementTimes | None = None,
    speed: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return the deviations from the straight line when the hand is fastest (m), (B,).

    Feedback of the movement itself has had little time until then, so this is a measure of what
    was planned (Gandolfo et al. 1996).

    Args:
        positions: Hand positions in the plane (m), (B, T, 2).
        dt_s: Time between samples (s).
        targets: As in `largest_deviation`.
        times: Onsets and ends; the whole course by default.
        speed: Speed of the hand (m/s), (B, T); by default by central differences.

    Raises:
        ValueError: An array is not finite or has another shape.
    """
    off, inside = _off_the_line(positions, dt_s, targets, times)
    if speed is None:
        fast = hand_speed(positions, dt_s)
    else:
        fast = check_array("speed", speed, off.shape)
    peak = np.where(inside, fast, -np.inf).argmax(1)
    return np.where(inside.any(1), np.take_along_axis(off, peak[:, None], 1)[:, 0], np.nan)


def during(times: MovementTimes | None, count: int, samples: int, dt_s: float) -> NDArray[np.bool_]:
    """Return which samples belong to each movement, ends included, (B, T)."""
    if times is None:
        return np.ones((count, samples), bool)
    onset = check_array("times.onset_s", np.nan_to_num(times.onset_s), (count,))
    end = check_array("times.end_s", np.nan_to_num(times.end_s), (count,))
    sample, slack = dt_s * np.arange(samples), 1e-6 * dt_s
    inside = (sample >= onset[:, None] - slack) & (sample <= end[:, None] + slack)
    return np.asarray(inside & np.isfinite(times.duration_s)[:, None])


def _off_the_line(
    positions: ArrayLike,
    dt_s: float,
    targets: ArrayLike | None,
    times: MovementTimes | None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return signed distances from the lines (B, T), and which samples count."""
    array = check_courses("positions", positions, dt_s, axes=2)
    count, samples, _ = array.shape
    inside = during(times, count, samples, dt_s)
    if targets is None:
        first = inside.argmax(1)
        last = samples - 1 - inside[:, ::-1].argmax(1)
        start, goal = array[np.arange(count), first], array[np.arange(count), last]
    else:
        start, goal = array[:, 0], check_array("targets", targets, (count, 2))
    off = ((array - start[:, None]) * left_of(goal - start)[:, None]).sum(-1)
    return off, inside
