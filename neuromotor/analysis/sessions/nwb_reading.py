"""NWB files as sessions, through pynwb: units, trials and behaviour of any lab's file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import did_you_mean
from neuromotor._extras import require
from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.sessions.cutting_trials import cut_into_trials
from neuromotor.analysis.sessions.options import ImportOptions
from neuromotor.analysis.sessions.session import Course, Session, course_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["from_nwb"]

_HANDS = ("hand_position", "hand_pos", "hand", "Hand", "finger_pos")
_NO_UNIT = {"", "n.a.", "n/a", "na", "unknown", "none", "no unit", "see description", "a.u."}
_RAGGED = "columns with several values a {what} were left out: {names}."


def from_nwb(path: Path | str, options: ImportOptions | None = None) -> xr.Dataset:
    """Return a recording made from an NWB file.

    Spikes come from the units table. Without one, the series `rates` (by default one that is named
    `rate`) holds the rates. The trials come from the trials table, or from the table of intervals
    that `options.trials` names. Units get their area from their own columns or from where their
    electrodes are. Series may be sampled at a rate or have their own timestamps.

    Args:
        path: The file.
        options: How it becomes a recording.

    Raises:
        RecordingError: The file is damaged or lacks what is asked for; the message says what.
        RuntimeError: pynwb is not installed.
    """
    pynwb = require("pynwb", "nwb")
    path, options = Path(path), options or ImportOptions()
    if not path.is_file():
        raise RecordingError(f"{path} is not a file; give the path of an NWB file.")
    try:
        with pynwb.NWBHDF5IO(str(path), mode="r", load_namespaces=True) as file:
            return cut_into_trials(_session(pynwb, file.read(), path.name, options), options)
    except (RecordingError, RuntimeError, ModuleNotFoundError):
        raise
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        what = " ".join(str(error).split())[:300]
        raise RecordingError(f"{path} cannot be read as NWB ({what}).") from error


def _session(pynwb: Any, nwb: Any, source: str, options: ImportOptions) -> Session:
    """Return what an NWB file holds; series are read when they are asked for."""
    notes: list[str] = []
    trials = _columns(_trial_table(nwb, source, options), "trial", notes)
    courses, hand = _courses(pynwb, nwb)
    units: dict[str, NDArray[Any]] = {}
    spikes = observed = None
    table = nwb.units
    if table is not None and len(table) and "spike_times" in table.colnames and not options.rates:
        units = _columns(table, "unit", notes)
        units["unit_name"] = np.array([str(x) for x in table.id[:]])
        spikes = [np.sort(x[np.isfinite(x)]) for x in _rows(table, "spike_times")]
        if "obs_intervals" in table.colnames:
            observed = [x.reshape(-1, 2) for x in _rows(table, "obs_intervals")]
        if "electrodes" in table.colnames:
            units["electrode_area"] = _electrode_areas(table)
    return Session(
        source=source,
        trials=trials,
        spikes=spikes,
        units=units,
        observed=observed,
        courses=courses,
        rates="rate" if "rate" in courses else None,
        hand=hand,
        about=_about(nwb),
        notes=notes,
    )


def _trial_table(nwb: Any, source: str, options: ImportOptions) -> Any:
    """Return the table of intervals that are the trials."""
    tables = dict(nwb.intervals or {})
    if nwb.trials is not None:
        tables["trials"] = nwb.trials
    name = options.trials or "trials"
    if name not in tables:
        raise RecordingError(
            f"{source} has no trials table {name!r}; "
            + (did_you_mean(name, tables) if tables else "it has no table of intervals at all")
            + "; name one by `trials`, or make one with pynwb's `add_trial`."
        )
    return tables[name]


def _columns(table: Any, what: str, notes: list[str]) -> dict[str, NDArray[Any]]:
    """Return the columns of a table that hold one value, or one point, a row."""
    found: dict[str, NDArray[Any]] = {}
    ragged = []
    indexed = {c.target.name for c in table.columns if hasattr(c, "target")}
    for name in table.colnames:
        if name in ("spike_times", "obs_intervals", "waveforms", "electrodes", "timeseries"):
            continue
        values = None if name in indexed else _plain(table[name].data[:])
        if values is None:
            ragged.append(name)
        elif values.ndim == 1 or (values.ndim == 2 and what == "trial"):
            found[name] = values
    if ragged:
        notes.append("In the file, " + _RAGGED.format(what=what, names=", ".join(ragged)))
    return found


def _plain(values: Any) -> NDArray[Any] | None:
    """Return numbers or text as an array, None for anything else."""
    array = np.asarray(values)
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind in "fiubU":
        return array
    parts = array.ravel().tolist()
    if all(isinstance(x, str | bytes) for x in parts):
        texts = [x.decode("utf-8", "replace") if isinstance(x, bytes) else x for x in parts]
        return np.array(texts, dtype=str).reshape(array.shape)
    names = [getattr(x, "name", None) for x in parts]  # groups of electrodes
    return np.array(names) if parts and all(isinstance(x, str) for x in names) else None


def _rows(table: Any, name: str) -> list[NDArray[np.float64]]:
    """Return the values of each row of a ragged column; the whole column is read at once."""
    ends = table[name]
    values = np.asarray(ends.target.data[:], np.float64)
    stops = np.asarray(ends.data[:], np.int64)
    starts = np.concatenate([[0], stops[:-1]]).astype(np.int64)
    return [values[a:b] for a, b in zip(starts, stops, strict=True)]


def _electrode_areas(table: Any) -> NDArray[Any]:
    """Return where each unit's first electrode is: its location, or its group's."""
    region = table["electrodes"]
    index = None
    if hasattr(region, "target"):
        index, region = np.asarray(region.data[:], np.int64), region.target
    electrodes, rows = region.table, np.asarray(region.data[:], np.int64)
    starts = np.arange(len(rows)) if index is None else np.concatenate([[0], index[:-1]])
    stops = starts + 1 if index is None else index
    places = np.array(["unknown"] * len(electrodes), dtype=object)
    if "group" in electrodes.colnames:
        places = np.array([g.location or g.name for g in electrodes["group"].data[:]], dtype=object)
    if "location" in electrodes.colnames:
        own = _plain(electrodes["location"].data[:])
        for i, name in enumerate([] if own is None else own.tolist()):
            if name.strip() and name.strip().lower() != "unknown":
                places[i] = name
    first = [
        str(places[rows[a]]) if b > a else "unknown" for a, b in zip(starts, stops, strict=True)
    ]
    return np.array(first)


def _courses(pynwb: Any, nwb: Any) -> tuple[dict[str, Callable[[], Course]], str | None]:
    """Return all series of numbers over time, and which of them is the hand if that is clear."""
    found: dict[str, Callable[[], Course]] = {}
    positions: list[str] = []
    skipped = (pynwb.ecephys.ElectricalSeries, pynwb.image.ImageSeries)
    series = [
        x
        for x in nwb.objects.values()
        if isinstance(x, pynwb.TimeSeries) and not isinstance(x, skipped)
    ]
    names = [x.name for x in series]
    for own in series:
        name = own.name
        if names.count(name) > 1:
            name = f"{own.parent.name}/{own.name}"
        found[name] = partial(_course, own, name)
        if isinstance(own, pynwb.behavior.SpatialSeries):
            positions.append(name)
    named = [name for name in _HANDS if name in found]
    if named:
        return found, named[0]
    return found, positions[0] if len(positions) == 1 else None


def _course(series: Any, name: str) -> Course:
    """Return the samples of a series with their times, in the unit that it says."""
    values = np.asarray(series.data[:])
    if series.timestamps is not None:
        time = np.asarray(series.timestamps[:], np.float64)
    else:
        time = series.starting_time + np.arange(len(values)) / series.rate
    if series.conversion != 1.0 or series.offset:
        values = values * series.conversion + series.offset
    unit = str(series.unit or "").strip()
    known = unit.lower() not in _NO_UNIT
    if not known and name == "rate":
        return course_of(name, time, values, "1")
    return course_of(name, time, values, unit if known else None)


def _about(nwb: Any) -> dict[str, str]:
    """Return what a file says about the session, its subject and its lab."""
    found = {
        name: getattr(nwb, name, None)
        for name in ("session_description", "session_id", "institution", "lab", "identifier")
    }
    if nwb.session_start_time is not None:
        found["session_start_time"] = nwb.session_start_time.isoformat()
    for name in ("subject_id", "species", "sex", "age"):
        found[name] = getattr(nwb.subject, name, None)
    return {name: str(value) for name, value in found.items() if value}
