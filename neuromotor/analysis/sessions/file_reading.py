"""MATLAB and numpy files as recordings; `options.names` says where things stand in them.

Three layouts are known: a struct array with one entry a trial; arrays over trials, times and
units; and one clock for the session with a table of trials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.layout import EVENTS, RecordingError
from neuromotor.analysis.quantities import conversion
from neuromotor.analysis.sessions.cutting_trials import cut_into_trials
from neuromotor.analysis.sessions.options import KNOWN_EVENTS, FileNames, ImportOptions
from neuromotor.analysis.sessions.session import (
    Course,
    Session,
    TrialClock,
    column,
    course_of,
    spike_times,
)
from neuromotor.analysis.sessions.trees import at, number_at, numbers_at, read_tree

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["from_mat", "from_npz"]

_ENDS = ("start_time", "stop_time")
_AXES = {"trial", "time", "unit"}


def from_mat(path: Path | str, options: ImportOptions) -> xr.Dataset:
    """Return a recording made from a MATLAB file of any version from 5 on.

    Args:
        path: The file.
        options: How it becomes a recording; `options.names` says where things stand.

    Raises:
        RecordingError: The file is damaged or lacks what is named; the message says what.
    """
    return _from_file(Path(path), options)


def from_npz(path: Path | str, options: ImportOptions) -> xr.Dataset:
    """Return a recording made from a numpy file of plain arrays; pickles are never loaded.

    Args:
        path: The file.
        options: How it becomes a recording; `options.names` says where things stand. Numbers of
            samples count from `names.first_sample`, so give 0 for Python's.

    Raises:
        RecordingError: The file is damaged or lacks what is named; the message says what.
    """
    return _from_file(Path(path), options)


def _from_file(path: Path, options: ImportOptions) -> xr.Dataset:
    tree = read_tree(path)
    names = options.names
    if not (names.spikes or names.counts or names.rates or names.series):
        raise RecordingError(
            f"say where things stand in {path.name}, as in `names.spikes = NAME`, `names.counts`, "
            f"`names.rates` or `names.series`; it holds {', '.join(sorted(tree)) or 'nothing'}."
        )
    return cut_into_trials(_session(tree, path.name, options), options)


def _session(tree: dict[str, Any], source: str, options: ImportOptions) -> Session:
    """Return the session in a file of any of the three layouts."""
    names = options.names
    table = at(tree, names.trials, "names.trials") if names.trials else None
    neural = names.spikes or names.counts or names.rates
    if isinstance(table, dict) and neural and neural.split(".")[0] in table:
        table = [table]  # a struct array of one trial
    if isinstance(table, list) and table and all(isinstance(row, dict) for row in table):
        return _by_trial(tree, table, source, options)
    matrix = names.counts or names.rates
    if matrix and np.ndim(at(tree, matrix, "names")) == 3:
        return _by_array(tree, table, source, options)
    return _by_clock(tree, table, source, options)


def _scale(options: ImportOptions) -> float:
    """Return the seconds in the file's unit of time."""
    unit = options.units.get("time", "s")
    factor = conversion(unit, "s")
    if factor is None:
        raise RecordingError(f"`units.time` must be a unit of time, got {unit!r}.")
    return factor


def _moment_names(options: ImportOptions) -> set[str]:
    """Return the columns that are times."""
    found = {*options.names.moments, *options.events.values(), *options.warp, options.align}
    found |= {name for known in KNOWN_EVENTS.values() for name in known}
    return found - (set(EVENTS) & set(options.events)) - set(_ENDS)


# ------------------------------------------------------------------- one structure a trial


@dataclass(frozen=True)
class _Trial:
    """One trial of a struct array.

    Attributes:
        row: Its fields.
        time_s: Times of its samples on its own clock (s), (T,), empty where it has spikes alone.
        step_s: Between samples (s).
        span_s: Its first and last moment (s).
    """

    row: dict[str, Any]
    time_s: NDArray[np.float64]
    step_s: float
    span_s: tuple[float, float]


def _by_trial(
    tree: dict[str, Any], rows: list[dict[str, Any]], source: str, options: ImportOptions
) -> Session:
    """Return a session from one structure a trial."""
    names = options.names
    trials = [_trial(tree, row, i, options) for i, row in enumerate(rows)]
    clock = TrialClock(np.array([trial.span_s for trial in trials]))
    table = _columns_of(trials, clock, options)
    table["start_time"], table["stop_time"] = clock.start_s, clock.stop_s
    margin = np.array([0.0 if names.spikes else 0.5 * trial.step_s for trial in trials])
    span = np.stack([clock.start_s - margin, clock.stop_s + margin], axis=1)
    spikes: list[NDArray[np.float64]] | None = None
    courses = _trial_courses(trials, clock, options)
    rates = None
    if names.spikes:
        parts = [_cells(at(trial.row, names.spikes, "names.spikes")) for trial in trials]
        _check_units([len(own) for own in parts])
        factor = _scale(options)
        spikes = [
            clock.spikes([spike_times(own[unit], factor) for own in parts])
            for unit in range(len(parts[0]))
        ]
    elif names.counts:
        counts = [_matrix(trial.row, names.counts, "names.counts") for trial in trials]
        _check_units([own.shape[1] for own in counts])
        time = np.concatenate(
            [trial.time_s + shift for trial, shift in zip(trials, clock.shift_s, strict=True)]
        )
        spikes = _spikes_of(np.concatenate(counts), time)
    elif names.rates:
        matrices = [_matrix(trial.row, names.rates, "names.rates") for trial in trials]
        _check_units([own.shape[1] for own in matrices])
        course = _joined(names.rates, matrices, [trial.time_s for trial in trials], clock)
        rates = "rates"
        courses[rates] = lambda: course
    count = len(spikes) if spikes is not None else None
    return Session(
        source=source,
        trials=table,
        spikes=spikes,
        units=_unit_columns(tree, options, None),
        observed=None if count is None else [span] * count,
        sampled=not names.spikes,
        courses=courses,
        rates=rates,
        hand=_only_hand(names),
    )


def _trial(tree: dict[str, Any], row: dict[str, Any], place: int, options: ImportOptions) -> _Trial:
    """Return one trial with its times."""
    names, factor = options.names, _scale(options)
    sampled = names.counts or names.rates or next(iter(names.series.values()), "")
    time, step = np.zeros(0), 0.0
    if sampled and not (names.spikes and not (names.time or names.bin)):
        size = len(_matrix(row, sampled, "names"))
        time, step = _sample_times(tree, row, size, options)
    if names.start and names.stop:
        span = tuple(
            number_at(row, name, option) * factor
            for name, option in ((names.start, "names.start"), (names.stop, "names.stop"))
        )
    elif len(time):
        span = (float(time[0]), float(time[-1]))
    else:
        raise RecordingError(
            "nothing says when a trial starts and ends on its own clock; name the fields, as in "
            "`names.start` and `names.stop`, or samples with `names.time` or `names.bin`."
        )
    if not span[1] > span[0]:
        raise RecordingError(f"trial {place} ends at {span[1]:g} s, no later than it starts.")
    return _Trial(row, time, step, (span[0], span[1]))


def _sample_times(
    tree: dict[str, Any], row: dict[str, Any], size: int, options: ImportOptions
) -> tuple[NDArray[np.float64], float]:
    """Return times of a trial's samples (s), and their step."""
    names, factor = options.names, _scale(options)
    if names.time:
        where = row if names.time.split(".")[0] in row else tree
        time = numbers_at(where, names.time, "names.time") * factor
        if time.size != size:
            raise RecordingError(
                f"`names.time` has {time.size} times for {size} samples of a trial."
            )
        return time, float(np.median(np.diff(time))) if size > 1 else 0.0
    if names.bin:
        step = _bin(tree, row, options)
        return np.asarray(names.first * factor + step * np.arange(size), np.float64), step
    raise RecordingError("nothing says the times of samples; give `names.time` or `names.bin`.")


def _bin(tree: dict[str, Any], row: dict[str, Any], options: ImportOptions) -> float:
    """Return the width of the bins in the file (s)."""
    name = options.names.bin
    try:
        value = float(name)
    except ValueError:
        where = row if name.split(".")[0] in row else tree
        value = number_at(where, name, "names.bin")
    if not value > 0:
        raise RecordingError(f"`names.bin` must be more than 0, got {value:g}.")
    return value * _scale(options)


def _columns_of(
    trials: list[_Trial], clock: TrialClock, options: ImportOptions
) -> dict[str, NDArray[Any]]:
    """Return the fields that hold a number, a text or a point in every trial."""
    flat = [_flat(trial.row) for trial in trials]
    found: dict[str, NDArray[Any]] = {"trial": np.arange(len(trials))}
    moments, factor = _moment_names(options), _scale(options)
    for name in dict.fromkeys(key for row in flat for key in row):
        values = [row.get(name) for row in flat]
        array = _as_column(values)
        if array is None:
            continue
        if name in moments and array.ndim == 1 and array.dtype.kind in "fiu":
            own = array.astype(np.float64)
            if options.names.samples:
                begin = np.array([t.time_s[0] if len(t.time_s) else np.nan for t in trials])
                step = np.array([t.step_s for t in trials])
                own = begin + (own - options.names.first_sample) * step
            else:
                own = own * factor
            array = own + clock.shift_s
        found[name] = array
    return found


def _flat(row: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return the fields of nested structures, their names joined by underscores."""
    found: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}_")
        else:
            found[before + key] = value
    return found


def _as_column(values: list[Any]) -> NDArray[Any] | None:
    """Return values of trials as a column, None where they are no numbers, texts or points."""
    if all(isinstance(x, str) for x in values):
        return np.array(values)
    empty = [x is None or (isinstance(x, np.ndarray | list | str) and len(x) == 0) for x in values]
    full = [np.asarray(x) for x, gone in zip(values, empty, strict=True) if not gone]
    if not full or any(x.dtype.kind not in "fiub" for x in full):
        return None
    shapes = {x.shape for x in full}
    if shapes == {()}:
        if not any(empty):
            return np.array(full)
        return np.array([np.nan if gone else x for x, gone in zip(values, empty, strict=True)])
    if len(shapes) == 1 and not any(empty) and len(shape := shapes.pop()) == 1 and shape[0] <= 3:
        return np.stack(full)
    return None


def _matrix(row: Mapping[str, Any], name: str, option: str) -> NDArray[Any]:
    """Return samples of a trial, (T, N)."""
    found = at(row, name, option)
    try:
        values = np.asarray(found)
    except ValueError as error:  # what numpy says of rows of unequal lengths
        raise RecordingError(f"{name!r} must hold numbers, (time, unit).") from error
    if values.dtype.kind not in "fiub" or values.ndim > 2:
        raise RecordingError(f"{name!r} must hold numbers, (time, unit), got {values.dtype}.")
    return values.reshape(len(values), -1) if values.ndim else values.reshape(1, 1)


def _cells(value: Any) -> list[Any]:
    """Return spike times of each unit; one array alone is one unit."""
    if isinstance(value, list):
        return value
    return [value]


def _check_units(counts: list[int]) -> None:
    if len(set(counts)) > 1:
        raise RecordingError(
            f"trials have between {min(counts)} and {max(counts)} units; every trial must list "
            "all units, with no spikes where one was silent."
        )


def _spikes_of(counts: NDArray[Any], time_s: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return spikes at the centres of bins from counts, (S, N)."""
    if counts.dtype.kind == "f":
        known = counts[np.isfinite(counts)]
        if (known < 0).any() or (known != np.round(known)).any():
            raise RecordingError(
                "`names.counts` must be whole numbers of spikes; name rates by `names.rates`."
            )
        if len(known) < counts.size:
            raise RecordingError("`names.counts` has missing values; leave those trials out.")
    whole = counts.astype(np.int64)
    return [np.repeat(time_s, whole[:, unit]) for unit in range(whole.shape[1])]


def _joined(
    name: str,
    parts: list[NDArray[Any]],
    times: list[NDArray[np.float64]],
    clock: TrialClock,
) -> Course:
    """Return the samples of all trials on the clock."""
    for i, (part, time) in enumerate(zip(parts, times, strict=True)):
        if len(part) != len(time):
            raise RecordingError(
                f"{name!r} has {len(part)} samples in trial {i}, and {len(time)} times; name its "
                "own times by `names.series_time`."
            )
    stamps = [time + shift for time, shift in zip(times, clock.shift_s, strict=True)]
    return course_of(name, np.concatenate(stamps), np.concatenate(parts))


def _trial_courses(
    trials: list[_Trial], clock: TrialClock, options: ImportOptions
) -> dict[str, Callable[[], Course]]:
    """Return what else was measured in each trial."""
    names = options.names
    found: dict[str, Callable[[], Course]] = {}
    times = [trial.time_s for trial in trials]
    if names.series_time:
        factor = _scale(options)
        times = [numbers_at(t.row, names.series_time, "names.series_time") * factor for t in trials]
    for name, path in names.series.items():
        parts = [_matrix(trial.row, path, f"names.series.{name}") for trial in trials]
        course = _joined(path, parts, times, clock)
        found[name] = _keep(course)
    return found


def _keep(course: Course) -> Callable[[], Course]:
    return lambda: course


def _only_hand(names: FileNames) -> str | None:
    return next((name for name in ("hand_position", "hand") if name in names.series), None)


# ----------------------------------------------------------------- trials x times x units


def _by_array(tree: dict[str, Any], table: Any, source: str, options: ImportOptions) -> Session:
    """Return a session from arrays over trials, times and units."""
    names = options.names
    kind = "counts" if names.counts else "rates"
    axes = names.axes.replace(",", " ").split()
    if set(axes) != _AXES or len(axes) != 3:
        raise RecordingError(f"`names.axes` must order trial, time and unit, got {names.axes!r}.")
    values = np.asarray(at(tree, names.counts or names.rates, f"names.{kind}"))
    values = values.transpose([axes.index(name) for name in ("trial", "time", "unit")])
    count = len(values)
    rows: list[dict[str, Any]] = [{kind: own} for own in values]
    columns = dict(table) if isinstance(table, dict) else {}
    for name in names.columns or ([] if columns else sorted(tree)):
        columns[name] = at(tree, name, "names.columns")
    for name, own in columns.items():
        if isinstance(own, list | np.ndarray) and len(own) == count and np.ndim(own) < 3:
            for row, value in zip(rows, own, strict=True):
                row.setdefault(name, value)
    for name, path in names.series.items():
        series = np.asarray(at(tree, path, f"names.series.{name}"))
        if len(series) != count:
            raise RecordingError(f"{path!r} has {len(series)} trials, {kind} have {count}.")
        for row, value in zip(rows, series, strict=True):
            row[f"series {name}"] = value
    series_names = {name: f"series {name}" for name in names.series}
    own_names = replace(
        names,
        **{"counts": "", "rates": "", kind: kind, "series": series_names},  # type: ignore[arg-type]
    )
    return _by_trial(tree, rows, source, replace(options, names=own_names))


# ------------------------------------------------------------------ one clock, one table


def _by_clock(tree: dict[str, Any], table: Any, source: str, options: ImportOptions) -> Session:
    """Return a session from spikes or samples on one clock, and a table of trials."""
    names, factor = options.names, _scale(options)
    columns = _table_columns(tree, table, options)
    time = np.zeros(0)
    if names.time:
        time = numbers_at(tree, names.time, "names.time") * factor
    trials = _session_trials(columns, time, source, options)
    courses: dict[str, Callable[[], Course]] = {}
    stamps = time
    if names.series_time:
        stamps = numbers_at(tree, names.series_time, "names.series_time") * factor
    for name, path in names.series.items():
        course = course_of(path, stamps, _matrix(tree, path, f"names.series.{name}"))
        courses[name] = _keep(course)
    spikes, ids, rates = None, None, None
    if names.spikes:
        own = at(tree, names.spikes, "names.spikes")
        if names.spike_units:
            spikes, ids = _sorted_out(tree, names, factor)
        else:
            spikes = [spike_times(x, factor) for x in _cells(own)]
    elif names.counts or names.rates:
        values = _matrix(tree, names.counts or names.rates, "names")
        if not len(time) and names.bin:
            step = _bin(tree, {}, options)
            time = np.asarray(names.first * factor + step * np.arange(len(values)), np.float64)
        if len(time) != len(values):
            raise RecordingError(f"`names.time` has {len(time)} times for {len(values)} samples.")
        if names.counts:
            spikes = _spikes_of(values, time)
        else:
            rates = "rates"
            courses[rates] = _keep(course_of("rates", time, values))
    return Session(
        source=source,
        trials=trials,
        spikes=spikes,
        units=_unit_columns(tree, options, ids),
        courses=courses,
        sampled=not names.spikes,
        rates=rates,
        hand=_only_hand(names),
    )


def _table_columns(
    tree: dict[str, Any], table: Any, options: ImportOptions
) -> dict[str, NDArray[Any]]:
    """Return the columns of the trials of a session."""
    names = options.names
    if isinstance(table, np.ndarray) and table.ndim == 2:
        if len(names.columns) != table.shape[1]:
            raise RecordingError(
                f"`names.columns` must name the {table.shape[1]} columns of {names.trials!r}, got "
                f"{len(names.columns)}."
            )
        return {name: table[:, i] for i, name in enumerate(names.columns)}
    if table is not None and not isinstance(table, dict):
        raise RecordingError(
            f"`names.trials`: {names.trials!r} is neither structures nor a matrix of numbers."
        )
    if table is None:
        start = names.start or "start_time"
        count = np.size(at(tree, start, "names.start"))
        own = names.columns or [
            key for key, x in tree.items() if isinstance(x, np.ndarray | list) and len(x) == count
        ]
        table = {name: at(tree, name, "names.columns") for name in (*own, start)}
        if names.stop:
            table[names.stop] = at(tree, names.stop, "names.stop")
    found = {}
    for name, values in table.items():
        parts = list(values) if isinstance(values, list | np.ndarray) else [values]
        array = _as_column(parts) if isinstance(values, list) else np.atleast_1d(values)
        if array is not None and array.dtype.kind in "fiubU" and array.ndim < 3:
            found[name] = array
    return found


def _session_trials(
    columns: dict[str, NDArray[Any]],
    time: NDArray[np.float64],
    source: str,
    options: ImportOptions,
) -> dict[str, NDArray[Any]]:
    """Return the columns with all moments in seconds on the session's clock."""
    names, factor = options.names, _scale(options)
    start = column(columns, names.start or "start_time", "names.start", "trials")
    stop = column(columns, names.stop or "stop_time", "names.stop", "trials")

    def seconds(values: NDArray[Any]) -> NDArray[np.float64]:
        if not names.samples:
            return values.astype(np.float64) * factor
        if not len(time):
            raise RecordingError("`names.samples` needs `names.time`: the times of the samples.")
        place = values.astype(np.float64) - names.first_sample
        known = np.isfinite(place) & (place >= 0) & (place <= len(time) - 1)
        return np.where(known, np.interp(place, np.arange(len(time)), time), np.nan)

    found = dict(columns)
    if any(array.ndim != 1 for array in (start, stop)):
        raise RecordingError(f"the trials of {source} must have one start and one stop each.")
    found["start_time"], found["stop_time"] = seconds(start), seconds(stop)
    for name in _moment_names(options) & set(columns):
        if columns[name].ndim == 1 and columns[name].dtype.kind in "fiu":
            own = seconds(columns[name])
            found[name] = own + found["start_time"] if names.own_clock else own
    found.setdefault("trial", np.arange(len(start)))
    lengths = {name: len(values) for name, values in found.items()}
    if len(set(lengths.values())) > 1:
        raise RecordingError(f"the trials' columns must be equally long, got {lengths}.")
    return found


def _sorted_out(
    tree: dict[str, Any], names: FileNames, factor: float
) -> tuple[list[NDArray[np.float64]], NDArray[Any]]:
    """Return the spike times of each unit, and the units' names, from those of all."""
    every = numbers_at(tree, names.spikes, "names.spikes") * factor
    owner = np.asarray(at(tree, names.spike_units, "names.spike_units")).ravel()
    if len(owner) != len(every):
        raise RecordingError(
            f"`names.spike_units` has {len(owner)} entries for {len(every)} spikes."
        )
    ids, member = np.unique(owner, return_inverse=True)
    order = np.argsort(member, kind="stable")
    parts = np.split(every[order], np.cumsum(np.bincount(member))[:-1])
    return [spike_times(part) for part in parts], ids


def _unit_columns(
    tree: dict[str, Any], options: ImportOptions, ids: NDArray[Any] | None
) -> dict[str, NDArray[Any]]:
    """Return the columns of the units; those of sorted spikes go by their units' numbers."""
    found: dict[str, NDArray[Any]] = {}
    for name, path in options.names.units.items():
        values = at(tree, path, f"names.units.{name}")
        array = _as_column(values) if isinstance(values, list) else np.atleast_1d(values)
        if array is None or array.ndim != 1:
            raise RecordingError(f"`names.units.{name}`: {path!r} must be one value a unit.")
        if ids is not None and len(array) != len(ids):
            if ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= len(array):
                raise RecordingError(
                    f"`names.units.{name}` has {len(array)} entries for {len(ids)} units."
                )
            array = array[ids]  # a row for every number, also those without spikes
        found[name] = array
    if ids is not None:
        found["unit_name"] = ids.astype(str)
    return found
