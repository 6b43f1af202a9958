"""Recordings for other tools: tables, plain arrays, and objects of pynapple."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import lookup
from neuromotor._extras import require
from neuromotor.analysis.layout import EVENTS, LAYOUT, RecordingError, check_recording
from neuromotor.analysis.nwb import save_nwb
from neuromotor.analysis.one_clock import OneClock
from neuromotor.analysis.recording_files import SUFFIXES, new_file, save_recording
from neuromotor.storage.files import atomic_path

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["EXPORTS", "LAYOUTS", "export_recording", "to_arrays", "to_pynapple", "to_table"]

EXPORTS = (".csv", ".parquet", ".npz", ".nwb", *SUFFIXES)
_SERIES = ("trial", "time")
_Layout = Literal["trials", "samples"]
LAYOUTS: dict[str, _Layout] = {"trials": "trials", "samples": "samples"}


def to_table(recording: xr.Dataset, variables: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a recording as a table with one row for each sample of each trial.

    Columns are `trial`, `condition`, `time_s`, the events of the trial (s), and each part of every
    variable, as `hand_position_x` and `rate_0`. Samples that are missing are NaN.

    Args:
        recording: Recording.
        variables: Variables over trials and times; all by default.

    Raises:
        RecordingError: A variable is not there, or not over trials and times.
    """
    import pandas as pd

    names = _courses(recording, variables)
    count, steps = recording.sizes["trial"], recording.sizes["time"]
    columns: dict[str, Any] = {
        "trial": np.repeat(recording["trial"].values, steps),
        "condition": np.repeat(recording["condition"].values, steps),
        "time_s": np.tile(recording["time"].values, count),
    }
    for name in EVENTS:
        if name in recording:
            columns[f"{name}_s"] = np.repeat(recording[name].values, steps)
    for name in names:
        flat = recording[name].values.reshape(count * steps, -1)
        for part, label in enumerate(_parts(recording, name)):
            columns[f"{name}_{label}"] = flat[:, part]
    return pd.DataFrame(columns)


def to_arrays(recording: xr.Dataset, layout: _Layout = "trials") -> dict[str, NDArray[Any]]:
    """Return the variables of a recording as plain arrays by name.

    Args:
        recording: Recording.
        layout: `trials` keeps (trial, time, part), as LFADS takes them. `samples` puts trials one
            after another, (sample, part), as CEBRA takes neural data and continuous labels; `trial`
            and `condition_index` then say where each sample belongs, the latter as discrete labels.

    Raises:
        ValueError: The layout is unknown.
    """
    lookup("layout", layout, LAYOUTS)
    names = _courses(recording, None)
    labels, index = np.unique(recording["condition"].values, return_inverse=True)
    time = recording["time"].values
    found: dict[str, NDArray[Any]] = {"condition_labels": labels}
    if layout == "trials":
        found |= {"time_s": time, "trial": recording["trial"].values, "condition_index": index}
        return found | {name: recording[name].values for name in names}
    steps = len(time)
    found["time_s"] = np.tile(time, recording.sizes["trial"])
    found["trial"] = np.repeat(recording["trial"].values, steps)
    found["condition_index"] = np.repeat(index, steps)
    for name in names:
        values = recording[name].values
        found[name] = values.reshape(-1, values.shape[2])
    return found


def to_pynapple(recording: xr.Dataset) -> dict[str, Any]:
    """Return a recording as objects of pynapple, its trials one after another on one clock.

    `trials` is an IntervalSet with the condition as metadata; each event is a Ts, and each variable
    a TsdFrame whose time support is the trials.

    Raises:
        RuntimeError: pynapple is not installed.
    """
    nap: Any = require("pynapple", "lab")
    names = _courses(recording, None)
    clock = OneClock.of(recording)
    conditions = [str(label) for label in recording["condition"].values]
    trials = nap.IntervalSet(clock.stamps[:, 0], clock.stops, metadata={"condition": conditions})
    found: dict[str, Any] = {"trials": trials}
    for name in EVENTS:
        if name in recording:
            moments = recording[name].values + clock.zero
            found[name] = nap.Ts(np.sort(moments[np.isfinite(moments)]))
    stamps = clock.stamps.ravel()
    for name in names:
        values = recording[name].values
        columns = [str(x) for x in _parts(recording, name)]
        flat = values.reshape(-1, values.shape[2])
        found[name] = nap.TsdFrame(t=stamps, d=flat, columns=columns, time_support=trials)
    return found


def export_recording(
    path: Path | str,
    recording: xr.Dataset,
    *,
    layout: _Layout = "trials",
    overwrite: bool = False,
) -> None:
    """Write a recording for other tools, whole or not at all; the name says the format.

    Args:
        path: `.csv` and `.parquet` hold the table of `to_table`, `.npz` the arrays of `to_arrays`,
            `.nwb` what `save_nwb` writes, `.nc` and `.nc4` what `save_recording` writes.
        recording: Recording.
        layout: Layout of the arrays.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        ValueError: The name ends in another way.
        RuntimeError: What writes the format is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in EXPORTS:
        raise ValueError(f"`path` must end in {', '.join(EXPORTS)}, got {Path(path).name!r}.")
    if suffix == ".nwb":
        save_nwb(path, recording, overwrite=overwrite)
        return
    if suffix in SUFFIXES:
        save_recording(path, recording, overwrite=overwrite)
        return
    target = new_file(path, suffix, "export_recording", overwrite=overwrite)
    if suffix == ".parquet":
        require("pyarrow", "lab")
    with atomic_path(target) as temporary:
        if suffix == ".csv":
            to_table(recording).to_csv(temporary, index=False)
        elif suffix == ".parquet":
            to_table(recording).to_parquet(temporary, engine="pyarrow", index=False)
        else:
            arrays: dict[str, Any] = to_arrays(recording, layout)
            with temporary.open("wb") as file:
                np.savez_compressed(file, **arrays)


def _courses(recording: xr.Dataset, variables: Sequence[str] | None) -> list[str]:
    """Return the variables over trials and times that are asked for."""
    check_recording(recording, variables or [], gaps=True)
    if variables is None:
        return [n for n in LAYOUT if n in recording and LAYOUT[n].dims[:2] == _SERIES]
    for name in variables:
        if recording[name].dims[:2] != _SERIES:
            raise RecordingError(f"`{name}` must be over trials and times.")
    return list(variables)


def _parts(recording: xr.Dataset, name: str) -> list[Any]:
    """Return labels of the parts of a variable."""
    dim = recording[name].dims[2]
    if dim in recording.coords:
        return list(recording[dim].values.tolist())
    return list(range(recording.sizes[dim]))
