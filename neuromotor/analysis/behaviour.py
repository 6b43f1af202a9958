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

from neuromotor.analysis.recording import RecordingError, check_recording

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Behaviour", "EndPoints", "behaviour", "end_points", "response_latency"]

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
    """

    reaction_time_s: NDArray[np.float64]
    movement_time_s: NDArray[np.float64]
    peak_speed_m_s: NDArray[np.float64]
    peak_to_mean: NDArray[np.float64]
    symmetry: NDArray[np.float64]
    path_ratio: NDArray[np.float64]
    curvature: NDArray[np.float64]
    end_error_m: NDArray[np.float64]


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
        start = int(np.abs(time - onset[trial]).argmin())
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
        onset - go, duration_s, peak_speed, ratio, symmetry, path_ratio, curvature, errors
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
    check_recording(recording, ["perturbation_time", variable])
    values = recording[variable].values.astype(np.float64)
    time = recording["time"].values
    latency = np.full(len(values), np.nan)
    for trial, onset in enumerate(recording["perturbation_time"].values):
        if not np.isfinite(onset):
            continue
        start = int(np.abs(time - onset).argmin())
        before, after = values[trial, : start + 1], values[trial, start:]
        excursion = np.abs(after - values[trial, start])
        limit = np.maximum(deviations * before.std(0), 0.02 * excursion.max(0))
        responds = ((excursion > limit) & (excursion > 0)).any(-1)
        if responds.any():
            latency[trial] = time[start + int(responds.argmax())] - time[start]
    return latency


def _end_errors(recording: xr.Dataset) -> NDArray[np.float64]:
    """Last hand positions from the target, (B, 2)."""
    last = recording["hand_position"].values[:, -1]
    if "final_hand_position" in recording:
        last = recording["final_hand_position"].values
    errors: NDArray[np.float64] = last - recording["target_position"].values
    return errors
