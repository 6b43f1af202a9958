"""Reaches in eight directions at three speeds: straight paths with one bell of speed.

Sources: Morasso (1981); Abend, Bizzi & Morasso (1982); Atkeson & Hollerbach (1985), whose measure
of curvature, and of the same shape after scaling in time and size, are used here; Flash & Hogan
(1985), whose minimum jerk has peak / mean speed 1.875.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_numbers, check_positive
from neuromotor.analysis.measures import (
    movement_times,
    path_curvature,
    profile_differences,
    speed_profiles,
)
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.reaching import hand_and_speed, targets_about, trial_interval
from neuromotor.experiments.session import Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["StraightReaches"]

_HOLD_S = 0.2  # after the time of arrival: what noise leaves to correct


@dataclass(frozen=True)
class StraightReaches(Experiment):
    """Reaches from home in even directions, each in several given times.

    Attributes:
        directions: Number of directions.
        distance_m: Of the targets (m).
        arrivals_s: Times that are given (s).
        repeats: Trials of each direction and time.
    """

    directions: int = 8
    distance_m: float = 0.15
    arrivals_s: tuple[float, ...] = (0.4, 0.5, 0.7)
    repeats: int = 10

    title: ClassVar[str] = "Straight reaches"
    question: ClassVar[str] = (
        "Reaches in eight directions at three speeds. Are their paths straight, and does speed "
        "rise and fall once, in one shape for all?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "curvature", "largest deviation of a path over its length", "%", 0, 8, 20, "people",
            "Morasso 1981; Atkeson & Hollerbach 1985", about=True,
        ),
        Nature(
            "peak to mean", "peak over mean speed", "", 1.75, 2.0, 1.5, "people",
            "Flash & Hogan 1985", about=True,
        ),
        Nature(
            "peak at", "time of the peak in the movement", "%", 38, 52, 60, "people",
            "Atkeson & Hollerbach 1985", about=True,
        ),
        Nature(
            "shape", "area between shapes at different speeds", "%", 0, 12, 21.5, "people",
            "Atkeson & Hollerbach 1985", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_integer("directions", self.directions, minimum=2)
        check_positive("distance_m", self.distance_m, "m")
        check_numbers("arrivals_s", self.arrivals_s, "seconds")
        if len(self.arrivals_s) < 2:
            raise ValueError(
                "`arrivals_s` must hold two times or more, since shapes are compared between "
                f"them, got {self.arrivals_s!r}."
            )
        check_integer("repeats", self.repeats, minimum=1)

    def quick(self) -> Self:
        """Return the same with four directions and four repeats."""
        return replace(self, directions=4, repeats=4)

    def conduct(self, session: Session) -> Findings:
        """Run all directions at all speeds; see `Experiment.conduct`."""
        dt_s = session.world.plant.dt_s
        task = replace(session.world, steps=round((max(self.arrivals_s) + _HOLD_S) / dt_s))
        targets = targets_about(task.home, [self.distance_m], self.directions)
        times = torch.tensor(self.arrivals_s).double().repeat_interleave(len(targets))
        trials = task.reaches(targets.repeat(len(self.arrivals_s), 1), arrival_s=times)
        run = session.run(task, task.with_noise(trials, session.generator(), self.repeats))
        return self.measured(*hand_and_speed(run), dt_s)

    def measured(
        self, hand: NDArray[np.float64], speed: NDArray[np.float64], dt_s: float
    ) -> Findings:
        """Return what reaches show.

        Args:
            hand: Hand positions (m), (B, T, 2): times slowest, then directions, then repeats.
            speed: Their speeds (m/s), (B, T).
            dt_s: Time between samples (s).
        """
        times = movement_times(hand, dt_s, speed=speed)
        profiles = speed_profiles(hand, dt_s, speed=speed, times=times)
        scaled = profiles.scaled.reshape(len(self.arrivals_s), self.directions, self.repeats, -1)
        shapes = _mean(scaled, 2)  # of each time and direction
        apart = [profile_differences(shapes[:, way]) for way in range(self.directions)]
        first = [way * self.repeats for way in range(len(self.arrivals_s) * self.directions)]
        return Findings(
            measures={
                "curvature": trial_interval(100 * path_curvature(hand, dt_s, times)),
                "peak to mean": trial_interval(profiles.peak_to_mean),
                "peak at": trial_interval(100 * profiles.peak_at),
                "shape": trial_interval(100 * np.concatenate(apart)),
            },
            data={
                "paths_m": hand[first],
                "scaled": _mean(shapes, 1),
                "arrivals_s": np.array(self.arrivals_s),
            },
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw paths, and the shapes of speed on one scale of time and size."""
        paths, shapes = figure.subplots(1, 2)
        for path in 100 * found.data["paths_m"]:
            paths.plot(*path.T, color="0.3", lw=0.6)
        paths.set_aspect("equal", adjustable="datalim")
        paths.set_xlabel("x (cm)")
        paths.set_ylabel("y (cm)")
        share = np.linspace(0, 100, found.data["scaled"].shape[1])
        for arrival, shape in zip(found.data["arrivals_s"], found.data["scaled"], strict=True):
            shapes.plot(share, shape, label=f"{1000 * arrival:.0f} ms")
        s = share / 100
        shapes.plot(share, 30 * s**2 * (1 - s) ** 2, color="0.6", ls="--", label="minimum jerk")
        shapes.set_xlabel("share of the movement (%)")
        shapes.set_ylabel("speed / mean speed")
        shapes.set_ylim(0, None)
        shapes.legend(frameon=False, fontsize=6, loc="lower center")


def _mean(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return means over what is known; NaN where nothing is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, values, 0.0).sum(axis) / known.sum(axis)
    return np.asarray(mean, np.float64)


EXPERIMENTS["straight-reaches"] = StraightReaches()
