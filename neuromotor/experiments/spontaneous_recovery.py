"""Learning a field, a short opposite field, and then a clamp: what was learnt comes back by itself.

Source: Smith, Ghazizadeh & Shadmehr (2006).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch

from neuromotor._checks import check_integer, check_positive
from neuromotor.adaptation import LEARNERS, Block, Learner, Schedule, TwoRate
from neuromotor.evaluation.bootstrap import bootstrap_interval
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.practising import (
    course_of,
    mean_of_trials,
    practice_of,
    reaches_around,
)
from neuromotor.experiments.session import Session
from neuromotor.tasks.fields import CurlField

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SpontaneousRecovery"]


@dataclass(frozen=True)
class SpontaneousRecovery(Experiment):
    """A curl field, a few trials in the opposite field, and error clamps.

    Attributes:
        learner: What changes from trial to trial; `none` learns nothing.
        distance_m: Of the targets (m).
        arrival_s: Time that is given (s).
        directions_deg: Of the targets (deg).
        strength_ns_m: Of the field (N s/m).
        trials: Trials in the first field.
        counter: Trials in the opposite one, enough to undo what is seen of learning.
        clamp: Trials in the clamp.
        subjects: How many practise, each with draws of its own.
    """

    learner: Learner = field(default_factory=TwoRate, metadata={"registry": LEARNERS})
    distance_m: float = 0.1
    arrival_s: float = 0.5
    directions_deg: tuple[float, ...] = (90.0, 270.0)
    strength_ns_m: float = 13.0
    trials: int = 120
    counter: int = 12
    clamp: int = 40
    subjects: int = 8

    title: ClassVar[str] = "Spontaneous recovery"
    question: ClassVar[str] = (
        "A field is learnt, and a few trials in the opposite field undo that. When the error is "
        "then clamped to zero, does what was learnt first come back by itself, and decay?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "learnt", "adaptation at the end of the first field", "%", 60, 95, 0, "people",
            "Smith et al. 2006", about=True,
        ),
        Nature(
            "rebound", "rise of adaptation in the clamp", "%", 10, 50, 0, "people",
            "Smith et al. 2006", about=True,
        ),
        Nature(
            "decay", "its change from the highest to the end of the clamp", "%", -30, -2, 0,
            "people", "Smith et al. 2006", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("distance_m", "arrival_s", "strength_ns_m"):
            check_positive(name, getattr(self, name))
        check_integer("trials", self.trials, minimum=20)
        check_integer("counter", self.counter, minimum=1)
        check_integer("clamp", self.clamp, minimum=20)
        check_integer("subjects", self.subjects, minimum=2)

    def quick(self) -> Self:
        """Return the same with fewer trials and subjects."""
        return replace(self, trials=80, counter=10, clamp=30, subjects=4)

    @property
    def schedule(self) -> Schedule:
        """The blocks."""
        curl = CurlField(self.strength_ns_m)
        return Schedule(
            (
                Block("baseline", 4, channel=1.0),
                Block("field", self.trials, curl, channel=0.2),
                Block("counter", self.counter, curl, strength=-1.0),
                Block("clamp", self.clamp, channel=1.0),
            )
        )

    def conduct(self, session: Session) -> Findings:
        """Practise; see `Experiment.conduct`."""
        task, reaches = reaches_around(
            session, self.directions_deg, self.distance_m, self.arrival_s
        )
        practice = practice_of(session, task, reaches, self.subjects)
        learner = self.learner
        if hasattr(learner, "field"):
            learner = replace(learner, field=CurlField(self.strength_ns_m))  # type: ignore[type-var]
        course = course_of(session, practice, self.schedule, learner)
        index = 100 * course.adaptation
        before = mean_of_trials(course.of("baseline", index))
        index = index - before
        clamp = course.of("clamp", index)
        # the highest of the mean course, of five trials; the same trials for every subject
        smooth = clamp.unfold(0, 5, 1).mean(-1)  # (clamp - 4, R)
        top = int(smooth.mean(1).argmax())
        learnt = mean_of_trials(course.of("field", index)[-self.trials // 3 :])
        return Findings(
            measures={
                "learnt": bootstrap_interval(learnt),
                "rebound": bootstrap_interval(smooth[top] - clamp[:2].mean(0)),
                "decay": bootstrap_interval(smooth[-1] - smooth[top]),
            },
            data={
                "adaptation": np.asarray(torch.nanmean(index, dim=1), np.float64),
                "strength": np.asarray(_told(self), np.float64),
            },
            remarks=(f"It learns by {type(learner).__name__}.",),
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw adaptation over trials, with the field below."""
        ax = figure.subplots()
        index, strength = found.data["adaptation"], found.data["strength"]
        ax.fill_between(np.arange(len(strength)), 0, 100 * strength, step="mid", color="0.92", lw=0)
        there = ~np.isnan(index)
        ax.plot(np.flatnonzero(there), index[there], "o", ms=2.5)
        ax.axhline(0, color="0.6", lw=0.6)
        ax.set_xlabel("trial")
        ax.set_ylabel("adaptation (%)")


def _told(experiment: SpontaneousRecovery) -> list[float]:
    """Strength of the field by trial; zero in the clamp."""
    blocks = experiment.schedule.blocks
    return [
        0.0 if block.field is None else block.strength
        for block in blocks
        for _ in range(block.trials)
    ]


EXPERIMENTS["spontaneous-recovery"] = SpontaneousRecovery()
