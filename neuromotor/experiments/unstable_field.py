"""Reaches in a field that drives the hand away from the straight line, and the hand's stiffness.

Source: Burdet et al. (2001): a servo displaces the hand along its path by some millimetres, and its
mean force in the hold, well after the displacement, gives the stiffness, reflexes included.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_positive
from neuromotor.analysis.measures import hand_stiffness
from neuromotor.closed_loop import advance
from neuromotor.control import BelievedField
from neuromotor.controllers.controller import Controller, belongs_to_trials
from neuromotor.evaluation.bootstrap import bootstrap_interval
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import CannotBeAskedError, Findings, Nature
from neuromotor.experiments.practising import reaches_around
from neuromotor.experiments.session import Session
from neuromotor.plants import moving_state
from neuromotor.tasks import CursorReach, DivergentField, SensesInUse, Trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["UnstableField"]

_RAMP_S, _HOLD_S = 0.1, 0.1  # the servo moves the hand, and keeps it there


@dataclass(frozen=True)
class UnstableField(Experiment):
    """Reaches away from the body in a divergent field, and without a field.

    The limb of all experiments is driven by torques: it has no muscles that could stiffen it by
    working against each other, so that its stiffness is that of feedback alone, and is asked late
    enough for feedback to arrive. A subject is asked that can be designed for the field, or has
    practised in fields of all strengths and is told of the one to come.

    Attributes:
        distance_m: Of the target (m), straight ahead.
        arrival_s: Time that is given (s).
        stiffness_n_m: Of the field (N/m). Weaker than the 300 to 500 N/m of the source, which a
            limb without muscles does not survive (ours).
        displacement_m: By how much the servo displaces the hand (m).
        probes: When it begins to, as shares of the time given.
        directions: Number of directions of displacement.
    """

    distance_m: float = 0.12
    arrival_s: float = 0.6
    stiffness_n_m: float = 100.0
    displacement_m: float = 0.008
    probes: tuple[float, ...] = (0.3, 0.4, 0.5)
    directions: int = 8

    title: ClassVar[str] = "Unstable field"
    question: ClassVar[str] = (
        "A field drives the hand away from the straight line. Does the hand get stiffer across the "
        "movement, and across it only?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "across", "stiffness across the movement, of that without a field", "%", 150, 400, 100,
            "people", "Burdet et al. 2001", about=True,
        ),
        Nature(
            "selective", "change of stiffness across less that along", "%", 50, 300, 0, "people",
            "Burdet et al. 2001", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("distance_m", "arrival_s", "stiffness_n_m", "displacement_m"):
            check_positive(name, getattr(self, name))
        check_integer("directions", self.directions, minimum=3)
        if not self.probes or not all(0 < one < 1 for one in self.probes):
            raise ValueError(f"`probes` must be shares between 0 and 1, got {self.probes!r}.")

    def quick(self) -> Self:
        """Return the same with four directions."""
        return replace(self, directions=4)

    def conduct(self, session: Session) -> Findings:
        """Measure the hand's stiffness with and without the field; see `Experiment.conduct`."""
        task, reach = reaches_around(session, (90.0,), self.distance_m, self.arrival_s)
        start = task.plant.hand_position(reach.initial_state)
        ahead = start.new_tensor([[0.0, 1.0]])
        found, paths = {}, {}
        for name, stiffness in (("null", 0.0), ("divergent", self.stiffness_n_m)):
            mean = DivergentField(stiffness).matrix(start, ahead)
            session.say(f"{session.subject.name}: {name} field")
            believed = BelievedField(mean)
            told = task.knowing(reach, divergent_n_m=stiffness)
            trials = task.with_noise(replace(told, field=mean), session.generator(), 10)
            many = BelievedField(mean.expand(10, -1, -1))
            run = session.run(task, trials, many)
            paths[name] = run.hand
            self._check(run.hand - start, name)
            controller, parameters = session.subject.believing(task, told, believed)
            calm = session.run(task, told, believed)
            found[name] = torch.stack(
                [self._stiffness(task, told, calm.states, controller, parameters, share)
                 for share in self.probes]
            )  # fmt: skip
        null, after = found["null"], found["divergent"]
        across = 100 * after[:, 0, 0] / null[:, 0, 0]
        along = 100 * after[:, 1, 1] / null[:, 1, 1]
        return Findings(
            measures={
                "across": bootstrap_interval(across),
                "selective": bootstrap_interval(across - along),
            },
            data={
                "null": np.asarray(null.mean(0), np.float64),
                "divergent": np.asarray(after.mean(0), np.float64),
                "paths_m": np.asarray(torch.stack(list(paths.values())) - start, np.float64),
            },
            remarks=(
                "Its stiffness is that of feedback alone: torques resist nothing before feedback "
                "arrives, and cannot work against each other as muscles do.",
            ),
        )

    def _check(self, path: Tensor, name: str) -> None:
        """Refuse hands, (B, T + 1, 2) from their start (m), that leave the way to the target."""
        room = 0.5 * self.distance_m
        aside = path[..., 0].abs().amax()
        ahead = (path[..., 1] - room).abs().amax() - room
        if bool(aside < room) and bool(ahead < room):
            return
        if name == "null":
            raise CannotBeAskedError("its hand does not go to the target, with no field at all.")
        raise CannotBeAskedError(
            f"the field drives its hand {100 * float(aside):.0f} cm aside; it has no muscles "
            "to stiffen."
        )

    def _stiffness(
        self,
        task: CursorReach,
        reach: Trials,
        path: Tensor,
        controller: Controller,
        parameters: Tensor,
        share: float,
    ) -> Tensor:
        """Return K (N/m), (2, 2), of ``F = -K d`` for displacements d from a path."""
        count, dt_s = self.directions, task.plant.dt_s
        angle = torch.arange(count, dtype=torch.float64) * (2 * torch.pi / count)
        away = self.displacement_m * torch.stack([angle.cos(), angle.sin()], dim=-1)
        begins = round(share * self.arrival_s / dt_s)
        ramp, hold = round(_RAMP_S / dt_s), round(_HOLD_S / dt_s)
        last = begins + ramp + hold
        time = torch.arange(last + 1) - begins
        part = (time / ramp).clamp(0, 1).double()
        part = part**3 * (10 - 15 * part + 6 * part**2)  # smooth, as minimum jerk
        # the calm controller once for each direction, and once undisplaced
        offset = torch.cat([away, torch.zeros(1, 2).double()])
        force = _servo(task, reach, path, controller, parameters, offset, part)
        held = force[:, last - hold // 2 - 3 : last - 2].mean(1)  # late in the hold
        answer = held[-1] - held[:-1]  # of the hand on the servo
        return torch.from_numpy(hand_stiffness(away.numpy(), answer.numpy()).matrix_n_m)

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw paths in both fields, and the ellipses of stiffness."""
        left, right = figure.subplots(1, 2)
        for paths, color in zip(found.data["paths_m"], ("C0", "C1"), strict=True):
            for path in paths:
                left.plot(100 * path[:, 0], 100 * path[:, 1], lw=0.7, color=color)
        left.set_aspect("equal", adjustable="datalim")
        left.set_xlabel("aside (cm)")
        left.set_ylabel("ahead (cm)")
        angle = np.linspace(0, 2 * np.pi, 100)
        circle = np.stack([np.cos(angle), np.sin(angle)])
        for name, color in (("null", "C0"), ("divergent", "C1")):
            ellipse = found.data[name] @ circle
            right.plot(ellipse[0], ellipse[1], color=color, label=f"{name} field")
        right.set_aspect("equal", adjustable="datalim")
        right.set_xlabel("stiffness, x (N/m)")
        right.set_ylabel("y (N/m)")
        right.legend(frameon=False, fontsize=7)


def _servo(
    task: CursorReach,
    reach: Trials,
    path: Tensor,
    controller: Any,
    parameters: Tensor,
    offset: Tensor,
    part: Tensor,
) -> Tensor:
    """Return the force (N) of a servo that keeps the hand displaced from a path, (B, steps, 2).

    Args:
        task: Conditions.
        reach: One reach without noise.
        path: Its states, (1, T + 1, n).
        controller: For one trial.
        parameters: Its parameters.
        offset: Displacements (m), (B, 2).
        part: What part of them there is before each step and after the last, (steps + 1,).
    """
    plant, count = task.plant, len(offset)
    trials = reach.subset(torch.zeros(count, dtype=torch.long))
    weights = controller.unpack(parameters)
    if belongs_to_trials(controller):
        controller = replace(controller, trials=count)
        weights = weights.of_trials(torch.zeros(count, dtype=torch.long))
    senses = SensesInUse.of(task)
    told = senses.told_over_time(trials)
    if told is None:
        told = senses.told(trials.target)[:, None].expand(-1, task.steps, -1)
    memory, states, forces = controller.initial_memory(weights, count), [trials.initial_state], []
    hand, speed = plant.hand_position(path), plant.hand_velocity(path)
    joints = plant.state_parts["position"].start, plant.state_parts["velocity"].stop
    for t in range(len(part) - 1):
        observation = senses.sensed(
            lambda ago: states[max(len(states) - 1 - ago, 0)], lambda name: None
        )
        memory, command = controller.step(weights, memory, observation, told[:, t], t, None)
        free = advance(plant, states[-1], command, trials, t)
        place = hand[:, t + 1] + part[t + 1] * offset
        velocity = speed[:, t + 1] + (part[t + 1] - part[t]) / plant.dt_s * offset
        wanted = moving_state(plant, place, velocity, path[0, t + 1, plant.state_parts["position"]])
        kept = free.clone()
        kept[:, joints[0] : joints[1]] = wanted[:, joints[0] : joints[1]]
        arm = plant.arm
        impulse = arm.inertia_matrix(kept[:, :4]) @ (kept - free)[:, 2:4, None] / plant.dt_s  # N m
        forces.append(torch.linalg.solve(arm.jacobian(kept[:, :4]).mT, impulse).squeeze(-1))
        states.append(kept)
    return torch.stack(forces, dim=1)


EXPERIMENTS["unstable-field"] = UnstableField()
