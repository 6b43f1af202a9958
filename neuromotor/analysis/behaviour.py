"""Reaches in the units of the literature: times, speeds, straightness, end points, latencies.

A movement lasts from its onset (`movement_onset`: 10 % of peak speed) to the first time after its
peak at which it is as slow again. References: minimum jerk has peak / mean speed 1.875 and its peak
at half time (Flash & Hogan 1985). NaN where a trial has no movement, or it does not end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis._arrays import null_p, r_squared
from neuromotor.analysis.recording import RecordingError, check_recording, sample_at

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Behaviour",
    "EndPoints",
    "SpeedAccuracy",
    "behaviour",
    "end_points",
    "response_latency",
    "sham_latency",
    "speed_accuracy",
]

_SLOW = 0.1  # of peak speed: where a movement begins and ends


@dataclass(frozen=True)
class Behaviour:
    """Measures of B trials, (B,) each.

    Attributes:
        reaction_time_s: From go signal to onset; NaN without go signal.
        movement_time_s: From onset to end.
        peak_speed_m_s: Of the hand.
        peak_to_mean: Peak speed over mean speed from onset to end.
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
    """Where the hand ends relative to its target, over trials.

    Attributes:
        bias_m: Mean error, (2,).
        covariance_m2: Of the errors, (2, 2).
        axes_m: Half axes of the ellipse that holds 95 % of a normal distribution, longest first.
        orientation_deg: Of the long axis, 0 to 180 from x.
        area_m2: Of the ellipse.
    """

    bias_m: NDArray[np.float64]
    covariance_m2: NDArray[np.float64]
    axes_m: NDArray[np.float64]
    orientation_deg: float
    area_m2: float


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
    check_recording(recording, ["hand_position", "hand_velocity", "movement_onset"])
    time = recording["time"].values
    hand = recording["hand_position"].values
    speed = np.linalg.norm(recording["hand_velocity"].values, axis=-1)
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
        mean = np.trapezoid(trace[start : end + 1], time[start : end + 1]) / duration
        away = path - path[0]
        rows[trial, 0] = duration
        rows[trial, 2] = trace[peak] / mean
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


def end_points(recording: xr.Dataset) -> EndPoints:
    """Return bias and 95 % ellipse of the end points about their targets, over all trials.

    Raises:
        RecordingError: Targets are missing, or there are fewer than three trials.
    """
    check_recording(recording, ["hand_position", "target_position"])
    errors = _end_errors(recording)
    if len(errors) < 3:
        raise RecordingError(f"an error ellipse needs three trials or more, got {len(errors)}.")
    covariance = np.cov(errors.T)
    values, vectors = np.linalg.eigh(covariance)
    axes = np.sqrt(np.maximum(values, 0) * -2 * np.log(0.05))[::-1]  # chi^2 of 2 degrees, 95 %
    return EndPoints(
        bias_m=errors.mean(0),
        covariance_m2=covariance,
        axes_m=axes,
        orientation_deg=float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180),
        area_m2=float(np.pi * axes.prod()),
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


def response_latency(
    recording: xr.Dataset, variable: str = "command", *, deviations: float = 3.0
) -> NDArray[np.float64]:
    """Return how long after each perturbation the first of a variable's values responds (s), (B,).

    A response is the first sample after the perturbation that leaves the variable's course before
    it: its value at onset by more than `deviations` standard deviations of the samples before, or
    2 % of its largest excursion afterwards, whichever is more. Meant for postures, where nothing
    moves before the load. NaN for trials without perturbation or response.

    Args:
        recording: Trials with `perturbation_time`.
        variable: `command`, `rate`, ...
        deviations: Standard deviations.
    """
    return _latencies(recording, variable, deviations, sham=False)


def sham_latency(
    recording: xr.Dataset, variable: str = "command", *, deviations: float = 3.0
) -> NDArray[np.float64]:
    """Return the null of `response_latency`: responses to a load that has not come yet (s), (B,).

    The same criterion and limits from halfway between the recording's start and each perturbation
    until that perturbation; the share that is not NaN is that of false alarms. NaN too where no
    sample lies between.
    """
    return _latencies(recording, variable, deviations, sham=True)


def _latencies(
    recording: xr.Dataset, variable: str, deviations: float, *, sham: bool
) -> NDArray[np.float64]:
    """Time from each perturbation, or from halfway before it, to the first response."""
    check_recording(recording, ["perturbation_time", variable])
    values = recording[variable].values.astype(np.float64)
    time = recording["time"].values
    latency = np.full(len(values), np.nan)
    for trial, onset in enumerate(recording["perturbation_time"].values):
        if not np.isfinite(onset):
            continue
        start = sample_at(time, onset)
        if start is None:
            continue
        before, after = values[trial, : start + 1], values[trial, start:]
        excursion = np.abs(after - values[trial, start])
        limit = np.maximum(deviations * before.std(0), 0.02 * excursion.max(0))
        if sham:
            start //= 2
            excursion = np.abs(before[start:] - before[start])
        responds = ((excursion > limit) & (excursion > 0)).any(-1)
        if responds.any():
            latency[trial] = time[start + int(responds.argmax())] - time[start]
    return latency


def _across_and_along(
    recording: xr.Dataset, onset: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Largest deviation across the line to the target, and end errors across and along, (3, B).

    The deviation is taken from `onset` to `end` (s), or to the last sample where `end` is NaN.
    """
    found = np.full((3, len(onset)), np.nan)
    if "target_position" not in recording:
        return found
    time, hand = recording["time"].values, recording["hand_position"].values
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
