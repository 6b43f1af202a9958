"""The units of a session: their rates in each trial, their areas, and which of them count."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.quantities import unlabelled
from neuromotor.analysis.sessions.choosing import Cut
from neuromotor.analysis.sessions.expressions import chosen
from neuromotor.analysis.sessions.options import ImportOptions
from neuromotor.analysis.sessions.placing import (
    Kernel,
    Placement,
    interpolated,
    observed_mask,
    unit_rates,
)
from neuromotor.analysis.sessions.session import Session, column

__all__ = ["areas_of", "kept_units", "rates_of"]

_AREAS = ("area", "brain_area", "location", "region", "layer", "electrode_area", "electrode_group")
_LARGEST_BYTES = 16e9  # of all rates: beyond it the options are surely not what was meant


def rates_of(
    session: Session, options: ImportOptions, cut: Cut, notes: list[str]
) -> tuple[NDArray[Any] | None, dict[str, NDArray[Any]], str]:
    """Return the rates of the units that `select_units` leaves, (B, T, N), their table and unit."""
    name = options.rates or (session.rates if session.spikes is None else None)
    if name is None and session.spikes is None:
        return None, {}, "1"
    course = None if name is None else session.course(name, "rates")
    count = len(session.spikes or []) if course is None else course.values.shape[1]
    table = session.units if all(len(v) == count for v in session.units.values()) else {}
    stays = np.flatnonzero(chosen(options.select_units, table, count, "select_units"))
    if len(stays) < count:
        notes.append(f"{count - len(stays)} of {count} units do not fit `select_units`.")
    table = {key: values[stays] for key, values in table.items()}
    table.setdefault("unit_name", np.array([str(i) for i in stays], dtype=str))
    trials, times = cut.covered.shape
    if 4.0 * trials * times * len(stays) > _LARGEST_BYTES:
        raise RecordingError(
            f"{trials} trials x {times} times x {len(stays)} units are too many; give a "
            "`window_s`, a larger `bin_s`, or select trials and units."
        )
    if not len(stays):
        raise RecordingError(f"no unit of {session.source} is left.")
    placement = cut.placement
    if course is not None:
        if options.smooth != "none":
            raise RecordingError("`smooth` is for spikes, and these are rates; leave it out.")
        moments = placement.to_session(placement.grid_s)
        rates = interpolated(course, moments, options.widest_gap_s)[:, :, stays]
        rates[~cut.covered] = np.nan
        return rates, table, options.units.get("rate", course.unit or "1")
    spikes = [(session.spikes or [])[unit] for unit in stays]
    kernel = Kernel(options.smooth, options.smooth_s if options.smooth != "none" else 0.0)
    counted = unit_rates(spikes, placement, kernel)
    counted[~cut.covered] = np.nan
    if session.observed is not None:
        _hide_unobserved(counted, [session.observed[unit] for unit in stays], placement)
    return counted, table, "spikes/s"


def _hide_unobserved(
    rates: NDArray[Any], observed: list[NDArray[np.float64]], placement: Placement
) -> None:
    """Set the rates to NaN where their unit was not recorded over the whole bin."""
    half = 0.5 * placement.step_s
    low, high = (placement.to_session(placement.grid_s + side) for side in (-half, half))
    known: dict[bytes, NDArray[np.bool_]] = {}
    for unit, intervals in enumerate(observed):
        key = intervals.tobytes()
        if key not in known:
            known = {key: ~observed_mask(intervals, low, high)}  # units mostly share them
        if known[key].any():
            rates[:, :, unit][known[key]] = np.nan


def areas_of(
    table: dict[str, NDArray[Any]], options: ImportOptions, count: int, notes: list[str]
) -> list[str]:
    """Return the area of each unit."""
    if options.area:
        values = column(table, options.area, "area", "units")
    else:
        named = [name for name in _AREAS if name in table]
        if not named:
            return ["all"] * count
        values = table[named[0]]
        if named[0] not in ("area", "layer"):
            notes.append(f"The column {named[0]} is taken for the units' areas.")
    missing = unlabelled(values)
    return ["unknown" if gone else str(x) for x, gone in zip(values, missing, strict=True)]


def kept_units(
    rate: NDArray[Any], layer: list[str], options: ImportOptions, unit: str, notes: list[str]
) -> NDArray[np.bool_]:
    """Return which units stay, by area and by their mean rate."""
    kept = np.ones(len(layer), dtype=bool)
    if options.areas:
        for area in options.areas:
            if area not in layer:
                raise RecordingError(
                    f"`areas` names {area!r}, which no unit is of; known: "
                    f"{', '.join(sorted(set(layer)))}."
                )
        kept = np.array([area in options.areas for area in layer])
        if not kept.all():
            notes.append(f"{int((~kept).sum())} of {len(kept)} units are of other areas.")
    with np.errstate(invalid="ignore"):
        known = np.isfinite(rate).sum(axis=(0, 1))
        mean = np.nansum(rate, axis=(0, 1), dtype=np.float64) / np.maximum(known, 1)
    unseen = kept & (known == 0)
    if unseen.any():
        notes.append(f"{int(unseen.sum())} units were not recorded in these trials.")
    kept = kept & ~unseen
    if options.minimum_rate_hz > 0:
        if unit != "spikes/s":
            raise RecordingError(
                "`minimum_rate_hz` needs rates in spikes/s; say so by `units.rate`, or leave it "
                "out."
            )
        slow = kept & (mean < options.minimum_rate_hz)
        if slow.any():
            notes.append(
                f"{int(slow.sum())} of {len(kept)} units fire less than "
                f"{options.minimum_rate_hz:g} spikes/s; they were left out."
            )
        kept = kept & ~slow
    silent = int((kept & (mean == 0)).sum())
    if silent:
        notes.append(f"{silent} units are silent throughout; `minimum_rate_hz` leaves them out.")
    if not kept.any():
        raise RecordingError("no unit is left: " + " ".join(notes))
    return np.asarray(kept, np.bool_)
