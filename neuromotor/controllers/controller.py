"""What every controller offers: a pure step, its parameters all in one flat vector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor

from neuromotor._checks import up_to_date
from neuromotor.controllers.cells.cell import LinearMap, Tape

__all__ = [
    "Controller",
    "WritesTape",
    "ZeroStart",
    "belongs_to_trials",
    "check_parameters",
    "damped_quantities",
    "unit_rates",
    "writes_tape",
]


class Controller(Protocol):
    """A mapping from observation, target and its own memory to a command, without hidden state.

    `unpack` is called once a simulation, `step` once a time step; both are differentiable in the
    flat parameter vector (P,).

    A controller declares more where it can, and what it does not declare is refused where it is
    needed:

    - `damped(memory)` serves structural damping. It returns pairs of a tensor that is computed from
      the memory, and of the weights of its squared changes, a tensor of the same shape.
    - `readout` is the slice of the parameters that turns rates into commands.
    - `recorded` and `places` (`WritesTape`) give Kronecker factors of every linear map.
    - `follows_equations` says that compiled loops, which repeat a class's `step`, are right.

    A subclass that overrides `step` overrides `rates`, `damped` and `recorded` too: those of its
    parent are about the parent's step, and are not used.
    """

    @property
    def parameter_count(self) -> int:
        """Number P of parameters."""
        ...

    @property
    def dt_s(self) -> float:
        """Step length (s) it was made for."""
        ...

    @property
    def command_size(self) -> int:
        """Numbers in a command."""
        ...

    @property
    def noise_size(self) -> int:
        """Private noise sources that need draws in the trials; 0 for none."""
        ...

    def initial_parameters(
        self,
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return parameters to start training from, (P,)."""
        ...

    def unpack(self, parameters: Tensor) -> Any:
        """Return views of the flat vector in the form that `step` uses."""
        ...

    def initial_memory(self, weights: Any, batch: int) -> tuple[Tensor, ...]:
        """Return the memory before the first step, each part (B, .)."""
        ...

    def step(
        self,
        weights: Any,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the memory after step `t` and the command (B, m).

        Args:
            weights: From `unpack`.
            memory: From `initial_memory` or the previous step.
            observation: What is seen now, (B, n).
            target: State to be reached, followed by the cues if there are any, (B, n + c).
            t: Step, from 0.
            noise: Private noise draws of this step, (B, noise_size), or None.
        """
        ...

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return what the units send on, a tensor for each part of the memory.

        It has the part's shape, or one number a unit where a unit remembers several.
        """
        ...


class WritesTape(Protocol):
    """A controller whose step writes what its linear maps multiply on a tape, and the products."""

    @property
    def readout(self) -> slice:
        """Which parameters turn rates into commands."""
        ...

    def unpack(self, parameters: Tensor) -> Any:
        """See `Controller.unpack`."""
        ...

    def recorded(self, weights: Any, tape: Tape) -> Any:
        """Return weights with which `step` writes its products to a tape."""
        ...

    def places(self, place: LinearMap) -> Tensor:
        """Return where the weights of a map on the tape lie in the flat vector, (rows, columns).

        A last column more than the inputs of the map have is that of the biases.
        """
        ...


class ZeroStart(ABC):
    """The part of controllers without private noise whose parameters start at zero."""

    @property
    @abstractmethod
    def parameter_count(self) -> int:
        """Number P of parameters."""

    @property
    def noise_size(self) -> int:
        """0: no private noise."""
        return 0

    def initial_parameters(
        self,
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return zeros, (P,); nothing is random."""
        del generator
        return torch.zeros(self.parameter_count, dtype=dtype, device=device)


def check_parameters(parameters: Tensor, count: int) -> None:
    """Raise unless `parameters` is a flat vector of `count` numbers."""
    if parameters.shape != (count,):
        raise ValueError(
            f"`parameters` must have shape ({count},) for this controller, "
            f"got {tuple(parameters.shape)}."
        )


def belongs_to_trials(controller: Controller) -> bool:
    """Return whether a controller has tables for the very trials that it was made for.

    Such a controller has their number as its attribute `trials`, and runs no other batch.
    """
    return hasattr(controller, "trials")


def unit_rates(controller: Controller, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the rates of a controller's units.

    Raises:
        ValueError: The controller's class does not say what the rates of its own step are.
    """
    if not up_to_date(controller, "rates", "step"):
        name = type(controller).__name__
        raise ValueError(
            f"`controller` must say what its units' rates are, got a {name} whose class defines "
            f"`step` and no `rates`; give it a method `rates(memory)`."
        )
    return controller.rates(memory)


def writes_tape(controller: object) -> bool:
    """Return whether a controller says which linear maps its own step and weights consist of."""
    return all(up_to_date(controller, "recorded", other) for other in ("step", "unpack"))


def damped_quantities(
    controller: Controller, memory: tuple[Tensor, ...]
) -> tuple[tuple[Tensor, Tensor], ...]:
    """Return what structural damping holds back, and the weights of its squared changes.

    Raises:
        ValueError: The controller's class does not say so for its own step.
    """
    if not up_to_date(controller, "damped", "step"):
        raise ValueError(
            f"`structural` must be 0 for a {type(controller).__name__}: its class does not say "
            "which quantities structural damping holds back; give it a method `damped(memory)`, or "
            "leave structural damping out."
        )
    found: tuple[tuple[Tensor, Tensor], ...] = controller.damped(memory)  # type: ignore[attr-defined]
    return found
