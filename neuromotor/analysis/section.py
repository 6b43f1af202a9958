"""What a report is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Section", "layers_of", "median"]


@dataclass(frozen=True)
class Section:
    """One analysis.

    Attributes:
        name: Short name, of its figure's file too.
        title: What it is.
        text: How to read it.
        numbers: By name; a table of tables where there are several populations.
        figures: By name.
        skipped: Why it was not computed, or empty.
    """

    name: str
    title: str
    text: str
    numbers: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    skipped: str = ""


def layers_of(recording: xr.Dataset) -> dict[str, xr.Dataset]:
    """The recording of each layer's units alone."""
    if "layer" not in recording.coords:
        return {"all": recording}
    labels = recording["layer"].values
    return {
        str(label): recording.isel(unit=np.flatnonzero(labels == label))
        for label in dict.fromkeys(labels.tolist())
    }


def median(values: Any) -> float:
    """Median of what is finite, NaN where nothing is."""
    known = np.asarray(values)[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
