"""Units of a network that holds a posture against loads: two clusters of preferred loads.

Sources: Cabel, Cisek & Scott (2001) and Herter, Kurtzer, Cabel, Haunts & Scott (2007), neurons of
motor cortex of monkeys that held a posture against torques at shoulder and elbow: their preferred
loads were near 120 and 300 degrees in the plane of shoulder (x) and elbow (y) torque. Lillicrap &
Scott (2013): networks that control such a limb have it too. An axis alone shows nothing about
mechanics, since a linear limb gives one too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_number, check_positive
from neuromotor.analysis import cosine_tuning
from neuromotor.evaluation.bootstrap import Interval, percentile_interval
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.reaching import directions
from neuromotor.experiments.session import Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PostureUnits"]

_LEVEL = 0.05  # of Rayleigh's test: an axis that is not there has no direction
_BOOTSTRAPS = 1000
_FEWEST = 4  # units that have an axis
_MONKEYS_DEG = 120.0  # and the opposite, 300


@dataclass(frozen=True)
class PostureUnits(Experiment):
    """A posture at home that is held against constant torques in even directions.

    Attributes:
        loads: Number of directions in the plane of shoulder and elbow torque.
        load_nm: Size of the torques (N m).
        onset_s: When they come (s).
        settled_s: How long after that rates are taken from (s).
        duration_s: How long a trial lasts (s).
        repeats: Trials of each load.
    """

    loads: int = 8
    load_nm: float = 0.5
    onset_s: float = 0.2
    settled_s: float = 0.4
    duration_s: float = 1.0
    repeats: int = 10

    title: ClassVar[str] = "Posture-related units"
    question: ClassVar[str] = (
        "A posture is held against torques at shoulder and elbow. Which loads do the units of a "
        "network prefer?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "two clusters", "resultant of doubled preferred directions", "", 0.25, 1, 0, "monkeys",
            "Cabel, Cisek & Scott 2001; Herter et al. 2007", about=True,
        ),
        Nature(
            "axis", "axis of preferred loads, off that of monkeys", "deg", 0, 20, 45, "monkeys",
            "Cabel, Cisek & Scott 2001; Herter et al. 2007", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_integer("loads", self.loads, minimum=4)
        check_positive("load_nm", self.load_nm, "N m")
        for name in ("onset_s", "settled_s"):
            check_number(name, getattr(self, name), "seconds", minimum=0.0)
        if not self.onset_s + self.settled_s < self.duration_s:
            raise ValueError(
                f"`duration_s` must be longer than {self.onset_s + self.settled_s:g} s, the onset "
                f"and the time to settle, got {self.duration_s!r}."
            )
        check_integer("repeats", self.repeats, minimum=1)

    def quick(self) -> Self:
        """Return the same with three repeats."""
        return replace(self, repeats=3)

    def conduct(self, session: Session) -> Findings:
        """Run all loads; see `Experiment.conduct`."""
        dt_s = session.world.plant.dt_s
        task = replace(session.world, steps=round(self.duration_s / dt_s))
        still = task.reaches(task.home.expand(self.loads, 2), arrival_s=0.0)
        on = torch.arange(task.steps) >= round(self.onset_s / dt_s)
        load = self.load_nm * directions(self.loads)[:, None] * on[:, None]
        trials = replace(still, load=load)
        run = session.run(task, task.with_noise(trials, session.generator(), self.repeats))
        rates = np.asarray(run.rates(), np.float64)
        number = np.arange(self.loads, dtype=np.float64).repeat(self.repeats)
        angle = 2 * math.pi / self.loads * number
        settled = round((self.onset_s + self.settled_s) / dt_s)
        return self.measured(angle, rates[:, settled:].mean(1), session.seed)

    def measured(
        self, angle: NDArray[np.float64], rates: NDArray[np.float64], seed: int = 0
    ) -> Findings:
        """Return what loads units prefer.

        Args:
            angle: Direction of each trial's load (rad), (B,).
            rates: Mean rates of the units while they hold, (B, N).
            seed: Of the permutations by which units are called tuned.
        """
        tuning = cosine_tuning(angle, rates, bootstraps=0, shuffles=400, seed=seed)
        chosen = np.radians(tuning.direction_deg[tuning.tuned])
        found = tuning.population
        clusters, axis = Interval(0.0, 0.0, 0.0), Interval(None, None, None)
        words = "They have no axis"
        # A resultant is never below zero: without an axis by Rayleigh's test there is none.
        if found.count >= _FEWEST and found.p_axis < _LEVEL:
            generator = np.random.default_rng(seed)
            drawn = chosen[generator.integers(len(chosen), size=(_BOOTSTRAPS, len(chosen)))]
            clusters = percentile_interval(found.axis_resultant, abs(np.exp(2j * drawn).mean(1)))
            off = abs((found.axis_deg - _MONKEYS_DEG + 90) % 180 - 90)
            half = found.axis_interval_deg
            axis = Interval(off, max(off - half, 0.0), off + half)
            words = f"Their axis is {found.axis_deg:.0f} deg (within {half:.0f})"
        return Findings(
            measures={"two clusters": clusters, "axis": axis},
            data={"preferred_rad": chosen, "axis_deg": np.array([found.axis_deg])},
            remarks=(
                f"{found.count} of {rates.shape[1]} units are tuned to the load. {words}; "
                f"Rayleigh's p is {found.p_axis:.2g}.",
            ),
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw how many units prefer each direction of load."""
        ax = figure.subplots(subplot_kw={"projection": "polar"})
        edges = np.linspace(-math.pi, math.pi, 17)
        counts, _ = np.histogram(found.data["preferred_rad"], edges)
        ax.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color="C0")
        if found.measures["axis"].value is not None:
            for turn in (0, 180):
                end = math.radians(found.data["axis_deg"][0] + turn)
                ax.plot([end, end], [0, counts.max()], color="C1")
        ax.set_xticks(np.radians([0, 90, 180, 270]))
        ax.set_xticklabels(["shoulder +", "elbow +", "shoulder -", "elbow -"])
        ax.set_yticks([counts.max()] if counts.any() else [])
        ax.set_title("number of units by the load that they prefer", fontsize=8)


EXPERIMENTS["posture-units"] = PostureUnits()
