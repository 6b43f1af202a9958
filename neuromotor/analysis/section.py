"""What a report is made of: sections, and how each analysis declares its own.

A module of this package declares a section as its constant `SECTION`, beside the analysis that the
section shows. `report_sections` finds them all, so a new analysis is a new file and nothing else.
`neuromotor.register` enters a section from outside beside them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis._arrays import Difference
from neuromotor.analysis.cutting import window
from neuromotor.analysis.gaps import averaged_window, complete_trials, fullest_window
from neuromotor.analysis.layout import GAPS, RecordingError
from neuromotor.analysis.parts import in_file, joined, pieces
from neuromotor.analysis.unperturbed import run_without_loads
from neuromotor.extensions import ExtensionError, Registry
from neuromotor.zoo.saved_controller import SavedController

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = [
    "FIGURE_S",
    "SECTIONS",
    "Findings",
    "Material",
    "Section",
    "SectionSpec",
    "by_layer",
    "layers_of",
    "median",
    "rate_ranges",
    "report_sections",
    "span",
    "with_reasons",
]

FIGURE_S = 0.7  # one figure as PNG and PDF, on one core

T = TypeVar("T")
Draw = Callable[[], "Figure"]


@dataclass(frozen=True)
class Section:
    """One analysis in a report.

    Attributes:
        name: Short name, which its figure's file bears too.
        title: What it is.
        text: How to read it.
        numbers: Numbers by name, or tables by name where there are several populations.
        figures: Functions by name, each of which draws a figure.
        skipped: Why it was not computed, or empty.
        reading: How to read its figures, in one sentence.
    """

    name: str
    title: str
    text: str
    numbers: dict[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Draw] = field(default_factory=dict)
    skipped: str = ""
    reading: str = ""


class Findings(NamedTuple):
    """What an analysis gives its section: text, numbers and figures of `Section`."""

    text: str
    numbers: dict[str, Any]
    figures: Mapping[str, Draw]


@dataclass(frozen=True)
class Material:
    """What sections are computed from.

    Attributes:
        recording: The whole recording.
        saved: The controller that was recorded, where it is known.
        against: Another recording, where one was given.
        window_s: First and last time (s) of the units' activity that counts; None for all times.
        soft: Constant that is added to each unit's range; None for the one that suits its unit.
        surrogates: Size of the nulls.
        seed: Random seed of the nulls.
        lags_s: Lags (s) at which movement is decoded; none by default.
        encoded: Variables whose encoding by spikes is tested; none by default.
        labels: Labels of the trials that components are demixed by; the condition by default.
        difference: Which state belongs to a difference over a step in fits of rotations.
        loop: Whether the loop of controller, delay and limb is analysed as a whole.
        group: Recordings by name that the recording is held against together, such as monkeys.
        siblings: Recordings by name of the recording's own kind, such as other seeds.
    """

    recording: xr.Dataset
    saved: SavedController | None = None
    against: xr.Dataset | None = None
    window_s: tuple[float, float] | None = None
    soft: float | None = None
    surrogates: int = 50
    seed: int = 0
    lags_s: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    encoded: tuple[str, ...] = ()
    difference: Difference = "starts"
    loop: bool = False
    group: Mapping[str, xr.Dataset] = field(default_factory=dict)
    siblings: Mapping[str, xr.Dataset] = field(default_factory=dict)

    @cached_property
    def activity(self) -> xr.Dataset:
        """The recording in the window; where samples are missing and there is none, see `gaps`."""
        window_s = self.window_s
        if window_s is None and GAPS in self.recording.attrs and "rate" in self.recording:
            window_s = averaged_window(self.recording)
        return window(self.recording, window_s)

    @cached_property
    def complete(self) -> Material:
        """The trials that lack no sample, in the window or in the one that keeps most samples."""
        window_s = self.window_s or fullest_window(self.recording)
        whole = complete_trials(window(self.recording, window_s))
        return replace(self, recording=whole, window_s=None)

    @cached_property
    def unperturbed(self) -> xr.Dataset | None:
        """The recorded trials again without their loads, where these can be run."""
        return None if self.saved is None else run_without_loads(self.recording, self.saved)

    @property
    def network(self) -> SavedController:
        """The controller that was recorded.

        Raises:
            RecordingError: It is not known.
        """
        if self.saved is None:
            raise RecordingError("this analysis needs the controller that was recorded.")
        return self.saved

    @cached_property
    def million_rates(self) -> float:
        """Millions of rates in the recording: how large it is."""
        sizes = (self.recording.sizes.get(name, 0) for name in ("trial", "time", "unit"))
        return float(np.prod(list(sizes))) / 1e6

    @cached_property
    def million_surrogate_rates(self) -> float:
        """Millions of rates in all surrogates of the condition averages."""
        labels = self.recording["condition"].values
        return self.surrogates * self.million_rates * len(np.unique(labels)) / len(labels)


@dataclass(frozen=True)
class SectionSpec:
    """The section of one analysis: what it needs, how it is computed and where it stands.

    Attributes:
        name: Short name, which its figure's file bears too.
        title: What it is.
        place: Sections stand in the order of their places.
        compute: The analysis. It raises a `RecordingError` where the recording does not allow it.
        needs: `changing rates` is for analyses of units, which a recording of silent units lacks;
            without a controller, another recording, a group of them, lags, encoded variables or
            the wish for the whole loop, sections that need them are not in the report.
        seconds: About how long it takes on one core.
        gaps: What it gets of a recording in which samples are missing: `complete trials`, those
            that lack none; everything, for `averages` over the trials that have each sample; or
            everything as it is.
        in_parts: Whether it reads rates part by part, so that it is there for a recording that
            does not fit in memory too.
        reading: How to read its figures, and against which null, in one sentence.
    """

    name: str
    title: str
    place: int
    compute: Callable[[Material], Findings]
    needs: tuple[
        Literal[
            "changing rates",
            "controller",
            "other recording",
            "group",
            "lags",
            "encoded variables",
            "loop",
        ],
        ...,
    ] = ()
    seconds: Callable[[Material], float] = lambda _: 0.1
    gaps: Literal["complete trials", "averages", "as it is"] = "complete trials"
    in_parts: bool = False
    reading: str = ""

    def wanted(self, given: Material) -> bool:
        """Return whether the section belongs in a report of this material."""
        lacking: dict[str, object] = {
            "controller": given.saved,
            "other recording": given.against,
            "lags": given.lags_s or None,
            "encoded variables": given.encoded or None,
            "loop": given.loop or None,
            "group": given.group or None,
        }
        return all(lacking[need] is not None for need in self.needs if need in lacking)

    def section(self, given: Material) -> Section:
        """Return the section, or an empty one with the reason why it cannot be computed."""
        try:
            left_out = ""
            if in_file(given.recording) and not self.in_parts:
                raise RecordingError(
                    "it needs all rates in memory, and the recording is read from its file in "
                    "parts; give it more `--memory`, or a recording of fewer trials, units or "
                    "times."
                )
            if GAPS in given.recording.attrs:
                given, left_out = self._with_gaps(given)
            if "changing rates" in self.needs:
                _check_changing_rates(given.activity)
            text, numbers, figures = self.compute(given)
            words = text + left_out
            return Section(self.name, self.title, words, numbers, figures, reading=self.reading)
        except RecordingError as error:
            return Section(self.name, self.title, "", skipped=str(error))

    def _with_gaps(self, given: Material) -> tuple[Material, str]:
        """Return what a section of a recording with missing samples is of, and the words for it."""
        if self.gaps == "as it is":
            return given, ""
        if self.gaps == "averages":
            words = " Samples are missing: averages are over the trials that have them"
            return given, f"{words}, {span(given.activity)}."
        whole = given.complete
        count, all_ = whole.recording.sizes["trial"], given.recording.sizes["trial"]
        words = f" Samples are missing: this is of the {count} of {all_} trials that lack none"
        return whole, f"{words}, {span(whole.recording)}."


SECTIONS: Registry[SectionSpec] = Registry(
    "report section", members=("place", "compute", "wanted"), settings=False
)


def report_sections() -> list[SectionSpec]:
    """Return all sections in the order of a report: this package's, and registered ones."""
    folder = importlib.import_module("neuromotor.analysis")
    modules = [
        importlib.import_module(f"{folder.__name__}.{found.name}")
        for found in pkgutil.iter_modules(folder.__path__)
    ]
    for module in modules:
        if hasattr(module, "SECTION"):
            SECTIONS.setdefault(module.SECTION.name, module.SECTION)
    return sorted(SECTIONS.values(), key=lambda spec: (spec.place, spec.name))


def _check_name(name: str, section: SectionSpec) -> None:
    """Raise unless a section is registered by its own name; all others are known then."""
    report_sections()
    if name != section.name:
        raise ExtensionError(
            f"`name` must be the section's own, {section.name!r}, which its figure's file bears "
            f"too, got {name!r}."
        )


SECTIONS.check = _check_name


def _check_changing_rates(recording: xr.Dataset) -> None:
    """Raise where units are recorded and none of them ever changes its rate."""
    if "rate" not in recording:
        return  # the analysis itself says what it lacks
    lowest, highest = rate_ranges(recording)
    if np.isnan(highest).all():
        raise RecordingError("every rate is missing.")
    if not (highest > lowest).any():
        raise RecordingError(
            f"no unit ever changes its rate, {np.nanmin(lowest):g} to {np.nanmax(highest):g} "
            "throughout."
        )


def rate_ranges(recording: xr.Dataset) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the lowest and the highest rate of each unit, (N,); NaN where none is known."""
    lowest, highest = [], []
    for _, part in pieces(recording["rate"]):
        rate = part.values
        lowest.append(np.fmin.reduce(rate, axis=(0, 1)))
        highest.append(np.fmax.reduce(rate, axis=(0, 1)))
    return joined(lowest), joined(highest)


def layers_of(recording: xr.Dataset) -> dict[str, xr.Dataset]:
    """Return, for each layer, the recording of its units alone."""
    if "layer" not in recording.coords:
        return {"all": recording}
    labels = recording["layer"].values
    found = {}
    for label in dict.fromkeys(labels.tolist()):
        own = np.flatnonzero(labels == label)
        run = slice(int(own[0]), int(own[-1]) + 1)  # neighbours are read, and held, in one piece
        found[str(label)] = recording.isel(unit=run if run.stop - run.start == len(own) else own)
    return found


def by_layer(
    recording: xr.Dataset, compute: Callable[[xr.Dataset], T]
) -> tuple[dict[str, T], list[str]]:
    """Return the results of each layer that allows an analysis, and why the others do not.

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
    """Return a section's text, with what was left out and why."""
    return " ".join([text, *(f"Left out, {reason}" for reason in reasons)])


def span(recording: xr.Dataset) -> str:
    """Return the times of a recording in words."""
    time = recording["time"].values
    event = recording.attrs.get("aligned_to")
    about = f" from each trial's {str(event).replace('_', ' ')}" if event else ""
    return f"{time[0]:g} to {time[-1]:g} s{about}"


def median(values: Any) -> float:
    """Return the median of the finite values, NaN where none is finite."""
    known = np.asarray(values)[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
