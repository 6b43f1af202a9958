"""Layers of tanh units in continuous time, each recurrent within itself, with linear commands.

Notation: v activation, h = tanh(v) rate, I inputs of a layer, tau_v time constant, xi noise.

    tau_v dv/dt = -v + W_rec h + W_in I + b + xi,      h = tanh(v)

(Cueva, dissertation on recurrent networks as models of cortex, equations 1.48-1.49; by Euler
steps). With ``dt / tau_v = 1`` it is the discrete network of Sutskever (2013), sections 6.4 and
6.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive
from neuromotor.controllers.controller import check_parameters
from neuromotor.controllers.initializers import INITIALIZERS, Gaussian, Initializer

__all__ = ["ContinuousTimeRNN", "LayerWeights", "NetworkWeights"]


class LayerWeights(NamedTuple):
    """Views of one layer's parameters; `units` receiving units."""

    feedforward: Tensor  # (units, inputs); columns: [observation, target] if seen, layer below
    recurrent: Tensor  # (units, units)
    bias: Tensor  # (units,)
    initial: Tensor | None  # (units,); activation v before the first step, None for zero


class NetworkWeights(NamedTuple):
    """Views of all parameters of a network."""

    layers: tuple[LayerWeights, ...]
    output: Tensor  # (command_size, units of the last layer)
    output_bias: Tensor  # (command_size,)


@dataclass(frozen=True)
class ContinuousTimeRNN:
    """A stack of recurrent tanh layers; by default that of the thesis, with 32,002 parameters.

    Input is ``[observation, target]``, and the cues of a task that gives some. Within a step, layer
    1 feeds layer 2 and so on; the last layer feeds the linear commands.

    Attributes:
        layers: Units a layer.
        input_size: Numbers in observation, target and cues together (`Trials.input_size`).
        command_size: Numbers in a command.
        dt_s: Step length (s); must be the plant's.
        time_constant_s: tau_v (s), at least `dt_s`; equal to it in the thesis.
        skip_inputs: Whether the input feeds every layer or only the first.
        learn_initial_state: Whether the activations before the first step are parameters (one
            value a unit, the same in every trial) or zero.
        private_noise: Standard deviation of xi, a draw a unit and step; the draws come with the
            trials (`Trials.with_unit_noise`).
        initializer: How the weights start.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A number is out of range.

    Example:
        >>> ContinuousTimeRNN().parameter_count
        32002
    """

    layers: tuple[int, ...] = (100, 100)
    input_size: int = 8
    command_size: int = 2
    dt_s: float = 0.01
    time_constant_s: float = 0.01
    skip_inputs: bool = True
    learn_initial_state: bool = False
    private_noise: float = 0.0
    initializer: Initializer = field(default_factory=Gaussian, metadata={"registry": INITIALIZERS})

    # `unpack`, `initial_memory` and `step` do what the equations above say, so that hand-derived
    # passes and lesions, which repeat them, are right. A subclass does not inherit this: one that
    # changes none of the three may set it again.
    follows_equations: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.layers, tuple) or not self.layers:
            raise TypeError(
                f"`layers` must be a tuple of unit counts, one a layer, got {self.layers!r}."
            )
        for units in self.layers:
            check_integer("layers", units, minimum=1)
        check_integer("input_size", self.input_size, minimum=2)
        check_integer("command_size", self.command_size, minimum=1)
        check_positive("dt_s", self.dt_s, "seconds")
        check_positive("time_constant_s", self.time_constant_s, "seconds")
        if self.time_constant_s < self.dt_s:
            raise ValueError(
                f"`time_constant_s` must be `dt_s` ({self.dt_s:g} s) or more, or Euler steps would "
                f"overshoot, got {self.time_constant_s!r}."
            )
        check_number("private_noise", self.private_noise, minimum=0.0)

    @property
    def parameter_count(self) -> int:
        """Number P of parameters."""
        return sum(rows * columns for rows, columns in self._shapes())

    @property
    def readout(self) -> slice:
        """Which parameters turn rates into commands: weights and bias of the output."""
        return slice(self.parameter_count - (self.layers[-1] + 1) * self.command_size, None)

    @property
    def noise_size(self) -> int:
        """One noise source a unit, or none without private noise."""
        return sum(self.layers) if self.private_noise > 0 else 0

    def initial_parameters(
        self,
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return a random network, (P,), drawn by the initializer."""
        parts: list[Tensor] = []
        for units, inputs in zip(self.layers, self._inputs(), strict=True):
            parts.append(self.initializer.feedforward(units, inputs, generator))
            parts.append(self.initializer.recurrent(units, generator))
            parts.append(torch.full((units,), self.initializer.bias, dtype=torch.float64))
            if self.learn_initial_state:
                parts.append(torch.zeros(units, dtype=torch.float64))
        parts.append(self.initializer.output(self.command_size, self.layers[-1], generator))
        parts.append(torch.zeros(self.command_size, dtype=torch.float64))
        return torch.cat([part.flatten() for part in parts]).to(dtype=dtype, device=device)

    def unpack(self, parameters: Tensor) -> NetworkWeights:
        """Return views of a flat vector (P,) as matrices; order: each layer's parts, then output.

        Raises:
            ValueError: `parameters` is not of shape (P,).
        """
        check_parameters(parameters, self.parameter_count)
        shapes = list(self._shapes())
        pieces = torch.split(parameters, [rows * columns for rows, columns in shapes])
        matrices = iter(piece.view(shape) for piece, shape in zip(pieces, shapes, strict=True))
        layers = tuple(
            LayerWeights(
                feedforward=next(matrices),
                recurrent=next(matrices),
                bias=next(matrices)[0],
                initial=next(matrices)[0] if self.learn_initial_state else None,
            )
            for _ in self.layers
        )
        return NetworkWeights(layers, next(matrices), next(matrices)[0])

    def initial_memory(self, weights: NetworkWeights, batch: int) -> tuple[Tensor, ...]:
        """Return each layer's activations v before the first step, (B, units) each."""
        return tuple(
            layer.bias.new_zeros(batch, units)
            if layer.initial is None
            else layer.initial.expand(batch, units)
            for layer, units in zip(weights.layers, self.layers, strict=True)
        )

    def step(
        self,
        weights: NetworkWeights,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return each layer's activations after the step, (B, units) each, and the command (B, m).

        Raises:
            ValueError: The network has private noise and `noise` is missing, or it has another
                number of inputs.
        """
        del t
        self.check_noise(noise)
        leak = self.dt_s / self.time_constant_s
        outside = torch.cat([observation, target], dim=-1)
        self.check_input(outside.shape[-1])
        after: list[Tensor] = []
        rate = outside
        for index, (layer, before) in enumerate(zip(weights.layers, memory, strict=True)):
            if index and self.skip_inputs:
                rate = torch.cat([outside, rate], dim=-1)
            drive = torch.addmm(layer.bias, rate, layer.feedforward.T)
            drive = torch.addmm(drive, torch.tanh(before), layer.recurrent.T)
            if self.noise_size and noise is not None:
                start = sum(self.layers[:index])
                drive = drive + self.private_noise * noise[:, start : start + self.layers[index]]
            activation = drive if leak == 1.0 else before + leak * (drive - before)
            after.append(activation)
            rate = torch.tanh(activation)
        command = torch.addmm(weights.output_bias, rate, weights.output.T)
        return tuple(after), command

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return each layer's rates h = tanh(v), of the activations' shapes."""
        return tuple(torch.tanh(activation) for activation in memory)

    def damped(self, memory: tuple[Tensor, ...]) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return each layer's activations v and the weights 1 - h^2 of their squared changes.

        The weights are the Hessian of the loss that matches tanh.

        Source: Martens & Sutskever (2011), section 3.2.
        """
        return tuple((v, 1 - torch.tanh(v).square()) for v in memory)

    def check_input(self, size: int) -> None:
        """Raise unless the network has as many inputs as there are numbers."""
        if size != self.input_size:
            raise ValueError(
                f"this controller has {self.input_size} inputs, but observation, target and cues "
                f"are {size} numbers; set its `input_size` to `trials.input_size`."
            )

    def check_noise(self, noise: Tensor | None) -> None:
        """Raise unless draws are there for the private noise, if there is any."""
        if self.noise_size and noise is None:
            raise ValueError(
                "this controller has `private_noise`, so the trials need draws for it: use "
                "`trials.with_unit_noise(controller.noise_size, generator, steps=task.steps)`."
            )

    def _inputs(self) -> Iterator[int]:
        """Columns of each layer's feed-forward matrix."""
        for index in range(len(self.layers)):
            if index == 0:
                yield self.input_size
            else:
                yield self.layers[index - 1] + (self.input_size if self.skip_inputs else 0)

    def _shapes(self) -> Iterator[tuple[int, int]]:
        """Shape of every piece of the flat vector, in its order; vectors as one row."""
        for units, inputs in zip(self.layers, self._inputs(), strict=True):
            yield units, inputs
            yield units, units
            yield 1, units
            if self.learn_initial_state:
                yield 1, units
        yield self.command_size, self.layers[-1]
        yield 1, self.command_size
