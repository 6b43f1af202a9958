"""Reaches whose target jumps aside early, in the middle or late.

Sources: Liu & Todorov (2007), whose targets jumped at 100, 200 or 300 ms of reaches that were to
stop at the target (experiment 1) or to hit it (experiment 2); latencies of responses to targets
that jump: Day & Lyon (2000), Oostwoud Wijdenes, Brenner & Smeets (2014).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from neuromotor._checks import check_integer, check_numbers, check_positive
from neuromotor.analysis.measures import response_onset
from neuromotor.evaluation.bootstrap import Interval, bootstrap_interval
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.perturbed import Probed, jump, reach_away, run_probes
from neuromotor.experiments.session import Session
from neuromotor.tasks import CursorReach, Trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TargetJumps"]


@dataclass(frozen=True)
class TargetJumps(Experiment):
    """Reaches away from the body whose target jumps to the left or right.

    Each trial with a jump has a twin without, with the same draws of noise. The correction is the
    difference of the two, as a share of the jump: at the end where the hand is to stop at the
    target, and at the moment of the arrival where it is only to hit it.

    Attributes:
        distance_m: Of the target (m).
        arrival_s: Time that is given (s).
        jumps_s: When the target jumps (s), early to late.
        jump_m: How far (m), to either side.
        repeats: Trials of each kind.
    """

    distance_m: float = 0.2
    arrival_s: float = 0.7
    jumps_s: tuple[float, ...] = (0.1, 0.3, 0.5)
    jump_m: float = 0.03
    repeats: int = 20

    title: ClassVar[str] = "Target jumps"
    question: ClassVar[str] = (
        "The target jumps aside early, in the middle or late in a reach. How much of the jump does "
        "the hand correct, how soon does it begin, and does it correct more of late jumps where it "
        "need not stop?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "early", "correction of early jumps", "%", 85, 110, 0, "people", "Liu & Todorov 2007",
            about=True,
        ),
        Nature(
            "late less than early", "correction of late less early jumps", "%", -80, -10, 0,
            "people", "Liu & Todorov 2007", about=True,
        ),
        Nature(
            "without a stop", "more correction of late jumps without a stop", "%", 5, 60, 0,
            "people", "Liu & Todorov 2007", about=True,
        ),
        Nature(
            "latency", "latency of the response", "ms", 100, 160, 0, "people",
            "Day & Lyon 2000; Oostwoud Wijdenes et al. 2014", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("distance_m", "arrival_s", "jump_m"):
            check_positive(name, getattr(self, name))
        check_numbers("jumps_s", self.jumps_s, "seconds")
        check_integer("repeats", self.repeats, minimum=2)

    def quick(self) -> Self:
        """Return the same with five repeats."""
        return replace(self, repeats=5)

    def conduct(self, session: Session) -> Findings:
        """Run every jump beside its twin; see `Experiment.conduct`."""
        task, reach = reach_away(session.world, self.distance_m, self.arrival_s)
        stopping = self._jumps(session, task, reach, self.jumps_s)
        towards = stopping.courses(stopping.run.hand)
        share = 100 * towards[..., -1] / self.jump_m  # (jumps, repeats)
        latency = response_onset(*stopping.paired(0, stopping.acceleration))
        measures = {
            "early": bootstrap_interval(share[0]),
            "late less than early": bootstrap_interval(share[-1] - share[0]),
            "latency": _in_ms(latency),
        }
        cannot = {}
        subject = session.subject
        if (subject.takes_costs and subject.has_clock) or subject.heeds("passes"):
            task, passing = reach_away(session.world, self.distance_m, self.arrival_s, stop=False)
            hitting = self._jumps(session, task, passing, self.jumps_s[-1:])
            arrival = round(self.arrival_s / task.plant.dt_s)
            hit = 100 * hitting.courses(hitting.run.hand)[0, :, arrival] / self.jump_m
            measures["without a stop"] = bootstrap_interval(hit - share[-1])
        else:
            cannot["without a stop"] = "nothing tells it that it need not stop."
        return Findings(
            measures=measures,
            data={
                "time_s": task.plant.dt_s * np.arange(task.steps + 1, dtype=np.float64),
                "towards_m": np.asarray(towards.mean(1), np.float64),
                "jumps_s": np.array(self.jumps_s),
                "share": np.asarray(share.mean(1), np.float64),
            },
            cannot=cannot,
        )

    def _jumps(
        self, session: Session, task: CursorReach, reach: Trials, times_s: tuple[float, ...]
    ) -> Probed:
        """Run jumps of the target at some times."""
        still = task.with_noise(reach, session.generator(), self.repeats)
        probes = [jump(task, still, "target", time, (self.jump_m, 0.0)) for time in times_s]
        return run_probes(session, task, still, probes)

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw how far the hand follows each jump over time."""
        ax = figure.subplots()
        data = found.data
        for time, towards in zip(data["jumps_s"], data["towards_m"], strict=True):
            (line,) = ax.plot(
                1000 * data["time_s"], 100 * towards, label=f"jump at {1000 * time:.0f} ms"
            )
            ax.axvline(1000 * time, color=line.get_color(), lw=0.6, ls=":")
        ax.axhline(100 * self.jump_m, color="0.6", lw=0.6)
        ax.set_xlabel("time (ms)")
        ax.set_ylabel("towards the new target (cm)")
        ax.legend(frameon=False)


def _in_ms(seconds: Interval) -> Interval:
    """An interval in other units."""
    parts = (seconds.value, seconds.low, seconds.high)
    return Interval(*(None if part is None else 1000 * part for part in parts))


EXPERIMENTS["target-jumps"] = TargetJumps()
