"""Loads that move one joint only, and how soon the shoulder answers what moves only the elbow.

Source: Kurtzer, Pruszynski & Scott (2008). Muscles of the shoulder answered the torque at the
shoulder 45 to 105 ms after a load, also where the load moved the elbow alone; 20 to 45 ms after it
they answered the motion of the shoulder only. Our loads follow from the arm's inertia, where theirs
were equal torques of shoulder and elbow; with the home of this arm the two are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_positive
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.perturbed import SLIGHT, as_percentage, joint_load, run_probes
from neuromotor.experiments.session import Session
from neuromotor.tasks import CursorReach

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LongLatency", "loads_nm"]

_KINDS = ("elbow moves", "shoulder moves", "shoulder torque", "elbow torque")
_WINDOW_S = (0.045, 0.105)
_SHOULDER = (-1.0, 0.0)  # what counters a positive torque or motion of the shoulder
_AFTER_S = 0.5


@dataclass(frozen=True)
class LongLatency(Experiment):
    """The hand is held at home, and loads come to the joints and stay.

    Two loads have the same torque at the shoulder; one of them moves the elbow alone, the other
    the shoulder alone. Two more move the shoulder alike, one by a torque at the shoulder, the other
    by an opposite one at the elbow. The response is that of the command to the shoulder.

    Attributes:
        load_nm: Torque at the shoulder (N m), in either direction.
        onset_s: When loads come (s).
        repeats: Trials of each kind.
    """

    load_nm: float = 1.0
    onset_s: float = 0.3
    repeats: int = 12

    title: ClassVar[str] = "Long-latency responses"
    question: ClassVar[str] = (
        "Loads push the held arm so that one joint moves at first. Does the shoulder counter the "
        "torque that it gets, 45 to 105 ms after, though it does not move?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "elbow moves", "shoulder's response where the elbow moves, of where the shoulder does",
            "%", 20, 150, SLIGHT, "people", "Kurtzer et al. 2008", about=True,
        ),
        Nature(
            "same motion", "response where an elbow torque moves the shoulder, of a shoulder's",
            "%", 0, 80, 100 - SLIGHT, "people", "Kurtzer et al. 2008", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_positive("load_nm", self.load_nm, "N m")
        check_positive("onset_s", self.onset_s, "seconds")
        check_integer("repeats", self.repeats, minimum=2)

    def quick(self) -> Self:
        """Return the same with three repeats."""
        return replace(self, repeats=3)

    def conduct(self, session: Session) -> Findings:
        """Run every load beside its twin; see `Experiment.conduct`."""
        world = session.world
        dt_s = world.plant.dt_s
        task = replace(world, steps=round((self.onset_s + _AFTER_S) / dt_s))
        still = task.with_noise(task.reaches(task.home[None]), session.generator(), self.repeats)
        home = torch.tensor(task.plant.home, dtype=torch.float64)
        loads = loads_nm(task.plant.arm.inertia_matrix(home), self.load_nm)
        probes = [joint_load(task, still, self.onset_s, loads[name], _SHOULDER) for name in _KINDS]
        found = run_probes(session, task, still, probes)
        response = dict(
            zip(_KINDS, found.responses(found.run.trajectory.commands, _WINDOW_S), strict=True)
        )
        joints = found.run.states[..., task.plant.state_parts["position"]]
        motion = found.effects(joints).mean(1)
        first = round(self.onset_s / dt_s)
        course = found.courses(found.run.trajectory.commands).mean(1)[:, first:]
        return Findings(
            measures={
                "elbow moves": as_percentage(response["elbow moves"], response["shoulder moves"]),
                "same motion": as_percentage(response["elbow torque"], response["shoulder torque"]),
            },
            data={
                "time_s": dt_s * np.arange(task.steps - first, dtype=np.float64),
                "response_nm": np.asarray(course, np.float64),
                "motion_rad": np.asarray(motion[:, first : task.steps], np.float64),
            },
            remarks=_remarks(task),
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw how the joints move at first, and the shoulder's responses."""
        data = found.data
        shown = data["time_s"] <= 0.2
        time = 1000 * data["time_s"][shown]
        axes = figure.subplots(2, 2, sharex=True, sharey="row")
        for column, pair in enumerate(((0, 1), (2, 3))):
            above, below = axes[:, column]
            for place in pair:
                motion = np.degrees(data["motion_rad"][place][shown])
                (line,) = above.plot(time, motion[:, 0], label=_KINDS[place])
                above.plot(time, motion[:, 1], "--", color=line.get_color())
                below.plot(time, data["response_nm"][place][shown], color=line.get_color())
            below.axvspan(1000 * _WINDOW_S[0], 1000 * _WINDOW_S[1], color="0.9", lw=0)
            below.axhline(0.0, color="0.6", lw=0.6)
            below.set_xlabel("time since the load (ms)")
            above.legend(frameon=False, fontsize=6)
        axes[0, 0].set_ylabel("joints (deg)\nshoulder -, elbow - -", fontsize=7)
        axes[1, 0].set_ylabel("shoulder's counter\ncommand (N m)", fontsize=7)


def loads_nm(inertia: Tensor, size_nm: float) -> dict[str, Tensor]:
    """Return the loads (N m), (2,), of shoulder and elbow.

    With M the inertia matrix of the arm at rest, a load M a accelerates the joints by a.

    Args:
        inertia: M (kg m2), (2, 2).
        size_nm: Torque at the shoulder (N m).
    """
    mobility = torch.linalg.inv(inertia)
    alike = -float(mobility[0, 0] / mobility[0, 1])  # elbow torque that moves the shoulder alike
    return {
        "elbow moves": size_nm * inertia[:, 1] / inertia[0, 1],
        "shoulder moves": size_nm * inertia[:, 0] / inertia[0, 0],
        "shoulder torque": torch.tensor([size_nm, 0.0], dtype=torch.float64),
        "elbow torque": torch.tensor([0.0, -size_nm * alike], dtype=torch.float64),
    }


def _remarks(task: CursorReach) -> tuple[str, ...]:
    """What the conditions leave out."""
    channels = [] if task.senses is None else task.senses.channels
    delays = [one.delay_s for one in channels if one.delay_s is not None]
    soonest = min(delays, default=task.delay_steps * task.plant.dt_s)
    return (
        f"Nothing is felt earlier than {1000 * soonest:.0f} ms after it happens, so that there are "
        "no short-latency responses, and the window begins before any response can.",
    )


EXPERIMENTS["long-latency"] = LongLatency()
