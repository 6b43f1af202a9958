"""Ellipses that are traced: speed falls where the path is curved, by the two-thirds power law.

Sources: Viviani & Terzuolo (1982) and Lacquaniti, Terzuolo & Viviani (1983): speed goes with
curvature to the power of -1/3, angular speed to that of 2/3. People draw at their own pace; here
the time of a lap is given, and the pace within it is free (`EllipseTracing`). A network is not told
the path but its points, the ends of the axes, one after another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_positive
from neuromotor.analysis.measures import MovementTimes, power_law
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import CannotBeAskedError, Findings, Nature
from neuromotor.experiments.reaching import trial_interval
from neuromotor.experiments.session import Session
from neuromotor.experiments.subjects import OptimalForEver
from neuromotor.experiments.tracing import EllipseTracing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TwoThirdsPowerLaw"]

_SMOOTHING_S = 0.1  # of the local cubics that give speed and curvature


@dataclass(frozen=True)
class TwoThirdsPowerLaw(Experiment):
    """Laps round ellipses in several directions; the first and the last half lap do not count.

    Attributes:
        half_axes_m: Half axes of the ellipses (m).
        turns_deg: Directions of the long axes, from x (deg).
        lap_s: Time of a lap (s).
        laps: Number of laps.
        repeats: Trials of each direction.
    """

    half_axes_m: tuple[float, float] = (0.08, 0.03)
    turns_deg: tuple[float, ...] = (45.0, 135.0)
    lap_s: float = 1.0
    laps: int = 3
    repeats: int = 10

    title: ClassVar[str] = "Two-thirds power law"
    question: ClassVar[str] = (
        "An ellipse is traced lap after lap. With which power of the path's curvature does speed "
        "fall?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "exponent", "exponent of speed over curvature", "", -0.38, -0.28, 0, "people",
            "Lacquaniti et al. 1983", about=True,
        ),
        Nature(
            "correlation", "correlation of log speed with log curvature", "", -1, -0.8, 0, "people",
            "Lacquaniti et al. 1983", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for half in self.half_axes_m:
            check_positive("half_axes_m", half, "m")
        check_positive("lap_s", self.lap_s, "seconds")
        check_integer("laps", self.laps, minimum=2)
        check_integer("repeats", self.repeats, minimum=1)
        if not self.turns_deg:
            raise ValueError("`turns_deg` must hold one direction or more, got none.")

    def quick(self) -> Self:
        """Return the same with one direction, two laps and four repeats."""
        return replace(self, turns_deg=self.turns_deg[:1], laps=2, repeats=4)

    def conduct(self, session: Session) -> Findings:
        """Trace all ellipses; see `Experiment.conduct`."""
        by_points = session.subject.heeds("paths")
        if not (session.subject.takes_costs or by_points):
            raise CannotBeAskedError("it is told of a target, and of no path.")
        if isinstance(session.subject, OptimalForEver):
            raise CannotBeAskedError("it has no clock, by which laps are traced.")
        paths = []
        for turn in self.turns_deg:
            task = EllipseTracing.of(session.world, self.half_axes_m, turn, self.lap_s, self.laps)
            path = task.by_points() if by_points else task.traced()
            trials = task.with_noise(path, session.generator(), self.repeats)
            paths.append(np.asarray(session.run(task, trials).hand, np.float64))
        return self.measured(np.concatenate(paths), session.world.plant.dt_s)

    def measured(self, hand: NDArray[np.float64], dt_s: float) -> Findings:
        """Return the exponent of the power law.

        Args:
            hand: Hand positions (m), (B, T, 2), of trials of all laps.
            dt_s: Time between samples (s).
        """
        half = 0.5 * self.lap_s
        inner = MovementTimes(
            np.full(len(hand), half), np.full(len(hand), self.laps * self.lap_s - half)
        )
        found = power_law(hand, dt_s, times=inner, smoothing_s=_SMOOTHING_S)
        angular = trial_interval(found.angular_exponent).value
        return Findings(
            measures={
                "exponent": trial_interval(found.exponent),
                "correlation": trial_interval(found.correlation),
            },
            data={
                "paths_m": hand,
                "speed_m_s": np.where(found.counts, found.speed_m_s, np.nan),
                "curvature_per_m": np.where(found.counts, found.curvature_per_m, np.nan),
            },
            remarks=()
            if angular is None
            else (f"The exponent of angular speed is {angular:.3f}; people have 2/3.",),
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw the paths, and speed over curvature on logarithmic axes."""
        paths, law = figure.subplots(1, 2)
        for path in 100 * found.data["paths_m"]:
            paths.plot(*path.T, color="0.3", lw=0.4)
        paths.set_aspect("equal", adjustable="datalim")
        paths.set_xlabel("x (cm)")
        paths.set_ylabel("y (cm)")
        curvature, speed = found.data["curvature_per_m"], found.data["speed_m_s"]
        known = np.isfinite(curvature) & np.isfinite(speed)
        law.loglog(curvature[known], 100 * speed[known], ".", ms=1, color="C0")
        if known.any():
            ends = np.array([curvature[known].min(), curvature[known].max()])
            middle = np.exp(np.log(curvature[known]).mean()), np.exp(np.log(speed[known]).mean())
            line = 100 * middle[1] * (ends / middle[0]) ** (-1 / 3)
            law.loglog(ends, line, color="0.5", ls="--", label="-1/3")
            law.legend(frameon=False)
        law.set_xlabel("curvature (1/m)")
        law.set_ylabel("speed (cm/s)")


EXPERIMENTS["power-law"] = TwoThirdsPowerLaw()
