"""Measures of how the hand answers a load, such as its displacement and the time to settle.

Deviation is the hand's distance from where it would be in the same trial without the load, same
noise draws included, so that a load in the middle of a reach is measured like one at rest. Where a
trial begins in its target it is the distance from there: a controller trained on loads alone need
not hold still without one.
Displacement after fixed times is what work on long-latency feedback reports (Kalidindi et al.
2021); the thresholds below are our choice.

Notation: s is the deviation along the direction of its largest value, as a fraction of that value.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from neuromotor.plants.plant import Plant
from neuromotor.storage.files import finite_or_none
from neuromotor.tasks import Trials

__all__ = [
    "OVERSHOOT",
    "SETTLED",
    "TIMES_MS",
    "LoadResponse",
    "correction_latencies",
    "load_onsets",
    "load_response",
]

TIMES_MS = (100, 200, 300, 500)  # after load onset
SETTLED = 0.1  # of the largest deviation: what lies within it for good has settled
OVERSHOOT = 0.05  # of the largest deviation: what swings beyond it counts


@dataclass(frozen=True)
class LoadResponse:
    """Responses of the loaded trials of a batch.

    Attributes:
        trials: Number of loaded trials.
        displacement_cm: Mean deviation (cm) by time after onset (ms), over the trials that last so
            long; None where none does.
        peak_cm: Mean of the largest deviation (cm).
        settling_ms: Median time (ms) from onset to when the deviation stays within 10 % of its
            largest value; None where half of the trials or more never settle.
        settled: Fraction of trials that settle before they end.
        overshoot_percent: Mean of the largest swing to the other side, in % of the largest
            deviation.
        oscillations: Mean number of swings beyond 5 % of the largest deviation, to alternating
            sides, after that deviation: 1 is a single overshoot, more is ringing.
        oscillations_max: Largest such number in any trial.
        end_error_cm: Mean distance (cm) of the hand from its target at the last step.
    """

    trials: int
    displacement_cm: dict[str, float | None]
    peak_cm: float
    settling_ms: float | None
    settled: float
    overshoot_percent: float
    oscillations: float
    oscillations_max: int
    end_error_cm: float

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers by name, for tables and JSON."""
        return asdict(self)


def load_onsets(trials: Trials) -> Tensor:
    """Return the first step in which something acts on the limb, (B,); -1 where nothing does.

    Args:
        trials: B trials; see `Trials.acting`.
    """
    loaded = trials.acting()
    if loaded is None:
        return torch.full((len(trials),), -1, device=trials.device)
    return torch.where(loaded.any(1), loaded.int().argmax(1), -1)


def correction_latencies(
    trials: Trials, commands: Tensor, unloaded: Tensor, dt_s: float, *, fraction: float = 0.05
) -> Tensor:
    """Return how long after its onset commands begin to answer a load on the joints (ms), (B,).

    They do at the first step at which they differ from those of the same trial without the load by
    more than a fraction of the load, both as lengths of torque vectors; a command that acts from
    step k on counts as given at k. NaN in trials without load or answer.

    Args:
        trials: B trials with `load`.
        commands: (B, T, m).
        unloaded: Commands of the same trials without loads, (B, T, m).
        dt_s: Step length (s).
        fraction: Of the trial's largest load.

    Raises:
        ValueError: The trials have no `load`, or commands are in other coordinates than loads.
    """
    if trials.load is None:
        raise ValueError("`trials` must have a `load` on the joints, got none.")
    if commands.shape[-1] != trials.load.shape[-1]:
        raise ValueError(
            "`commands` must be torques in the coordinates of the load, got "
            f"{commands.shape[-1]} of them for loads of {trials.load.shape[-1]} numbers."
        )
    onsets = load_onsets(trials)
    limit = fraction * trials.load.norm(dim=-1).amax(-1, keepdim=True)
    step = torch.arange(commands.shape[1], device=commands.device)
    answers = ((commands - unloaded).norm(dim=-1) > limit) & (step >= onsets[:, None])
    found = answers.any(-1) & (onsets >= 0)
    late = (answers.int().argmax(-1) - onsets).double() * 1e3 * dt_s
    return torch.where(found, late, math.nan)


def load_response(
    plant: Plant, trials: Trials, states: Tensor, unloaded: Tensor
) -> LoadResponse | None:
    """Return how the hand answered the loads, or None where no trial has one or one flew off.

    Args:
        plant: What moved.
        trials: B trials.
        states: (B, T + 1, n).
        unloaded: States of the same trials without loads (`Trials.without_loads`), (B, T + 1, n).
    """
    onsets = load_onsets(trials)
    which = torch.nonzero(onsets >= 0).squeeze(-1)
    if len(which) == 0:
        return None
    with torch.no_grad():
        hand = plant.hand_position(states)
        target = plant.hand_position(trials.end)
        holding = (trials.initial_state == trials.end).all(-1)
        path = torch.where(holding[:, None, None], target[:, None], plant.hand_position(unloaded))
        deviations = 100 * (hand - path)[which]  # cm
        error = (hand[:, -1] - target)[which]
    if not bool(torch.isfinite(deviations).all()):
        return None
    ms = 1e3 * plant.dt_s
    single = [
        _trial_response(deviation[onset:].double().cpu(), ms)
        for deviation, onset in zip(deviations, onsets[which].tolist(), strict=True)
    ]
    displacement: dict[str, float | None] = {}
    for time in TIMES_MS:
        at = [one.size[k] for one in single if (k := round(time / ms)) < len(one.size)]
        displacement[str(time)] = statistics.fmean(at) if at else None
    settling = statistics.median(one.settling_ms for one in single)
    return LoadResponse(
        trials=len(which),
        displacement_cm=displacement,
        peak_cm=statistics.fmean(max(one.size) for one in single),
        settling_ms=finite_or_none(settling),
        settled=statistics.fmean(math.isfinite(one.settling_ms) for one in single),
        overshoot_percent=100 * statistics.fmean(one.overshoot for one in single),
        oscillations=statistics.fmean(one.oscillations for one in single),
        oscillations_max=max(one.oscillations for one in single),
        end_error_cm=100 * float(error.norm(dim=-1).mean()),
    )


@dataclass(frozen=True)
class _TrialResponse:
    """The response of one trial."""

    size: list[float]  # cm, from onset on
    settling_ms: float  # infinity where it never settles
    overshoot: float  # fraction of the largest deviation
    oscillations: int


def _trial_response(deviation: Tensor, ms: float) -> _TrialResponse:
    """Measure one trial by its deviation (cm) from the onset of the load on, (K, 2)."""
    size = deviation.norm(dim=-1)
    peak = int(size.argmax())
    if size[peak] == 0:
        return _TrialResponse(size.tolist(), 0.0, 0.0, 0)
    outside = torch.nonzero(size > SETTLED * size[peak])
    last = int(outside[-1])
    settling = math.inf if last == len(size) - 1 else (last + 1) * ms
    along = (deviation @ deviation[peak] / size[peak] ** 2)[peak:].tolist()  # s
    side, swings = 1, 0
    for s in along:
        if -side * s > OVERSHOOT:
            side, swings = -side, swings + 1
    return _TrialResponse(size.tolist(), settling, max(0.0, -min(along)), swings)
