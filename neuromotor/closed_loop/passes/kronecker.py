"""Kronecker factors of the Gauss-Newton matrix, by an adjoint pass of random residuals."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from neuromotor.closed_loop.arrays import Array
from neuromotor.closed_loop.passes.adjoint import run_adjoint
from neuromotor.closed_loop.passes.layout import Forward, Layout, Network
from neuromotor.optim.objective import KroneckerBlock

__all__ = ["Place", "drawn_residuals", "kronecker_factors"]


class Place(NamedTuple):
    """Where a batch's trials stand in a larger one."""

    first: int
    whole: int  # trials of the larger one


def kronecker_factors(
    layout: Layout,
    network: Network,
    forward: Forward,
    jacobians: Array,
    generator: torch.Generator,
    place: Place | None = None,
) -> tuple[KroneckerBlock, ...]:
    """Return second moments of each layer's inputs, and of the derivatives by its drives.

    The derivatives are those under random residuals of unit variance, whose gradient has the
    Gauss-Newton matrix as its covariance. That is a Kronecker product if inputs are independent of
    derivatives, and steps of each other, which is assumed.
    """
    kit = layout.kit
    place = place or Place(0, layout.batch)
    d_states = _random_like(layout, forward.states, generator, place)
    d_commands = _random_like(layout, forward.commands, generator, place)
    d_states *= (layout.state_weights / layout.batch) ** 0.5
    d_commands *= (layout.energy_weight / layout.batch) ** 0.5
    run_adjoint(layout, network, forward, jacobians, d_states, d_commands)
    pulls = [layout.room("drive", i) for i in range(len(network.layers))]
    inputs = [_layer_inputs(layout, forward, i) for i in range(len(network.layers))]
    pulls.append(d_commands)
    inputs.append(kit.give(layout.rate(forward, len(network.layers) - 1)).flatten(0, 1))
    blocks = []
    for index, pull, seen in zip(_block_indices(layout), pulls, inputs, strict=True):
        ones = seen.new_ones(len(seen), 1)
        columns = _second_moments(torch.cat([seen, ones], dim=1)) / len(seen)
        rows = _second_moments(kit.give(pull).flatten(0, 1))
        blocks.append(KroneckerBlock(index, rows, columns))
    return tuple(blocks)


def drawn_residuals(
    steps: int, batch: int, size: int, generator: torch.Generator, place: Place | None
) -> Tensor:
    """Return standard normal numbers, (steps, batch, size), in float64 on the CPU.

    Every way to run the trials, every device and every split of them gets the same.
    """
    place = place or Place(0, batch)
    drawn = torch.randn(steps, place.whole, size, generator=generator, dtype=torch.float64)
    return drawn[:, place.first : place.first + batch]


def _random_like(layout: Layout, array: Array, generator: torch.Generator, place: Place) -> Array:
    """Standard normal numbers; every device and every split of the trials gets the same."""
    steps, batch, size = array.shape
    drawn = drawn_residuals(steps, batch, size, generator, place).contiguous()
    return layout.kit.take(drawn.to(dtype=layout.kit.dtype, device=layout.kit.device))


def _layer_inputs(layout: Layout, forward: Forward, index: int) -> Tensor:
    """All inputs of a layer, in the order of its weights, (T B, columns)."""
    inputs = layout.kit.give(forward.inputs[index])[:-1].flatten(0, 1)
    if not layout.sees[index]:
        return inputs
    if layout.told is None:
        target = layout.trials.target.repeat(layout.steps, 1)
    else:
        target = layout.kit.give(layout.told).flatten(0, 1)
    return torch.cat([inputs[:, : layout.n], target, inputs[:, layout.n :]], dim=1)


def _block_indices(layout: Layout) -> list[Tensor]:
    """Where each layer's weights with bias, and the output's, lie in the flat vector."""
    places = torch.arange(layout.net.parameter_count, device=layout.trials.device)
    weights = layout.net.unpack(places)
    indices = [
        torch.cat([layer.feedforward, layer.recurrent, layer.bias[:, None]], dim=1)
        for layer in weights.layers
    ]
    indices.append(torch.cat([weights.output, weights.output_bias[:, None]], dim=1))
    return indices


def _second_moments(samples: Tensor) -> Tensor:
    """Sum over samples (N, k) of their outer products, (k, k)."""
    return samples.T @ samples
