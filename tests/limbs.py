"""A limb whose hand moves further than those of the package."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor.plants import MechanicalPlant


@dataclass(frozen=True)
class SpaceMass(MechanicalPlant):
    """A point mass in space, moved by a force: ``m p'' = force + load + hand_force - b p'``."""

    mass: float = 1.0
    damping: float = 0.5
    dt_s: float = 0.01

    home = (0.0, 0.0, 0.0)
    hand_size = 3
    state_labels = (*(f"{x} position (m)" for x in "xyz"), *(f"{x} velocity (m/s)" for x in "xyz"))
    command_labels = tuple(f"{x} force (N)" for x in "xyz")
    state_limits = (2.0,) * 3 + (20.0,) * 3
    hand_limits = (2.0, 20.0)

    def configuration_at(self, hand_position: Tensor) -> Tensor:
        return hand_position

    def limb(self, state: Tensor) -> Tensor:
        return state[..., None, :3]

    def step(self, state, command, load=None, hand_force=None):
        velocity = state[..., 3:]
        force = command - self.damping * velocity
        for extra in (load, hand_force):
            force = force if extra is None else force + extra
        return torch.cat(
            [state[..., :3] + self.dt_s * velocity, velocity + self.dt_s / self.mass * force], -1
        )
