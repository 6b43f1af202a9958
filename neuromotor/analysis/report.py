"""Every analysis of a recording: numbers, figures, and what could not be computed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromotor.analysis._clock import FIGURE_S, Clock, Tell
from neuromotor.analysis.averages import window
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.section import Section
from neuromotor.closed_loop.blas import blas_threads, torch_threads
from neuromotor.zoo.saved_controller import SavedController

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Report", "Section", "analyze", "expected_seconds"]

_OF_UNITS = (  # sections that need units whose rates change
    *("averages", "tuning", "components", "demixing", "rotations", "alignment", "tangling"),
    *("decoding", "similarity"),
)


@dataclass(frozen=True)
class Report:
    """All sections, and what they are of."""

    source: str
    sections: tuple[Section, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return every number by section, for JSON; what is not finite is None."""
        parts = {
            section.name: {"skipped": section.skipped} if section.skipped else section.numbers
            for section in self.sections
        }
        return {"source": self.source, "sections": _plain(parts)}


@torch_threads()
@blas_threads()
def analyze(
    recording: xr.Dataset,
    *,
    source: str = "",
    saved: SavedController | None = None,
    against: xr.Dataset | None = None,
    window_s: tuple[float, float] | None = None,
    soft: float | None = None,
    surrogates: int = 50,
    seed: int = 0,
    progress: Tell | None = None,
) -> Report:
    """Run every analysis that a recording allows; those it does not are listed with the reason.

    Args:
        recording: Any dataset of the layout.
        source: What it is, for the title.
        saved: The controller that was recorded, for fixed points, Jacobians, sensitivity, lesions
            and responses to loads; they are of the task and trials that were recorded.
        against: Another recording of the same conditions and numbers of times, for how alike both
            populations are.
        window_s: First and last time (s) of the units' activity that counts, for instance without
            the transient of a network that starts at zero; all by default, and for rotations
            300 ms from movement onset where there is one.
        soft: Added to each unit's range before it is divided by it; by the unit of the rates by
            default (`rotational_dynamics`).
        surrogates: Size of the nulls.
        seed: Of the nulls.
        progress: Called before each analysis with its name and place, the share of the work that is
            done, and about how many seconds are left until all figures are drawn.

    Raises:
        RecordingError: The dataset is no recording, the window misses it, or `saved` is not the
            controller that was recorded.
    """
    from neuromotor.analysis import network_sections, sections

    check_recording(recording)
    cut = window(recording, window_s)
    given = window_s is not None
    if saved is not None:
        network_sections.check_controller(recording, saved)
    calm = functools.cache(lambda: network_sections.unperturbed(recording, saved))
    parts: dict[str, Callable[[], Section]] = {
        "movement": lambda: sections.movement_section(recording),
        "speed-accuracy": lambda: sections.speed_accuracy_section(recording, seed),
        "averages": lambda: sections.averages_section(cut, seed),
        "tuning": lambda: sections.tuning_section(cut, surrogates, seed),
        "components": lambda: sections.components_section(cut, seed),
        "demixing": lambda: sections.demixing_section(cut, seed),
        "rotations": lambda: sections.rotations_section(
            cut, surrogates, seed, cut=given, soft=soft
        ),
        "alignment": lambda: sections.alignment_section(cut, surrogates, seed, soft=soft),
        "tangling": lambda: sections.tangling_section(cut, seed, soft=soft),
        "decoding": lambda: sections.decoding_section(cut, seed),
        "deviations": lambda: sections.deviation_section(recording, calm()),
        "latency": lambda: sections.latency_section(recording, calm()),
    }
    if against is not None:
        check_recording(against)
        other = window(against, window_s)
        parts["similarity"] = lambda: sections.similarity_section(cut, other, surrogates, seed)
    if saved is not None:
        network = saved
        parts |= {
            "fixed-points": lambda: network_sections.fixed_points_section(recording, network),
            "jacobian": lambda: network_sections.jacobian_section(recording, network),
            "sensitivity": lambda: network_sections.sensitivity_section(recording, network),
            "lesions": lambda: network_sections.lesions_section(recording, network, seed),
        }
    rate = cut["rate"].values if "rate" in cut else np.zeros((1, 1, 0))
    silent = "rate" in cut and not np.ptp(rate, axis=(0, 1)).any()
    done: list[Section] = []
    expected = expected_seconds(recording, list(parts), surrogates)
    clock = Clock([*expected, FIGURE_S * len(parts)])  # the figures are drawn at the end
    for name, compute in parts.items():
        if progress is not None:
            progress(f"{name} ({len(done) + 1} of {len(parts)})", *clock.at(len(done)))
        if silent and name in _OF_UNITS:
            reason = f"no unit ever changes its rate, {rate.min():g} to {rate.max():g} throughout."
            done.append(Section(name, name.capitalize(), "", skipped=reason))
            continue
        try:
            done.append(compute())
        except RecordingError as error:
            done.append(Section(name, name.capitalize(), "", skipped=str(error)))
    return Report(source, tuple(done))


def expected_seconds(recording: xr.Dataset, names: Sequence[str], surrogates: int) -> list[float]:
    """Return about how long each analysis takes on one core: by its sizes, as measured on one.

    Args:
        recording: Of the layout.
        names: Of sections.
        surrogates: Size of the nulls.
    """
    trials, times, units = (recording.sizes.get(name, 0) for name in ("trial", "time", "unit"))
    conditions = len(np.unique(recording["condition"].values))
    values = trials * times * units / 1e6  # millions, as all below
    surrogate = surrogates * conditions * times * units / 1e6
    costs = {
        "averages": 0.2 + values,
        "tuning": 0.2 + 0.5 * values,
        "components": 0.3 + values,
        "demixing": 0.2 + values,
        "rotations": 0.3 + 0.1 * surrogate,
        "tangling": 0.3 + 0.05 * surrogate,
        "similarity": 0.3 + 0.1 * surrogate,
        "decoding": 0.1 + 0.5 * values,
        "fixed-points": 0.7,
        "jacobian": 0.2 + 0.012 * times * units**3 / 1e6,
        "lesions": 0.5,
    }
    return [costs.get(name, 0.1) for name in names]


def _plain(value: Any) -> Any:
    """Numbers and tables as JSON has them."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
