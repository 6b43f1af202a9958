"""The condition of each trial, from columns or from the direction of its target."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.quantities import conversion, unlabelled
from neuromotor.analysis.sessions.choosing import Cut
from neuromotor.analysis.sessions.options import ImportOptions
from neuromotor.analysis.sessions.placing import interpolated
from neuromotor.analysis.sessions.session import Course, Session, column, numbers

__all__ = ["conditions_of"]

_SLACK = 1e-6  # of a bin of angles: directions on an edge belong to the later one


def conditions_of(
    session: Session,
    options: ImportOptions,
    cut: Cut,
    hand: Course | None,
    variables: dict[str, Any],
    units: dict[str, str],
    notes: list[str],
) -> NDArray[Any]:
    """Return the condition of each trial; enter targets and their angles among the variables."""
    parts: list[NDArray[Any]] = []
    names = options.conditions
    if not names and options.angle_bins is None:
        if "condition" not in session.trials:
            notes.append("No conditions were named: all trials are one condition.")
            parts.append(np.full(len(cut.rows), "all"))
        else:
            names = ("condition",)
    for name in names:
        values = column(session.trials, name, "conditions", "trials")[cut.rows]
        if values.ndim != 1:
            raise RecordingError(f"`conditions`: {name!r} has {values.shape[1]} numbers a trial.")
        parts.append(values)
    angle = _target(session, options, cut, hand, variables, units)
    if options.angle_bins is not None and angle is not None:
        width = 360 / options.angle_bins
        place = np.floor(angle / width + 0.5 + _SLACK) % options.angle_bins
        parts.append(np.where(np.isfinite(angle), np.round(place * width, 6), np.nan))
    missing = np.any([unlabelled(part) for part in parts], axis=0)
    if missing.any():
        raise RecordingError(
            f"{int(missing.sum())} of {len(missing)} trials have no condition (the first is trial "
            f"{cut.rows[missing][0]}); leave them out by `select`."
        )
    if len(parts) == 1:
        return parts[0]
    return np.array([", ".join(_label(x) for x in row) for row in zip(*parts, strict=True)])


def _label(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def _target(
    session: Session,
    options: ImportOptions,
    cut: Cut,
    hand: Course | None,
    variables: dict[str, Any],
    units: dict[str, str],
) -> NDArray[np.float64] | None:
    """Return the direction of each trial's target (deg, 0 to 360), where options say what it is."""
    if options.angle:
        values = column(session.trials, options.angle, "angle", "trials")[cut.rows]
        values = numbers(values, options.angle)
        unit = options.units.get("angle")
        if unit is None:
            raise RecordingError(
                f"nothing says the unit of {options.angle!r}; give `units.angle`, 'deg' or 'rad'."
            )
        factor = conversion(unit, "rad")
        if factor is None:
            raise RecordingError(f"`units.angle` must be deg or rad, got {unit!r}.")
        angle = np.mod(np.degrees(values * factor), 360)
    elif options.target:
        columns = [column(session.trials, name, "target", "trials") for name in options.target]
        place = np.concatenate([part.reshape(len(part), -1) for part in columns], axis=1)[cut.rows]
        if place.dtype.kind not in "fiu" or place.shape[1] not in (2, 3):
            raise RecordingError(
                f"`target` must give 2 or 3 numbers a trial, got {place.shape[1]} {place.dtype}."
            )
        unit = options.units.get("target")
        factor = None if unit is None else conversion(unit, "m")
        if factor is None:
            raise RecordingError(
                f"nothing says the unit of `target`; give `units.target`, such as 'cm', got {unit}."
            )
        place = place.astype(np.float64) * factor
        if np.isfinite(place).all():
            variables["target_position"], units["target_position"] = place, "m"
        if options.center:
            center = np.asarray(np.multiply(options.center, factor), np.float64)
        elif hand is not None:
            begin = np.asarray(session.trials["start_time"], np.float64)[cut.rows]
            center = interpolated(hand, begin, options.widest_gap_s)[:, :2].astype(np.float64)
        else:
            center = np.zeros(2)
        away = place[:, :2] - center[..., :2]
        angle = np.mod(np.degrees(np.arctan2(away[:, 1], away[:, 0])), 360)
        angle[np.linalg.norm(away, axis=1) == 0] = np.nan
    else:
        return None
    variables["target_angle"], units["target_angle"] = angle, "deg"
    return angle
