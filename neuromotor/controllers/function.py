"""A plain function as a controller, for those who write one by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from neuromotor._checks import check_integer, check_positive
from neuromotor.controllers.controller import ZeroStart, check_parameters

__all__ = ["FunctionController"]


@dataclass(frozen=True)
class FunctionController(ZeroStart):
    """A function of what is seen and told now; it has no memory, parameters or private noise.

    What needs a memory is a class with the methods of `Controller`.

    Attributes:
        function: From the observation (B, n), the target with the cues (B, n + c) and the step t,
            from 0, to commands (B, m).
        command_size: Numbers m in a command.
        dt_s: Step length (s); must be the plant's.

    Raises:
        ValueError: `command_size` is below 1, or `dt_s` is not positive.

    Example:
        >>> spring = FunctionController(lambda seen, target, t: target[:, :2] - seen[:, :2])
        >>> spring.parameter_count
        0
    """

    function: Callable[[Tensor, Tensor, int], Tensor]
    command_size: int = 2
    dt_s: float = 0.01

    def __post_init__(self) -> None:
        check_integer("command_size", self.command_size, minimum=1)
        check_positive("dt_s", self.dt_s, "seconds")

    @property
    def parameter_count(self) -> int:
        """Zero: there are none."""
        return 0

    def unpack(self, parameters: Tensor) -> None:
        """Return nothing.

        Raises:
            ValueError: `parameters` is not empty.
        """
        check_parameters(parameters, 0)

    def initial_memory(self, weights: None, batch: int) -> tuple[Tensor, ...]:
        """Return no memory."""
        del weights, batch
        return ()

    def step(
        self,
        weights: None,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return no memory and the function's commands, (B, m).

        Raises:
            ValueError: The function returns anything else than a tensor of that shape.
        """
        del weights, noise
        command = self.function(observation, target, t)
        wanted = (len(observation), self.command_size)
        if not isinstance(command, Tensor) or command.shape != wanted:
            got = tuple(command.shape) if isinstance(command, Tensor) else type(command).__name__
            raise ValueError(f"`function` must return a tensor of shape {wanted}, got {got}.")
        return memory, command.to(observation)

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return no rates: there are no units."""
        return memory
