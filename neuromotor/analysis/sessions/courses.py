"""What was measured beside the units, at the times of a recording: hand, joints, forces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.conform import units_of
from neuromotor.analysis.from_arrays import movement_onset
from neuromotor.analysis.layout import LAYOUT, RecordingError
from neuromotor.analysis.quantities import conversion
from neuromotor.analysis.sessions.options import ImportOptions
from neuromotor.analysis.sessions.placing import Placement, interpolated
from neuromotor.analysis.sessions.session import ENDS, Course, Session

__all__ = ["behaviour_of", "hand_of", "onset_of", "sampled", "velocity_of"]


def hand_of(session: Session, options: ImportOptions, notes: list[str]) -> Course | None:
    """Return the hand's position in m, where it is known which series that is."""
    name = options.behaviour.get("hand_position", session.hand)
    if name is None:
        return None
    if "hand_position" not in options.behaviour:
        notes.append(f"The series {name} is taken for the hand's position.")
    return _converted(session.course(name, "behaviour.hand_position"), "hand_position", options)


def _converted(course: Course, name: str, options: ImportOptions) -> Course:
    """Return a series in the unit that a recording has it in."""
    unit = options.units.get(name, course.unit)
    known = units_of(name, LAYOUT[name].unit)
    if unit is None:
        raise RecordingError(
            f"nothing says the unit of `{name}`; give it, as in `units.{name} = {known[0]!r}`."
        )
    for wanted in known:
        try:
            factor = conversion(unit, wanted)
        except ValueError as error:
            raise RecordingError(
                f"`{name}` has the {error}; say which it is, as in `units.{name} = {known[0]!r}`."
            ) from error
        if factor is not None:
            return Course(course.time_s, course.values * factor, wanted)
    raise RecordingError(f"`{name}` must be in {' or '.join(known)}, got {unit!r}.")


def behaviour_of(
    session: Session, options: ImportOptions, hand: Course | None
) -> dict[str, Course]:
    """Return the series that become variables, in the recording's units."""
    found = {} if hand is None else {"hand_position": hand}
    for name, own in options.behaviour.items():
        if name != "hand_position":
            course = session.course(own, f"behaviour.{name}")
            found[name] = _converted(course, name, options)
    return found


def sampled(
    name: str,
    course: Course,
    placement: Placement,
    covered: NDArray[np.bool_],
    widest_gap_s: float | None,
) -> tuple[NDArray[Any], str]:
    """Return a series at the recording's times, (B, T, d), and its unit."""
    moments = placement.to_session(placement.grid_s)
    values = interpolated(course, moments, widest_gap_s)
    if np.isnan(values).all():
        raise RecordingError(
            f"`{name}` has no sample in any trial; do its times and those of the trials count from "
            "the same moment?"
        )
    values[~covered] = np.nan
    if LAYOUT[name].dims[2] == "axis" and values.shape[2] not in (2, 3):
        raise RecordingError(f"`{name}` must have 2 or 3 columns, got {values.shape[2]}.")
    return values, course.unit or LAYOUT[name].unit


def velocity_of(
    hand: Course, position: NDArray[Any], placement: Placement, widest_gap_s: float | None
) -> NDArray[np.float64]:
    """Return velocities by central differences over two steps of real time, (B, T, d).

    Where a difference lacks one of its ends, at the series' own first and last sample or beside a
    gap, the other side alone is taken.
    """
    moments = placement.to_session(placement.grid_s)
    velocity = _slope(hand, moments, placement.step_s, widest_gap_s)
    velocity[np.isnan(position)] = np.nan
    return velocity


def _slope(
    course: Course, moments: NDArray[np.float64], step: float, gap: float | None
) -> NDArray[np.float64]:
    """Return derivatives at moments, (..., d)."""
    before, here, after = (
        interpolated(course, moments + shift, gap).astype(np.float64)
        for shift in (-step, 0.0, step)
    )
    middle = (after - before) / (2 * step)
    one_sided = np.where(np.isnan(after), (here - before) / step, (after - here) / step)
    return np.where(np.isnan(middle), one_sided, middle)


def onset_of(
    session: Session,
    options: ImportOptions,
    hand: Course,
    events: dict[str, NDArray[np.float64]],
    stays: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return when each trial's movement begins (s), from its go signal on where it has one."""
    start, stop = (np.asarray(session.trials[name], np.float64) for name in ENDS)
    go = events.get("go_time", start)
    begin = np.where(np.isfinite(go), go, start)
    onset = np.full(len(start), np.nan)
    step = min(options.bin_s, hand.step_s or options.bin_s)
    for trial in np.flatnonzero(stays & (stop > begin)):
        count = int((stop[trial] - begin[trial]) / step) + 1
        moments = begin[trial] + step * np.arange(count)
        velocity = _slope(hand, moments, options.bin_s, options.widest_gap_s)
        speed = np.linalg.norm(velocity, axis=-1)
        if np.isfinite(speed).any():
            onset[trial] = movement_onset(moments, speed[None])[0]
    return onset
