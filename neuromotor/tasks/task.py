"""What every task offers: a plant, its cost, the feedback delay and batches of trials."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import torch

from neuromotor._showing import TableInNotebooks
from neuromotor.plants.plant import Plant
from neuromotor.tasks.cost import QuadraticCost
from neuromotor.tasks.penalties import Penalties
from neuromotor.tasks.senses import Senses, SensesInUse
from neuromotor.tasks.trials import Trials

__all__ = ["DerivedTask", "Task", "input_size"]


class Task(Protocol):
    """A movement task: what is wanted, what goes wrong, and what it costs.

    A task with an attribute `senses` (`tasks.senses.Senses`) has channels of feedback, each with
    its own delay and noise; without it, or where it is None, a controller observes the plant's
    `feedback` after `delay_steps`. One with an attribute `penalties` (`tasks.penalties.Penalties`)
    adds them to the loss of a training.
    """

    @property
    def plant(self) -> Plant:
        """What moves."""
        ...

    @property
    def steps(self) -> int:
        """Number T of commands in a trial."""
        ...

    @property
    def delay_steps(self) -> int:
        """Steps by which the observation lags behind the state."""
        ...

    @property
    def cost(self) -> QuadraticCost:
        """What a trial costs."""
        ...

    @property
    def random(self) -> bool:
        """Whether batches differ with their generator."""
        ...

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return a batch of trials; whatever is random comes from `generator`."""
        ...


class DerivedTask(TableInNotebooks, ABC):
    """A task that is made from another, whose plant, steps, senses, cost and chance it keeps."""

    @property
    @abstractmethod
    def source(self) -> Task:
        """The other task."""

    @property
    def plant(self) -> Plant:
        """What moves."""
        return self.source.plant

    @property
    def steps(self) -> int:
        """Number T of commands in a trial."""
        return self.source.steps

    @property
    def delay_steps(self) -> int:
        """Steps by which the observation lags behind the state."""
        return self.source.delay_steps

    @property
    def senses(self) -> Senses | None:
        """What the controller senses."""
        return getattr(self.source, "senses", None)

    @property
    def penalties(self) -> Penalties | None:
        """What a training pays for beside the movement."""
        return getattr(self.source, "penalties", None)

    @property
    def cost(self) -> QuadraticCost:
        """What a trial costs."""
        return self.source.cost

    @property
    def random(self) -> bool:
        """Whether batches differ with their generator."""
        return self.source.random


def input_size(task: Task, trials: Trials) -> int:
    """Return how many numbers a controller is given: observation, target, cues and clock."""
    senses = SensesInUse.of(task)
    told = len(senses.target_labels) + trials.cue_size + len(senses.clock_labels)
    return len(senses.labels) + told
