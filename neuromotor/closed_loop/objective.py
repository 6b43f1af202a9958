"""What every objective of a closed loop has, be its derivatives compiled or by autograd."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, cast

import torch
from torch import Tensor

from neuromotor.controllers.controller import Controller, WritesTape, writes_tape
from neuromotor.optim.objective import KroneckerBlock, Linearization
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["LoopObjective", "Place", "drawn_residuals"]


class Place(NamedTuple):
    """Where a batch's trials stand in a larger one."""

    first: int
    whole: int  # trials of the larger one


def drawn_residuals(
    steps: int, batch: int, size: int, generator: torch.Generator, place: Place | None
) -> Tensor:
    """Return standard normal numbers, (steps, batch, size), in float64 on the CPU.

    Every way to run the trials, every device and every split of them gets the same.
    """
    place = place or Place(0, batch)
    drawn = torch.randn(steps, place.whole, size, generator=generator, dtype=torch.float64)
    return drawn[:, place.first : place.first + batch]


class LoopObjective(ABC):
    """Mean loss over fixed trials: value, gradient, Gauss-Newton product and Kronecker factors."""

    def __init__(self, task: Task, controller: Controller, trials: Trials) -> None:
        """Join a loop and its trials."""
        self.task = task
        self.controller = controller
        self.trials = trials

    @abstractmethod
    def over(self, trials: Trials) -> LoopObjective:
        """Return the mean loss of the same loop over other trials."""

    @abstractmethod
    def value(self, parameters: Tensor) -> float:
        """Return the mean loss; infinity where the simulation overflows."""

    @abstractmethod
    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the mean loss and its gradient, (P,)."""

    @abstractmethod
    def linearize(self, parameters: Tensor) -> Linearization:
        """Return the loop at a point, for any number of Gauss-Newton products."""

    @abstractmethod
    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator, place: Place | None = None
    ) -> tuple[KroneckerBlock, ...]:
        """Return a Kronecker-factored estimate of the Gauss-Newton matrix, map by map.

        Source: Martens & Grosse (2015), equation 1 and section 3, with the loss's own residuals:
        one adjoint pass of random residuals of unit variance.

        Args:
            parameters: (P,).
            generator: Source of the random residuals.
            place: Where the trials stand in a larger batch; residuals are drawn for all of that.

        Raises:
            ValueError: The controller does not say which linear maps it consists of.
        """

    @property
    def has_factors(self) -> bool:
        """Whether there are Kronecker factors: for networks of cells."""
        return writes_tape(self.controller)

    @property
    def readout(self) -> slice | None:
        """Which parameters turn rates into commands, or None if the controller does not say."""
        return cast(WritesTape, self.controller).readout if self.has_factors else None

    def part(self, size: int, generator: torch.Generator) -> LoopObjective:
        """Return the mean loss over `size` random trials, or over all where there are no more."""
        return self.over(self.trials.sample(size, generator))
