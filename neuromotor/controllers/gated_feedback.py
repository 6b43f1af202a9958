"""Layers that all feed back to each other, through gates between layers.

Notation: h^j rates of layer j, h^* those of all layers side by side, x^j what layer j gets from
below within the step: the input for the first, h^{j-1} of this step for the others (with the input
before it where `skip_inputs`), s the logistic function::

    g^{i->j} = s(w^{i->j} x^j + u^{i->j} h^*_{t-1})                 a number for each pair of layers
    h^j_t = tanh(F^j x^j + sum over i of g^{i->j} U^{i->j} h^i_{t-1} + b^j + xi)

Parameters lie in one flat vector: of each layer F, U (of all layers side by side), b, the gates' w
and u; then the weights and the biases of the output.

Source: Chung, Gulcehre, Cho & Bengio (2015), equations 3 to 6, for tanh units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from neuromotor.controllers.cells import CELLS, Cell
from neuromotor.controllers.controller import check_parameters
from neuromotor.controllers.initializers import INITIALIZERS, Gaussian, Initializer
from neuromotor.controllers.network import RecurrentNetwork

__all__ = ["GatedFeedbackNetwork"]


class _Layer(NamedTuple):
    feedforward: Tensor  # (units, inputs)
    recurrent: Tensor  # (units, units of all layers)
    bias: Tensor  # (units,)
    gates_below: Tensor  # (layers, inputs)
    gates_before: Tensor  # (layers, units of all layers)


class _Weights(NamedTuple):
    layers: tuple[_Layer, ...]
    output: Tensor  # (command_size, units of the last layer)
    output_bias: Tensor  # (command_size,)


@dataclass(frozen=True)
class GatedFeedbackNetwork(RecurrentNetwork):
    """Tanh layers with feedback from every layer to every layer, each gated by one number.

    The attributes are those of `Network`, but for the cell, which is a tanh unit without leak, and
    for an initial memory, which is zero. There are no Kronecker factors and no compiled loops.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A number is out of range.

    Example:
        >>> GatedFeedbackNetwork(layers=(10, 10)).parameter_count
        834
    """

    layers: tuple[int, ...] = (50, 50)
    input_size: int = 8
    command_size: int = 2
    dt_s: float = 0.01
    skip_inputs: bool = True
    private_noise: float = 0.0
    squash: str | None = None
    initializer: Initializer = field(default=Gaussian(), metadata={"registry": INITIALIZERS})

    @property
    def cell(self) -> Cell:
        """A tanh unit without leak."""
        return CELLS["tanh"]

    @property
    def learn_initial_state(self) -> bool:
        """False: every layer starts from zeros."""
        return False

    def initial_parameters(
        self,
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return a random network, (P,); weights between two layers are drawn as one matrix."""
        start = self.initializer
        parts: list[Tensor] = []
        for index, (units, inputs) in enumerate(zip(self.layers, self._inputs(), strict=True)):
            blocks = [
                start.recurrent(units, generator)
                if other == index
                else start.feedforward(units, size, generator)
                for other, size in enumerate(self.layers)
            ]
            parts += [
                start.feedforward(units, inputs, generator),
                torch.cat(blocks, dim=1),
                start.biases(units, generator),
                start.feedforward(len(self.layers), inputs, generator),
                start.feedforward(len(self.layers), sum(self.layers), generator),
            ]
        parts.append(start.output(self.command_size, self.layers[-1], generator))
        parts.append(torch.zeros(self.command_size, dtype=torch.float64))
        return torch.cat([part.flatten() for part in parts]).to(dtype=dtype, device=device)

    def unpack(self, parameters: Tensor) -> _Weights:  # type: ignore[override]
        """Return views of a flat vector (P,) as matrices.

        Raises:
            ValueError: `parameters` is not of shape (P,).
        """
        check_parameters(parameters, self.parameter_count)
        shapes = list(self._shapes())
        pieces = torch.split(parameters, [rows * columns for rows, columns in shapes])
        parts = iter(piece.view(shape) for piece, shape in zip(pieces, shapes, strict=True))
        layers = tuple(
            _Layer(next(parts), next(parts), next(parts)[0], next(parts), next(parts))
            for _ in self.layers
        )
        return _Weights(layers, next(parts), next(parts)[0])

    def initial_memory(self, weights: _Weights, batch: int) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Return zeros, (B, units) for each layer."""
        return tuple(layer.bias.new_zeros(batch, len(layer.bias)) for layer in weights.layers)

    def step(  # type: ignore[override]
        self,
        weights: _Weights,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return each layer's rates after the step, (B, units) each, and commands (B, m).

        Raises:
            ValueError: The network has private noise and `noise` is missing, or it has another
                number of inputs.
        """
        del t
        self.check_noise(noise)
        outside = torch.cat([observation, target], dim=-1)
        self.check_input(outside.shape[-1])
        before = torch.cat(memory, dim=-1)
        sizes = torch.tensor(self.layers, device=before.device)
        rate, after = outside, []
        for index, layer in enumerate(weights.layers):
            if index and self.skip_inputs:
                rate = torch.cat([outside, rate], dim=-1)
            gates = torch.sigmoid(rate @ layer.gates_below.T + before @ layer.gates_before.T)
            let_through = before * gates.repeat_interleave(sizes, dim=1)
            drive = torch.addmm(layer.bias, rate, layer.feedforward.T)
            drive = torch.addmm(drive, let_through, layer.recurrent.T)
            if self.noise_size and noise is not None:
                start = sum(self.layers[:index])
                drive = drive + self.private_noise * noise[:, start : start + len(layer.bias)]
            rate = torch.tanh(drive)
            after.append(rate)
        command = torch.addmm(weights.output_bias, rate, weights.output.T)
        return tuple(after), self.squashed(command)

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return each layer's rates, which are the memory itself."""
        return memory

    def damped(self, memory: tuple[Tensor, ...]) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return all rates, and one as the weight of their squared changes (our choice)."""
        return tuple((part, torch.ones_like(part)) for part in memory)

    def _shapes(self) -> Iterator[tuple[int, int]]:
        """Shape of every piece of the flat vector, in its order; vectors as one row."""
        everything, count = sum(self.layers), len(self.layers)
        for units, inputs in zip(self.layers, self._inputs(), strict=True):
            yield units, inputs
            yield units, everything
            yield 1, units
            yield count, inputs
            yield count, everything
        yield self.command_size, self.layers[-1]
        yield 1, self.command_size
