"""Recordings in which samples are missing, and what of them is complete.

Trials of unequal lengths, units that were lost during a session, and dropped samples of a hand all
leave samples missing (NaN) in a recording whose attribute `gaps` says so. Averages over conditions
count the trials behind each of their samples. Every other analysis needs complete data; these
functions return what there is of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.layout import GAPS, LAYOUT, RecordingError, check_recording
from neuromotor.analysis.parts import pieces

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "averaged_window",
    "complete_trials",
    "complete_units",
    "fullest_window",
    "missing_samples",
]


def missing_samples(recording: xr.Dataset) -> dict[str, int]:
    """Return how many samples of each variable are missing, for those that lack any."""
    counts = {
        name: sum(int(missing.sum()) for _, missing in _missing(recording, name))
        for name in _courses(recording)
        if recording[name].dtype.kind == "f"
    }
    return {name: count for name, count in counts.items() if count}


def complete_trials(recording: xr.Dataset, variables: Sequence[str] | None = None) -> xr.Dataset:
    """Return the trials in which no sample is missing.

    Cut the recording to a `window` first where trials differ in length.

    Args:
        recording: Recording with missing samples, or without.
        variables: Variables that must be complete; all by default. Others that still lack samples
            are dropped.

    Raises:
        RecordingError: No trial is complete; the message says which variable and unit lack most.
    """
    check_recording(recording, gaps=True)
    wanted = _courses(recording) if variables is None else list(variables)
    whole = np.ones(recording.sizes["trial"], dtype=bool)
    for name in wanted:
        for _, missing in _missing(recording, name):
            whole &= ~missing.any(axis=(1, 2))
    if not whole.any():
        raise RecordingError(_no_trial(recording, wanted))
    found = recording if whole.all() else recording.isel(trial=np.flatnonzero(whole))
    return _marked(found.drop_vars([n for n in missing_samples(found) if n not in wanted]))


def complete_units(recording: xr.Dataset) -> xr.Dataset:
    """Return the units of which no sample is missing in any trial.

    Raises:
        RecordingError: No unit is complete.
    """
    check_recording(recording, ["rate"], gaps=True)
    missing = _lacking_units(recording)
    if missing.all():
        raise RecordingError(
            "every unit lacks samples in some trial: cut the recording to a window that its trials "
            "cover, or leave trials out."
        )
    return _marked(recording.isel(unit=np.flatnonzero(~missing)))


def averaged_window(recording: xr.Dataset, variable: str = "rate") -> tuple[float, float] | None:
    """Return the longest stretch of times (s) at which each condition has a trial for each average.

    None where there is no such time.
    """
    labels = recording["condition"].values
    there = np.ones(recording.sizes["time"], dtype=bool)
    for _, missing in _missing(recording, variable):
        for label in np.unique(labels):
            there &= ~missing[labels == label].all(axis=0).any(axis=-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    if not len(edges):
        return None
    place = int(np.argmax(edges[1::2] - edges[::2]))
    time = recording["time"].values
    return float(time[edges[2 * place]]), float(time[edges[2 * place + 1] - 1])


def fullest_window(recording: xr.Dataset) -> tuple[float, float] | None:
    """Return the window (s) whose complete trials hold the most samples: trials times its length.

    None where no trial has a time at which nothing is missing.
    """
    known = np.ones((recording.sizes["trial"], recording.sizes["time"]), dtype=bool)
    for name in _courses(recording):
        for _, missing in _missing(recording, name):
            known &= ~missing.any(axis=-1)
    best, place = 0, (0, 0)
    run = np.zeros(len(known), dtype=np.int64)
    for first in range(known.shape[1] - 1, -1, -1):
        run = np.where(known[:, first], run + 1, 0)  # how long each trial is complete from here
        lengths = np.sort(run)[::-1]
        sizes = lengths * np.arange(1, len(lengths) + 1)
        most = int(sizes.argmax())
        if sizes[most] > best:
            best, place = int(sizes[most]), (first, first + int(lengths[most]) - 1)
    time = recording["time"].values
    return None if not best else (float(time[place[0]]), float(time[place[1]]))


def _courses(recording: xr.Dataset) -> list[str]:
    """Return the variables over trials and times."""
    return [
        name
        for name, layout in LAYOUT.items()
        if name in recording and layout.dims[:2] == ("trial", "time")
    ]


def _missing(recording: xr.Dataset, name: str) -> Iterator[tuple[slice, NDArray[np.bool_]]]:
    """Yield which samples of a variable are missing, (B, T, .), for some units at a time."""
    for place, part in pieces(recording[name]):
        yield place, np.asarray(np.isnan(part.values), np.bool_)


def _lacking_units(recording: xr.Dataset, name: str = "rate") -> NDArray[np.bool_]:
    """Return which units, or other parts of a variable, lack a sample in some trial, (N,)."""
    return np.concatenate([gone.any(axis=(0, 1)) for _, gone in _missing(recording, name)])


def _marked(recording: xr.Dataset) -> xr.Dataset:
    """Return a recording that says whether samples are missing in it."""
    attributes = {key: value for key, value in recording.attrs.items() if key != GAPS}
    if missing_samples(recording):
        attributes[GAPS] = recording.attrs.get(GAPS, "missing samples are NaN")
    found = recording.copy(deep=False)
    found.attrs = attributes
    return found


def _no_trial(recording: xr.Dataset, names: Sequence[str]) -> str:
    """Return a message that says what is missing most."""
    lost = missing_samples(recording)
    worst = max(names, key=lambda name: lost.get(name, 0) / max(recording[name].size, 1))
    time = recording["time"].values
    whole = np.ones(len(time), dtype=bool)
    for _, missing in _missing(recording, worst):
        whole &= ~missing.any(axis=(0, 2))
    text = f"every trial lacks samples of `{worst}`"
    if whole.any():
        first, last = time[np.flatnonzero(whole)[[0, -1]]]
        return f"{text}; all have them from {first:g} to {last:g} s: cut the recording to a window."
    complete = ~_lacking_units(recording, worst)
    if worst == "rate" and complete.any():
        return (
            f"{text}; {int(complete.sum())} of {len(complete)} units lack none: keep those alone, "
            "as with `complete_units`, or `gaps = units` on import."
        )
    return f"{text}; leave trials or units out."
