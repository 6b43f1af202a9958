"""A controller at practice: its targets, its plan for each, and trials of several subjects.

A plan is what the controller does where nothing disturbs it. A learner adds commands to the
controller's, or changes the controller; what it adds may hold the plan in a field (`holding`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.closed_loop import Trajectory, channel_force
from neuromotor.closed_loop.simulate import run
from neuromotor.control import ILQR
from neuromotor.control.linear_feedback import FeedbackWeights
from neuromotor.controllers.controller import Controller, belongs_to_trials
from neuromotor.plants import Plant
from neuromotor.tasks import SensesInUse
from neuromotor.tasks.cost import QuadraticCost
from neuromotor.tasks.fields import HandField, across
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["Addition", "Outcome", "Practice"]

Chance = Callable[[Trials, torch.Generator], Trials]


@dataclass(frozen=True)
class Addition:
    """What a learner changes in a trial of R subjects; None is nothing.

    Attributes:
        commands: Added to what the controller gives, (R, T, m).
        controller: In place of the practice's own, with `weights`, which it has unpacked.
        weights: See there.
    """

    commands: Tensor | None = None
    controller: Controller | None = None
    weights: Any = None


@dataclass(frozen=True)
class Outcome:
    """One trial of R subjects.

    Attributes:
        target: Number of each one's target, (R,).
        trials: What they met.
        clamped: Whether a channel held the hand on the straight line, (R,).
        trajectory: What happened; `commands` are the sums of the controller's and what was added.
        added: What was added, (R, T, m).
        path_m: The hand's distance from the straight line to the target, positive to the left,
            (R, T + 1).
    """

    target: Tensor
    trials: Trials
    clamped: Tensor
    trajectory: Trajectory
    added: Tensor
    path_m: Tensor


@dataclass(frozen=True)
class Practice:
    """What R subjects practise: the same controller, with draws of their own.

    Attributes:
        task: The conditions.
        controller: The controller. One that has tables for each trial has them for `trials`.
        parameters: Its parameters, (P,).
        trials: The reaches, without noise and fields, one a target: K of them.
        subjects: R.
        chance: Adds noise to trials; by default there is none.

    Raises:
        ValueError: The hand does not move in a plane, a reach goes nowhere, or the controller's
            tables are for other trials.
    """

    task: Task
    controller: Controller
    parameters: Tensor
    trials: Trials
    subjects: int = 8
    chance: Chance = lambda trials, generator: trials

    def __post_init__(self) -> None:
        check_integer("subjects", self.subjects, minimum=1)
        if self.task.plant.hand_size != 2:
            raise ValueError(
                "`task.plant` must have a hand that moves in a plane, got one in "
                f"{self.task.plant.hand_size} dimensions."
            )
        if bool((self._way.norm(dim=-1) == 0).any()):
            raise ValueError(
                "`trials` must be reaches to another place, got one that goes nowhere."
            )
        if belongs_to_trials(self.controller):
            own = getattr(self.controller, "trials", None)
            if own != len(self.trials):
                raise ValueError(
                    f"`controller` must have tables for the {len(self.trials)} trials, got tables "
                    f"for {own}."
                )

    # ---- the reaches ----

    @cached_property
    def start(self) -> Tensor:
        """Where the hand begins (m), (K, 2)."""
        return self.task.plant.hand_position(self.trials.initial_state)

    @property
    def _way(self) -> Tensor:
        """From there to the target (m), (K, 2)."""
        return self.task.plant.hand_position(self.trials.target) - self.start

    @cached_property
    def direction(self) -> Tensor:
        """Of the target, of length 1, (K, 2)."""
        return torch.nn.functional.normalize(self._way, dim=-1)

    @cached_property
    def plan(self) -> Trajectory:
        """What the controller does where nothing disturbs it, K trials."""
        with torch.no_grad():
            return run(self.task, *self._for(torch.arange(len(self.trials))), self.trials)

    @cached_property
    def planned_velocity(self) -> Tensor:
        """The hand's velocity in the plan (m/s), before each step, (K, T, 2)."""
        return self.task.plant.hand_velocity(self.plan.states[:, :-1])

    def field(self, field: HandField) -> Tensor:
        """Return a field for each target, (K, 2, 5)."""
        return field.matrix(self.start, self.direction)

    def side(self, states: Tensor, target: Tensor) -> Tensor:
        """Return the hand's distance (m) to the left of the straight line, (R, T + 1)."""
        away = self.task.plant.hand_position(states) - self.start[target][:, None]
        return (away * across(self.direction[target])[:, None]).sum(-1)

    # ---- what learners make use of ----

    def holding(self, field: Tensor) -> Tensor:
        """Return what to add to the plan's commands so that it is kept in a field, (K, T, m).

        The inverse model of the field: commands that follow the plan's states as exactly as the
        plant can. It is linear in the field, as far as the plan is kept.

        Args:
            field: For each target, (K, 2, 5).
        """
        goal, commands = self.plan.states, self.plan.commands
        follow = _Follow(self.task.plant, self.task.steps)
        trials = Trials(goal[:, 0], goal[:, -1], wanted=goal, field=field)
        found = ILQR(iterations=30, tolerance=1e-6).solve(follow, trials, commands)
        return found.commands - commands

    def course(self, field: Tensor) -> Tensor:
        """Return how far a field pushes the hand to the left of its plan, unlearnt, (K, T + 1).

        Args:
            field: For each target, (K, 2, 5).
        """
        every = torch.arange(len(self.trials))
        with torch.no_grad():
            pushed = run(self.task, *self._for(every), replace(self.trials, field=field))
        return self.side(pushed.states, every) - self.side(self.plan.states, every)

    def reafference(self, target: Tensor, added: Tensor) -> Tensor | None:
        """Return what is sensed of added commands where the plan's path is kept, (R, T, f).

        Actuators that follow their commands late, such as muscles, are part of the state, and may
        be sensed. A learner predicts what its own commands do to them, so that the controller does
        not work against it. None where there is nothing to predict.

        Args:
            target: Number of each one's target, (R,).
            added: (R, T, m).
        """
        plant, senses = self.task.plant, SensesInUse.of(self.task)
        path = [plant.state_parts[name] for name in ("position", "velocity")]
        if sum(part.stop - part.start for part in path) == plant.state_size:
            return None
        plan, commands = self.plan.states[target], self.plan.commands[target] + added
        states, sensed = [plan[:, 0]], []
        for t in range(self.task.steps):
            sensed.append(senses.sensed(lambda ago: states[max(len(states) - 1 - ago, 0)], _none))
            after = plant.step(states[-1], commands[:, t]).clone()
            for part in path:
                after[:, part] = plan[:, t + 1, part]
            states.append(after)
        return torch.stack(sensed, dim=1) - self.plan.observations[target]

    # ---- trials ----

    def attempt(
        self,
        target: Tensor,
        field: Tensor,
        clamped: Tensor,
        addition: Addition,
        generator: torch.Generator,
    ) -> Outcome:
        """Return what happens in a trial of R subjects.

        Args:
            target: Number of each one's target, (R,).
            field: (R, 2, 5); zeros are none.
            clamped: Whether each is in a channel, (R,).
            addition: What the learner changes.
            generator: Source of noise.
        """
        trials = self.chance(self.trials.subset(target), generator)
        trials = replace(trials, field=field.to(trials.dtype) if bool(field.any()) else None)
        if bool(clamped.any()):
            normal = across(self.direction[target])
            place = (normal * self.start[target]).sum(-1, keepdim=True)
            walls = torch.cat([place, normal], dim=-1) * clamped[:, None]
            trials = replace(trials, channel=walls.to(trials.dtype))
        controller, weights = self._for(target)
        if addition.controller is not None:
            controller, weights = addition.controller, addition.weights
        steps, size = self.task.steps, self.task.plant.command_size
        added = trials.initial_state.new_zeros(len(target), steps, size)
        if addition.commands is not None:
            added = addition.commands
            expected = self.reafference(target, added)
            controller, weights = _Added(controller), (weights, added, expected)
        with torch.no_grad():
            trajectory = run(self.task, controller, weights, trials)
        return Outcome(
            target, trials, clamped, trajectory, added, self.side(trajectory.states, target)
        )

    def pressing(self, outcome: Outcome) -> Tensor:
        """Return the force (N) of the hand on its channel, positive to the left, (R, T)."""
        done, trials = outcome.trajectory, outcome.trials
        return channel_force(self.task.plant, done.states, done.commands, trials)

    def _for(self, target: Tensor) -> tuple[Controller, Any]:
        """The controller and its unpacked weights for trials to some targets."""
        weights = self.controller.unpack(self.parameters)
        if not belongs_to_trials(self.controller):
            return self.controller, weights
        chosen = (
            weights.of_trials(target) if isinstance(weights, FeedbackWeights) else weights[target]
        )
        own: Any = self.controller
        return replace(own, trials=len(target)), chosen


def _none(name: str) -> None:
    """No draws."""


@dataclass(frozen=True)
class _Follow:
    """Follow the states of a plan; the command costs almost nothing."""

    plant: Plant
    steps: int
    delay_steps: int = 0
    random: bool = False

    @property
    def cost(self) -> QuadraticCost:
        weights = torch.zeros(self.steps + 1, self.plant.state_size, dtype=torch.float64)
        weights[:, self.plant.state_parts["position"]] = 1e4
        weights[:, self.plant.state_parts["velocity"]] = 1e2
        return QuadraticCost(weights, energy_weight=1e-6)

    def trials(self, *args: Any, **kwargs: Any) -> Trials:
        raise NotImplementedError("the trials are the plan's")


@dataclass(frozen=True)
class _Added:
    """A controller with a table of commands added, which does not sense what these alone cause."""

    inner: Any

    def initial_memory(self, weights: Any, batch: int) -> tuple[Tensor, ...]:
        memory: tuple[Tensor, ...] = self.inner.initial_memory(weights[0], batch)
        return memory

    def step(
        self,
        weights: Any,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        own, added, expected = weights
        if expected is not None:
            observation = observation - expected[:, t]
        memory, command = self.inner.step(own, memory, observation, target, t, noise)
        return memory, command + added[:, t]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
