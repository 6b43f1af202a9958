"""Schmidt's law: how end points of brief movements in a given time spread.

Source: Schmidt, Zelaznik, Hawkins, Frank & Quinn (1979), single aiming movements over 10 to 30 cm
in 140 to 200 ms: the spread of end points along the movement grew in proportion to distance over
time. Distances here end at 20 cm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_numbers, check_positive
from neuromotor.analysis.measures import fit_line, schmidt_law
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import CannotBeAskedError, Findings, Nature
from neuromotor.experiments.session import Session
from neuromotor.experiments.timed_reaches import over_repeats, reaches_over

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Schmidt"]


@dataclass(frozen=True)
class Schmidt(Experiment):
    """Brief reaches away from the body, over each distance in each time.

    Attributes:
        distances_m: Of the targets (m).
        times_s: Times that are given (s).
        repeats: Trials of each.
    """

    distances_m: tuple[float, ...] = (0.1, 0.15, 0.2)
    times_s: tuple[float, ...] = (0.14, 0.17, 0.2)
    repeats: int = 60

    title: ClassVar[str] = "Schmidt's law"
    question: ClassVar[str] = (
        "Brief reaches go over several distances in given times. How does the spread of their end "
        "points along the movement grow with distance over time?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "exponent", "power of speed with which the spread grows", "", 0.6, 1.3, 0, "people",
            "Schmidt et al. 1979", about=True,
        ),
        Nature(
            "correlation", "correlation of spread and speed", "", 0.9, 1, 0, "people",
            "Schmidt et al. 1979", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("distances_m", "times_s"):
            check_numbers(name, getattr(self, name))
            for one in getattr(self, name):
                check_positive(name, one)
        if len(set(self._speeds().round(9))) < 3:
            raise ValueError(
                "`distances_m` and `times_s` must give three different mean speeds or more, got "
                f"{sorted(set(self._speeds().round(3)))} m/s."
            )
        check_integer("repeats", self.repeats, minimum=4)

    def quick(self) -> Self:
        """Return the same with 20 repeats."""
        return replace(self, repeats=20)

    def conduct(self, session: Session) -> Findings:
        """Reach in each time; see `Experiment.conduct`."""
        if not session.subject.has_clock:
            raise CannotBeAskedError("it has no clock, so that it cannot move in a given time.")
        ends = []
        for place, given in enumerate(self.times_s):
            session.say(f"schmidt: {1000 * given:.0f} ms")
            done = reaches_over(session, self.distances_m, given, self.repeats, stream=place)
            ends.append(done.at_arrival_m)
        table = np.stack(ends, axis=1)  # (D, S, R)

        def law(which: NDArray[np.int64]) -> tuple[float, float]:
            return self._law(table[..., which].std(-1, ddof=1).ravel())

        exponent, correlation = over_repeats(law, self.repeats)
        return Findings(
            measures={"exponent": exponent, "correlation": correlation},
            data={"speed_m_s": self._speeds(), "spread_m": table.std(-1, ddof=1).ravel()},
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw the spread of end points over mean speed, a mark for each distance."""
        ax = figure.subplots()
        speed = found.data["speed_m_s"].reshape(len(self.distances_m), -1)
        spread = 1000 * found.data["spread_m"].reshape(speed.shape)
        for far, across, up in zip(self.distances_m, speed, spread, strict=True):
            ax.plot(100 * across, up, "o", label=f"{100 * far:.0f} cm")
        line = fit_line(speed.ravel(), spread.ravel())
        ends = np.array([0.0, speed.max()])
        ax.plot(100 * ends, line.intercept + line.slope * ends, color="0.5", lw=0.8)
        ax.set_ylim(bottom=0)
        ax.set_xlabel("distance / time (cm/s)")
        ax.set_ylabel("SD of end points along the movement (mm)")
        ax.legend(frameon=False)

    def _speeds(self) -> NDArray[np.float64]:
        """Mean speeds that are asked for (m/s), (D S,)."""
        return np.divide.outer(self.distances_m, self.times_s).ravel()

    def _law(self, spread_m: NDArray[np.float64]) -> tuple[float, float]:
        """Exponent and correlation of spreads (m), (D S,)."""
        if not (spread_m > 0).all():
            return float("nan"), float("nan")
        far, given = np.meshgrid(self.distances_m, self.times_s, indexing="ij")
        line = schmidt_law(far.ravel(), given.ravel(), spread_m)
        power = fit_line(np.log(self._speeds()), np.log(spread_m)).slope
        if np.isnan(line.r2):  # spreads do not vary
            return 0.0, 0.0
        return power, float(np.sign(line.slope) * np.sqrt(max(line.r2, 0.0)))


EXPERIMENTS["schmidt"] = Schmidt()
