"""Recordings cut to a window of times, or around an event of each trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuromotor.analysis.layout import EVENTS, RecordingError, check_recording, sample_at
from neuromotor.analysis.parts import in_file

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["align", "window"]


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

    check_recording(recording, [event], gaps=True)
    if in_file(recording):
        raise RecordingError(
            "a recording that is read from its file in parts cannot be aligned; align it on "
            "import (`neuromotor import ... --align EVENT`), or load it."
        )
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
    check_recording(recording, gaps=True)
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
