"""What a report is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from neuromotor.analysis.layout import RecordingError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Section", "by_layer", "layers_of", "median", "span", "with_reasons"]

T = TypeVar("T")


@dataclass(frozen=True)
class Section:
    """One analysis.

    Attributes:
        name: Short name, of its figure's file too.
        title: What it is.
        text: How to read it.
        numbers: By name; a table of tables where there are several populations.
        figures: By name; each call draws one.
        skipped: Why it was not computed, or empty.
    """

    name: str
    title: str
    text: str
    numbers: dict[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Callable[[], Figure]] = field(default_factory=dict)
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


def by_layer(
    recording: xr.Dataset, compute: Callable[[xr.Dataset], T]
) -> tuple[dict[str, T], list[str]]:
    """What is computed of each layer that allows it, and why it is not of the others.

    Raises:
        RecordingError: No layer allows it.
    """
    found: dict[str, T] = {}
    reasons: dict[str, str] = {}
    for layer, part in layers_of(recording).items():
        try:
            found[layer] = compute(part)
        except RecordingError as error:
            reasons[layer] = str(error)
    named = [f"{layer}: {reason}" for layer, reason in reasons.items()]
    if not found:
        same = dict.fromkeys(reasons.values())
        raise RecordingError(" ".join(same if len(same) == 1 else named))
    return found, named


def with_reasons(text: str, reasons: list[str]) -> str:
    """A section's text, with what was left out and why."""
    return " ".join([text, *(f"Left out, {reason}" for reason in reasons)])


def span(recording: xr.Dataset) -> str:
    """The times of a recording in words."""
    time = recording["time"].values
    event = recording.attrs.get("aligned_to")
    about = f" from each trial's {str(event).replace('_', ' ')}" if event else ""
    return f"{time[0]:g} to {time[-1]:g} s{about}"


def median(values: Any) -> float:
    """Median of what is finite, NaN where nothing is."""
    known = np.asarray(values)[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
