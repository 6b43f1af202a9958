"""How far a push takes the hand: its path minus that of the same reach without the push.

The unperturbed reach is, the first that there is:

1. the same trial without its push, noise draws included (`unperturbed`);
2. the mean of the recording's unperturbed trials with the same start, target and cues;
3. the place where the hand was when the push began, if it held still in its target until then.

Trials with none of them are left out: a difference from anything else would hold the reach itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.layout import RecordingError, check_recording

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["HandDeviations", "hand_deviations"]

_NEAR_M = 0.01  # within which starts are the same, and a hand is in its target
_STILL_M = 0.001  # a hand that moves no further holds still
_SAME = ("target_position", "shown_target", "cue", "target_time", "go_time")


@dataclass(frozen=True)
class HandDeviations:
    """The hand's way off its unperturbed reach; P pushed trials, K times.

    Attributes:
        time_s: Times since the push began (s), (K,), some before it.
        trials: Places of the pushed trials in the recording, (P,).
        conditions: Their labels, (P,).
        deviation_m: Hand position minus unperturbed reach, (P, K, 2); NaN where a trial was not
            recorded.
        push_s: How long the push lasts (s), (P,); NaN where the recording has no loads.
        against: What each trial was held against: `same trial`, `unperturbed trials` or `posture`,
            (P,).
        left_out: Pushed trials that there is nothing to hold against.
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
        """Length of the deviations (m), (P, K)."""
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
    check_recording(recording, ["perturbation_time", "hand_position"])
    hand = recording["hand_position"].values.astype(np.float64)
    time, onsets = recording["time"].values, recording["perturbation_time"].values
    pushed = np.flatnonzero(np.isfinite(onsets))
    if not len(pushed):
        raise RecordingError("no trial of the recording is perturbed.")
    if unperturbed is not None:
        check_recording(unperturbed, ["hand_position"])
        if unperturbed["hand_position"].shape != hand.shape:
            raise RecordingError(
                "`unperturbed` must hold the same trials and times, got `hand_position` of shape "
                f"{unperturbed['hand_position'].shape} for {hand.shape}."
            )
    found: list[tuple[int, int, NDArray[np.float64], str]] = []
    for trial in pushed.tolist():
        onset = int(np.abs(time - onsets[trial]).argmin())
        reference: tuple[NDArray[np.float64], str] | None
        if unperturbed is not None:
            reference = unperturbed["hand_position"].values[trial], "same trial"
        else:
            reference = _unpushed(recording, hand, trial) or _posture(recording, hand, trial, onset)
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


def _unpushed(
    recording: xr.Dataset, hand: NDArray[np.float64], trial: int
) -> tuple[NDArray[np.float64], str] | None:
    """The mean of the unperturbed trials that are like one in all else."""
    if "target_position" not in recording:
        return None
    alike = np.isnan(recording["perturbation_time"].values)
    alike &= np.linalg.norm(hand[:, 0] - hand[trial, 0], axis=-1) <= _NEAR_M
    for name in _SAME:
        if name in recording:
            part = recording[name].values.reshape(len(hand), -1)
            alike &= np.isclose(part, part[trial], rtol=1e-6, atol=1e-9, equal_nan=True).all(-1)
    return (hand[alike].mean(0), "unperturbed trials") if alike.any() else None


def _posture(
    recording: xr.Dataset, hand: NDArray[np.float64], trial: int, onset: int
) -> tuple[NDArray[np.float64], str] | None:
    """Where the hand was when the push began, if it had held still in its target until then."""
    if "target_position" not in recording:
        return None
    place = hand[trial, onset]
    held = np.linalg.norm(hand[trial, : onset + 1] - place, axis=-1).max() <= _STILL_M
    near = np.linalg.norm(recording["target_position"].values[trial] - place) <= _NEAR_M
    return (np.broadcast_to(place, hand[trial].shape), "posture") if held and near else None


def _pushed_samples(recording: xr.Dataset, trials: NDArray[np.int64]) -> NDArray[np.float64]:
    """How many samples the first push of each trial lasts; NaN where loads were not recorded."""
    names = [name for name in ("load", "hand_force") if name in recording]
    if not names:
        return np.full(len(trials), np.nan)
    on = np.any([(recording[name].values[trials] != 0).any(-1) for name in names], axis=0)
    since = np.cumsum(on, axis=1) > 0
    return np.asarray((np.cumsum(since & ~on, axis=1) == 0).sum(1) - (~since).sum(1), np.float64)
