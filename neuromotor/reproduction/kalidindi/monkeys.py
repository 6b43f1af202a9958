"""The study's monkeys, analysed as the networks are, from a folder of its public recordings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor.analysis import (
    Rotations,
    posture_answers,
    posture_recordings,
    posture_rotations,
    reach_muscle_tuning,
)
from neuromotor.analysis.rotation_nulls import CovarianceMatched, covariance_matched_test
from neuromotor.analysis.tuning import Tuning
from neuromotor.plants.muscles import MUSCLES
from neuromotor.reproduction.kalidindi.measure import answer_of_hand, preferred_deg
from neuromotor.tasks import PostureLoads

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CORTEX", "MUSCLE_GROUPS", "Monkeys", "monkeys_of"]

CORTEX = "motor cortex "  # begins the name of a recording of it
# The model's muscle that each recorded one belongs to, in the abbreviations of the files: ours.
MUSCLE_GROUPS = {
    **dict.fromkeys(("PM", "DA"), MUSCLES[0]),  # pectoralis major, anterior deltoid
    **dict.fromkeys(("DP", "DMm"), MUSCLES[1]),  # posterior and middle deltoid
    **dict.fromkeys(("Br", "Brd", "Brad"), MUSCLES[2]),  # brachioradialis
    "TLat": MUSCLES[3],  # lateral triceps
    **dict.fromkeys(("BiL", "BiS"), MUSCLES[4]),  # biceps, long and short head
    "TLo": MUSCLES[5],  # long triceps
}


@dataclass(frozen=True)
class Monkeys:
    """What the recordings in a folder show.

    Attributes:
        rotations: Of each recording by name, as `motor cortex P`.
        matched: The same against covariance-matched permutations.
        cortex: Motor cortex of each monkey.
        hands: By monkey, how far the hand was pushed (cm), and when it turned (ms).
        muscles: By monkey and muscle, the load (deg) that it answers most.
        reach_muscles: Tuning of another monkey's muscles to the direction of reaches; None where
            the folder has no such file.
    """

    rotations: dict[str, Rotations] = field(default_factory=dict)
    matched: dict[str, CovarianceMatched] = field(default_factory=dict)
    cortex: dict[str, xr.Dataset] = field(default_factory=dict)
    hands: dict[str, tuple[float, float]] = field(default_factory=dict)
    muscles: dict[str, dict[str, float]] = field(default_factory=dict)
    reach_muscles: Tuning | None = None


def monkeys_of(folder: Path, surrogates: int) -> Monkeys:
    """Return what the recordings in a folder show.

    The position of the hand is that of the model's arm at the monkey's joint angles.

    Args:
        folder: See `neuromotor.analysis.posture_recordings`; EMG.mat (`reach_muscle_tuning`) may
            lie in it too.
        surrogates: Surrogates of each null.
    """
    recordings = posture_recordings(folder)
    rotations = posture_rotations(folder, surrogates=surrogates)
    matched = {}
    for name, found in rotations.items():
        variable: str | tuple[str, ...] = "rate"
        if name.startswith("muscles"):
            variable = "command"
        elif name.startswith("kinematics"):
            variable = ("joint_position", "joint_velocity")
        matched[name] = covariance_matched_test(
            recordings[name],
            variable,
            components=len(found.skew),
            permutations=max(surrogates, 1),
        )
    hands, muscles = {}, {}
    for monkey, answer in posture_answers(folder).items():
        if answer.joints is not None:
            hands[monkey] = answer_of_hand(_hand(answer.joints), answer.step_s)
        if answer.muscles:
            loads = preferred_deg(answer.activity)
            muscles[monkey] = dict(zip(answer.muscles, loads.tolist(), strict=True))
    emg = next(iter(sorted(folder.rglob("EMG.mat"))), None)
    return Monkeys(
        rotations=rotations,
        matched=matched,
        cortex={
            name: own
            for name, own in recordings.items()
            if name.startswith(CORTEX) and not name.endswith("all")
        },
        hands=hands,
        muscles=muscles,
        reach_muscles=None if emg is None else reach_muscle_tuning(emg),
    )


def _hand(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Position (m) of the hand of the study's model arm at joint angles (rad), (loads, T, 2)."""
    plant = PostureLoads().plant
    states = np.zeros((*joints.shape[:2], plant.state_size))
    states[..., :2] = joints
    return np.asarray(plant.hand_position(torch.from_numpy(states)).numpy(), np.float64)
