"""Reaches in sixteen directions: faster at first, and further, where the hand's inertia is small.

Source: Gordon, Ghilardi, Cooper & Ghez (1994): the first acceleration was greatest perpendicular to
the forearm, where a constant force at the hand moves the limb most; there reaches went further and
took less time. Notation: e is a direction, J the Jacobian of the hand and M the inertia of the
joints; the mobility of the hand along e is e^T J M^-1 J^T e (1/kg), and its inverse the inertia.
What is correlated over directions with one of these is said in the table; the ranges are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_positive
from neuromotor.analysis.measures import StaysInTarget, movement_errors, movement_times
from neuromotor.evaluation.bootstrap import Interval
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.reaching import (
    correlation_interval,
    directions,
    hand_and_speed,
    targets_about,
)
from neuromotor.experiments.session import Session
from neuromotor.tasks import CursorReach

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["InertialAnisotropy", "mobility"]


def mobility(task: CursorReach, ways: torch.Tensor) -> NDArray[np.float64]:
    """Return the acceleration of the hand at home by 1 N along each direction, (C,), in 1/kg.

    Args:
        task: Whose arm it is.
        ways: Unit vectors, (C, 2).
    """
    plant = task.plant
    home = torch.tensor(plant.home, dtype=torch.float64)
    rest = plant.rest_state(home).expand(len(ways), -1)
    nothing = torch.zeros(len(ways), 2, dtype=torch.float64)
    moved = plant.step(rest, nothing, hand_force=ways)
    return np.asarray((plant.hand_velocity(moved) * ways).sum(-1) / plant.dt_s, np.float64)


@dataclass(frozen=True)
class InertialAnisotropy(Experiment):
    """Reaches from home in even directions over one distance, in one's own time.

    Attributes:
        directions: Number of directions.
        distance_m: Of the targets (m).
        duration_s: How long a trial lasts (s).
        repeats: Trials of each direction.
    """

    directions: int = 16
    distance_m: float = 0.1
    duration_s: float = 1.0
    repeats: int = 15

    title: ClassVar[str] = "Inertial anisotropy"
    question: ClassVar[str] = (
        "Reaches in sixteen directions. Are those where the hand's inertia is small faster at "
        "first, shorter in time, and longer in extent?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "acceleration", "correlation of peak acceleration with mobility", "", 0.7, 1, 0,
            "people", "Gordon, Ghilardi, Cooper & Ghez 1994", about=True,
        ),
        Nature(
            "time", "correlation of movement time with inertia", "", 0.5, 1, 0, "people",
            "Gordon, Ghilardi, Cooper & Ghez 1994", about=True,
        ),
        Nature(
            "extent", "correlation of extent with mobility", "", 0.4, 1, 0, "people",
            "Gordon, Ghilardi, Cooper & Ghez 1994", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_integer("directions", self.directions, minimum=4)
        check_positive("distance_m", self.distance_m, "m")
        check_positive("duration_s", self.duration_s, "seconds")
        check_integer("repeats", self.repeats, minimum=1)

    def quick(self) -> Self:
        """Return the same with twelve directions and five repeats."""
        return replace(self, directions=12, repeats=5)

    def conduct(self, session: Session) -> Findings:
        """Run all directions; see `Experiment.conduct`."""
        dt_s = session.world.plant.dt_s
        task = replace(session.world, steps=round(self.duration_s / dt_s))
        targets = targets_about(task.home, [self.distance_m], self.directions)
        trials = task.with_noise(task.reaches(targets), session.generator(), self.repeats)
        hand, speed = hand_and_speed(session.run(task, trials))
        return self.measured(hand, speed, dt_s, mobility(task, directions(self.directions)))

    def measured(
        self,
        hand: NDArray[np.float64],
        speed: NDArray[np.float64],
        dt_s: float,
        moves_by: NDArray[np.float64],
    ) -> Findings:
        """Return what goes with the hand's mobility.

        Args:
            hand: Hand positions (m), (B, T, 2): directions slowest.
            speed: Their speeds (m/s), (B, T).
            dt_s: Time between samples (s).
            moves_by: Mobility of the hand along each direction (1/kg), (directions,).
        """
        targets = targets_about(torch.from_numpy(hand[0, 0]), [self.distance_m], self.directions)
        goal = np.asarray(targets.repeat_interleave(self.repeats, dim=0))
        first = movement_times(hand, dt_s, speed=speed)
        # Speeds of a first movement end where it is slow; corrections are part of the time.
        settled = movement_times(
            hand, dt_s, speed=speed, targets=goal, end=StaysInTarget(0.1 * self.distance_m, 0.1)
        )
        peak = speed.argmax(1)
        rising = np.where(np.arange(speed.shape[1]) <= peak[:, None], speed, 0.0)
        ended = np.isfinite(first.end_s)
        sample = np.where(ended, np.rint(np.nan_to_num(first.end_s) / dt_s), 0).astype(np.int64)
        ends = hand[np.arange(len(hand)), sample]
        along = movement_errors(ends, hand[:, 0], goal)[:, 0]
        rows = {
            "acceleration": np.diff(rising, axis=1).max(1) / dt_s,
            "time": settled.duration_s,
            "extent": np.where(ended, self.distance_m + along, np.nan),
        }
        means = {name: _medians(one, self.directions) for name, one in rows.items()}
        with_what = {"acceleration": moves_by, "time": 1 / moves_by, "extent": moves_by}
        measures: dict[str, Interval] = {
            name: correlation_interval(means[name], with_what[name]) for name in rows
        }
        return Findings(
            measures=measures,
            data=means | {"mobility": moves_by},
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw acceleration, time and extent over direction, beside the hand's mobility."""
        axes = figure.subplots(1, 3, subplot_kw={"projection": "polar"})
        angle = np.append(2 * np.pi / self.directions * np.arange(self.directions), 2 * np.pi)
        moves_by = found.data["mobility"]
        beside = {"acceleration": moves_by, "time": 1 / moves_by, "extent": moves_by}
        for ax, (name, other) in zip(axes, beside.items(), strict=True):
            values = found.data[name]
            ax.plot(angle, np.append(values, values[0]), color="C0", lw=1)
            known = values[np.isfinite(values)]
            scaled = other * (known.mean() if len(known) else 1.0) / other.mean()
            ax.plot(angle, np.append(scaled, scaled[0]), color="0.6", ls="--", lw=0.8)
            ax.set_xticks([])
            ax.set_yticks([])
            ax.set_ylim(0, None)
            ax.set_title(name, fontsize=7)
        figure.supxlabel("line: measured; dashed: mobility of the hand, or its inertia", fontsize=7)


def _medians(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the median of each direction over the trials that have a value, (C,)."""
    rows = values.reshape(count, -1)
    known = [row[np.isfinite(row)] for row in rows]
    return np.array([np.median(one) if len(one) else np.nan for one in known])


EXPERIMENTS["inertial-anisotropy"] = InertialAnisotropy()
