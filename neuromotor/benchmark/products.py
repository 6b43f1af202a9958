"""Gives the floor of every time: the matrix products of the passes, with nothing in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor.controllers.rnn import ContinuousTimeRNN

__all__ = ["product_operations"]

_Array = NDArray[Any]


def product_operations(
    network: ContinuousTimeRNN, batch: int, steps: int, dtype: torch.dtype
) -> dict[str, Callable[[], object]]:
    """Return the products of a value, a gradient and a Gauss-Newton product, as callables.

    A layer is one product a step forward and one back; weight gradients are one product over all
    steps. That is 1 for a value, 3 for a gradient and 4 for a Gauss-Newton product, in units of a
    forward pass.
    """
    gen = torch.Generator().manual_seed(0)

    def random(*shape: int) -> _Array:
        array: _Array = torch.randn(*shape, generator=gen, dtype=dtype).numpy()
        return array

    observed = network.input_size // 2
    layers = []
    for index, units in enumerate(network.layers):
        columns = (observed if index == 0 or network.skip_inputs else 0) + units
        columns += network.layers[index - 1] if index else 0
        layers.append((random(steps, batch, columns), random(units, columns), units))
    last, size = network.layers[-1], network.command_size
    layers.append((random(steps, batch, last), random(size, last), size))
    places = [
        (
            list(inputs),
            weights,
            random(*weights.T.shape),
            np.empty_like(inputs[0], shape=(batch, units)),
            np.empty_like(inputs[0]),
        )
        for inputs, weights, units in layers
    ]
    drives = [random(steps, batch, units) for _, _, units in layers]
    drive_steps = [list(drive) for drive in drives]
    gradients = [np.empty_like(weights) for _, weights, _ in layers]

    def forward() -> None:
        for t in range(steps):
            for inputs, _, transposed, out, _ in places:
                np.dot(inputs[t], transposed, out=out)

    def adjoint() -> None:
        for t in range(steps):
            for (_, weights, _, _, out), drive in zip(places, drive_steps, strict=True):
                np.dot(drive[t], weights, out=out)

    def weight_gradients() -> None:
        for (inputs, weights, _), drive, out in zip(layers, drives, gradients, strict=True):
            flat = inputs.reshape(-1, weights.shape[1])
            np.dot(drive.reshape(-1, weights.shape[0]).T, flat, out=out)

    def gradient() -> None:
        forward()
        adjoint()
        weight_gradients()

    def gauss_newton() -> None:
        forward()
        gradient()

    return {"value": forward, "gradient": gradient, "gauss_newton": gauss_newton}
