"""A trained network with more inputs or units than it was trained with, which does as before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.controllers.controller import Controller
from neuromotor.controllers.network import RecurrentNetwork

__all__ = ["enlarged", "retimed", "widened"]

Net = TypeVar("Net", bound=Controller)


def widened(controller: Net, parameters: Tensor, more: int, copies: int = 0) -> tuple[Net, Tensor]:
    """Return a network with more inputs after its own, whose weights are zero, and its parameters.

    Args:
        controller: A network of cells.
        parameters: Its parameters, (P,).
        more: How many inputs it gets.
        copies: How many efference copies it gets, older than those that it has.

    Raises:
        ValueError: The controller is no network of cells, or `parameters` is not of shape (P,).
    """
    check_integer("more", more, minimum=0)
    check_integer("copies", copies, minimum=0)
    if not isinstance(controller, RecurrentNetwork):
        raise ValueError(
            "`controller` must be a network of cells to get more inputs, got a "
            f"{type(controller).__name__}."
        )
    inputs, had = controller.input_size, controller.inner_size
    changes = {"input_size": inputs + more}
    if copies:
        changes["efference_copies"] = controller.efference_copies + copies
    other: Any = replace(cast(Any, controller), **changes)
    wide: RecurrentNetwork = other
    found = torch.zeros(wide.parameter_count, dtype=parameters.dtype, device=parameters.device)
    own, new = controller.unpack(parameters.detach()), wide.unpack(found)
    for number, (before, after) in enumerate(zip(own.layers, new.layers, strict=True)):
        kept = torch.arange(after.feedforward.shape[1])
        if number == 0 or controller.skip_inputs:
            copied = kept[inputs + more : had + more]
            kept = torch.cat([kept[:inputs], copied, kept[wide.inner_size :]])
        after.feedforward[:, kept] = before.feedforward
    _keep_all_but_inputs(own, new)
    return other, found


def enlarged(
    controller: Net, parameters: Tensor, layers: tuple[int, ...], seed: int = 0
) -> tuple[Net, Tensor]:
    """Return a network with more units in its layers, which does as before, and its parameters.

    New units have new weights from what they see; nothing sees them yet.

    Source: Chen, Goodfellow & Shlens (2016), whose new units repeat old ones.

    Args:
        controller: A network of cells of which every unit remembers its rate alone.
        parameters: Its parameters, (P,).
        layers: Units of each layer, none fewer than it has.
        seed: Of the new weights.

    Raises:
        ValueError: The controller is no such network, `layers` has fewer units or another number
            of layers, or `parameters` is not of shape (P,).
    """
    if not isinstance(controller, RecurrentNetwork) or controller.cell.memory != 1:
        raise ValueError(
            "`controller` must be a network of cells that remember one number, such as tanh or "
            f"gated units, to get more units, got a {type(controller).__name__}."
        )
    fewer = any(new < own for new, own in zip(layers, controller.layers, strict=False))
    if len(layers) != len(controller.layers) or fewer:
        raise ValueError(
            f"`layers` must be {len(controller.layers)} numbers of units, none below those of "
            f"{controller.layers}, got {layers}."
        )
    other: Any = replace(cast(Any, controller), layers=layers)
    large: RecurrentNetwork = other
    found = large.initial_parameters(
        torch.Generator().manual_seed(seed), dtype=parameters.dtype, device=parameters.device
    )
    own, new = controller.unpack(parameters.detach()), large.unpack(found)
    seen = controller.inner_size
    for number, (before, after) in enumerate(zip(own.layers, new.layers, strict=True)):
        units, more = controller.layers[number], layers[number]
        given = seen if number == 0 or controller.skip_inputs else 0
        below = 0 if number == 0 else controller.layers[number - 1]
        for gate in range(controller.cell.gates):
            rows = slice(gate * more, gate * more + units)
            same = slice(gate * units, (gate + 1) * units)
            after.feedforward[rows] = 0
            after.feedforward[rows, : given + below] = before.feedforward[same]
            after.recurrent[rows] = 0
            after.recurrent[rows, :units] = before.recurrent[same]
            after.bias[rows] = before.bias[same]
        if before.initial is not None and after.initial is not None:
            after.initial[:units] = before.initial
    new.output[:] = 0
    new.output[:, : controller.layers[-1]] = own.output
    new.output_bias[:] = own.output_bias
    return other, found


def retimed(controller: Net, parameters: Tensor, table: Tensor) -> tuple[Net, Tensor]:
    """Return a network that is told every step by a number of its own, and its parameters.

    It does as before, when its clock told it the numbers of a table instead.

    Args:
        controller: A network of cells whose last inputs are its clock.
        parameters: Its parameters, (P,).
        table: What the clock told at each step, (T, k).

    Raises:
        ValueError: `parameters` is not of shape (P,).
    """
    steps, told = table.shape
    wide, found = widened(controller, parameters, steps)
    network = cast(RecurrentNetwork, wide)
    inputs = network.input_size
    kept = torch.cat([torch.arange(inputs - steps - told), torch.arange(inputs - steps, inputs)])
    other: Any = replace(cast(Any, controller), input_size=len(kept))
    result = torch.zeros(other.parameter_count, dtype=found.dtype, device=found.device)
    own, new = network.unpack(found), other.unpack(result)
    for number, (before, after) in enumerate(zip(own.layers, new.layers, strict=True)):
        columns = before.feedforward
        if number == 0 or network.skip_inputs:
            clock = columns[:, inputs - steps - told : inputs - steps]
            columns[:, inputs - steps : inputs] = clock @ table.to(clock).mT
            columns = torch.cat([columns[:, kept], columns[:, inputs:]], dim=1)
        after.feedforward[:] = columns
    _keep_all_but_inputs(own, new)
    return other, result


def _keep_all_but_inputs(own: Any, new: Any) -> None:
    """Give a network all weights of another one of as many units, but what its layers are given."""
    for before, after in zip(own.layers, new.layers, strict=True):
        after.recurrent[:], after.bias[:] = before.recurrent, before.bias
        if before.initial is not None and after.initial is not None:
            after.initial[:] = before.initial
    new.output[:], new.output_bias[:] = own.output, own.output_bias
