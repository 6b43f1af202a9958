"""Reaches whose target jumps aside early, in the middle or late.

Source: Liu & Todorov (2007), experiment 1 (jumps at 100, 200 and 300 ms of reaches of about 700
ms); latencies of responses to jumps of a target are reviewed by Day & Lyon (2000) and in Dimitriou
et al. (2013).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch

from neuromotor._checks import check_integer, check_numbers, check_positive
from neuromotor.evaluation.bootstrap import bootstrap_interval
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.session import Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TargetJumps"]


@dataclass(frozen=True)
class TargetJumps(Experiment):
    """Reaches away from the body whose target jumps to the left or right.

    Each trial with a jump has a twin without, with the same draws of noise. The correction is the
    difference of the two at the end, as a share of the jump.

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
        "the hand correct until the end, and how soon does it begin?"
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
            "latency", "latency of the response", "ms", 100, 200, 0, "people",
            "Day & Lyon 2000", about=True,
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
        world = session.world
        hold = round(0.1 / world.plant.dt_s)  # the time for the last news to arrive
        steps = round(self.arrival_s / world.plant.dt_s) + hold
        task = replace(world, steps=steps)
        target = task.home + torch.tensor([[0.0, self.distance_m]]).double() / 2
        start = target[0] - torch.tensor([0.0, self.distance_m]).double()
        reach = task.reaches(target, start=start, arrival_s=self.arrival_s)
        still = task.with_noise(reach, session.generator(), self.repeats)
        batches, step_of = [task.with_jump(still, "target", 0, torch.zeros(2))], []
        for time in self.jumps_s:
            step = round(time / task.plant.dt_s)
            step_of.append(step)
            for side in (-1.0, 1.0):
                shift = torch.tensor([side * self.jump_m, 0.0])
                batches.append(task.with_jump(still, "target", step, shift))
        run = session.run(task, type(still).concatenate(batches))
        across = run.hand[..., 0].reshape(len(batches), self.repeats, steps + 1)
        # the mean over both sides of the response towards the jump, twin by twin
        towards = torch.stack(
            [(across[2 + 2 * i] - across[1 + 2 * i]) / 2 for i in range(len(self.jumps_s))]
        )
        share = 100 * towards[..., -1] / self.jump_m  # (jumps, repeats)
        latency = _latency_ms(towards, step_of, task.plant.dt_s)
        return Findings(
            measures={
                "early": bootstrap_interval(share[0]),
                "late less than early": bootstrap_interval(share[-1] - share[0]),
                "latency": bootstrap_interval(latency),
            },
            data={
                "time_s": task.plant.dt_s * np.arange(steps + 1, dtype=np.float64),
                "towards_m": np.asarray(towards.mean(1), np.float64),
                "jumps_s": np.array(self.jumps_s),
                "share": np.asarray(share.mean(1), np.float64),
            },
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw how far the hand follows each jump over time."""
        ax = figure.subplots()
        data = found.data
        for jump, towards in zip(data["jumps_s"], data["towards_m"], strict=True):
            (line,) = ax.plot(
                1000 * data["time_s"], 100 * towards, label=f"jump at {1000 * jump:.0f} ms"
            )
            ax.axvline(1000 * jump, color=line.get_color(), lw=0.6, ls=":")
        ax.axhline(100 * self.jump_m, color="0.6", lw=0.6)
        ax.set_xlabel("time (ms)")
        ax.set_ylabel("towards the new target (cm)")
        ax.legend(frameon=False)


def _latency_ms(towards: torch.Tensor, steps: list[int], dt_s: float) -> torch.Tensor:
    """Time from a jump to a tenth of the speed at which the hand then follows, one a repeat."""
    speed = towards.diff(dim=-1) / dt_s
    found = []
    for step, one in zip(steps[:1], speed[:1], strict=True):
        after = one[:, step:]
        over = after > 0.1 * after.amax(dim=1, keepdim=True)
        found.append(1000 * dt_s * over.int().argmax(dim=1).double())
    return torch.cat(found)


EXPERIMENTS["target-jumps"] = TargetJumps()
