"""One controller under the conditions that all experiments share, and what it does there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from neuromotor.closed_loop import ClosedLoop, Trajectory
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.control import BelievedField
from neuromotor.controllers.controller import unit_rates
from neuromotor.experiments.findings import CannotBeAskedError
from neuromotor.experiments.subjects import Subject
from neuromotor.tasks import CursorReach, Trials

__all__ = ["Run", "Session"]


@dataclass(frozen=True)
class Run:
    """What happened in a batch of B trials of T steps, in float64.

    Attributes:
        task: Under which conditions.
        trials: The batch.
        trajectory: States, commands and the controller's memory.
        controller: What ran.
        has_units: Whether its memory is that of units, and not an estimate.
    """

    task: CursorReach
    trials: Trials
    trajectory: Trajectory
    controller: Any
    has_units: bool = False

    @property
    def states(self) -> Tensor:
        """States, (B, T + 1, 12)."""
        return self.trajectory.states

    @cached_property
    def hand(self) -> Tensor:
        """Where the hand was (m), (B, T + 1, 2)."""
        return self.task.plant.hand_position(self.states)

    @cached_property
    def cursor(self) -> Tensor:
        """Where the cursor was (m), (B, T + 1, 2)."""
        return self.task.plant.cursor(self.states)

    @cached_property
    def velocity(self) -> Tensor:
        """The hand's velocity (m/s), (B, T + 1, 2)."""
        return self.task.plant.hand_velocity(self.states)

    @property
    def torque(self) -> Tensor:
        """Torques of shoulder and elbow (N m), (B, T + 1, 2)."""
        return self.states[..., self.task.plant.state_parts["torque"]]

    def rates(self) -> Tensor:
        """Return the rates of a network's units, (B, T, units).

        Raises:
            CannotBeAskedError: The controller has no units.
        """
        if not self.has_units:
            raise CannotBeAskedError("it has no units.")
        return torch.cat(unit_rates(self.controller, self.trajectory.memory), dim=-1)


@dataclass(frozen=True)
class Session:
    """A subject, the conditions, and a source of chance.

    Attributes:
        subject: What is put through experiments.
        world: The conditions that all experiments share: limb, senses, noise, weights of the cost.
            Experiments change nothing of it but the number of steps, and what its screen shows.
        seed: Of all draws.
        say: Called with a line of progress.
    """

    subject: Subject
    world: CursorReach
    seed: int = 0
    say: Callable[[str], None] = lambda line: None

    def generator(self, stream: int = 0) -> torch.Generator:
        """Return a new source of draws; other streams give other draws."""
        return torch.Generator().manual_seed(self.seed + 7919 * stream)

    @torch_threads()
    def run(self, task: CursorReach, trials: Trials, believed: BelievedField | None = None) -> Run:
        """Run the subject on trials, all side by side.

        Args:
            task: `world`, with another number of steps or another screen.
            trials: A batch of it.
            believed: The force field that the subject believes in; None is none.

        Raises:
            CannotBeAskedError: The subject cannot do this; the message says why.
        """
        if believed is None:
            controller, parameters = self.subject.controller(task, trials)
        else:
            controller, parameters = self.subject.believing(task, trials, believed)
        with torch.no_grad():
            trajectory = ClosedLoop(task, controller).simulate(parameters, trials)
        if not bool(torch.isfinite(trajectory.states).all()):
            raise CannotBeAskedError("its movements are unstable under these conditions.")
        has_units = self.subject.has_units and bool(trajectory.memory)
        return Run(task, trials, trajectory, controller, has_units)
