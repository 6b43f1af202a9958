"""What a recording holds, and how good it is: the opening of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.gaps import missing_samples
from neuromotor.analysis.layout import LAYOUT
from neuromotor.analysis.parts import joined, pieces
from neuromotor.analysis.section import (
    Findings,
    Material,
    SectionSpec,
    layers_of,
    median,
    rate_ranges,
    span,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["inventory"]

_SERIES = ("trial", "time")


def inventory(recording: xr.Dataset) -> dict[str, Any]:
    """Return how many trials, times, conditions and units a recording has, and what is wrong.

    Silent units have the rate 0 throughout, constant ones any other rate that never changes.
    """
    time = recording["time"].values
    counts = np.unique(recording["condition"].values, return_counts=True)[1]
    found: dict[str, Any] = {
        "trials": int(recording.sizes["trial"]),
        "conditions": len(counts),
        "fewest_trials_of_a_condition": int(counts.min()),
        "most_trials_of_a_condition": int(counts.max()),
        "times": len(time),
        "first_time_s": float(time[0]),
        "last_time_s": float(time[-1]),
    }
    if len(time) > 1:
        found["step_s"] = float(time[1] - time[0])
    for name, count in missing_samples(recording).items():
        found[f"missing_share_of_{name}"] = count / recording[name].size
    if "rate" not in recording:
        return found
    found["units"] = int(recording.sizes["unit"])
    for layer, part in layers_of(recording).items():
        lowest, highest = rate_ranges(part)
        constant = lowest == highest
        mean = mean_rates(part)
        found[f"units: {layer}"] = {
            "units": len(constant),
            "silent": int((constant & (highest == 0)).sum()),
            "constant": int((constant & (highest != 0)).sum()),
            "lowest_mean_rate": float(mean.min()),
            "median_mean_rate": median(mean),
            "highest_mean_rate": float(mean.max()),
        }
    return found


def mean_rates(recording: xr.Dataset) -> NDArray[np.float64]:
    """Return the mean rate of each unit over all samples that are there, (N,); 0 without any."""
    found = []
    for _, part in pieces(recording["rate"]):
        rate = part.values
        known = np.isfinite(rate)
        total = np.where(known, rate, 0.0).sum((0, 1), dtype=np.float64)
        found.append(total / np.maximum(known.sum((0, 1)), 1))
    return np.asarray(joined(found), np.float64)


def _section(given: Material) -> Findings:
    """What the data are."""
    recording = given.recording
    held = [n for n in LAYOUT if n in recording and LAYOUT[n].dims[:2] == _SERIES]
    unit = ""
    if "rate" in recording:
        unit = f", its rates in {recording['rate'].attrs.get('units', '1')}"
        unit = ", its rates without a unit" if unit.endswith(" 1") else unit
    text = f"The recording covers {span(recording)}{unit}. It holds {', '.join(held) or 'events'}."
    if given.window_s is not None:
        first, last = given.window_s
        text += f" Analyses of units are of {first:g} to {last:g} s."
    text += _said(recording.attrs)
    return Findings(text, inventory(recording), {})


def _said(attributes: Mapping[Any, Any]) -> str:
    """Return what an import or a simulation says of itself."""
    parts = [
        f" {name.replace('_', ' ').capitalize()}: {attributes[name]}."
        for name in ("source", "subject_id", "species", "lab", "session_start_time")
        if attributes.get(name)
    ]
    notes = str(attributes.get("import_notes", "")).split("\n")
    return "".join(parts) + "".join(f" {note}" for note in notes if note)


SECTION = SectionSpec("data", "What the data are", 0, _section, gaps="as it is", in_parts=True)
