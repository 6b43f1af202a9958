"""Reaches in fields that are known, and in fields that vary from trial to trial.

Source: Izawa, Rane, Donchin & Shadmehr (2008): the best path in a known curl field bends against
it; where the field varies it does so less; where it varies about zero, the hand is faster at first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_positive
from neuromotor.control import BelievedField
from neuromotor.evaluation.bootstrap import bootstrap_interval
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.practising import reaches_around
from neuromotor.experiments.session import Run, Session
from neuromotor.tasks import CursorReach, Trials
from neuromotor.tasks.fields import CurlField, across

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["UncertainFields"]


@dataclass(frozen=True)
class UncertainFields(Experiment):
    """Reaches at the end of learning: the subject believes in the field's mean and variance.

    A subject is asked that can be designed for what it believes, or has practised in fields of all
    strengths and is told of the one to come. What practice teaches it are mean and variance
    themselves, as after the long practice of the source.

    Attributes:
        distance_m: Of the target (m), straight ahead.
        arrival_s: Time that is given (s).
        strength_ns_m: Mean strength of the curl field (N s/m).
        spread: Standard deviation of the strength from trial to trial, as a share of the mean.
        repeats: Trials of each condition.
    """

    distance_m: float = 0.1
    arrival_s: float = 0.5
    strength_ns_m: float = 13.0
    spread: float = 0.2
    repeats: int = 40

    title: ClassVar[str] = "Uncertain fields"
    question: ClassVar[str] = (
        "The strength of a curl field is the same in every trial, or varies. How far does the path "
        "bend against the field at first, and how fast is the hand where the field is zero on "
        "average?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "overcompensation", "bend against a known field", "cm", 0.2, 2.0, 0, "people",
            "Izawa et al. 2008", about=True,
        ),
        Nature(
            "less when unsure", "that in a field that varies less that in a known one", "cm", -1.5,
            -0.1, 0, "people", "Izawa et al. 2008", about=True,
        ),
        Nature(
            "faster at first", "peak speed where the field varies about zero, of that without",
            "%", 101, 130, 100, "people", "Izawa et al. 2008", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("distance_m", "arrival_s", "strength_ns_m", "spread"):
            check_positive(name, getattr(self, name))
        check_integer("repeats", self.repeats, minimum=2)

    def quick(self) -> Self:
        """Return the same with ten repeats."""
        return replace(self, repeats=10)

    def conduct(self, session: Session) -> Findings:
        """Run the four conditions; see `Experiment.conduct`."""
        task, reach = reaches_around(session, (90.0,), self.distance_m, self.arrival_s)
        start = task.plant.hand_position(reach.initial_state)
        direction = torch.nn.functional.normalize(
            task.plant.hand_position(reach.target) - start, dim=-1
        )
        unit = CurlField(self.strength_ns_m).matrix(start, direction)
        side, speed = {}, {}
        for number, (name, mean, spread) in enumerate(
            (
                ("none", 0.0, 0.0),
                ("known", 1.0, 0.0),
                ("varies", 1.0, self.spread),
                ("about zero", 0.0, self.spread),
            )
        ):
            session.say(f"{session.subject.name}: field {name}")
            run = self._run(session, task, reach, unit, mean, spread, number)
            away = (run.hand - start) @ across(direction)[0]
            side[name], speed[name] = away, run.velocity.norm(dim=-1)
        # Against the field, which pushes to the left, and in the first half of the way
        bend = {name: -100 * _early(away, side["none"]) for name, away in side.items()}
        return Findings(
            measures={
                "overcompensation": bootstrap_interval(bend["known"]),
                "less when unsure": bootstrap_interval(bend["varies"] - bend["known"]),
                "faster at first": bootstrap_interval(
                    100 * speed["about zero"].amax(1), divide_by=speed["none"].amax(1)
                ),
            },
            data={
                "time_s": task.plant.dt_s * np.arange(task.steps + 1, dtype=np.float64),
                "side_m": np.asarray(torch.stack([s.mean(0) for s in side.values()]), np.float64),
                "speed_m_s": np.asarray(
                    torch.stack([s.mean(0) for s in speed.values()]), np.float64
                ),
            },
        )

    def _run(
        self,
        session: Session,
        task: CursorReach,
        reach: Trials,
        unit: Tensor,
        mean: float,
        spread: float,
        number: int,
    ) -> Run:
        """Run one condition: the subject knows mean and spread, each trial has its own field."""
        trials = task.with_noise(reach, session.generator(), self.repeats)  # the same draws
        draws = torch.randn(self.repeats, generator=session.generator(1 + number)).double()
        strength = mean + spread * (draws - draws.mean())
        trials = replace(trials, field=strength[:, None, None] * unit)
        known, unsure = mean * self.strength_ns_m, spread * self.strength_ns_m
        trials = task.knowing(trials, curl_ns_m=known, spread_ns_m=unsure)
        whole = mean * unit.expand(self.repeats, -1, -1)
        believed = BelievedField(whole)
        if spread:
            believed = BelievedField.lasting(task, whole, spread * unit)
        return session.run(task, trials, believed)

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw how far the mean hand is aside, and how fast it is, over time."""
        above, below = figure.subplots(2, 1, sharex=True)
        time = 1000 * found.data["time_s"]
        names = ("no field", "known field", "field that varies", "varies about zero")
        for name, side, speed in zip(
            names, found.data["side_m"], found.data["speed_m_s"], strict=True
        ):
            above.plot(time, 100 * side, label=name)
            below.plot(time, 100 * speed)
        above.set_ylabel("aside (cm)")
        above.legend(frameon=False, fontsize=7)
        below.set_ylabel("speed (cm/s)")
        below.set_xlabel("time (ms)")


def _early(side: Tensor, calm: Tensor) -> Tensor:
    """Mean distance (m) to the left of the reach without a field, in the first half, (B,)."""
    away = side - calm.mean(0)
    half = away.shape[1] // 2
    lowest = away[:, :half].mean(0).argmin()
    return away[:, int(lowest)]


EXPERIMENTS["uncertain-fields"] = UncertainFields()
