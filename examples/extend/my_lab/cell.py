"""A cell: units whose rates are never negative."""

from dataclasses import dataclass
from typing import ClassVar

import torch

import neuromotor as nm


@dataclass(frozen=True)
class RectifiedCell:
    """Activations v follow their drive with a leak; the rates are max(v, 0)."""

    leak: float = 0.5  # step length over time constant

    gates: ClassVar[int] = 1
    memory: ClassVar[int] = 1

    def step(self, products, before, inputs, noise):
        drive = products(slice(0, 1), inputs, torch.relu(before))
        if noise is not None:
            drive = drive + noise
        return before + self.leak * (drive - before)

    def rates(self, memory):
        return torch.relu(memory)

    def damped(self, memory):
        return ((memory, torch.ones_like(memory)),)


nm.register("rectified", RectifiedCell)
