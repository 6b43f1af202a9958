"""Cursor jumps and pushes in reaches to round targets and to bars.

Sources: Knill, Bondada & Chhabra (2011), who displaced the virtual finger by 1 cm along or across
the reach to squares and to rectangles along or across it; Nashed, Crevecoeur & Scott (2012), who
pushed the arm aside in reaches to a dot or to a bar across the reach.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch

from neuromotor._checks import check_integer, check_positive
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.perturbed import (
    SLIGHT,
    VISUAL_WINDOW_S,
    Probed,
    as_percentage,
    jump,
    push,
    reach_away,
    run_probes,
)
from neuromotor.experiments.session import Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MinimalIntervention"]

_SHAPES = ("round", "bar across", "bar along")
_PUSH_LASTS_S = 0.1


@dataclass(frozen=True)
class MinimalIntervention(Experiment):
    """Reaches away from the body; halfway the cursor jumps aside or ahead, or the hand is pushed.

    The target is round, a bar across the reach, or one along it. A bar's error counts by the square
    of its width over its length along its length, as much as errors do that leave it as easily.

    Attributes:
        distance_m: Of the target (m).
        arrival_s: Time that is given (s).
        bar_m: Width and length of the bars (m); our choice.
        jump_m: How far the cursor jumps (m), to either side.
        push_n: Force of the push to either side (N), which lasts 100 ms.
        repeats: Trials of each kind.
    """

    distance_m: float = 0.2
    arrival_s: float = 0.7
    bar_m: tuple[float, float] = (0.01, 0.08)
    jump_m: float = 0.01
    push_n: float = 1.0
    repeats: int = 12

    title: ClassVar[str] = "Minimal intervention"
    question: ClassVar[str] = (
        "The cursor jumps, or the hand is pushed, along the narrow or the long dimension of a bar "
        "that is the target. How much is corrected along the long one, of what is corrected along "
        "the narrow one?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "cursor", "correction of the cursor's jump along a bar, of that across it", "%",
            40, 75, 100 - SLIGHT, "people", "Knill et al. 2011", about=True,
        ),
        Nature(
            "soon", "the same of the force 180 to 230 ms after", "%",
            20, 90, 100 - SLIGHT, "people", "Knill et al. 2011", about=True,
        ),
        Nature(
            "push", "return after a push along a bar, of that to a round target", "%",
            10, 80, 100 - SLIGHT, "people", "Nashed et al. 2012", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("distance_m", "arrival_s", "jump_m", "push_n"):
            check_positive(name, getattr(self, name))
        width, length = self.bar_m
        if not 0 < width <= length:
            raise ValueError(
                f"`bar_m` must be a width and a length (m), the width positive and not larger, got "
                f"{self.bar_m}."
            )
        check_integer("repeats", self.repeats, minimum=2)

    def quick(self) -> Self:
        """Return the same with three repeats."""
        return replace(self, repeats=3)

    def conduct(self, session: Session) -> Findings:
        """Run every perturbation to every shape; see `Experiment.conduct`."""
        loose = (self.bar_m[0] / self.bar_m[1]) ** 2
        factors = {"round": (1.0, 1.0), "bar across": (loose, 1.0), "bar along": (1.0, loose)}
        found = {name: self._probed(session, factors[name]) for name in _SHAPES}
        corrected = {name: one.courses(one.run.hand)[:2, :, -1] for name, one in found.items()}
        soon = {name: one.responses(one.force, VISUAL_WINDOW_S)[:2] for name, one in found.items()}
        returned = {name: _returned(one) for name, one in found.items()}
        data = {name: one.courses(one.run.hand).mean(1) for name, one in found.items()}
        task = found["round"].run.task
        return Findings(
            measures={
                "cursor": as_percentage(*_long_and_narrow(corrected)),
                "soon": as_percentage(*_long_and_narrow(soon)),
                "push": as_percentage(returned["bar across"], returned["round"]),
            },
            data={
                "time_s": task.plant.dt_s * np.arange(task.steps + 1, dtype=np.float64),
                "corrected_m": np.stack([data[name][:2].numpy() for name in _SHAPES]),
                "pushed_m": np.stack([-data[name][2].numpy() for name in _SHAPES]),
            },
        )

    def _probed(self, session: Session, shape: tuple[float, float]) -> Probed:
        """Reaches to a target of one shape: jumps aside and ahead, and pushes aside."""
        task, reach = reach_away(
            session.world, self.distance_m, self.arrival_s, shape=torch.tensor(shape)
        )
        still = task.with_noise(reach, session.generator(), self.repeats)
        middle = self.arrival_s / 2
        probes = [
            jump(task, still, "displacement", middle, (self.jump_m, 0.0)),
            jump(task, still, "displacement", middle, (0.0, self.jump_m)),
            push(task, still, middle, (self.push_n, 0.0), _PUSH_LASTS_S),
        ]
        return run_probes(session, task, still, probes)

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw corrections of the cursor's jumps, and the hand's deviation after pushes."""
        data = found.data
        axes = figure.subplots(1, 3, sharex=True)
        time = 1000 * data["time_s"]
        titles = ("cursor aside", "cursor ahead", "push aside")
        for place, (ax, title) in enumerate(zip(axes, titles, strict=True)):
            for shape, name in enumerate(_SHAPES):
                pushed = place == 2
                values = data["pushed_m"][shape] if pushed else data["corrected_m"][shape, place]
                ax.plot(time, 100 * values, label=name)
            ax.axvline(500 * self.arrival_s, color="0.6", lw=0.6, ls=":")
            ax.set_title(title, fontsize=8)
            ax.set_xlim(450 * self.arrival_s, time[-1])
        axes[0].set_ylabel("hand's correction (cm)")
        axes[2].set_ylabel("hand's deviation (cm)")
        figure.supxlabel("time (ms)", fontsize=8)
        axes[0].legend(frameon=False, fontsize=6, loc="upper left")


def _long_and_narrow(values: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Values along the bars' long and narrow dimension, means of both bars, (B,) each."""
    across, along = values["bar across"], values["bar along"]
    return (across[0] + along[1]) / 2, (across[1] + along[0]) / 2


def _returned(probed: Probed) -> torch.Tensor:
    """How far the hand comes back after the push until the end (m), (B,)."""
    deviation = -probed.courses(probed.run.hand)[2]
    return deviation.amax(-1) - deviation[:, -1]


EXPERIMENTS["minimal-intervention"] = MinimalIntervention()
