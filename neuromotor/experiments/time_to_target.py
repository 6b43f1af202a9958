"""Cursor jumps in reaches of several distances and durations, with the same time left.

Source: Cesonis & Franklin (2020), who displaced the cursor by 2 cm in five kinds of reaches and
measured the force of the hand 180 to 230 ms after: it depended on the time to the target, and on
the kinematics only as far as these changed that time. Their kinds differed in the speed of hand
or cursor; ours differ in distance and duration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_numbers, check_positive
from neuromotor.evaluation.bootstrap import bootstrap_interval
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.perturbed import (
    SLIGHT,
    VISUAL_WINDOW_S,
    as_percentage,
    jump,
    reach_away,
    run_probes,
)
from neuromotor.experiments.session import Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TimeToTarget", "explained_by_columns"]


@dataclass(frozen=True)
class TimeToTarget(Experiment):
    """Reaches away from the body whose cursor jumps aside when a certain time is left.

    Attributes:
        distances_m: Distance of each kind of reach (m).
        arrivals_s: Time that is given for each kind (s).
        left_s: Times left at which the cursor jumps (s), long to short.
        jump_m: How far (m), to either side.
        repeats: Trials of each kind.
    """

    distances_m: tuple[float, ...] = (0.1, 0.2, 0.15, 0.1, 0.2)
    arrivals_s: tuple[float, ...] = (0.55, 0.55, 0.6, 0.7, 0.7)
    left_s: tuple[float, ...] = (0.5, 0.4, 0.35, 0.3, 0.25)
    jump_m: float = 0.02
    repeats: int = 10

    title: ClassVar[str] = "Time to target"
    question: ClassVar[str] = (
        "The cursor jumps aside in reaches of several distances and durations. Does the response "
        "depend on the time that is left, whatever the kind of reach?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "time left", "variance between responses that time left explains", "%", 75, 100, 0,
            "people", "Cesonis & Franklin 2020", about=True,
        ),
        Nature(
            "urgency", "response at the middle time left, of that where most is left", "%",
            110, 250, 100 + SLIGHT, "people", "Cesonis & Franklin 2020", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("distances_m", "arrivals_s", "left_s"):
            check_numbers(name, getattr(self, name), minimum=0.0)
        if len(self.distances_m) != len(self.arrivals_s) or len(self.distances_m) < 2:
            raise ValueError(
                f"`arrivals_s` must have a time for each of two distances or more, got "
                f"{len(self.arrivals_s)} for {len(self.distances_m)}."
            )
        if len(self.left_s) < 2 or max(self.left_s) >= min(self.arrivals_s):
            raise ValueError(
                f"`left_s` must be two times or more below {min(self.arrivals_s):g} s, which the "
                f"shortest reach lasts, got {self.left_s}."
            )
        check_positive("jump_m", self.jump_m, "metres")
        check_integer("repeats", self.repeats, minimum=2)

    def quick(self) -> Self:
        """Return the same with three repeats."""
        return replace(self, repeats=3)

    def conduct(self, session: Session) -> Findings:
        """Run every jump beside its twin; see `Experiment.conduct`."""
        kinds = []
        for place, arrival in enumerate(self.arrivals_s):
            task, reach = reach_away(session.world, self.distances_m[place], arrival)
            still = task.with_noise(reach, session.generator(place), self.repeats)
            probes = [
                jump(task, still, "displacement", arrival - left, (self.jump_m, 0.0))
                for left in self.left_s
            ]
            found = run_probes(session, task, still, probes)
            kinds.append(found.responses(found.force, VISUAL_WINDOW_S))
        response = torch.stack(kinds)  # (kinds, times left, repeats), N
        urgent = response[:, len(self.left_s) // 2].mean(0)
        return Findings(
            measures={
                "time left": bootstrap_interval(100 * explained_by_columns(response)),
                "urgency": as_percentage(urgent, response[:, 0].mean(0)),
            },
            data={
                "left_s": np.array(self.left_s),
                "response_n": np.asarray(response.mean(-1), np.float64),
            },
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw the response of each kind of reach over the time that was left."""
        ax = figure.subplots()
        data = found.data
        for place, response in enumerate(data["response_n"]):
            label = (
                f"{100 * self.distances_m[place]:.0f} cm, {1000 * self.arrivals_s[place]:.0f} ms"
            )
            ax.plot(1000 * data["left_s"], response, "o-", ms=3, label=label)
        ax.axhline(0.0, color="0.6", lw=0.6)
        ax.invert_xaxis()
        ax.set_xlabel("time to the target at the jump (ms)")
        ax.set_ylabel("force of the response (N)")
        ax.legend(frameon=False)


def explained_by_columns(table: Tensor) -> Tensor:
    """Return the share of a table's variance that its columns explain, corrected for chance.

    That is epsilon squared (Kelley 1935): 1 where all rows are the same, 0 on average where columns
    say nothing; NaN where nothing varies.

    Args:
        table: (rows, columns, N), two rows and two columns or more.
    """
    rows, columns = table.shape[:2]
    center = table.mean((0, 1))
    total = (table - center).square().sum((0, 1))
    within = (table - table.mean(0)).square().sum((0, 1))
    per_column = within / (columns * (rows - 1))
    return (total - within - (columns - 1) * per_column) / total


EXPERIMENTS["time-to-target"] = TimeToTarget()
