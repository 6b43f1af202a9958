"""A recording session as a lab has it: units, trials and behaviour on one clock in seconds.

Each reader of a format makes a `Session`, and `cutting_trials` makes a recording of it. Data that
were saved trial by trial are laid one after another on the clock (`TrialClock`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import did_you_mean
from neuromotor.analysis.layout import RecordingError

__all__ = [
    "ENDS",
    "Course",
    "Session",
    "TrialClock",
    "column",
    "course_of",
    "first_within",
    "numbers",
    "spike_times",
]

ENDS = ("start_time", "stop_time")  # columns that every table of trials has (s)

_COLUMNS = re.compile(r"(.+)\[(\d+(?:,\d+)*)\]")
GAP_S = 10.0  # between trials that were saved one by one: no kernel reaches over it


@dataclass(frozen=True)
class Course:
    """Something measured over the session; S samples of d numbers.

    Attributes:
        time_s: Times of the samples (s), increasing, (S,).
        values: Samples, NaN where one is missing, (S, d).
        unit: Unit that the file says, or None.
    """

    time_s: NDArray[np.float64]
    values: NDArray[np.floating[Any]]
    unit: str | None = None

    @cached_property
    def known(self) -> tuple[NDArray[np.float64], NDArray[np.floating[Any]]]:
        """The samples of which nothing is missing, and their times."""
        there = np.isfinite(self.values).all(axis=1)
        if there.all():
            return self.time_s, self.values
        return self.time_s[there], self.values[there]

    @cached_property
    def step_s(self) -> float:
        """The median step between samples (s); 0 for one sample."""
        return float(np.median(np.diff(self.time_s))) if len(self.time_s) > 1 else 0.0


@dataclass(frozen=True)
class Session:
    """What was recorded in one session; N units, B trials.

    Attributes:
        source: Where it came from, for messages.
        trials: Columns of the trials by name, (B,) or (B, d). `start_time` and `stop_time` (s) are
            among them, and every event is a moment on the session's clock (s).
        spikes: Spike times (s) of each unit, sorted; None where rates were saved.
        units: Columns of the units by name, (N,).
        observed: For each unit, the intervals (s) in which it was recorded, (k, 2); None where
            every unit was recorded all the time.
        courses: What else was measured, read when it is asked for.
        sampled: Whether the units came as samples, of counts or rates, so that a trial covers its
            first and last one; otherwise it covers the bins that lie inside of it as a whole.
        rates: Name of the course that holds the units' rates where there are no spikes.
        hand: Name of the course that is the hand's position, where the file makes that clear.
        about: Subject, lab and the like, as text.
        notes: What the reader left out, in whole sentences.
    """

    source: str
    trials: dict[str, NDArray[Any]]
    spikes: list[NDArray[np.float64]] | None = None
    units: dict[str, NDArray[Any]] = field(default_factory=dict)
    observed: list[NDArray[np.float64]] | None = None
    courses: Mapping[str, Callable[[], Course]] = field(default_factory=dict)
    sampled: bool = False
    rates: str | None = None
    hand: str | None = None
    about: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def course(self, name: str, what: str) -> Course:
        """Return what was measured under a name; `name[0,1]` stands for two of its columns.

        Raises:
            RecordingError: The session has no such course, or it has no such column.
        """
        if name not in self.courses and (match := _COLUMNS.fullmatch(name)):
            whole = self.course(match[1], what)
            places = [int(x) for x in match[2].split(",")]
            if max(places) >= whole.values.shape[1]:
                raise RecordingError(
                    f"`{what}`: {match[1]!r} has {whole.values.shape[1]} columns, counted from 0, "
                    f"got {name!r}."
                )
            return Course(whole.time_s, whole.values[:, places], whole.unit)
        if name not in self.courses:
            known = did_you_mean(name, self.courses) if self.courses else "there are none"
            raise RecordingError(f"{self.source} has no series {name!r} for `{what}`; {known}.")
        return self.courses[name]()


class TrialClock:
    """Lays trials that were saved one by one after another on a clock.

    Args:
        spans_s: First and last moment (s) of each trial on its own clock, (B, 2).
    """

    def __init__(self, spans_s: NDArray[np.float64]) -> None:
        lengths = spans_s[:, 1] - spans_s[:, 0] + GAP_S
        self.shift_s = np.concatenate([[0.0], np.cumsum(lengths)[:-1]]) - spans_s[:, 0]
        self.start_s = spans_s[:, 0] + self.shift_s
        self.stop_s = spans_s[:, 1] + self.shift_s

    def spikes(self, parts: Sequence[Any]) -> NDArray[np.float64]:
        """Return the spike times (s) of a unit on the clock, from those of each trial."""
        own = [spike_times(part) + shift for part, shift in zip(parts, self.shift_s, strict=True)]
        return np.sort(np.concatenate(own)) if own else np.zeros(0)


def spike_times(values: Any, factor: float = 1.0) -> NDArray[np.float64]:
    """Return the finite times among values of any shape, in seconds and in order."""
    try:
        times = np.asarray(values, dtype=np.float64).ravel() * factor
    except (TypeError, ValueError) as error:
        raise RecordingError(
            f"spike times must be numbers, one array a unit, got {type(values).__name__}."
        ) from error
    return np.sort(times[np.isfinite(times)])


def course_of(name: str, time_s: Any, values: Any, unit: str | None = None) -> Course:
    """Return samples in the order of their times, without those whose time is missing.

    Raises:
        RecordingError: There are not as many times as samples.
    """
    time = np.asarray(time_s, dtype=np.float64).ravel()
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise RecordingError(f"the series {name!r} must hold numbers, got dtype {array.dtype}.")
    if array.ndim == 0 or len(array) != len(time):
        got = array.shape if array.ndim else "one number"
        raise RecordingError(
            f"the series {name!r} has {len(time)} times for samples of shape {got}; the first "
            "axis must be time."
        )
    flat = array.reshape(len(array), -1)
    if flat.dtype not in (np.float32, np.float64):
        flat = flat.astype(np.float64)
    order = np.argsort(time, kind="stable")
    order = order[np.isfinite(time[order])]
    if np.array_equal(order, np.arange(len(time))):
        return Course(time, flat, unit)
    return Course(time[order], flat[order], unit)


def first_within(
    moments_s: NDArray[np.float64], start_s: NDArray[np.float64], stop_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the first of some moments in each trial, NaN where a trial has none, (B,)."""
    moments = spike_times(moments_s)
    place = np.searchsorted(moments, start_s)
    found = np.append(moments, np.nan)[place]
    return np.where(found <= stop_s, found, np.nan)


def column(table: Mapping[str, NDArray[Any]], name: str, option: str, of: str) -> NDArray[Any]:
    """Return a column of a table.

    Args:
        table: Columns by name.
        name: The column.
        option: Option that asks for it, for the message.
        of: Whose table it is: `trials` or `units`.

    Raises:
        RecordingError: There is no such column.
    """
    if name not in table:
        raise RecordingError(
            f"`{option}` names {name!r}, which is no column of the {of}; "
            f"{did_you_mean(name, table)}."
        )
    return table[name]


def numbers(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return a column that must hold one number a trial, (B,)."""
    if values.dtype.kind not in "fiu" or values.ndim != 1:
        raise RecordingError(
            f"the column {name!r} must hold one number a trial, got {values.dtype} of shape "
            f"{values.shape}."
        )
    return values.astype(np.float64)
