"""Spike times as arrays, and the objects of neo and pynapple, as recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.quantities import given
from neuromotor.analysis.sessions.cutting_trials import cut_into_trials
from neuromotor.analysis.sessions.options import ImportOptions
from neuromotor.analysis.sessions.session import (
    Course,
    Session,
    TrialClock,
    column,
    course_of,
    first_within,
    spike_times,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["from_neo", "from_pynapple", "from_spikes"]


def from_spikes(
    spikes: Sequence[ArrayLike],
    trials: Mapping[str, ArrayLike],
    options: ImportOptions | None = None,
    *,
    units: Mapping[str, Sequence[Any]] | None = None,
    observed: Sequence[ArrayLike] | None = None,
    series: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    source: str = "arrays",
) -> xr.Dataset:
    """Return a recording made from spike times and a table of trials, all on one clock (s).

    Args:
        spikes: Spike times (s) of each unit.
        trials: Columns of the trials, (B,) or (B, d); `start_time` and `stop_time` (s) among them.
            A pandas data frame does too.
        options: How they become a recording.
        units: Columns of the units, (N,), such as their `area`.
        observed: For each unit, the intervals (s) in which it was recorded, (k, 2).
        series: Times (s), (S,), and samples, (S, d), by name.
        source: What the data are, for messages.

    Raises:
        RecordingError: Something is missing or does not fit; the message says what.

    Example:
        >>> import numpy as np
        >>> trials = {"start_time": [0.0, 1.0], "stop_time": [1.0, 2.0], "condition": ["a", "b"]}
        >>> made = from_spikes([[0.101, 0.102, 1.5]], trials, ImportOptions(bin_s=0.1))
        >>> np.round(made["rate"].values[0, :3, 0]).tolist()
        [20.0, 0.0, 0.0]
    """
    table = {str(name): _column(str(name), values) for name, values in trials.items()}
    for name in ("start_time", "stop_time"):
        column(table, name, "trials", "trials")
    lengths = {name: len(values) for name, values in table.items()}
    if len(set(lengths.values())) > 1:
        raise RecordingError(f"the columns of `trials` must be equally long, got {lengths}.")
    own = {name: _column(name, values) for name, values in (units or {}).items()}
    for name, values in own.items():
        if len(values) != len(spikes):
            raise RecordingError(
                f"`units`: {name!r} has {len(values)} entries for {len(spikes)} units."
            )
    if observed is not None and len(observed) != len(spikes):
        raise RecordingError(f"`observed` has {len(observed)} entries for {len(spikes)} units.")
    intervals = None
    if observed is not None:
        intervals = [np.asarray(x, np.float64).reshape(-1, 2) for x in observed]
    courses = {
        name: course_of(name, *pair, unit=_unit_of(pair[1]))
        for name, pair in (series or {}).items()
    }
    session = Session(
        source=source,
        trials=table,
        spikes=[spike_times(x) for x in spikes],
        units=own,
        observed=intervals,
        courses=_ready(courses),
    )
    return cut_into_trials(session, options or ImportOptions())


def _unit_of(values: Any) -> str | None:
    return given("series", values).unit if hasattr(values, "attrs") else None


def _ready(courses: Mapping[str, Course]) -> dict[str, Callable[[], Course]]:
    """Return courses as a session holds them."""

    def maker(course: Course) -> Callable[[], Course]:
        return lambda: course

    return {name: maker(course) for name, course in courses.items()}


def _column(name: str, values: Any) -> NDArray[Any]:
    """Return a column as numbers or text."""
    array = np.asarray(values)
    if array.dtype.kind == "O":
        parts = array.tolist()
        texts = all(x is None or isinstance(x, str | bytes) for x in parts)
        array = np.array(["" if x is None else str(x) for x in parts] if texts else parts)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind not in "fiubU" or array.ndim not in (1, 2):
        raise RecordingError(
            f"the column {name!r} must hold numbers or text, one entry a row, got dtype "
            f"{array.dtype} of shape {array.shape}."
        )
    return array


def from_pynapple(
    units: Any,
    trials: Any,
    options: ImportOptions | None = None,
    *,
    series: Mapping[str, Any] | None = None,
    events: Mapping[str, Any] | None = None,
    source: str = "pynapple objects",
) -> xr.Dataset:
    """Return a recording made from objects of pynapple.

    Args:
        units: TsGroup of spike times. Its metadata become columns of the units, and outside of its
            time support the units count as not recorded.
        trials: IntervalSet; its metadata become columns of the trials.
        options: How they become a recording.
        series: Tsd or TsdFrame by name, such as the hand's position.
        events: Ts by name; the first moment within each trial becomes a column of the trials.
        source: What the data are, for messages.

    Raises:
        RecordingError: Something is missing or does not fit; the message says what.
    """
    table = {"start_time": np.asarray(trials.start), "stop_time": np.asarray(trials.end)}
    table |= _metadata(trials, len(table["start_time"]))
    for name, moments in (events or {}).items():
        table[name] = first_within(np.asarray(moments.t), table["start_time"], table["stop_time"])
    keys = list(units.keys())
    support = units.time_support
    span = np.stack([np.asarray(support.start), np.asarray(support.end)], axis=1)
    session = Session(
        source=source,
        trials=table,
        spikes=[spike_times(units[key].t) for key in keys],
        units={"unit_name": np.array([str(key) for key in keys]), **_metadata(units, len(keys))},
        observed=[span] * len(keys),
        courses=_ready({n: course_of(n, x.t, x.d) for n, x in (series or {}).items()}),
    )
    return cut_into_trials(session, options or ImportOptions())


def _metadata(owner: Any, count: int) -> dict[str, NDArray[Any]]:
    """Return the metadata of an object of pynapple as columns."""
    found = {}
    for name in owner.metadata_columns:
        if name == "rate":  # pynapple's own mean rate, which is no property of the unit
            continue
        values = _column(str(name), owner.get_info(name))
        if len(values) == count:
            found[str(name)] = values
    return found


def from_neo(block: Any, options: ImportOptions | None = None, *, source: str = "") -> xr.Dataset:
    """Return a recording made from a block of neo.

    With several segments each is a trial: its annotations are columns of the trials, and the first
    of its events of each label is a column of that name (s). With one segment the epochs that
    `options.trials` names (by default the only ones) are the trials; their array annotations are
    columns, and so are the first events of each label within them. Units are told apart by the
    names of their spike trains, or by their order where these have none; a unit without a spike
    train in a segment was not recorded there. Annotations of the spike trains are columns of the
    units. Signals are series by their names.

    Args:
        block: neo.Block, loaded.
        options: How it becomes a recording.
        source: What it is, for messages; the block's name by default.

    Raises:
        RecordingError: Something is missing or does not fit; the message says what.
    """
    options = options or ImportOptions()
    segments = list(block.segments)
    if not segments:
        raise RecordingError("the block has no segments.")
    source = source or str(block.name or "the neo block")
    clock = TrialClock(np.array([_span(segment) for segment in segments]))
    table = (
        _segments_as_trials(segments, clock)
        if len(segments) > 1
        else _epochs_as_trials(segments[0], clock, source, options)
    )
    trains = [_trains(segment) for segment in segments]
    names = list(dict.fromkeys(name for own in trains for name in own))
    spikes, observed = [], []
    for name in names:
        parts = [_seconds(own[name].times) if name in own else [] for own in trains]
        spikes.append(clock.spikes(parts))
        there = [
            np.array([_seconds(own[name].t_start), _seconds(own[name].t_stop)]) + shift
            for own, shift in zip(trains, clock.shift_s, strict=True)
            if name in own
        ]
        observed.append(np.array(there, dtype=np.float64).reshape(-1, 2))
    firsts = {name: next(own[name] for own in trains if name in own) for name in names}
    keys = dict.fromkeys(key for train in firsts.values() for key in train.annotations)
    units: dict[str, NDArray[Any]] = {"unit_name": np.array(names, dtype=str)}
    for key in keys:
        values = [train.annotations.get(key, "") for train in firsts.values()]
        if all(isinstance(x, str | int | float | bool) for x in values):
            units[str(key)] = _column(str(key), values)
    session = Session(
        source=source,
        trials=table,
        spikes=spikes if names else None,
        units=units,
        observed=observed,
        courses=_ready(_signals(segments, clock)),
    )
    return cut_into_trials(session, options)


def _seconds(times: Any) -> Any:
    """Return the plain numbers of a quantity of time, in s."""
    return np.asarray(times.rescale("s").magnitude, dtype=np.float64)


def _span(segment: Any) -> tuple[float, float]:
    """Return the first and last moment (s) of whatever a segment holds."""
    parts = [*segment.spiketrains, *segment.analogsignals, *segment.irregularlysampledsignals]
    spans = [(float(_seconds(p.t_start)), float(_seconds(p.t_stop))) for p in parts]
    if not spans:
        raise RecordingError(f"the segment {segment.name!r} holds neither spikes nor signals.")
    return min(a for a, _ in spans), max(b for _, b in spans)


def _trains(segment: Any) -> dict[str, Any]:
    """Return the spike trains of a segment by their names, or by their order."""
    named = [str(train.name or "") for train in segment.spiketrains]
    whole = all(named) and len(set(named)) == len(named)
    return {
        named[i] if whole else f"unit {i}": train for i, train in enumerate(segment.spiketrains)
    }


def _segments_as_trials(segments: list[Any], clock: TrialClock) -> dict[str, NDArray[Any]]:
    """Return the columns of trials that are segments."""
    table: dict[str, NDArray[Any]] = {"start_time": clock.start_s, "stop_time": clock.stop_s}
    moments: dict[str, list[float]] = {}
    for row, (segment, shift) in enumerate(zip(segments, clock.shift_s, strict=True)):
        for label, times in _event_times(segment).items():
            moments.setdefault(label, [np.nan] * len(segments))[row] = times.min() + shift
    notes = dict.fromkeys(key for segment in segments for key in segment.annotations)
    for key in notes:
        values = [segment.annotations.get(key) for segment in segments]
        if all(isinstance(x, str) for x in values):
            table[str(key)] = np.array(values)
        elif all(x is None or isinstance(x, int | float | np.number) for x in values):
            table[str(key)] = np.array([np.nan if x is None else float(x) for x in values])
    return table | {name: np.array(values) for name, values in moments.items()}


def _epochs_as_trials(
    segment: Any, clock: TrialClock, source: str, options: ImportOptions
) -> dict[str, NDArray[Any]]:
    """Return the columns of trials that are epochs of one segment."""
    epochs = {str(epoch.name or f"epochs {i}"): epoch for i, epoch in enumerate(segment.epochs)}
    name = options.trials or next(iter(epochs), "")
    if name not in epochs or (len(epochs) > 1 and not options.trials):
        raise RecordingError(
            f"{source} has one segment, so `trials` must name the epochs that are its trials; "
            f"known: {', '.join(epochs) or 'none'}."
        )
    epoch = epochs[name]
    start = _seconds(epoch.times) + clock.shift_s[0]
    stop = start + _seconds(epoch.durations)
    table: dict[str, NDArray[Any]] = {"start_time": start, "stop_time": stop}
    if len(epoch.labels) == len(start):
        table["label"] = np.asarray(epoch.labels).astype(str)
    for key, values in epoch.array_annotations.items():
        table[str(key)] = _column(str(key), getattr(values, "magnitude", values))
    for label, times in _event_times(segment).items():
        table[label] = first_within(times + clock.shift_s[0], start, stop)
    return table


def _event_times(segment: Any) -> dict[str, NDArray[np.float64]]:
    """Return the times (s) of a segment's events by label; by the events' name without labels."""
    found: dict[str, list[float]] = {}
    for event in segment.events:
        labels = [str(x) for x in event.labels]
        times = _seconds(event.times)
        if len(labels) != len(times):
            labels = [str(event.name or "event")] * len(times)
        for label, moment in zip(labels, times, strict=True):
            found.setdefault(label, []).append(float(moment))
    return {label: np.array(times) for label, times in found.items()}


def _signals(segments: list[Any], clock: TrialClock) -> dict[str, Course]:
    """Return the signals of all segments by name, on the clock."""
    parts: dict[str, list[tuple[Any, float]]] = {}
    for segment, shift in zip(segments, clock.shift_s, strict=True):
        every = [*segment.analogsignals, *segment.irregularlysampledsignals]
        for place, signal in enumerate(every):
            parts.setdefault(str(signal.name or f"signal {place}"), []).append((signal, shift))
    found = {}
    for name, own in parts.items():
        unit = own[0][0].units
        time = np.concatenate([_seconds(signal.times) + shift for signal, shift in own])
        values = np.concatenate([signal.rescale(unit).magnitude for signal, _ in own])
        word = str(unit.dimensionality)
        found[name] = course_of(name, time, values, word if word != "dimensionless" else None)
    return found
