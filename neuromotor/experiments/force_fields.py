"""Reaches in a curl field and in a saddle: learning, catch trials, washout, channels.

Source: Shadmehr & Mussa-Ivaldi (1994), with the saddle; channels as in Smith et al. (2006).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor._checks import check_integer, check_positive
from neuromotor.adaptation import LEARNERS, Block, Course, Kind, Learner, Schedule, TwoRate
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
from neuromotor.tasks.fields import CurlField, HandField, LinearField

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ForceFields"]


@dataclass(frozen=True)
class ForceFields(Experiment):
    """Practice in a curl field and then, by others, in the saddle of Shadmehr & Mussa-Ivaldi.

    The subject's commands are what they were before learning, and a learner adds to them. The field
    that a learner of a known field learns is each of the two in turn.

    Attributes:
        learner: What changes from trial to trial; `none` learns nothing.
        distance_m: Of the targets (m).
        arrival_s: Time that is given (s).
        directions_deg: Of the targets (deg).
        strength_ns_m: Of the curl field (N s/m).
        baseline: Trials before the field.
        trials: Trials in it; 15 in a hundred are catch trials, as many
            are in a channel.
        washout: Trials after it.
        subjects: How many practise, each with draws of its own.
    """

    learner: Learner = field(default_factory=TwoRate, metadata={"registry": LEARNERS})
    distance_m: float = 0.1
    arrival_s: float = 0.5
    directions_deg: tuple[float, ...] = (45.0, 135.0, 225.0, 315.0)
    strength_ns_m: float = 13.0
    baseline: int = 12
    trials: int = 80
    washout: int = 16
    subjects: int = 8

    title: ClassVar[str] = "Force fields"
    question: ClassVar[str] = (
        "A force that depends on the hand's velocity pushes it aside. How far off is the hand "
        "before and after practice, in trials without the force, and against a channel's walls?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "left of the error", "error in a curl field after practice, of that before", "%",
            10, 60, 100, "people", "Shadmehr & Mussa-Ivaldi 1994", about=True,
        ),
        Nature(
            "after-effect", "error in catch trials, of that before practice", "%", -90, -30, 0,
            "people", "Shadmehr & Mussa-Ivaldi 1994", about=True,
        ),
        Nature(
            "adaptation", "force on the channel's walls, of that needed", "%", 50, 90, 0, "people",
            "Smith et al. 2006", about=True,
        ),
        Nature(
            "saddle after-effect", "the same in the saddle", "%", -90, -30, 0, "people",
            "Shadmehr & Mussa-Ivaldi 1994", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("distance_m", "arrival_s", "strength_ns_m"):
            check_positive(name, getattr(self, name))
        for name in ("baseline", "washout"):
            check_integer(name, getattr(self, name), minimum=4)
        check_integer("trials", self.trials, minimum=20)
        check_integer("subjects", self.subjects, minimum=2)

    def quick(self) -> Self:
        """Return the same with fewer trials and subjects."""
        return replace(self, baseline=4, trials=40, washout=4, subjects=4)

    def conduct(self, session: Session) -> Findings:
        """Practise in both fields; see `Experiment.conduct`."""
        task, reaches = reaches_around(
            session, self.directions_deg, self.distance_m, self.arrival_s
        )
        practice = practice_of(session, task, reaches, self.subjects)
        courses, errors = {}, {}
        for name, one in (("curl", CurlField(self.strength_ns_m)), ("saddle", LinearField())):
            learner = self.learner
            if hasattr(learner, "field"):
                learner = replace(learner, field=one)  # type: ignore[type-var]
            courses[name] = course_of(session, practice, self.schedule(one), learner)
            unlearnt = practice.course(practice.field(one))
            fastest = practice.planned_velocity.norm(dim=-1).argmax(dim=1, keepdim=True)
            errors[name] = _errors(courses[name], unlearnt.gather(1, fastest).squeeze(1))
        curl, (late, caught) = courses["curl"], errors["curl"]
        index = curl.of("field", curl.adaptation)[self.trials // 3 :]
        side = curl.side_m.mean(1)
        places = curl.schedule.places
        return Findings(
            measures={
                "left of the error": bootstrap_interval(100 * late),
                "after-effect": bootstrap_interval(100 * caught),
                "adaptation": bootstrap_interval(100 * mean_of_trials(index)),
                "saddle after-effect": bootstrap_interval(100 * errors["saddle"][1]),
            },
            data={
                "baseline_m": _paths(curl, Kind.FIELD, places("baseline")),
                "first_m": _paths(curl, Kind.FIELD, _first(places("field"), 8)),
                "last_m": _paths(curl, Kind.FIELD, _last(places("field"), 16)),
                "catch_m": _paths(curl, Kind.CATCH, _last(places("field"), 2 * self.trials // 3)),
                "deviation_m": _curve(curl),
                "field": np.array([places("field").start, places("field").stop], np.float64),
                "side_m": np.asarray(side, np.float64),
                "home_m": np.asarray(task.home, np.float64),
            },
            remarks=(f"It learns by {type(self.learner).__name__}.",),
        )

    def schedule(self, one: HandField) -> Schedule:
        """Return the blocks in a field."""
        return Schedule(
            (
                Block("baseline", self.baseline, channel=0.25),
                Block("field", self.trials, one, catch=0.15, channel=0.15),
                Block("washout", self.washout),
            )
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw mean hand paths before, early and late in the curl field, and without it."""
        data = found.data
        grid = figure.add_gridspec(2, 4, height_ratios=(1, 1.1))
        titles = ("before", "first", "last", "catch")
        for i, name in enumerate(("baseline_m", "first_m", "last_m", "catch_m")):
            ax = figure.add_subplot(grid[0, i])
            for path in data[name]:
                away = 100 * (path - data["home_m"])
                ax.plot(away[:, 0], away[:, 1], lw=0.9)
            ax.set_title(titles[i], fontsize=8)
            ax.set_aspect("equal")
            ax.set_xlim(-14, 14)
            ax.set_ylim(-14, 14)
            ax.tick_params(labelsize=6, labelleft=i == 0)
        ax = figure.add_subplot(grid[1, :])
        start, stop = data["field"]
        ax.axvspan(start, stop, color="0.93", lw=0)
        ax.axhline(0, color="0.6", lw=0.6)
        names = ("in the block's field", "catch trials")
        for row, label in zip(data["deviation_m"], names, strict=True):
            there = ~np.isnan(row)
            ax.plot(np.flatnonzero(there), 100 * row[there], ".", ms=3, label=label)
        ax.set_xlabel("trial")
        ax.set_ylabel("aside (cm)")
        ax.legend(frameon=False, fontsize=7)


def _errors(course: Course, first: Tensor) -> tuple[Tensor, Tensor]:
    """Error of each subject, (R,): late in the field, and in late catch trials.

    It is how far the hand is from its plan when that is fastest, as a share of how far the field
    pushes it there where nothing is learnt.

    Args:
        course: What they did.
        first: The latter (m), with its sign, (K,).
    """
    here = course.schedule.places("field")
    share = course.deviation_m / first[course.order.target]
    # targets that the field hardly pushes aside say nothing
    share[first.abs()[course.order.target] < 0.2 * first.abs().max()] = torch.nan
    late, caught = _last(here, 24), _last(here, 2 * (here.stop - here.start) // 3)
    return (
        _mean_of(course, share, late, Kind.FIELD),
        _mean_of(course, share, caught, Kind.CATCH),
    )


def _mean_of(course: Course, values: Tensor, where: slice, kind: Kind) -> Tensor:
    """Mean over each subject's trials of a kind, (R,), of values (N, R)."""
    right = course.order.kind[where] == kind
    return mean_of_trials(torch.where(right, values[where], torch.nan))


def _paths(course: Course, kind: Kind, where: slice) -> NDArray[np.float64]:
    """Mean path of the hand to each target (m), (K, T + 1, 2); NaN where there is no trial."""
    hand, target = course.hand_m[where].double(), course.order.target[where]
    right, found = course.order.kind[where] == kind, []
    for number in range(int(course.order.target.max()) + 1):
        found.append(hand[right & (target == number)].mean(0))
    return np.asarray(torch.stack(found), np.float64)


def _curve(course: Course) -> NDArray[np.float64]:
    """Mean deviation by trial of trials with the block's field, and of catch trials, (2, N)."""
    kinds = [
        torch.nanmean(torch.where(course.order.kind == kind, course.deviation_m, torch.nan), dim=1)
        for kind in (Kind.FIELD, Kind.CATCH)
    ]
    return np.asarray(torch.stack(kinds), np.float64)


def _first(where: slice, count: int) -> slice:
    return slice(where.start, min(where.start + count, where.stop))


def _last(where: slice, count: int) -> slice:
    return slice(max(where.stop - count, where.start), where.stop)


EXPERIMENTS["force-fields"] = ForceFields()
