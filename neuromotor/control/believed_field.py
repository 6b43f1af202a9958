"""A force field that a controller believes in when it is designed, and how sure it is of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor.control.linear_design import jacobians, outside_jacobians
from neuromotor.plants.field import field_force
from neuromotor.plants.plant import Plant
from neuromotor.tasks.senses import SensesInUse
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["BelievedField"]


@dataclass(frozen=True)
class BelievedField:
    """A force field on the hand as a controller believes in it, and how sure it is.

    A field whose strength varies from trial to trial, unknown when a trial begins, is taken as
    noise that is proportional to the field's force and drawn anew at every step (as Izawa et al.
    2008). A strength that deviates by s all along does so unanswered until the senses tell of it,
    k steps later; draws of deviation ``s sqrt(k)`` have the same variance of their sum over these
    steps (`lasting`; that choice is ours).

    Attributes:
        mean: ``field [1, p, v]`` for each trial, (B, d, 1 + 2 d), as in `Trials.field`.
        deviation: Patterns of its deviation at each step, (r, d, 1 + 2 d), the same for all trials;
            None is a field that is known for sure.
    """

    mean: Tensor
    deviation: Tensor | None = None

    @classmethod
    def lasting(cls, task: Task, mean: Tensor, deviation: Tensor) -> BelievedField:
        """Return the belief in a field that deviates by the same all along a trial.

        Args:
            task: Whose longest delay of the senses is k.
            mean: As the attribute.
            deviation: Patterns of the deviation that lasts, (r, d, 1 + 2 d).
        """
        unanswered = max(SensesInUse.of(task).delay, 1)
        return cls(mean, unanswered**0.5 * deviation)

    def check(self, plant: Plant, trials: Trials) -> None:
        """Raise unless the field fits a plant and trials."""
        d = plant.hand_size
        for name, part, count in (
            ("mean", self.mean, len(trials)),
            ("deviation", self.deviation, None),
        ):
            if part is None:
                continue
            if part.ndim != 3 or part.shape[1:] != (d, 1 + 2 * d) or count not in (None, len(part)):
                first = "r" if count is None else count
                raise ValueError(
                    f"`field.{name}` must have shape ({first}, {d}, {1 + 2 * d}) for this plant "
                    f"and these trials, got {tuple(part.shape)}."
                )

    def noise(self, plant: Plant, states: Tensor, commands: Tensor) -> Tensor | None:
        """Return what each pattern does to the next state, (B, T, r, n, n + 1); None if sure.

        ``dx' / dF`` times the pattern's force, which is linearised in the state.

        Args:
            plant: What moves.
            states: Along a trajectory, before each step, (B, T, n).
            commands: (B, T, m).
        """
        if self.deviation is None:
            return None
        by_force = outside_jacobians(plant, states, commands, plant.hand_size, "hand_force")
        patterns = []
        for pattern in self.deviation.to(states):

            def force(state: Tensor, pattern: Tensor = pattern) -> Tensor:
                return field_force(plant, state, pattern)

            slope = jacobians(force, states)  # (B, T, d, n)
            patterns.append(by_force @ torch.cat([slope, force(states).unsqueeze(-1)], dim=-1))
        return torch.stack(patterns, dim=2)
