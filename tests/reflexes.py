"""Subjects of experiments whose responses are planted: reflexes, and no movement of their own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from neuromotor.controllers.controller import ZeroStart
from neuromotor.experiments import Subject
from neuromotor.tasks import CursorReach, Trials

# Where the senses of `eyes-and-joints` and the 16 cues lie; cursor and target are scaled by 5.
JOINTS, CURSOR, TARGET, SCALE = slice(0, 2), slice(6, 8), slice(8, 10), 5.0
TIME_LEFT, SHAPE = -15, slice(-14, -12)


@dataclass(frozen=True)
class Reflex(ZeroStart):
    """Commands ``J' G e - S q`` of the error e that is seen and of the joint angles q felt."""

    gain: Callable[[Tensor, int], Tensor]
    stiffness: Tensor
    lever: Tensor
    dt_s: float = 0.01
    command_size: int = 2

    @property
    def parameter_count(self) -> int:
        return 0

    def unpack(self, parameters: Tensor) -> None:
        return None

    def initial_memory(self, weights: Any, batch: int) -> tuple[Tensor, ...]:
        return ()

    def step(self, weights, memory, observation, target, t, noise):
        error = (observation[..., TARGET] - observation[..., CURSOR]) / SCALE
        force = self.gain(target, t) * error
        felt = observation[..., JOINTS] @ self.stiffness.T
        return memory, (self.lever.mT @ force.unsqueeze(-1)).squeeze(-1) - felt

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return memory


def nothing(told: Tensor, t: int) -> Tensor:
    return told.new_zeros(2)


@dataclass(frozen=True)
class Planted(Subject):
    """A reflex to what is seen and to the joints' motion.

    Attributes:
        gain: Force (N/m) along x and y for an error, of what is told and the step, (2,) or (B, 2).
        stiffness: Torques (N m/rad) against displacements of the joints, (2, 2).
    """

    gain: Callable[[Tensor, int], Tensor] = nothing
    stiffness: Tensor = field(default_factory=lambda: torch.zeros(2, 2).double())

    @property
    def name(self) -> str:
        return "planted"

    def controller(self, task: CursorReach, trials: Trials) -> tuple[Any, Tensor]:
        lever = task.plant.arm.jacobian(trials.initial_state[:, :4])
        return Reflex(self.gain, self.stiffness, lever), torch.zeros(0).double()
