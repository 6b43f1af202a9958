"""Reaches over five distances in one's own time: peak speed and acceleration grow, duration less.

Source: Gordon, Ghilardi & Ghez (1994), whose subjects reached over five distances. Notation: what
is measured goes with the distance D as D^b, and b is the slope of a line through logarithms. Where
the time is always the same, b is 1 for speed and acceleration; where the peak speed is, b is 1 for
the duration. The ranges of b are ours, after their figures and those of Messier & Kalaska (1999).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_positive
from neuromotor.analysis.measures import fit_line, movement_times
from neuromotor.evaluation.bootstrap import Interval
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.reaching import hand_and_speed, targets_about
from neuromotor.experiments.session import Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Amplitude"]


@dataclass(frozen=True)
class Amplitude(Experiment):
    """Reaches from home over several distances, in one's own time.

    Attributes:
        directions: Number of directions.
        distances_m: Of the targets (m).
        duration_s: How long a trial lasts (s).
        repeats: Trials of each distance and direction.
    """

    directions: int = 4
    distances_m: tuple[float, ...] = (0.02, 0.04, 0.08, 0.12, 0.16)
    duration_s: float = 1.0
    repeats: int = 10

    title: ClassVar[str] = "Amplitude"
    question: ClassVar[str] = (
        "Reaches over five distances in one's own time. How do peak speed, peak acceleration and "
        "duration grow with distance?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "speed", "exponent of peak speed over distance", "", 0.5, 0.9, 0, "people",
            "Gordon, Ghilardi & Ghez 1994", about=True,
        ),
        Nature(
            "acceleration", "exponent of peak acceleration over distance", "", 0.25, 0.8, 0,
            "people", "Gordon, Ghilardi & Ghez 1994", about=True,
        ),
        Nature(
            "duration", "exponent of duration over distance", "", 0.1, 0.5, 1, "people",
            "Gordon, Ghilardi & Ghez 1994", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_integer("directions", self.directions, minimum=1)
        if len(set(self.distances_m)) < 2:
            raise ValueError(
                f"`distances_m` must hold two distances or more, got {self.distances_m!r}."
            )
        for far in self.distances_m:
            check_positive("distances_m", far, "m")
        check_positive("duration_s", self.duration_s, "seconds")
        check_integer("repeats", self.repeats, minimum=1)

    def quick(self) -> Self:
        """Return the same with two directions and five repeats."""
        return replace(self, directions=2, repeats=5)

    def conduct(self, session: Session) -> Findings:
        """Run all distances; see `Experiment.conduct`."""
        dt_s = session.world.plant.dt_s
        task = replace(session.world, steps=round(self.duration_s / dt_s))
        targets = targets_about(task.home, self.distances_m, self.directions)
        trials = task.with_noise(task.reaches(targets), session.generator(), self.repeats)
        return self.measured(*hand_and_speed(session.run(task, trials)), dt_s)

    def measured(
        self, hand: NDArray[np.float64], speed: NDArray[np.float64], dt_s: float
    ) -> Findings:
        """Return how speed, acceleration and duration grow.

        Args:
            hand: Hand positions (m), (B, T, 2): distances slowest.
            speed: Their speeds (m/s), (B, T).
            dt_s: Time between samples (s).
        """
        duration = movement_times(hand, dt_s, speed=speed).duration_s
        far = np.repeat(self.distances_m, self.directions * self.repeats)
        rising = np.where(np.arange(speed.shape[1]) <= speed.argmax(1)[:, None], speed, 0.0)
        values = {
            "speed": speed.max(1),
            "acceleration": np.diff(rising, axis=1).max(1) / dt_s,
            "duration": duration,
        }
        means = [_by_distance(one, len(self.distances_m)) for one in values.values()]
        return Findings(
            measures={name: _exponent(far, one) for name, one in values.items()},
            data={
                "distances_m": np.array(self.distances_m),
                "means": np.array(means),
                "time_s": dt_s * np.arange(speed.shape[1], dtype=np.float64),
                "speed_m_s": speed.reshape(len(self.distances_m), -1, speed.shape[1]).mean(1),
            },
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw speeds over time, and what grows with distance."""
        course, growth = figure.subplots(1, 2)
        data = found.data
        for far, speed in zip(data["distances_m"], data["speed_m_s"], strict=True):
            course.plot(1000 * data["time_s"], 100 * speed, label=f"{100 * far:g} cm")
        course.set_xlabel("time (ms)")
        course.set_ylabel("speed (cm/s)")
        course.legend(frameon=False, fontsize=6)
        names = ("peak speed", "peak acceleration", "duration")
        for name, one in zip(names, data["means"], strict=True):
            growth.loglog(100 * data["distances_m"], one / one[0], "o-", ms=3, label=name)
        growth.set_xticks(
            100 * data["distances_m"], [f"{100 * far:g}" for far in data["distances_m"]]
        )
        growth.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
        growth.minorticks_off()
        growth.set_xlabel("distance (cm)")
        growth.set_ylabel("over that of the shortest")
        growth.legend(frameon=False, fontsize=6)


def _exponent(far: NDArray[np.float64], values: NDArray[np.float64]) -> Interval:
    """Return the slope of logarithms with its interval; None where half have no value."""
    known = np.isfinite(values) & (np.nan_to_num(values) > 0)
    if 2 * known.sum() <= len(values) or np.ptp(far[known]) <= 0:
        return Interval(None, None, None)
    line = fit_line(np.log(far[known]), np.log(values[known]))
    return Interval(line.slope, *line.slope_interval)


def _by_distance(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return medians over what is known of each distance, (D,)."""
    rows = values.reshape(count, -1)
    return np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan
                     for row in rows])  # fmt: skip


EXPERIMENTS["amplitude"] = Amplitude()
