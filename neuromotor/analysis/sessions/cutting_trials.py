"""A session cut into trials: the recording that options ask for, and what was left out on the way.

The order is: trials are chosen, placed on the grid by their events, labelled; then units are
chosen, counted, and normalised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.averages import condition_averages
from neuromotor.analysis.from_arrays import make_recording
from neuromotor.analysis.gaps import complete_trials, complete_units, missing_samples
from neuromotor.analysis.layout import LAYOUT, RecordingError
from neuromotor.analysis.sessions.choosing import Cut, placed
from neuromotor.analysis.sessions.conditions import conditions_of
from neuromotor.analysis.sessions.courses import behaviour_of, hand_of, sampled, velocity_of
from neuromotor.analysis.sessions.options import ImportOptions
from neuromotor.analysis.sessions.session import ENDS, Session
from neuromotor.analysis.sessions.unit_rates import areas_of, kept_units, rates_of
from neuromotor.storage.files import safe_names

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NOTES", "cut_into_trials"]

NOTES = "import_notes"  # attribute of a recording: what its import did and left out, in lines
_SOFT_SPIKES_S = 5.0  # Churchland et al. 2012


def cut_into_trials(session: Session, options: ImportOptions) -> xr.Dataset:
    """Return the recording that options ask for.

    Its attribute `import_notes` says what was done and left out.

    Raises:
        RecordingError: A column or series is not there, no trial or unit is left, or the data
            cannot carry what is asked for; the message says which.
    """
    notes = list(session.notes)
    hand = hand_of(session, options, notes)
    cut = placed(session, options, hand, notes)
    time = cut.placement.grid_s
    variables: dict[str, Any] = {}
    units = {"time": "s"}
    for name, own in behaviour_of(session, options, hand).items():
        values, unit = sampled(name, own, cut.placement, cut.covered, options.widest_gap_s)
        if name == "hand_position" and "hand_velocity" not in options.behaviour:
            velocity = velocity_of(own, values, cut.placement, options.widest_gap_s)
            variables["hand_velocity"], units["hand_velocity"] = velocity, "m/s"
        variables[name], units[name] = values, unit
    labels = conditions_of(session, options, cut, hand, variables, units, notes)
    layer = None
    rate, table, unit = rates_of(session, options, cut, notes)
    if rate is not None:
        layer = areas_of(table, options, rate.shape[2], notes)
        variables["rate"], units["rate"] = rate, unit
        kept = kept_units(rate, layer, options, unit, notes)
        variables["rate"] = rate if kept.all() else rate[:, :, kept]
        layer = [own for own, stays in zip(layer, kept, strict=True) if stays]
        table = {name: values[kept] for name, values in table.items()}
    for name, moments in cut.events.items():
        on_grid = cut.placement.moments(moments)
        if np.isfinite(on_grid).any():
            variables[name] = on_grid
    if not any(name in variables for name in ("rate", *_named_courses())):
        raise RecordingError(
            f"{session.source} has neither spikes nor rates, and no series was named; say where "
            "they are, as in `behaviour.hand_position = NAME` or `names.spikes = NAME`."
        )
    missing = sum(
        int(np.isnan(values).sum()) for name, values in variables.items() if np.ndim(values) == 3
    )
    attributes = {"source": session.source, "imported": "yes", **session.about, **options.about}
    if not options.warp:
        attributes["aligned_to"] = options.align
    recording = make_recording(
        time, labels, variables, layer=layer, units=units, attributes=attributes, gaps=missing > 0
    )
    recording = recording.assign_coords(trial=cut.rows)
    recording = _with_tables(recording, session, cut, table if rate is not None else {})
    if missing:
        recording = _without_gaps(recording, options, notes)
    if rate is not None and options.normalise != "none":
        recording = _normalised(recording, options, notes)
    recording.attrs[NOTES] = "\n".join(notes)
    return recording


def _named_courses() -> list[str]:
    return [name for name, layout in LAYOUT.items() if layout.dims[:2] == ("trial", "time")]


def _without_gaps(recording: xr.Dataset, options: ImportOptions, notes: list[str]) -> xr.Dataset:
    """Return the recording with its missing samples kept, or without what lacks them."""
    if options.gaps == "refuse":
        raise RecordingError(
            f"samples are missing in {', '.join(missing_samples(recording))}; keep them by `gaps = "
            "keep`, or leave trials or units out by `gaps = trials` or `gaps = units`."
        )
    if options.gaps == "keep":
        return recording
    if options.gaps == "units":
        found = complete_units(recording)
        out = recording.sizes["unit"] - found.sizes["unit"]
        notes.append(f"{out} units lack samples in these trials; they were left out.")
        return found
    found = complete_trials(recording)
    out = recording.sizes["trial"] - found.sizes["trial"]
    notes.append(f"{out} trials lack samples; they were left out.")
    return found


def _normalised(recording: xr.Dataset, options: ImportOptions, notes: list[str]) -> xr.Dataset:
    """Return the recording with its rates normalised."""
    rate = recording["rate"]
    unit = str(rate.attrs.get("units", "1"))
    if options.normalise == "sqrt":
        if float(np.nanmin(rate.values)) < 0:
            raise RecordingError("`normalise = sqrt` needs rates of 0 or more.")
        values, unit = np.sqrt(rate.values), f"sqrt({unit})"
        notes.append("Rates are square roots.")
    else:
        mean = condition_averages(recording, shuffles=0, gaps=True).mean
        known = np.where(np.isnan(mean), np.nanmean(mean, axis=(0, 1)), mean)
        soft = _SOFT_SPIKES_S if unit == "spikes/s" else 0.0
        size = np.ptp(known, axis=(0, 1)) + soft
        values = rate.values / np.where(size > 0, size, 1.0).astype(rate.dtype)
        unit = "soft-normalised"
        notes.append(f"Rates are over the range of their condition averages plus {soft:g}.")
    return recording.assign(rate=(rate.dims, values, {**rate.attrs, "units": unit}))


def _with_tables(
    recording: xr.Dataset, session: Session, cut: Cut, table: dict[str, NDArray[Any]]
) -> xr.Dataset:
    """Return the recording with the columns of trials and units beside it."""
    found: dict[str, Any] = {}
    for dim, prefix, columns in (
        ("trial", "table_", {k: v[cut.rows] for k, v in session.trials.items()}),
        ("unit", "unit_", table),
    ):
        own = {k: v for k, v in columns.items() if v.ndim == 1 and v.dtype.kind in "fiubU"}
        for name, values in zip(safe_names(own), own.values(), strict=True):
            if (name in ENDS and prefix == "table_") or values.dtype.kind == "U":
                kept = values
            else:
                kept = values.astype(np.float64)
            found[prefix + name.removeprefix("unit_")] = (dim, kept)
    return recording.assign(found)
