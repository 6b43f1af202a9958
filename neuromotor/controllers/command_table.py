"""An open-loop controller: a table of commands by trial and step, all of them parameters."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from neuromotor._checks import check_integer, check_positive
from neuromotor.controllers.controller import ZeroStart, check_parameters

__all__ = ["CommandTable"]


@dataclass(frozen=True)
class CommandTable(ZeroStart):
    """Commands read from a table: to train it is to optimise trajectories.

    A second-order method on it must find iLQR's trajectories (Sutskever 2013, section 6.8).

    Attributes:
        trials: Number B of trials, in the order of the batch.
        steps: Number T of steps.
        command_size: Numbers m in a command.
        dt_s: Step length (s); must be the plant's.

    Raises:
        ValueError: A count is below 1, or `dt_s` is not positive.

    Example:
        >>> CommandTable(trials=64, steps=40).parameter_count
        5120
    """

    trials: int
    steps: int
    command_size: int = 2
    dt_s: float = 0.01

    def __post_init__(self) -> None:
        for name in ("trials", "steps", "command_size"):
            check_integer(name, getattr(self, name), minimum=1)
        check_positive("dt_s", self.dt_s, "seconds")

    @property
    def parameter_count(self) -> int:
        """B times T times m."""
        return self.trials * self.steps * self.command_size

    def unpack(self, parameters: Tensor) -> Tensor:
        """Return the table, (B, T, m).

        Raises:
            ValueError: `parameters` is not of shape (P,).
        """
        check_parameters(parameters, self.parameter_count)
        return parameters.view(self.trials, self.steps, self.command_size)

    def initial_memory(self, weights: Tensor, batch: int) -> tuple[Tensor, ...]:
        """Return no memory.

        Raises:
            ValueError: `batch` is not the number of trials in the table.
        """
        if batch != self.trials:
            raise ValueError(
                f"a command table for {self.trials} trials cannot run {batch}; use the trials that "
                "it was made for, or make a new table."
            )
        return ()

    def step(
        self,
        weights: Tensor,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return no memory and the table's commands at step `t`, (B, m)."""
        del observation, target, noise
        if t >= self.steps:
            raise ValueError(
                f"a command table of {self.steps} steps has no step {t}; make it longer."
            )
        return memory, weights[:, t]

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return no rates: there are no units."""
        return memory
