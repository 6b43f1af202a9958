"""A trained network with more inputs than it was trained with, which does as before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.controllers.controller import Controller
from neuromotor.controllers.network import RecurrentNetwork

__all__ = ["widened"]

Net = TypeVar("Net", bound=Controller)


def widened(controller: Net, parameters: Tensor, more: int) -> tuple[Net, Tensor]:
    """Return a network with more inputs after its own, whose weights are zero, and its parameters.

    Args:
        controller: A network of cells.
        parameters: Its parameters, (P,).
        more: How many inputs it gets.

    Raises:
        ValueError: The controller is no network of cells, or `parameters` is not of shape (P,).
    """
    check_integer("more", more, minimum=0)
    if not isinstance(controller, RecurrentNetwork):
        raise ValueError(
            "`controller` must be a network of cells to get more inputs, got a "
            f"{type(controller).__name__}."
        )
    inputs = controller.input_size
    other: Any = replace(cast(Any, controller), input_size=inputs + more)
    wide: RecurrentNetwork = other
    found = torch.zeros(wide.parameter_count, dtype=parameters.dtype, device=parameters.device)
    own, new = controller.unpack(parameters.detach()), wide.unpack(found)
    for number, (before, after) in enumerate(zip(own.layers, new.layers, strict=True)):
        seen = inputs if number == 0 or controller.skip_inputs else 0
        gap = more if seen else 0
        after.feedforward[:, :seen] = before.feedforward[:, :seen]
        after.feedforward[:, seen + gap :] = before.feedforward[:, seen:]
        after.recurrent[:], after.bias[:] = before.recurrent, before.bias
        if before.initial is not None and after.initial is not None:
            after.initial[:] = before.initial
    new.output[:], new.output_bias[:] = own.output, own.output_bias
    return other, found
