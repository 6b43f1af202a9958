"""The loss of a lesson by the compiled loops of the closed loop.

The loops run as always, but what is sensed is written over by the lesson's observations, with a
gain of zero on the states, so that no derivative flows through the plant. The plant itself gets no
command and no load, and nobody looks where it goes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from neuromotor.closed_loop.compiled.arrays import Run
from neuromotor.closed_loop.compiled.block import Room
from neuromotor.closed_loop.compiled.machine import Machine
from neuromotor.closed_loop.compiled.objective import (
    Array,
    CompiledObjective,
    PackedNetwork,
    Passes,
)
from neuromotor.closed_loop.imitation import Lesson
from neuromotor.closed_loop.objective import Place, drawn_residuals
from neuromotor.tasks.trials import Trials

__all__ = ["CompiledImitation"]


class _LessonPasses(Passes):
    """Passes over the blocks of a lesson."""

    def __init__(self, machine: Machine, lesson: Lesson) -> None:
        trials = lesson.trials
        told = Trials.names(seen_by="controller") + Trials.names(seen_by="units")
        parts = {name: getattr(trials, name) for name in told}
        super().__init__(machine, Trials(trials.initial_state, trials.target, **parts))
        self.given = [
            own._replace(
                gain=np.zeros_like(own.gain),
                sense=self._turned(lesson.observations[part]),
                command_noise=-np.ones_like(own.command_noise),  # u (1 + xi) = 0
            )
            for own, part in zip(self.given, self.parts, strict=True)
        ]
        self._wanted = [self._turned(lesson.wanted[part]) for part in self.parts]
        self._weights = [self._turned(lesson.weights[part]) for part in self.parts]
        roots = lesson.roots()
        self._roots = [self._turned(roots[part]) for part in self.parts]

    def forward(self, block: int, room: Room, run: Run, network: PackedNetwork) -> float:
        """Run a block; return twice the sum of its losses."""
        super().forward(block, room, run, network)
        missed = run.u - self._wanted[block]
        return float((missed * self._weighed(block, missed)).sum(dtype=np.float64))

    def pull(
        self, block: int, room: Room, states: Array, commands: Array, about_goal: bool
    ) -> None:
        """Write the loss's derivatives to `room.derivatives`."""
        del states
        by_state, by_command = room.derivatives
        missed = commands - self._wanted[block] if about_goal else commands
        by_state[:] = 0
        by_command[:] = self._weighed(block, missed) / self.dims.batch

    def drawn(
        self, generator: torch.Generator, place: Place | None
    ) -> list[tuple[Array | float, Array]]:
        """Return random residuals of every block, pulled back to states and commands."""
        steps, size, _ = self._wanted[0].shape
        whole = drawn_residuals(steps, len(self.trials), size, generator, place)
        scale = self.dims.batch**-0.5
        pulls: list[tuple[Array | float, Array]] = []
        for block, part in enumerate(self.parts):
            own = np.array(whole[:, part].permute(0, 2, 1).numpy(), self.dtype, order="C")
            pulls.append((0.0, scale * np.einsum("tijb,tjb->tib", self._roots[block], own)))
        return pulls

    def _weighed(self, block: int, missed: Array) -> Array:
        """Return G times differences, (T, m, M)."""
        weighed: Array = np.einsum("tijb,tjb->tib", self._weights[block], missed)
        return weighed

    def _turned(self, part: Tensor) -> Array:
        """Return (M, T, ...) with the trials last, (T, ..., M)."""
        return np.array(part.movedim(0, -1).numpy(), self.dtype, order="C")


class CompiledImitation(CompiledObjective):
    """Mean loss of a lesson: value, gradient, Gauss-Newton product, by compiled loops."""

    def __init__(self, machine: Machine, lesson: Lesson) -> None:
        """Join a machine and a lesson; `ClosedLoop.imitation` says which can be compiled."""
        super().__init__(machine, lesson.trials, _LessonPasses(machine, lesson))
        self._machine, self._lesson = machine, lesson

    def over(self, trials: Trials) -> CompiledImitation:
        """Refuse: a lesson is about its own trials.

        Raises:
            ValueError: Always.
        """
        del trials
        raise ValueError("a lesson has no other trials than its own; use `part`.")

    def part(self, size: int, generator: torch.Generator) -> CompiledImitation:
        """Return the mean loss over `size` random trials, or over all where there are no more."""
        count = len(self._lesson)
        if size >= count:
            return self
        rows = torch.randperm(count, generator=generator)[:size]
        return CompiledImitation(self._machine, self._lesson.subset(rows))
