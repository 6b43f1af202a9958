"""Small cursor jumps and pushes at several times of a reach, and how strongly each is answered.

Sources: Dimitriou, Wolpert & Franklin (2013), whose gain of responses to displacements of the
cursor, from the force 180 to 230 ms after, was largest in the middle of the reach and fell towards
the target; Liu & Todorov (2007) on optimal gains. Responses to loads grow where less time is given:
Crevecoeur, Kurtzer, Bourke & Scott (2013).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from neuromotor._checks import check_integer, check_numbers, check_positive
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.perturbed import (
    SLIGHT,
    VISUAL_WINDOW_S,
    as_percentage,
    jump,
    push,
    reach_away,
    run_probes,
)
from neuromotor.experiments.session import Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GainOverReach"]

_PUSH_LASTS_S = 0.1
_PUSH_WINDOW_S = (0.105, 0.15)  # of the force; muscles answer about 50 ms earlier


@dataclass(frozen=True)
class GainOverReach(Experiment):
    """Reaches away from the body; the cursor jumps aside, or the hand is pushed, at some time.

    Each perturbed trial has a twin without, with the same draws. The gain is the force of the
    response over the displacement: of the cursor, or of the hand at the end of its push.

    Attributes:
        distance_m: Of the target (m).
        arrival_s: Time that is given (s).
        times_s: When the perturbation comes (s), early to late.
        jump_m: How far the cursor jumps (m), to either side.
        push_n: Force of the push to either side (N), which lasts 100 ms.
        repeats: Trials of each kind.
    """

    distance_m: float = 0.2
    arrival_s: float = 0.7
    times_s: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    jump_m: float = 0.01
    push_n: float = 1.0
    repeats: int = 12

    title: ClassVar[str] = "Gain over a reach"
    question: ClassVar[str] = (
        "The cursor jumps aside, or the hand is pushed, at five times of a reach. How does the "
        "response for a displacement change over the reach?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "rises", "gain for the cursor in the middle, of the first", "%", 120, 400, 100 + SLIGHT,
            "people", "Dimitriou et al. 2013", about=True,
        ),
        Nature(
            "falls", "last gain for the cursor, of the middle one", "%", 0, 70, 100 - SLIGHT,
            "people", "Dimitriou et al. 2013", about=True,
        ),
        Nature(
            "push rises", "gain for a push in the middle, of the first", "%", 110, 300,
            100 + SLIGHT, "people", "Crevecoeur et al. 2013", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("distance_m", "arrival_s", "jump_m", "push_n"):
            check_positive(name, getattr(self, name))
        check_numbers("times_s", self.times_s, "seconds", minimum=0.0)
        if len(self.times_s) < 3:
            raise ValueError(f"`times_s` must be three times or more, got {self.times_s}.")
        check_integer("repeats", self.repeats, minimum=2)

    def quick(self) -> Self:
        """Return the same with three repeats."""
        return replace(self, repeats=3)

    def conduct(self, session: Session) -> Findings:
        """Run every perturbation beside its twin; see `Experiment.conduct`."""
        task, reach = reach_away(session.world, self.distance_m, self.arrival_s)
        still = task.with_noise(reach, session.generator(), self.repeats)
        jumps = [
            jump(task, still, "displacement", time, (self.jump_m, 0.0)) for time in self.times_s
        ]
        pushes = [
            push(task, still, time, (self.push_n, 0.0), _PUSH_LASTS_S) for time in self.times_s
        ]
        found = run_probes(session, task, still, [*jumps, *pushes])
        many = len(self.times_s)
        middle = many // 2
        cursor = found.responses(found.force, VISUAL_WINDOW_S)[:many] / self.jump_m
        at_end = (_PUSH_LASTS_S, _PUSH_LASTS_S)
        displaced = -found.responses(found.run.hand, at_end)[many:]
        hand = found.responses(found.force, _PUSH_WINDOW_S)[many:] / displaced
        return Findings(
            measures={
                "rises": as_percentage(cursor[middle], cursor[0]),
                "falls": as_percentage(cursor[-1], cursor[middle]),
                "push rises": as_percentage(hand[middle], hand[0]),
            },
            data={
                "times_s": np.array(self.times_s),
                "cursor_n_per_m": np.asarray(cursor.mean(1), np.float64),
                "hand_n_per_m": np.asarray(hand.mean(1), np.float64),
                "time_s": task.plant.dt_s * np.arange(task.steps + 1, dtype=np.float64),
                "cursor_response_n": np.asarray(found.courses(found.force)[:many].mean(1)),
                "speed_m_s": np.asarray(found.twins(found.run.velocity).norm(dim=-1).mean(0)),
            },
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw gains over the time of the perturbation, above the speed of the hand."""
        data = found.data
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        time = 1000 * data["times_s"]
        above.plot(time, 0.01 * data["cursor_n_per_m"], "o-", ms=3, label="cursor jumps")
        above.plot(time, 0.01 * data["hand_n_per_m"], "s--", ms=3, label="hand is pushed")
        above.axhline(0.0, color="0.6", lw=0.6)
        above.set_ylabel("gain (N/cm)")
        above.legend(frameon=False)
        below.plot(1000 * data["time_s"], 100 * data["speed_m_s"], color="0.35")
        below.axvline(1000 * self.arrival_s, color="0.6", lw=0.6, ls=":")
        below.set_ylabel("speed (cm/s)")
        below.set_xlabel("time of the perturbation (ms)")


EXPERIMENTS["gain-over-reach"] = GainOverReach()
