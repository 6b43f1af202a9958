"""Networks without recurrence, which see the last steps of their inputs at once.

Notation: x_t what is given at step t, w the window in steps::

    h^1 = tanh(F^1 [x_t, x_{t-1}, ..., x_{t-w+1}] + b^1)      h^j = tanh(F^j h^{j-1} + b^j)
    u = squash(W_out h + b_out)

What lies before the first step is zero. Parameters lie in one flat vector: of each layer F and b,
then W_out and b_out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_positive, lookup
from neuromotor.controllers.cells import LinearMap, Tape
from neuromotor.controllers.controller import check_parameters
from neuromotor.controllers.initializers import INITIALIZERS, Gaussian, Initializer
from neuromotor.controllers.network import SQUASHES

__all__ = ["FeedforwardNetwork"]


class _Weights(NamedTuple):
    layers: tuple[tuple[Tensor, Tensor], ...]  # F (units, inputs) and b (units,)
    output: Tensor  # (command_size, units of the last layer)
    output_bias: Tensor  # (command_size,)
    tape: Tape | None = None


@dataclass(frozen=True)
class FeedforwardNetwork:
    """Layers of tanh units that see a window of past inputs, and remember nothing else.

    It is the control that says what recurrence is good for: with a window of one step it has no
    memory, and with more steps it has one of known length.

    Attributes:
        layers: Units a layer.
        window: Steps of the inputs that it sees, the present one among them.
        input_size: Numbers in observation, target and cues together.
        command_size: Numbers in a command.
        dt_s: Step length (s); must be the plant's.
        squash: Bounds on the commands, as for `Network`.
        initializer: How the weights start.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A number is out of range, or `squash` is unknown.

    Example:
        >>> FeedforwardNetwork(layers=(20,), window=3).parameter_count
        542
    """

    layers: tuple[int, ...] = (100, 100)
    window: int = 1
    input_size: int = 8
    command_size: int = 2
    dt_s: float = 0.01
    squash: str | None = None
    initializer: Initializer = field(default=Gaussian(), metadata={"registry": INITIALIZERS})

    noise_size: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if not isinstance(self.layers, tuple) or not self.layers:
            raise TypeError(
                f"`layers` must be a tuple of unit counts, one a layer, got {self.layers!r}."
            )
        for units in self.layers:
            check_integer("layers", units, minimum=1)
        for name in ("window", "input_size", "command_size"):
            check_integer(name, getattr(self, name), minimum=1)
        check_positive("dt_s", self.dt_s, "seconds")
        if self.squash is not None:
            lookup("squash", self.squash, SQUASHES)

    @property
    def parameter_count(self) -> int:
        """Number P of parameters."""
        return sum(rows * (columns + 1) for rows, columns in self._shapes())

    @property
    def readout(self) -> slice:
        """Which parameters turn rates into commands: weights and bias of the output."""
        return slice(self.parameter_count - (self.layers[-1] + 1) * self.command_size, None)

    def initial_parameters(
        self,
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return a random network, (P,), drawn by the initializer."""
        start = self.initializer
        parts: list[Tensor] = []
        *layers, (rows, columns) = self._shapes()
        for units, inputs in layers:
            parts.append(start.feedforward(units, inputs, generator).flatten())
            parts.append(start.biases(units, generator))
        parts.append(start.output(rows, columns, generator).flatten())
        parts.append(torch.zeros(rows, dtype=torch.float64))
        return torch.cat(parts).to(dtype=dtype, device=device)

    def unpack(self, parameters: Tensor) -> _Weights:
        """Return views of a flat vector (P,) as matrices.

        Raises:
            ValueError: `parameters` is not of shape (P,).
        """
        check_parameters(parameters, self.parameter_count)
        pairs, at = [], 0
        for rows, columns in self._shapes():
            middle, end = at + rows * columns, at + rows * (columns + 1)
            pairs.append((parameters[at:middle].view(rows, columns), parameters[middle:end]))
            at = end
        *layers, (output, bias) = pairs
        return _Weights(tuple(layers), output, bias)

    def initial_memory(self, weights: _Weights, batch: int) -> tuple[Tensor, ...]:
        """Return zeros: of the first layer its rates and past inputs, of the others their rates."""
        past = (self.window - 1) * self.input_size
        sizes = [self.layers[0] + past, *self.layers[1:]]
        return tuple(weights.output.new_zeros(batch, size) for size in sizes)

    def step(
        self,
        weights: _Weights,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return rates and past inputs after the step, see `initial_memory`, and commands (B, m).

        Raises:
            ValueError: It has another number of inputs.
        """
        del t, noise
        now = torch.cat([observation, target], dim=-1)
        if now.shape[-1] != self.input_size:
            raise ValueError(
                f"this controller has {self.input_size} inputs, but observation, target and cues "
                f"are {now.shape[-1]} numbers; set its `input_size` to {now.shape[-1]}."
            )
        seen = torch.cat([now, memory[0][:, self.layers[0] :]], dim=-1)
        rate, after = seen, []
        for index, (feedforward, bias) in enumerate(weights.layers):
            drive = torch.addmm(bias, rate, feedforward.T)
            if weights.tape is not None:
                weights.tape.write(LinearMap(index, 0, 1), rate, drive)
            rate = torch.tanh(drive)
            after.append(rate)
        command = torch.addmm(weights.output_bias, rate, weights.output.T)
        if weights.tape is not None:
            weights.tape.write(LinearMap(len(self.layers), 0, 1), rate, command)
        after[0] = torch.cat([after[0], seen[:, : (self.window - 1) * self.input_size]], dim=-1)
        return tuple(after), command if self.squash is None else SQUASHES[self.squash](command)

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return each layer's rates, (..., units)."""
        return memory[0][..., : self.layers[0]], *memory[1:]

    def damped(self, memory: tuple[Tensor, ...]) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return all rates, and one as the weight of their squared changes (our choice)."""
        return tuple((rate, torch.ones_like(rate)) for rate in self.rates(memory))

    def recorded(self, weights: _Weights, tape: Tape) -> _Weights:
        """Return weights with which `step` writes its products to a tape."""
        return weights._replace(tape=tape)

    def places(self, place: LinearMap) -> Tensor:
        """Return where the weights of a map on the tape lie, (rows, columns), biases last."""
        whole = self.unpack(torch.arange(self.parameter_count))
        output = (whole.output, whole.output_bias)
        feedforward, bias = [*whole.layers, output][place.layer]
        return torch.cat([feedforward, bias[:, None]], dim=1)

    def _shapes(self) -> Iterator[tuple[int, int]]:
        """Rows and columns of every matrix, in the order of the flat vector."""
        below = self.window * self.input_size
        for units in self.layers:
            yield units, below
            below = units
        yield self.command_size, below
