"""Cutting recordings around events, and averages over the trials of a condition (PSTH).

Null: condition labels permuted over trials, for the share of variance that conditions explain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis._arrays import r_squared
from neuromotor.analysis.layout import EVENTS, RecordingError, check_recording, sample_at

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ConditionAverages", "align", "condition_averages", "window"]


@dataclass(frozen=True)
class ConditionAverages:
    """Averages over the trials of each condition; C conditions, T times, N units.

    Attributes:
        time_s: Times, (T,).
        conditions: Labels, (C,).
        mean: (C, T, N).
        standard_error: Standard error over trials, NaN for a condition of one trial, (C, T, N).
        counts: Trials of each condition, (C,).
        explained: Each unit's share of variance, over trials and time, that condition averages
            explain beyond the mean over conditions, (N,); NaN for a unit that does not vary.
        null_explained: The same with permuted labels: 95th percentile, (N,); NaN where each
            condition has one trial, so that permutation changes nothing.
    """

    time_s: NDArray[np.float64]
    conditions: NDArray[np.generic]
    mean: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    counts: NDArray[np.int64]
    explained: NDArray[np.float64]
    null_explained: NDArray[np.float64]


def align(recording: xr.Dataset, event: str, before_s: float, after_s: float) -> xr.Dataset:
    """Return a recording cut around an event, with times relative to it.

    Trials without the event are left out; so are events' own times, which no longer apply. The
    attribute `aligned_to` keeps the event's name.

    Args:
        recording: What is cut.
        event: `target_time`, `go_time`, `perturbation_time` or `movement_onset`.
        before_s: How much is kept before the event (s).
        after_s: How much is kept after it (s).

    Raises:
        RecordingError: No trial has the event, or a trial does not cover the window.
    """
    import xarray as xr

    check_recording(recording, [event])
    onset = recording[event].values
    kept = np.flatnonzero(np.isfinite(onset))
    if not kept.size:
        raise RecordingError(f"no trial has a `{event}`; align to another event.")
    time = recording["time"].values
    if len(time) < 2:
        raise RecordingError("the recording needs two times or more.")
    step = float(time[1] - time[0])
    first, last = -round(before_s / step), round(after_s / step)
    if last < first:
        raise ValueError(f"the window must not be empty, got {before_s=}, {after_s=}.")
    pieces = []
    for trial in kept:
        center = sample_at(time, onset[trial])
        if center is None:
            raise RecordingError(
                f"trial {trial} has its `{event}` at {onset[trial]:g} s, outside the recording "
                f"({time[0]:g} to {time[-1]:g} s); correct it, or leave the trial out."
            )
        if center + first < 0 or center + last >= len(time):
            raise RecordingError(
                f"trial {trial} does not cover {before_s:g} s before to {after_s:g} s after its "
                f"`{event}` ({onset[trial]:g} s); use a smaller window or leave it out."
            )
        piece = recording.isel(trial=[trial], time=slice(center + first, center + last + 1))
        pieces.append(piece.assign_coords(time=step * np.arange(first, last + 1)))
    cut = xr.concat(pieces, "trial", data_vars="minimal", coords="minimal")
    gone = [name for name in (*EVENTS, "final_time") if name in cut]
    return cut.drop_vars(gone).assign_attrs({**recording.attrs, "aligned_to": event})


def window(recording: xr.Dataset, window_s: tuple[float, float] | None) -> xr.Dataset:
    """Return the times of a recording from `window_s[0]` to `window_s[1]` (s), both included.

    Raises:
        RecordingError: No sample lies there.
    """
    check_recording(recording)
    if window_s is None:
        return recording
    time = recording["time"].values
    step = float(time[1] - time[0]) if len(time) > 1 else 0.0
    slack = max(1e-3 * step, 2e-16 * float(np.abs(time).max()))
    inside = np.flatnonzero((time >= window_s[0] - slack) & (time <= window_s[1] + slack))
    if not inside.size:
        raise RecordingError(
            f"`window_s` must overlap the recording ({time[0]:g} to {time[-1]:g} s), "
            f"got {window_s}."
        )
    return recording.isel(time=inside)


def condition_averages(
    recording: xr.Dataset,
    variable: str = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    shuffles: int = 100,
    seed: int = 0,
) -> ConditionAverages:
    """Return the averages of a variable over each condition's trials.

    Args:
        recording: Trials; use `align` first to average around an event.
        variable: Any variable over trial, time and something.
        window_s: First and last time (s); all by default.
        shuffles: Permutations of the labels for the null; 0 for none (then it is NaN).
        seed: Of the permutations.
    """
    check_recording(recording, [variable])
    part = window(recording, window_s)
    values = part[variable].values.astype(np.float64)
    if values.ndim != 3:
        raise RecordingError(f"`{variable}` must vary over trial, time and one more axis.")
    conditions, member = np.unique(part["condition"].values, return_inverse=True)
    counts = np.bincount(member)
    mean, explained = _explained(values, member, counts)
    deviation = values - mean[member]
    with np.errstate(invalid="ignore", divide="ignore"):
        square = _sums(deviation**2, member, counts) / (counts - 1)[:, None, None]
        error = np.sqrt(square / counts[:, None, None])
    error[counts == 1] = np.nan
    null = np.full(values.shape[2], np.nan)
    if shuffles and (counts > 1).any():
        generator = np.random.default_rng(seed)
        drawn = [
            _explained(values, generator.permutation(member), counts)[1] for _ in range(shuffles)
        ]
        null = np.quantile(drawn, 0.95, axis=0)
    return ConditionAverages(
        time_s=part["time"].values,
        conditions=conditions,
        mean=mean,
        standard_error=error,
        counts=counts,
        explained=explained,
        null_explained=null,
    )


def _sums(
    values: NDArray[np.float64], member: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Sum over each condition's trials, (C, T, N)."""
    sums = np.zeros((len(counts), *values.shape[1:]))
    np.add.at(sums, member, values)
    return sums


def _explained(
    values: NDArray[np.float64], member: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Condition averages, and the share of variance about the mean over trials they explain."""
    mean = _sums(values, member, counts) / counts[:, None, None]
    return mean, r_squared(values, mean[member], (0, 1), baseline=values.mean(0))
