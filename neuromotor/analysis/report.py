"""Every analysis of a recording: numbers, figures, and what could not be computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromotor._checks import lookup
from neuromotor.analysis._arrays import Difference
from neuromotor.analysis.cutting import window
from neuromotor.analysis.factors import Factors
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.rotation_fits import DIFFERENCES
from neuromotor.analysis.section import FIGURE_S, Material, Section, report_sections
from neuromotor.analysis.unperturbed import check_controller
from neuromotor.closed_loop.blas import blas_threads, torch_threads
from neuromotor.training.remaining_time import Clock, Tell
from neuromotor.zoo.saved_controller import SavedController

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Report", "analyze", "check_analysis"]


@dataclass(frozen=True)
class Report:
    """All sections of a report, and the name of what was analysed."""

    source: str
    sections: tuple[Section, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return every number by section, for JSON; numbers that are not finite become None."""
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
    lags_s: Sequence[float] = (),
    labels: Sequence[str] = (),
    encoded: Sequence[str] = (),
    difference: Difference = "starts",
    loop: bool = False,
    group: Mapping[str, xr.Dataset] | None = None,
    siblings: Mapping[str, xr.Dataset] | None = None,
    progress: Tell | None = None,
) -> Report:
    """Run every analysis that a recording allows; the report says why it lacks the others.

    Args:
        recording: Any dataset of the layout.
        source: What the recording is, for the title.
        saved: The controller that was recorded, for fixed points, Jacobians, sensitivity, lesions
            and responses to loads; these are computed for the recorded task and trials.
        against: Another recording of the same conditions and as many times, which shows how alike
            both populations are.
        window_s: First and last time (s) of the units' activity that counts, for instance without
            the transient of a network that starts at zero. By default all times count, and for
            rotations 300 ms from movement onset where there is one.
        soft: Constant that is added to each unit's range before its rates are divided by it. By
            default it follows the unit of the rates (`rotational_dynamics`).
        surrogates: Size of the nulls.
        seed: Random seed of the nulls.
        lags_s: Lags (s) at which movement is decoded too, positive where rates lead it.
        labels: Labels of the trials that components are demixed by (`demixed_components`); the
            condition by default.
        encoded: Variables whose encoding by spikes is tested (`encode_spikes`), at `lags_s` or at
            0 and 0.1 s.
        difference: States that fits of rotations use: at the `starts` of steps, as published, or at
            their `midpoints`.
        loop: Whether to find fixed points and modes of controller, delay and limb together, which
            needs `saved` and takes minutes for a thousand units.
        group: Recordings by name, such as monkeys, which each layer is held against, with what they
            reach among themselves.
        siblings: Recordings by name of the same kind as `recording`, such as other seeds of a
            network, for what these reach among themselves.
        progress: Called before each analysis with its name and place, the share of the work that is
            done, and about how many seconds are left until all figures are drawn.

    Raises:
        RecordingError: The dataset is no recording, the window misses it, or `saved` is not the
            controller that was recorded.
    """
    check_analysis(recording, saved=saved, against=against, window_s=window_s, labels=labels)
    lookup("difference", difference, DIFFERENCES)
    if loop and saved is None:
        raise RecordingError("`loop` needs `saved`: the controller that was recorded.")
    given = Material(
        recording,
        saved,
        against,
        window_s,
        soft,
        surrogates,
        seed,
        lags_s=tuple(lags_s),
        labels=tuple(labels),
        encoded=tuple(encoded),
        difference=difference,
        loop=loop,
        group=dict(group or {}),
        siblings=dict(siblings or {}),
    )
    for other in (*given.group.values(), *given.siblings.values()):
        window(other, window_s)
    wanted = [spec for spec in report_sections() if spec.wanted(given)]
    expected = [spec.seconds(given) for spec in wanted]
    clock = Clock([*expected, FIGURE_S * len(wanted)])  # the figures are drawn at the end
    done: list[Section] = []
    for place, spec in enumerate(wanted):
        if progress is not None:
            progress(f"{spec.name} ({place + 1} of {len(wanted)})", *clock.at(place))
        done.append(spec.section(given))
    return Report(source, tuple(done))


def check_analysis(
    recording: xr.Dataset,
    *,
    saved: SavedController | None = None,
    against: xr.Dataset | None = None,
    window_s: tuple[float, float] | None = None,
    labels: Sequence[str] = (),
) -> None:
    """Raise where `analyze` would refuse what it is given, as a window beside the recording.

    Raises:
        RecordingError: The dataset is no recording, the window misses it or the other recording,
            `saved` is not the controller that was recorded, or labels are not there.
    """
    check_recording(recording, gaps=True)
    window(recording, window_s)
    if saved is not None:
        check_controller(recording, saved)
    if labels:
        Factors.of(recording, labels)
    if against is not None:
        try:
            window(against, window_s)
        except RecordingError as error:
            raise RecordingError(f"in the other recording: {error}") from error


def _plain(value: Any) -> Any:
    """Return numbers and tables as JSON has them."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
