"""What a controller around another one passes through: its sizes, and where training starts."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from neuromotor.controllers.controller import Controller

__all__ = ["AroundController"]


class _Holds(Protocol):
    @property
    def controller(self) -> Controller: ...


class AroundController:
    """Sizes and initial parameters of the attribute `controller`."""

    @property
    def parameter_count(self: _Holds) -> int:
        """Number P of the controller's parameters."""
        return self.controller.parameter_count

    @property
    def dt_s(self: _Holds) -> float:
        """Step length (s) of the controller."""
        return self.controller.dt_s

    @property
    def command_size(self: _Holds) -> int:
        """Numbers in a command."""
        return self.controller.command_size

    @property
    def noise_size(self: _Holds) -> int:
        """Private noise sources of the controller."""
        return self.controller.noise_size

    def initial_parameters(
        self: _Holds,
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return the controller's initial parameters, (P,)."""
        return self.controller.initial_parameters(generator, dtype=dtype, device=device)
