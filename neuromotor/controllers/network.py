"""Networks: layers of cells, a linear read-out, and an optional squashing of the commands.

Input is ``[observation, target]``, and the cues of a task that gives some. Within a step, layer 1
feeds layer 2 and so on; the rates of the last layer feed the commands::

    u = squash(W_out h + b_out)

A network may also be given copies of its own last commands (efference copies; von Holst &
Mittelstaedt 1950), the newest first, behind its other inputs. It need not learn to remember what it
commanded, and can compare what it senses late with the command that led there.

Parameters lie in one flat vector, for every cell in the same order: of each layer the feed-forward
weights, the recurrent weights, the biases and, if it is learned, the initial memory; then the
weights and the biases of the output.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive, lookup, up_to_date
from neuromotor.controllers.cells import (
    CELLS,
    Cell,
    LayerWeights,
    LinearMap,
    Products,
    TanhCell,
    Tape,
)
from neuromotor.controllers.controller import check_parameters
from neuromotor.controllers.initializers import INITIALIZERS, Gaussian, Initializer

__all__ = ["SQUASHES", "Network", "NetworkWeights", "RecurrentNetwork"]

SQUASHES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,  # from -1 to 1
    "logistic": torch.sigmoid,  # from 0 to 1
    "rectified": torch.relu,  # 0 or more
}


class NetworkWeights(NamedTuple):
    """Views of all parameters of a network."""

    layers: tuple[LayerWeights, ...]
    output: Tensor  # (command_size, units of the last layer)
    output_bias: Tensor  # (command_size,)
    tape: Tape | None = None  # where `step` writes its products


class RecurrentNetwork(ABC):
    """What all networks of cells share; a class of them says what its attributes are.

    Subclasses are frozen dataclasses in which every attribute below is a field with a default, or a
    property.
    """

    @property
    @abstractmethod
    def layers(self) -> tuple[int, ...]:
        """Units a layer."""

    @property
    @abstractmethod
    def cell(self) -> Cell:
        """Kind of all units."""

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Numbers in observation, target and cues together."""

    @property
    @abstractmethod
    def command_size(self) -> int:
        """Numbers in a command."""

    @property
    @abstractmethod
    def dt_s(self) -> float:
        """Step length (s)."""

    @property
    @abstractmethod
    def skip_inputs(self) -> bool:
        """Whether the input feeds every layer or only the first."""

    @property
    @abstractmethod
    def learn_initial_state(self) -> bool:
        """Whether the memory before the first step is a parameter or zero."""

    @property
    @abstractmethod
    def private_noise(self) -> float:
        """Standard deviation of the units' private noise."""

    @property
    @abstractmethod
    def squash(self) -> str | None:
        """Name of what bounds the commands, or None."""

    @property
    @abstractmethod
    def initializer(self) -> Initializer:
        """How the weights start."""

    @property
    def efference_copies(self) -> int:
        """How many of its own last commands it is given, the newest first."""
        return 0

    @property
    def inner_size(self) -> int:
        """Numbers that the first layer is given: inputs, and copies of commands behind them."""
        return self.input_size + self.efference_copies * self.command_size

    def __post_init__(self) -> None:
        if not isinstance(self.layers, tuple) or not self.layers:
            raise TypeError(
                f"`layers` must be a tuple of unit counts, one a layer, got {self.layers!r}."
            )
        for units in self.layers:
            check_integer("layers", units, minimum=1)
        check_integer("input_size", self.input_size, minimum=1)
        check_integer("command_size", self.command_size, minimum=1)
        check_positive("dt_s", self.dt_s, "seconds")
        check_number("private_noise", self.private_noise, minimum=0.0)
        check_integer("efference_copies", self.efference_copies, minimum=0)

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
        """Return a random network, (P,), drawn by the initializer, each gate's matrices apart."""
        start, gates = self.initializer, range(self.cell.gates)
        parts: list[Tensor] = []
        for units, inputs in zip(self.layers, self._inputs(), strict=True):
            parts += [start.feedforward(units, inputs, generator) for _ in gates]
            parts += [start.recurrent(units, generator) for _ in gates]
            parts.append(start.biases(len(gates) * units, generator))
            if self.learn_initial_state:
                parts.append(torch.zeros(self.cell.memory * units, dtype=torch.float64))
        parts.append(start.output(self.command_size, self.layers[-1], generator))
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

    def connections(self, layer: int) -> Tensor | None:
        """Return which recurrent weights of a layer exist, (gates units, units); None is all."""
        del layer
        return None

    def initial_memory(self, weights: NetworkWeights, batch: int) -> tuple[Tensor, ...]:
        """Return each layer's memory before the first step, (B, memory units) each.

        Behind them are the efference copies, if it has any, (B, copies m): zeros.
        """
        sizes = [self.cell.memory * units for units in self.layers]
        memory = tuple(
            layer.bias.new_zeros(batch, size)
            if layer.initial is None
            else layer.initial.expand(batch, size)
            for layer, size in zip(weights.layers, sizes, strict=True)
        )
        if not self.efference_copies:
            return memory
        copies = weights.output_bias.new_zeros(batch, self.inner_size - self.input_size)
        return *memory, copies

    def step(
        self,
        weights: NetworkWeights,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return each layer's memory after the step, (B, memory units) each, and commands (B, m).

        The efference copies, if it has any, are the memory's last part.

        Raises:
            ValueError: The network has private noise and `noise` is missing, or it has another
                number of inputs.
        """
        del t
        self.check_noise(noise)
        cell, tape = self.cell, weights.tape
        outside = torch.cat([observation, target], dim=-1)
        self.check_input(outside.shape[-1])
        if self.efference_copies:
            memory, copies = memory[:-1], memory[-1]
            outside = torch.cat([outside, copies], dim=-1)
        after: list[Tensor] = []
        rate = outside
        for index, (layer, before) in enumerate(zip(weights.layers, memory, strict=True)):
            if index and self.skip_inputs:
                rate = torch.cat([outside, rate], dim=-1)
            own = None
            if self.noise_size and noise is not None:
                start = sum(self.layers[:index])
                own = self.private_noise * noise[:, start : start + self.layers[index]]
            products = Products(layer, self.layers[index], index, tape)
            after.append(cell.step(products, before, rate, own))
            rate = cell.rates(after[-1])
        command = torch.addmm(weights.output_bias, rate, weights.output.T)
        if tape is not None:
            tape.write(LinearMap(len(self.layers), 0, 1), rate, command)
        command = self.squashed(command)
        if self.efference_copies:
            kept = copies.shape[-1] - self.command_size
            after.append(torch.cat([command, copies[:, :kept]], dim=-1))
        return tuple(after), command

    def squashed(self, commands: Tensor) -> Tensor:
        """Return commands within the bounds of `squash`."""
        return commands if self.squash is None else SQUASHES[self.squash](commands)

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return each layer's rates, (..., units), of its memory."""
        return tuple(self.cell.rates(part) for part in memory[: len(self.layers)])

    def damped(self, memory: tuple[Tensor, ...]) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return what structural damping holds back in each layer; see `Cell.damped`."""
        return tuple(pair for part in memory[: len(self.layers)] for pair in self.cell.damped(part))

    def recorded(self, weights: NetworkWeights, tape: Tape) -> NetworkWeights:
        """Return weights with which `step` writes its products to a tape."""
        return weights._replace(tape=tape)

    def places(self, place: LinearMap) -> Tensor:
        """Return where the weights of a map on the tape lie in the flat vector, (rows, columns).

        The last column is that of the biases, which the recurrent part alone has not.
        """
        layer, first, end, part = place
        everything = self.unpack(torch.arange(self.parameter_count))
        if layer == len(self.layers):
            parts = [everything.output, everything.output_bias[:, None]]
            return torch.cat(parts, dim=1)
        own, units = everything.layers[layer], self.layers[layer]
        parts = [own.feedforward, own.recurrent, own.bias[:, None]]
        if part != "whole":
            parts = parts[:3:2] if part == "feedforward" else parts[1:2]
        whole = torch.cat(parts, dim=1)
        return whole[first * units : end * units]

    def check_input(self, size: int) -> None:
        """Raise unless the network has as many inputs as there are numbers."""
        if size != self.input_size:
            raise ValueError(
                f"this controller has {self.input_size} inputs, but observation, target and cues "
                f"are {size} numbers; set its `input_size` to {size}."
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
                yield self.inner_size
            else:
                yield self.layers[index - 1] + (self.inner_size if self.skip_inputs else 0)

    def _shapes(self) -> Iterator[tuple[int, int]]:
        """Shape of every piece of the flat vector, in its order; vectors as one row."""
        gates, memory = self.cell.gates, self.cell.memory
        for units, inputs in zip(self.layers, self._inputs(), strict=True):
            yield gates * units, inputs
            yield gates * units, units
            yield 1, gates * units
            if self.learn_initial_state:
                yield 1, memory * units
        yield self.command_size, self.layers[-1]
        yield 1, self.command_size


@final
@dataclass(frozen=True)
class Network(RecurrentNetwork):
    """Layers of any cell, with commands that may be squashed.

    Attributes:
        layers: Units a layer.
        cell: Kind of all units.
        input_size: Numbers in observation, target and cues together (`tasks.task.input_size`).
        command_size: Numbers in a command.
        dt_s: Step length (s); must be the plant's.
        skip_inputs: Whether the input feeds every layer or only the first.
        learn_initial_state: Whether the memory before the first step is a parameter (one value a
            unit, the same in every trial) or zero.
        private_noise: Standard deviation of the units' private noise, a draw a unit and step; the
            draws come with the trials (`Trials.with_unit_noise`).
        squash: Bounds on the commands: "tanh" (from -1 to 1), "logistic" (from 0 to 1), "rectified"
            (0 or more), or None for none.
        initializer: How the weights start.
        efference_copies: How many of its own last commands it is given, the newest first (zeros
            before the first step). With one more than the steps of the delay it is given all that
            its feedback does not show yet, and the command that led to what it sees.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A number is out of range, `squash` is unknown, or the cell does not say what its
            rates are.

    Example:
        >>> from neuromotor.controllers import GatedCell
        >>> Network(layers=(50,), cell=GatedCell(), squash="tanh").parameter_count
        8952
    """

    layers: tuple[int, ...] = (100, 100)
    cell: Cell = field(default=TanhCell(), metadata={"registry": CELLS})
    input_size: int = 8
    command_size: int = 2
    dt_s: float = 0.01
    skip_inputs: bool = True
    learn_initial_state: bool = False
    private_noise: float = 0.0
    squash: str | None = None
    initializer: Initializer = field(default=Gaussian(), metadata={"registry": INITIALIZERS})
    efference_copies: int = field(default=0, metadata={"left_out": True})

    follows_equations: ClassVar[bool] = True  # see `ContinuousTimeRNN`

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rates", "damped"):
            if not up_to_date(self.cell, name, "step"):
                raise ValueError(
                    f"`cell` must have a method `{name}` that belongs to its own `step`, got a "
                    f"{type(self.cell).__name__} without; write one, or take one of "
                    f"{', '.join(CELLS)}."
                )
        if self.squash is not None:
            lookup("squash", self.squash, SQUASHES)
