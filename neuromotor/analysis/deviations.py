"""How far a push takes the hand: its path minus that of the same reach without the push.

The unperturbed reach is the first of these that the data allow:

1. the same trial without its push, noise draws included (`unperturbed`);
2. the mean of the recording's unperturbed trials with the same start, target, cues and force field;
3. the place where the hand was when the push began, if it held still in its target until then.

Trials with none of them are left out, since a difference from anything else would contain the reach
itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.layout import RecordingError, check_in_plane
from neuromotor.analysis.section import Findings, Material, SectionSpec, median
from neuromotor.analysis.unperturbed import perturbed_trials, trials_like
from neuromotor.evaluation.load_responses import TIMES_MS

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["HandDeviations", "hand_deviations", "plot_deviations"]

_NEAR_M = 0.01  # within which a hand is in its target
_BEFORE_MS = 100.0  # of a deviation before its push, in the figure
_STILL_M = 0.001  # a hand that moves no further holds still


@dataclass(frozen=True)
class HandDeviations:
    """How far the hand is off its unperturbed reach; P pushed trials, K times.

    Attributes:
        time_s: Times since the push began (s), (K,), some before it.
        trials: Places of the pushed trials in the recording, (P,).
        conditions: Their labels, (P,).
        deviation_m: Hand position minus unperturbed reach, (P, K, 2); NaN where a trial was not
            recorded.
        push_s: How long the push lasts (s), (P,); NaN where the recording has no loads.
        against: What each trial was compared with: `same trial`, `unperturbed trials` or `posture`,
            (P,).
        left_out: Number of pushed trials that cannot be compared with anything.
    """

    time_s: NDArray[np.float64]
    trials: NDArray[np.int64]
    conditions: NDArray[np.generic]
    deviation_m: NDArray[np.float64]
    push_s: NDArray[np.float64]
    against: NDArray[np.str_]
    left_out: int

    @property
    def distance_m(self) -> NDArray[np.float64]:
        """The length of the deviations (m), (P, K)."""
        distance: NDArray[np.float64] = np.linalg.norm(self.deviation_m, axis=-1)
        return distance


def hand_deviations(recording: xr.Dataset, unperturbed: xr.Dataset | None = None) -> HandDeviations:
    """Return how far off its unperturbed reach the hand is, over time since the push.

    Args:
        recording: Trials with `perturbation_time` and `hand_position`.
        unperturbed: The same trials, one for one, without their pushes: for a network
            `record(task, controller, parameters, trials.without_loads())`.

    Raises:
        RecordingError: No trial is pushed, `unperturbed` holds other trials, or there is nothing to
            hold any trial against.
    """
    perturbed = perturbed_trials(recording, "hand_position", unperturbed)
    check_in_plane(recording)
    hand = recording["hand_position"].values.astype(np.float64)
    time, onsets = recording["time"].values, recording["perturbation_time"].values
    pushed = np.flatnonzero(perturbed)
    found: list[tuple[int, int, NDArray[np.float64], str]] = []
    for trial in pushed.tolist():
        onset = int(np.abs(time - onsets[trial]).argmin())
        reference: tuple[NDArray[np.float64], str] | None
        if unperturbed is not None:
            reference = unperturbed["hand_position"].values[trial], "same trial"
        elif (alike := trials_like(recording, trial)).any():
            reference = hand[alike].mean(0), "unperturbed trials"
        else:
            reference = _posture(recording, hand, trial, onset)
        if reference is not None:
            found.append((trial, onset, hand[trial] - reference[0], reference[1]))
    if not found:
        raise RecordingError(
            f"there is nothing to hold the {len(pushed)} pushed trials against: no unperturbed "
            "trial has the same start and target, and no hand holds still in its target before the "
            "push. Record unperturbed trials too or, for a network, give the controller "
            "(`--controller`; in Python `unperturbed`)."
        )
    before = max(onset for _, onset, _, _ in found)
    after = max(len(time) - onset for _, onset, _, _ in found)
    deviation = np.full((len(found), before + after, 2), np.nan)
    for row, (_, onset, own, _) in enumerate(found):
        deviation[row, before - onset : before - onset + len(own)] = own
    step = float(time[1] - time[0]) if len(time) > 1 else 0.0
    trials = np.array([trial for trial, _, _, _ in found])
    return HandDeviations(
        time_s=step * np.arange(-before, after, dtype=np.float64),
        trials=trials,
        conditions=recording["condition"].values[trials],
        deviation_m=deviation,
        push_s=step * _pushed_samples(recording, trials),
        against=np.array([against for _, _, _, against in found]),
        left_out=len(pushed) - len(found),
    )


def _posture(
    recording: xr.Dataset, hand: NDArray[np.float64], trial: int, onset: int
) -> tuple[NDArray[np.float64], str] | None:
    """Return the hand's place when the push began, if it held still in its target until then."""
    if "target_position" not in recording:
        return None
    place = hand[trial, onset]
    held = np.linalg.norm(hand[trial, : onset + 1] - place, axis=-1).max() <= _STILL_M
    near = np.linalg.norm(recording["target_position"].values[trial] - place) <= _NEAR_M
    return (np.broadcast_to(place, hand[trial].shape), "posture") if held and near else None


def _pushed_samples(recording: xr.Dataset, trials: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how many samples each first push lasts; NaN where loads were not recorded."""
    names = [name for name in ("load", "hand_force") if name in recording]
    if not names:
        return np.full(len(trials), np.nan)
    on = np.any([(recording[name].values[trials] != 0).any(-1) for name in names], axis=0)
    since = np.cumsum(on, axis=1) > 0
    return np.asarray((np.cumsum(since & ~on, axis=1) == 0).sum(1) - (~since).sum(1), np.float64)


def plot_deviations(found: HandDeviations) -> Figure:
    """Draw deviations from the unperturbed reach over time since a push, and in the plane (cm)."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    from neuromotor.analysis.drawing import add_condition_key, condition_colors, panels
    from neuromotor.plotting import COLORS

    time_ms = 1e3 * found.time_s
    labels, member = np.unique(found.conditions, return_inverse=True)
    colors = condition_colors(len(labels))[member]
    shown = time_ms >= -_BEFORE_MS
    with panels(1, 2, figsize=(6.4, 3.0)) as (figure, (course, plane)):
        lasts = 1e3 * np.median(found.push_s)
        if np.isfinite(lasts):
            course.axvspan(0, min(lasts, time_ms[-1]), color=COLORS[4], alpha=0.25, linewidth=0)
        distance = 100 * found.distance_m[:, shown]
        for line, path, color in zip(distance, 100 * found.deviation_m, colors, strict=True):
            course.plot(time_ms[shown], line, color=color, linewidth=0.6)
            plane.plot(*path[time_ms >= 0].T, color=color, linewidth=0.6)
        middle = [np.median(column[np.isfinite(column)]) for column in distance.T]
        course.plot(time_ms[shown], middle, color="black", linewidth=1.6)
        words = "time since the push began (ms)"
        course.set(xlabel=words, ylabel="hand off its unperturbed reach (cm)", ylim=(0, None))
        plane.plot(0, 0, "+", color="black")
        plane.set_aspect("equal", adjustable="datalim")
        plane.set(xlabel="x off the unperturbed reach (cm)", ylabel="y off it (cm)")
        handles: list[Any] = [Line2D([], [], color="black", linewidth=1.6, label="median")]
        if np.isfinite(lasts):
            handles.append(Patch(color=COLORS[4], alpha=0.25, label="while the push lasts"))
        figure.legend(handles=handles, loc="outside upper center", ncols=2, fontsize=6)
        add_condition_key(figure, labels)
    return figure


def _section(given: Material) -> Findings:
    """How far pushes take the hand off its reach."""
    found = hand_deviations(given.recording, given.unperturbed)
    size = found.distance_m
    numbers: dict[str, Any] = {
        f"median_after_{after}_ms_m": median(size[:, np.abs(found.time_s - after / 1e3).argmin()])
        for after in TIMES_MS
        if found.time_s[-1] >= after / 1e3 - 1e-9
    }
    numbers |= {
        "median_largest_m": median(np.nanmax(size, axis=1)),
        "pushed_trials": len(found.trials) + found.left_out,
        "against_same_trial": (found.against == "same trial").sum(),
        "against_unperturbed_trials": (found.against == "unperturbed trials").sum(),
        "against_posture": (found.against == "posture").sum(),
        "against_nothing": found.left_out,
    }
    text = (
        "The figure shows the hand's position minus that of the same reach without its push, from "
        "the beginning of the push on. The reach without the push is that of the same trial, the "
        "mean of unperturbed trials with the same start and target, or the posture that was held. "
        "Trials with none of them are left out."
    )
    return Findings(text, numbers, {"deviations": partial(plot_deviations, found)})


SECTION = SectionSpec(
    "deviations",
    "Deviation after a push",
    110,
    _section,
    in_parts=True,
    reading="Each line is how far the hand is off the reach without its push; that reach is the "
    "reference, and there is no null.",
)
