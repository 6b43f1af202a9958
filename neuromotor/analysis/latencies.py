"""When a perturbation is answered: the first difference from what would have happened without it.

Each perturbed trial is compared with the first of these that the data allow:

1. the same trial without its perturbation, noise draws included (`unperturbed`);
2. the unperturbed trials of the recording with the same start, targets, cues and force field;
3. its own baseline, where the hand holds still in its target and nothing changed before the load.

With none of them there is no latency, since a change after a load is no answer to it if the trial
would have changed anyway.

Notation: d is the course minus its reference, n the number of trials or samples behind the
reference, s their standard deviation, and nu its degrees of freedom; m is the number of values
times that of the samples that are tested, a the false-alarm rate, and r the correlation of
neighbouring samples of a baseline, over all values.

    an answer is the first sample after the onset with |d| > max(t s sqrt(1 + 1 / n), f max |d|)

t is the quantile 1 - a / (2 m) of Student's distribution: a prediction interval, corrected for the
number of tests (Bonferroni). For trials nu = n - 1; a trial that leaves the interval before its
perturbation is "not quiet". Samples of a baseline hang together, so that they count as
n (1 - r) / (1 + r) of them for their mean and n (1 - r^2) / (1 + r^2) for s (Bartlett 1946, for a
process of first order); nu is 3 or more (our choice). A baseline is quiet where the interval is
narrower than a fifth of the largest difference after the perturbation (our choice): of all values
together, as lengths of vectors, or the trial has no latency, and of each value, or it does not
count. So a drift, a movement under way, or noise as large as the answer give no latency rather than
a late one. The same trial without its perturbation has no spread, s = 0. f is our
choice: rounding for trials, 2 % for a baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from neuromotor._checks import check_fraction
from neuromotor.analysis.layout import RecordingError, sample_at
from neuromotor.analysis.section import Findings, Material, SectionSpec, median
from neuromotor.analysis.unperturbed import perturbed_trials, trials_like

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Latencies", "plot_latency", "response_latency"]

_DRIFT = 0.02  # of the largest difference: what a baseline may move without an answer
_ROUNDING = 1e-6  # of the largest difference
_SAMPLES = 10  # that a baseline needs
_NARROW = 0.2  # of the largest difference: an interval of a baseline that is quiet
_LEAST_FREEDOM = 3.0  # of a baseline, however its samples hang together
_HOLDING_M = 0.01  # the hand holds its posture where it is so near to its target
_DRAWS = ("command_noise", "plant_noise", "signal_noise", "sensory_noise", "unit_noise")
_BASELINE, _NOTHING, _LOUD = "baseline", "nothing", "not quiet"


@dataclass(frozen=True)
class Latencies:
    """When the trials of a recording answer their perturbations, (B,) each.

    Attributes:
        seconds: Time from the perturbation to the first answer of any value; NaN without one.
        against: What the trial was compared with: `same trial`, `unperturbed trials`, `baseline`;
            `nothing` where there is nothing to compare it with or the perturbation lies outside
            the recording, `not quiet` where it differs already before its perturbation, and empty
            where it has no perturbation.
    """

    seconds: NDArray[np.float64]
    against: NDArray[np.str_]

    @property
    def measured(self) -> NDArray[np.bool_]:
        """The trials that could be compared with something."""
        return ~np.isin(self.against, ["", _NOTHING, _LOUD])


class _Reference(NamedTuple):
    """The reference that a trial is compared with."""

    name: str
    mean: NDArray[np.float64]  # (T, D) or (D,)
    spread: NDArray[np.float64] | float  # of one more sample about the mean, the same
    freedom: float  # degrees of freedom of the spread; 0 is exact
    floor: float  # of the largest difference


def response_latency(
    recording: xr.Dataset,
    variable: str = "command",
    *,
    unperturbed: xr.Dataset | None = None,
    false_alarms: float = 0.05,
) -> Latencies:
    """Return how long after each perturbation a variable answers it.

    Args:
        recording: Trials with `perturbation_time`.
        variable: `command`, `rate`, ...
        unperturbed: The same trials, one for one, without their perturbations: for a network
            `record(task, controller, parameters, trials.without_loads())`.
        false_alarms: Share of trials without an answer that may seem to give one.

    Raises:
        RecordingError: Perturbations or the variable are missing, `unperturbed` does not fit, or
            there is nothing that any trial can be held against.
        ValueError: `false_alarms` is no fraction.
    """
    perturbed = perturbed_trials(recording, variable, unperturbed)
    check_fraction("false_alarms", false_alarms)
    values = recording[variable].values.astype(np.float64)
    time, onsets = recording["time"].values, recording["perturbation_time"].values
    seconds = np.full(len(values), np.nan)
    against = np.where(perturbed, _NOTHING, "").astype("<U18")
    for trial in np.flatnonzero(perturbed).tolist():
        onset = sample_at(time, onsets[trial])
        if onset is None:
            continue
        if unperturbed is not None:
            same = unperturbed[variable].values[trial].astype(np.float64)
            reference: _Reference | None = _Reference("same trial", same, 0.0, 0, _ROUNDING)
        else:
            reference = _trials(recording, values, trial, onset)
            if reference is None:
                reference = _baseline(recording, values[trial], trial, onset)
        if reference is None:
            continue
        course = values[trial]
        difference = np.abs(course - reference.mean)
        limits = _limits(reference, course, onset, difference[onset + 1 :].size, false_alarms)
        outside = (difference > limits).any(-1)
        if np.isinf(limits).all() or (reference.name != _BASELINE and outside[: onset + 1].any()):
            against[trial] = _LOUD
            continue
        against[trial] = reference.name
        answers = outside[onset + 1 :]
        if answers.any():
            seconds[trial] = time[onset + 1 + int(answers.argmax())] - time[onset]
    found = Latencies(seconds, against)
    if not found.measured.any():
        loud = int((against == _LOUD).sum())
        why = "none holds still before it for long enough"
        if loud:
            why = f"{loud} are not quiet: they change before it nearly as much as after it"
        raise RecordingError(
            f"there is nothing to hold the {perturbed.sum()} perturbed trials against: no "
            f"unperturbed trial has the same start and target, and {why}. Record unperturbed "
            "trials too, let the perturbation come later, or, for a network, give the controller "
            "(`--controller`; in Python `unperturbed`)."
        )
    return found


def _limits(
    reference: _Reference, course: NDArray[np.float64], onset: int, tests: int, false_alarms: float
) -> NDArray[np.float64]:
    """Return how far a course (T, D) may be from its reference, (T, D) or (D,)."""
    largest = np.abs(course - reference.mean)[onset:].max(0)
    limits = np.asarray(reference.floor * largest)
    if reference.freedom:
        wide = student.ppf(1 - false_alarms / (2 * max(tests, 1)), reference.freedom)
        limits = np.maximum(limits, wide * reference.spread)
    if reference.name == _BASELINE:
        farthest = np.linalg.norm(course - reference.mean, axis=-1)[onset:].max()
        quiet = np.linalg.norm(limits) <= _NARROW * farthest
        limits = np.where(quiet & (limits <= _NARROW * largest), limits, np.inf)
    return limits


def _trials(
    recording: xr.Dataset, values: NDArray[np.float64], trial: int, onset: int
) -> _Reference | None:
    """Return the reference of the unperturbed trials that are like one in all else."""
    chosen = values[trials_like(recording, trial)]
    if not len(chosen):
        return None
    if len(chosen) > 1:
        spread = chosen.std(0, ddof=1) * np.sqrt(1 + 1 / len(chosen))
        freedom = len(chosen) - 1
        return _Reference("unperturbed trials", chosen.mean(0), spread, freedom, _ROUNDING)
    # One trial says nothing of the noise, so it counts only where there is none.
    if any(f"trials_{name}" in recording for name in _DRAWS):
        return None
    if "trials_initial_state" not in recording and onset + 1 < _SAMPLES:
        return None  # not simulated here, and too short to see that there is none
    difference = np.abs(values[trial] - chosen[0])
    if (difference[: onset + 1] > _ROUNDING * difference.max(0)).any():
        return None
    return _Reference("unperturbed trials", chosen[0], 0.0, 0, _ROUNDING)


def _baseline(
    recording: xr.Dataset, course: NDArray[np.float64], trial: int, onset: int
) -> _Reference | None:
    """Return the reference of a trial's own course before its perturbation, if the hand holds."""
    if onset + 1 < _SAMPLES:
        return None
    time = recording["time"].values[onset]
    for name in ("target_time", "go_time"):
        if name in recording and recording[name].values[trial] > time:
            return None  # what the trial does afterwards may be its movement
    if "target_position" in recording and "hand_position" in recording:
        hand = recording["hand_position"].values[trial, onset]
        if np.linalg.norm(recording["target_position"].values[trial] - hand) > _HOLDING_M:
            return None
    before = course[: onset + 1]
    count, mean = onset + 1, before.mean(0)
    away = before - mean
    total = float((away**2).sum())
    r = float((away[1:] * away[:-1]).sum()) / total if total > 0 else 0.0
    r = min(max(r + (1 + 4 * r) / count, 0.0), 0.95)  # a short baseline hides some of it
    size = max(count * (1 - r) / (1 + r), 2.0)
    freedom = max(count * (1 - r**2) / (1 + r**2) - 1, _LEAST_FREEDOM)
    # Samples that hang together lie nearer to their own mean than to the true one.
    variance = (away**2).mean(0) / (1 - 1 / size)
    return _Reference(_BASELINE, mean, np.sqrt(variance * (1 + 1 / size)), freedom, _DRIFT)


def plot_latency(found: dict[str, Latencies]) -> Figure:
    """Draw which share of the trials that were measured has responded, over time since the load."""
    from neuromotor.analysis.drawing import panels
    from neuromotor.plotting import COLORS, nested_widths

    with panels(figsize=(3.8, 2.5)) as (figure, ax):
        known = [np.sort(1e3 * r.seconds[np.isfinite(r.seconds)]) for r in found.values()]
        lines = zip(found.items(), known, nested_widths(known), COLORS, strict=False)
        for (name, result), times, width, color in lines:
            share = np.arange(len(times) + 1) / max(int(result.measured.sum()), 1)
            ax.step([0, *times], share, where="post", color=color, linewidth=width, label=name)
        ax.margins(x=0.05)
        ax.set(xlabel="time since load (ms)", ylabel="share responding")
        ax.set_ylim(0, None)
        ax.legend()
    return figure


def _section(given: Material) -> Findings:
    """When torques and units respond to a load."""
    recording = given.recording
    found = {
        name: response_latency(recording, name, unperturbed=given.unperturbed)
        for name in ("command", "rate")
        if name in recording
    }
    numbers = {
        name: {
            "median_s": median(result.seconds),
            "earliest_s": np.nanmin(result.seconds, initial=np.inf),
            "responses": np.isfinite(result.seconds[result.measured]).mean(),
            "perturbed_trials": (result.against != "").sum(),
            "against_same_trial": (result.against == "same trial").sum(),
            "against_unperturbed_trials": (result.against == "unperturbed trials").sum(),
            "against_baseline": (result.against == "baseline").sum(),
            "against_nothing": (result.against == "nothing").sum(),
            "not_quiet_before": (result.against == "not quiet").sum(),
        }
        for name, result in found.items()
    }
    text = (
        "A latency lasts from the perturbation to the first time at which any value of the "
        "variable differs from the same trial without the perturbation, from unperturbed trials, "
        "or from a quiet baseline, at 5 % false alarms a trial. `responses` is the share of the "
        "trials that could be compared with one of these; the others have no latency."
    )
    return Findings(text, numbers, {"latency": partial(plot_latency, found)})


SECTION = SectionSpec(
    "latency",
    "Response to loads",
    120,
    _section,
    reading="The curve rises where trials begin to answer a load; the null is the same trial "
    "without its load, unperturbed trials, or a quiet baseline.",
)
