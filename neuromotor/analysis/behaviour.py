"""Reaches in the units of the literature: times, speeds, straightness, end points.

A movement lasts from its onset (`movement_onset`: 10 % of peak speed) to the first time after its
peak at which it is as slow again. NaN where a trial has no movement, or it does not end. The state
after the last step counts where a recording has it.

Minimum jerk has peak / mean speed 1.875 and its peak at half time (Flash & Hogan 1985). That is the
mean over the whole movement: between two crossings of 10 % of the peak the same movement has 1.59.
So mean speed is taken from rest to rest: from the onset back, and from the end on, as long as the
hand gets slower. Noise ends this early, so smooth measured positions first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis._arrays import null_p, r_squared
from neuromotor.analysis.layout import RecordingError, check_recording, sample_at

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Behaviour",
    "EndPoints",
    "SpeedAccuracy",
    "behaviour",
    "end_points",
    "hand_course",
    "speed_accuracy",
]

_SLOW = 0.1  # of peak speed: where a movement begins and ends
_TRACE = 2e-3  # of peak speed
_FALL = 0.01  # of a step's pace: what the next falls below is rounding of a hand at rest
_REST = 0.02  # of peak speed: what is faster at the recording's first or last time is not at rest


@dataclass(frozen=True)
class Behaviour:
    """Measures of B trials, (B,) each.

    Attributes:
        reaction_time_s: From go signal to onset; NaN without go signal.
        movement_time_s: From onset to end.
        peak_speed_m_s: Of the hand.
        peak_to_mean: Peak speed over mean speed from rest to rest; NaN too where the recording
            does not cover that.
        symmetry: Time from onset to peak over movement time; 0.5 is symmetric.
        path_ratio: Length of the path over the distance of its ends; 1 is straight.
        curvature: Largest distance of the path from the straight line, over that line's length.
        end_error_m: Distance of the last hand position from the target; NaN without target.
        perpendicular_deviation_m: Largest distance from the straight line between the first hand
            position and the target, from onset to end (or to the recording's end where the movement
            does not end); positive to the left of the reach. NaN without target or movement.
        lateral_error_m: Part of the last hand position's error across that line, positive to the
            left of the reach; NaN where the target lies at the start.
        along_error_m: Part of it along the line, positive beyond the target.
    """

    reaction_time_s: NDArray[np.float64]
    movement_time_s: NDArray[np.float64]
    peak_speed_m_s: NDArray[np.float64]
    peak_to_mean: NDArray[np.float64]
    symmetry: NDArray[np.float64]
    path_ratio: NDArray[np.float64]
    curvature: NDArray[np.float64]
    end_error_m: NDArray[np.float64]
    perpendicular_deviation_m: NDArray[np.float64]
    lateral_error_m: NDArray[np.float64]
    along_error_m: NDArray[np.float64]


@dataclass(frozen=True)
class EndPoints:
    """Where the hand ends relative to its target; K groups of trials of one condition and target.

    Attributes:
        conditions: Labels, (K,).
        targets_m: Targets, (K, 2).
        counts: Trials of each group, (K,).
        left_out: Trials whose group has fewer than three.
        bias_m: Mean errors, (K, 2).
        covariance_m2: Of the errors, (K, 2, 2).
        axes_m: Half axes of the ellipses that hold 95 % of a normal distribution, longest first,
            (K, 2).
        orientation_deg: Of the long axes, 0 to 180 from x, (K,).
        turned_deg: Between the long axis and the line from the first hand positions to the target,
            0 to 90, (K,); NaN where the target lies at the start.
        area_m2: Of the ellipses, (K,).
    """

    conditions: NDArray[np.generic]
    targets_m: NDArray[np.float64]
    counts: NDArray[np.int64]
    left_out: int
    bias_m: NDArray[np.float64]
    covariance_m2: NDArray[np.float64]
    axes_m: NDArray[np.float64]
    orientation_deg: NDArray[np.float64]
    turned_deg: NDArray[np.float64]
    area_m2: NDArray[np.float64]


@dataclass(frozen=True)
class SpeedAccuracy:
    """How movement time and end-point spread go together over C conditions.

    Attributes:
        conditions: Labels, (C,).
        distance_m: Mean distance from start to target, (C,).
        width_m: Effective target width, 4.133 standard deviations of the end points along the
            line from start to target: 96 % of a normal distribution, (C,).
        movement_time_s: Mean, (C,).
        difficulty_bits: log2(distance / width + 1), (C,).
        slope_s: Fitts' law: movement time (s) per bit.
        intercept_s: Movement time at no difficulty.
        r2: Of that line.
        p_slope: Share of permutations of movement times over conditions whose slope is as large.
        width_slope_s: Width (m) per mean speed (m/s), distance / movement time.
        width_r2: Of that line.
        p_width_slope: As `p_slope`.
    """

    conditions: NDArray[np.generic]
    distance_m: NDArray[np.float64]
    width_m: NDArray[np.float64]
    movement_time_s: NDArray[np.float64]
    difficulty_bits: NDArray[np.float64]
    slope_s: float
    intercept_s: float
    r2: float
    p_slope: float
    width_slope_s: float
    width_r2: float
    p_width_slope: float


def behaviour(recording: xr.Dataset) -> Behaviour:
    """Return the measures of every trial's movement.

    Raises:
        RecordingError: The recording lacks positions, velocities or onsets.
    """
    check_recording(recording, ["hand_position"])
    if recording.sizes["time"] < 3:
        raise RecordingError(
            f"a movement needs three times or more, the recording has {recording.sizes['time']}."
        )
    time, hand, velocity = hand_course(recording)
    check_recording(recording, ["movement_onset"])
    speed = np.linalg.norm(velocity, axis=-1)
    onset = recording["movement_onset"].values
    go = recording["go_time"].values if "go_time" in recording else np.full(len(onset), np.nan)
    rows = np.full((len(onset), 6), np.nan)
    for trial in np.flatnonzero(np.isfinite(onset)):
        trace = speed[trial]
        start = sample_at(time, onset[trial])
        if start is None:
            continue
        peak = start + int(trace[start:].argmax())
        slow = np.flatnonzero(trace[peak:] <= _SLOW * trace[peak])
        rows[trial, 1] = trace[peak]
        if not slow.size:
            continue
        end = peak + int(slow[0])
        if end == start:
            continue
        path = hand[trial, start : end + 1]
        line = path[-1] - path[0]
        length = float(np.linalg.norm(line))
        duration = time[end] - time[start]
        away = path - path[0]
        rows[trial, 0] = duration
        rows[trial, 2] = _peak_to_mean(hand[trial], trace, time[1] - time[0], start, end)
        rows[trial, 3] = (time[peak] - time[start]) / duration
        if length > 0:
            rows[trial, 4] = np.linalg.norm(np.diff(path, axis=0), axis=1).sum() / length
            cross = np.abs(away[:, 0] * line[1] - away[:, 1] * line[0]) / length
            rows[trial, 5] = cross.max() / length
    errors = np.full(len(onset), np.nan)
    if "target_position" in recording:
        errors = np.linalg.norm(_end_errors(recording), axis=-1)
    duration_s, peak_speed, ratio, symmetry, path_ratio, curvature = rows.T
    return Behaviour(
        onset - go,
        duration_s,
        peak_speed,
        ratio,
        symmetry,
        path_ratio,
        curvature,
        errors,
        *_across_and_along(recording, onset, onset + duration_s),
    )


def hand_course(
    recording: xr.Dataset,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return times (T,), hand positions and velocities (B, T, 2), the last state among them.

    The state after the last step is there in recordings of networks that were not cut before their
    end; T is then one more than the recording's times.

    Raises:
        RecordingError: The recording lacks positions or velocities.
    """
    check_recording(recording, ["hand_position", "hand_velocity"])
    time = recording["time"].values
    hand, velocity = (recording[f"hand_{name}"].values for name in ("position", "velocity"))
    final = ("final_time", "final_hand_position", "final_hand_velocity")
    if len(time) < 2 or any(name not in recording for name in final):
        return time, hand, velocity
    end, last_hand, last_velocity = (recording[name].values for name in final)
    step = time[-1] - time[-2]
    if not np.allclose(end, time[-1] + step, rtol=0, atol=1e-3 * step):
        return time, hand, velocity  # the recording was cut: its last sample is not the last state
    return (
        np.append(time, time[-1] + step),
        np.concatenate([hand, last_hand[:, None]], axis=1),
        np.concatenate([velocity, last_velocity[:, None]], axis=1),
    )


def end_points(recording: xr.Dataset) -> EndPoints:
    """Return bias and 95 % ellipse of the end points about each target, for each condition.

    Trials to different targets are never pooled: ellipses that lie along their movements would add
    up to a round one.

    Raises:
        RecordingError: Targets are missing, or no condition has three trials to one target.
    """
    check_recording(recording, ["hand_position", "target_position"])
    errors, target = _end_errors(recording), recording["target_position"].values
    line = target - recording["hand_position"].values[:, 0]
    labels = recording["condition"].values
    number = np.unique(labels, return_inverse=True)[1]
    key = np.column_stack([number, np.round(target, 6)])
    member = np.unique(key, axis=0, return_inverse=True)[1].reshape(-1)
    groups = [np.flatnonzero(member == group) for group in range(int(member.max()) + 1)]
    kept = [group for group in groups if len(group) >= 3]
    if not kept:
        raise RecordingError(
            "an error ellipse needs three trials or more of one condition to one target, got "
            f"{max(map(len, groups))} at most; record more trials a condition."
        )
    covariance = np.array([np.cov(errors[group].T) for group in kept])
    values, vectors = np.linalg.eigh(covariance)
    axes = np.sqrt(np.maximum(values, 0) * -2 * np.log(0.05))[:, ::-1]  # chi^2 of 2 degrees, 95 %
    long = vectors[:, :, 1]
    course = np.array([line[group].mean(0) for group in kept])
    far = np.linalg.norm(course, axis=-1)
    cosine = np.abs((long * course).sum(-1)) / np.where(far > 0, far, np.nan)
    return EndPoints(
        conditions=labels[[group[0] for group in kept]],
        targets_m=target[[group[0] for group in kept]],
        counts=np.array([len(group) for group in kept]),
        left_out=sum(len(group) for group in groups if len(group) < 3),
        bias_m=np.array([errors[group].mean(0) for group in kept]),
        covariance_m2=covariance,
        axes_m=axes,
        orientation_deg=np.degrees(np.arctan2(long[:, 1], long[:, 0])) % 180,
        turned_deg=np.degrees(np.arccos(np.minimum(cosine, 1.0))),
        area_m2=np.pi * axes.prod(-1),
    )


def speed_accuracy(
    recording: xr.Dataset, *, permutations: int = 500, seed: int = 0
) -> SpeedAccuracy:
    """Return the relation of speed and accuracy over conditions.

    Fitts' law in its Shannon form with effective widths (MacKenzie 1992), and the linear relation
    of spread and mean speed (Schmidt et al. 1979). Conditions with three movements or more count.

    Args:
        recording: Trials with targets; distances or speeds should differ between conditions.
        permutations: Of movement times over conditions, for p.
        seed: Of the permutations.

    Raises:
        RecordingError: Fewer than three conditions have three movements that end and a spread, or
            difficulty does not vary among them.
    """
    check_recording(recording, ["hand_position", "target_position"])
    duration = behaviour(recording).movement_time_s
    line = recording["target_position"].values - recording["hand_position"].values[:, 0]
    distance = np.linalg.norm(line, axis=-1)
    counts = np.isfinite(duration) & (distance > 0)
    direction = line / np.where(distance > 0, distance, 1.0)[:, None]
    along = (_end_errors(recording) * direction).sum(-1)
    labels = recording["condition"].values
    rows = []
    for label in np.unique(labels):
        own = counts & (labels == label)
        if own.sum() >= 3 and (spread := along[own].std(ddof=1)) > 1e-9 * distance[own].mean():
            rows.append((label, distance[own].mean(), 4.133 * spread, duration[own].mean()))
    if len(rows) < 3:
        raise RecordingError(
            "a speed-accuracy relation needs three conditions or more with three movements each "
            f"that end, and with spread, got {len(rows)}; record more trials a condition."
        )
    far, width, time_s = np.array([row[1:] for row in rows]).T
    bits = np.log2(far / width + 1)
    if np.ptp(bits) < 1e-9 or np.ptp(far / time_s) < 1e-12:
        raise RecordingError("difficulty and speed must vary over conditions.")
    generator = np.random.default_rng(seed)
    drawn = [generator.permutation(time_s) for _ in range(permutations)]
    slope, intercept, r2 = _line(bits, time_s)
    width_slope, _, width_r2 = _line(far / time_s, width)
    return SpeedAccuracy(
        conditions=np.array([row[0] for row in rows]),
        distance_m=far,
        width_m=width,
        movement_time_s=time_s,
        difficulty_bits=bits,
        slope_s=slope,
        intercept_s=intercept,
        r2=r2,
        p_slope=null_p(slope, [_line(bits, times)[0] for times in drawn]),
        width_slope_s=width_slope,
        width_r2=width_r2,
        p_width_slope=null_p(width_slope, [_line(far / times, width)[0] for times in drawn]),
    )


def _peak_to_mean(
    hand: NDArray[np.float64], speed: NDArray[np.float64], dt: float, start: int, end: int
) -> float:
    """Peak over mean speed from rest to rest; NaN where the recording does not cover that."""
    peak = speed[start : end + 1].max()
    # What moves in a step: by its ends, or by its speeds where these are not the mere trace that
    # central differences leave beside a movement (Euler's first step does not move the hand yet).
    pace = np.linalg.norm(np.diff(hand, axis=0), axis=-1) / dt
    speeds = 0.5 * (speed[1:] + speed[:-1])
    pace = np.maximum(pace, np.where(speeds > _TRACE * peak, speeds, 0.0))
    while start > 0 and _FALL * pace[start] < pace[start - 1] < pace[start]:
        start -= 1
    while end < len(pace) and _FALL * pace[end - 1] < pace[end] < pace[end - 1]:
        end += 1
    if (start == 0 and speed[0] > _REST * peak) or (end == len(pace) and speed[end] > _REST * peak):
        return float("nan")
    path = float(np.trapezoid(speed[start : end + 1], dx=dt))
    return float(peak * (end - start) * dt / path)


def _across_and_along(
    recording: xr.Dataset, onset: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Largest deviation across the line to the target, and end errors across and along, (3, B).

    The deviation is taken from `onset` to `end` (s), or to the last sample where `end` is NaN.
    """
    found = np.full((3, len(onset)), np.nan)
    if "target_position" not in recording:
        return found
    time, hand, _ = hand_course(recording)
    line = recording["target_position"].values - hand[:, 0]
    length = np.linalg.norm(line, axis=-1)
    away = length > 0
    along = line[away] / length[away, None]
    left = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    errors = _end_errors(recording)[away]
    found[1, away], found[2, away] = (errors * left).sum(-1), (errors * along).sum(-1)
    offset = np.zeros(hand.shape[:2])
    offset[away] = ((hand[away] - hand[away, :1]) * left[:, None]).sum(-1)
    slack = 1e-9 * max(1.0, float(np.abs(time).max()))
    for trial in np.flatnonzero(away & np.isfinite(onset)):
        stop = end[trial] if np.isfinite(end[trial]) else time[-1]
        during = offset[trial, (time >= onset[trial] - slack) & (time <= stop + slack)]
        if during.size:
            found[0, trial] = during[np.abs(during).argmax()]
    return found


def _end_errors(recording: xr.Dataset) -> NDArray[np.float64]:
    """Last hand positions from the target, (B, 2)."""
    last = recording["hand_position"].values[:, -1]
    if "final_hand_position" in recording:
        last = recording["final_hand_position"].values
    errors: NDArray[np.float64] = last - recording["target_position"].values
    return errors


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float]:
    """Slope, intercept and R^2 of the line of least squares."""
    away = x - x.mean()
    spread = float(away @ away)
    slope = float(away @ y) / spread if spread > 0 else 0.0
    intercept = float(y.mean() - slope * x.mean())
    return slope, intercept, float(r_squared(y, slope * x + intercept, (0,)))
