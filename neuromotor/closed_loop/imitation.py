"""A controller along trajectories that happened, held against the commands that are wanted there.

The observations are given, so that the commands change nothing: a loss of sequences, which is
easier to lower than that of the closed loop. Notation: u commands, u* those that are wanted, and G
the weights of a difference; the loss of a trial is ``sum_t (u - u*)' G (u - u*) / 2``.

With the teacher's second derivative of the expected cost to go as G this is, for a linear plant and
quadratic cost, by how much the expected loss exceeds the teacher's, when the trials are drawn by
the controller itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from neuromotor._checks import check_finite_tensor
from neuromotor.closed_loop.autograd import AutogradObjective, Happened
from neuromotor.closed_loop.objective import Place, drawn_residuals
from neuromotor.closed_loop.recorded import tape_blocks
from neuromotor.closed_loop.simulate import Trajectory, check_inputs
from neuromotor.controllers.cells import Tape
from neuromotor.controllers.controller import Controller, WritesTape
from neuromotor.optim.objective import KroneckerBlock
from neuromotor.tasks.senses import SensesInUse
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["AutogradImitation", "Lesson", "check_lesson"]


@dataclass(frozen=True)
class Lesson:
    """What happened in B trials of T steps, and what should have been commanded.

    Attributes:
        trials: The trials, whose targets, cues and draws of unit noise the controller is told.
        observations: What it senses, (B, T, f).
        wanted: Commands that are wanted, (B, T, m).
        weights: Weights G of a difference, symmetric and positive definite, (B, T, m, m).

    Raises:
        ValueError: A part has the wrong shape, dtype or device, or is not finite.
    """

    trials: Trials
    observations: Tensor
    wanted: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        batch, like = len(self.trials), self.trials.initial_state
        check_finite_tensor("observations", self.observations, (batch, None, None))
        steps = self.observations.shape[1]
        check_finite_tensor("wanted", self.wanted, (batch, steps, None))
        size = self.wanted.shape[2]
        check_finite_tensor("weights", self.weights, (batch, steps, size, size))
        for name in ("observations", "wanted", "weights"):
            part = getattr(self, name)
            if part.dtype != like.dtype or part.device != like.device:
                raise ValueError(
                    f"`{name}` must share dtype and device with the trials ({like.dtype}, "
                    f"{like.device}), got {part.dtype}, {part.device}."
                )

    def __len__(self) -> int:
        return len(self.trials)

    def subset(self, rows: slice | Tensor) -> Lesson:
        """Return some of the trials."""
        parts = (self.observations[rows], self.wanted[rows], self.weights[rows])
        return Lesson(self.trials.subset(rows), *parts)

    def to(self, dtype: torch.dtype) -> Lesson:
        """Return the same in another precision."""
        parts = (self.observations.to(dtype), self.wanted.to(dtype), self.weights.to(dtype))
        return Lesson(self.trials.to(dtype=dtype), *parts)

    def roots(self) -> Tensor:
        """Return C with ``G = C C'``, (B, T, m, m).

        Raises:
            ValueError: G is not positive definite.
        """
        root, info = torch.linalg.cholesky_ex(self.weights.double())
        if bool(info.any()):
            raise ValueError(
                f"`weights` must be positive definite, got {int((info != 0).sum())} of "
                f"{info.numel()} matrices that are not."
            )
        roots: Tensor = root.to(self.weights)
        return roots


def check_lesson(task: Task, lesson: Lesson) -> None:
    """Raise unless a lesson fits a task."""
    senses = SensesInUse.of(task)
    for name, size in (
        ("observations", len(senses.labels)),
        ("wanted", task.plant.command_size),
    ):
        shape = getattr(lesson, name).shape
        if shape[1:] != (task.steps, size):
            raise ValueError(
                f"`lesson.{name}` must have {task.steps} steps of {size} numbers for this task, "
                f"got {shape[1]} of {shape[2]}."
            )


class AutogradImitation(AutogradObjective):
    """Mean loss of a lesson: value, gradient and Gauss-Newton product, by autograd."""

    def __init__(self, task: Task, controller: Controller, lesson: Lesson) -> None:
        """Join a loop and a lesson; `ClosedLoop.imitation` checks that they fit."""
        super().__init__(task, controller, lesson.trials)
        self._lesson, self._roots = lesson, lesson.roots()

    def over(self, trials: Trials) -> AutogradImitation:
        """Refuse: a lesson is about its own trials.

        Raises:
            ValueError: Always.
        """
        del trials
        raise ValueError("a lesson has no other trials than its own; use `part`.")

    def part(self, size: int, generator: torch.Generator) -> AutogradImitation:
        """Return the mean loss over `size` random trials, or over all where there are no more."""
        count = len(self._lesson)
        if size >= count:
            return self
        rows = torch.randperm(count, generator=generator)[:size]
        return AutogradImitation(self.task, self.controller, self._lesson.subset(rows))

    def run(self, parameters: Tensor) -> Happened:
        """Return what is commanded along the lesson, and each trial's loss."""
        check_inputs(self.task, parameters, self.trials)
        trajectory = self._along(self.controller.unpack(parameters))
        return Happened(trajectory, 0.5 * self._errors(trajectory).square().sum(1), [], None)

    def residuals(self, trajectory: Trajectory, losses: Tensor) -> Tensor:
        """Return the residuals, (B, T m)."""
        del losses
        return self._errors(trajectory)

    @torch.enable_grad()
    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator, place: Place | None = None
    ) -> tuple[KroneckerBlock, ...]:
        """Return a Kronecker-factored estimate of the Gauss-Newton matrix, map by map.

        See `LoopObjective.kronecker_factors`.

        Raises:
            ValueError: The controller does not say which linear maps it consists of.
        """
        network = self._with_tape()
        theta = parameters.detach().requires_grad_(True)
        tape = Tape()
        commands = self._along(network.recorded(network.unpack(theta), tape)).commands
        batch, steps, size = commands.shape
        drawn = drawn_residuals(steps, batch, size, generator, place).transpose(0, 1).to(commands)
        pull = (self._roots @ drawn.unsqueeze(-1)).squeeze(-1) / batch**0.5
        return tape_blocks(network, tape, (pull * commands).sum())

    def _errors(self, trajectory: Trajectory) -> Tensor:
        """Return C' (u - u*), (B, T m)."""
        missed = (trajectory.commands - self._lesson.wanted).unsqueeze(-1)
        return (self._roots.mT @ missed).flatten(1)

    def _along(self, weights: object) -> Trajectory:
        """Run the controller on the observations; the states stay where they began."""
        lesson, trials, controller = self._lesson, self.trials, self.controller
        senses = SensesInUse.of(self.task)
        goal, told = senses.told(trials.target), senses.told_over_time(trials)
        memory = controller.initial_memory(weights, len(trials))
        commands: list[Tensor] = []
        memories: list[tuple[Tensor, ...]] = []
        for t, observation in enumerate(lesson.observations.unbind(1)):
            noise = None if trials.unit_noise is None else trials.unit_noise[:, t]
            target = goal if told is None else told[:, t]
            memory, command = controller.step(weights, memory, observation, target, t, noise)
            commands.append(command)
            memories.append(memory)
        return Trajectory(
            states=trials.initial_state[:, None],
            commands=torch.stack(commands, dim=1),
            observations=lesson.observations,
            memory=tuple(torch.stack(part, dim=1) for part in zip(*memories, strict=True)),
        )

    def _with_tape(self) -> WritesTape:
        """Return the controller, which must write on a tape."""
        if not self.has_factors:
            raise ValueError(
                "`controller` must be a network of cells, or write its products on a tape, to have "
                f"Kronecker factors, got a {type(self.controller).__name__}; use lbfgs or adam."
            )
        return cast(WritesTape, self.controller)
