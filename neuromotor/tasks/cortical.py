"""What both tasks of Kalidindi et al. (2021) share: senses, checks, directions and noise."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor._showing import TableInNotebooks
from neuromotor.plants import Plant
from neuromotor.plants.plant import check_plant
from neuromotor.tasks.chance import check_chance, check_delay, with_chance
from neuromotor.tasks.cost import QuadraticCost, check_weights
from neuromotor.tasks.penalties import Penalties, check_penalties
from neuromotor.tasks.senses import Channel, Senses, SensesInUse, check_senses
from neuromotor.tasks.trials import Trials

__all__ = ["CorticalTask", "cortical_senses"]


def cortical_senses() -> Senses:
    """Return the twelve inputs of Kalidindi et al. (2021), with the task's own delay."""
    return Senses(
        channels=(
            Channel("joint_position", scale=2.0, relative=True),
            Channel("joint_velocity", scale=0.5),
            Channel("muscle_activity"),
        ),
        target=(Channel("joint_position", relative=True),),
    )


class CorticalTask(TableInNotebooks, ABC):
    """A task with directions, noise, channels and penalties, which its dataclass declares."""

    plant: Plant
    directions: int
    steps: int
    delay_steps: int
    noise: float
    repeats: int
    senses: Senses | None
    penalties: Penalties | None

    @property
    @abstractmethod
    def cost(self) -> QuadraticCost:
        """What a trial costs."""

    @abstractmethod
    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return a batch of trials; whatever is random comes from `generator`."""

    def _check(self) -> None:
        """Raise unless all that is declared here, and the weights of the cost, are in range."""
        check_plant(self.plant)
        check_integer("directions", self.directions, minimum=1)
        check_delay(self.delay_steps, self.steps, self.plant.dt_s)
        check_chance(self.noise, 0.0, self.repeats, self.plant.state_size)
        check_senses(self)
        check_penalties(self)
        check_weights(self)

    @property
    def random(self) -> bool:
        """Whether there is noise; else every batch is the same."""
        return self.noise > 0 or SensesInUse.of(self).noisy

    @property
    def angles(self) -> Tensor:
        """Directions (rad), evenly spaced from the first axis, (directions,)."""
        return torch.arange(self.directions, dtype=torch.float64) * (2 * math.pi / self.directions)

    def _in_directions(self) -> Tensor:
        """Vectors of length 1, (directions, 2)."""
        return torch.stack([torch.cos(self.angles), torch.sin(self.angles)], dim=-1)

    def _with_noise(self, trials: Trials, generator: torch.Generator | None) -> Trials:
        """Return each trial `repeats` times, with noise on commands and senses."""
        return with_chance(
            trials,
            self.steps,
            self.plant.command_size,
            generator,
            noise=self.noise,
            senses=SensesInUse.of(self),
            repeats=self.repeats,
        )
