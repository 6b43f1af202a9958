"""A feed-forward or recurrent policy of reinforcement learning, as a controller like any other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_numbers, check_positive, check_share, lookup
from neuromotor.controllers.controller import check_parameters

__all__ = ["PolicyNetwork", "PolicyWeights"]

_ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}
_BOUNDED = {"clip": lambda x: x.clamp(-1.0, 1.0), "tanh": torch.tanh}


class PolicyWeights(NamedTuple):
    """Views of the parameters: of the memory, and of each layer its weights and biases."""

    memory: tuple[Tensor, ...]  # W (4 m, k), U (4 m, m) and two biases (4 m,); or none
    layers: tuple[tuple[Tensor, Tensor], ...]  # the last one gives the actions


@dataclass(frozen=True)
class PolicyNetwork:
    """Layers of units from the observation, the target and the time to an action.

    ``x = ([observation, target, t / T] - centre) / scale``, with a memory ``x, c = LSTM(x, c)``,
    then ``x = f(W x + b)`` layer by layer, and ``u = middle + half taper[t] bounded(W x + b)`` of
    actions between -1 and 1. The numbers of an LSTM lie as in `torch.nn.LSTMCell`.

    Attributes:
        input_size: Numbers in observation and target, cues too.
        steps: Steps T of a trial; the policy is told the elapsed share t / T.
        layers: Units of each hidden layer.
        memory_units: Units of an LSTM before them; 0 for none.
        activation: Of hidden units, ``tanh`` or ``relu``.
        bounded: How actions are kept between -1 and 1, ``clip`` or ``tanh``.
        low: Lowest command of each actuator (N m or N).
        high: Highest command of each actuator.
        centre: What is subtracted from the inputs, one number each with the time; () for zeros.
        scale: What they are divided by then; () for ones.
        taper: What actions are multiplied by at each of the steps, 0 to 1, and at any after them as
            at the last; () for ones.
        dt_s: Step length (s); must be the plant's.

    Raises:
        ValueError: A number is out of range, or numbers are missing.

    Example:
        >>> PolicyNetwork(input_size=8, steps=50, layers=(64, 64)).parameter_count
        4930
    """

    input_size: int = 8
    steps: int = 50
    layers: tuple[int, ...] = (64, 64)
    memory_units: int = 0
    activation: str = "tanh"
    bounded: str = "clip"
    low: tuple[float, ...] = (-1.0, -1.0)
    high: tuple[float, ...] = (1.0, 1.0)
    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    taper: tuple[float, ...] = ()
    dt_s: float = 0.01

    def __post_init__(self) -> None:
        for name in ("input_size", "steps"):
            check_integer(name, getattr(self, name), minimum=1)
        check_integer("memory_units", self.memory_units, minimum=0)
        for units in self.layers:
            check_integer("layers", units, minimum=1)
        lookup("activation", self.activation, _ACTIVATIONS)
        lookup("bounded", self.bounded, _BOUNDED)
        check_numbers("low", self.low)
        check_numbers("high", self.high)
        if len(self.low) != len(self.high) or any(
            a >= b for a, b in zip(self.low, self.high, strict=True)
        ):
            raise ValueError(
                f"`low` must be below `high`, one number an actuator each, got {self.low!r} and "
                f"{self.high!r}."
            )
        for name in ("centre", "scale"):
            numbers = getattr(self, name)
            if numbers and len(numbers) != self.input_size + 1:
                raise ValueError(
                    f"`{name}` must hold {self.input_size + 1} numbers, one an input and one for "
                    f"the time, or none, got {len(numbers)}."
                )
        for one in self.scale:
            check_positive("scale", one)
        if self.taper and len(self.taper) != self.steps:
            raise ValueError(
                f"`taper` must hold {self.steps} numbers, one a step, or none, got "
                f"{len(self.taper)}."
            )
        for one in self.taper:
            check_share("taper", one)
        check_positive("dt_s", self.dt_s, "seconds")

    @property
    def command_size(self) -> int:
        """Numbers m in a command."""
        return len(self.low)

    @property
    def noise_size(self) -> int:
        """0: no private noise."""
        return 0

    @property
    def parameter_count(self) -> int:
        """Number P of parameters."""
        return sum(map(math.prod, self.shapes()))

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of all weights and biases, in the order of the parameters."""
        m, first = self.memory_units, self.input_size + 1
        found: list[tuple[int, ...]] = []
        if m:
            found += [(4 * m, first), (4 * m, m), (4 * m,), (4 * m,)]
            first = m
        for before, after in pairwise((first, *self.layers, self.command_size)):
            found += [(after, before), (after,)]
        return found

    def initial_parameters(
        self,
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return weights to start from, (P,): of variance 1 / inputs, 1e-4 of it in the last layer.

        Biases are zero.
        """
        parts = []
        shapes = self.shapes()
        for number, shape in enumerate(shapes):
            part = torch.zeros(shape, dtype=torch.float64)
            if len(shape) == 2:
                last = number == len(shapes) - 2
                part.normal_(0.0, (0.01 if last else 1.0) / shape[1] ** 0.5, generator=generator)
            parts.append(part.flatten())
        return torch.cat(parts).to(dtype=dtype, device=device)

    def unpack(self, parameters: Tensor) -> PolicyWeights:
        """Return views of the flat vector.

        Raises:
            ValueError: `parameters` is not of shape (P,).
        """
        check_parameters(parameters, self.parameter_count)
        shapes = self.shapes()
        flat = parameters.split([math.prod(shape) for shape in shapes])  # type: ignore[no-untyped-call]
        parts = [part.view(shape) for part, shape in zip(flat, shapes, strict=True)]
        first = 4 if self.memory_units else 0
        pairs = zip(parts[first::2], parts[first + 1 :: 2], strict=True)
        return PolicyWeights(tuple(parts[:first]), tuple(pairs))

    def initial_memory(self, weights: PolicyWeights, batch: int) -> tuple[Tensor, ...]:
        """Return the memory before the first step: zeros, (B, 2 memory_units), or none."""
        if not self.memory_units:
            return ()
        return (weights.memory[0].new_zeros(batch, 2 * self.memory_units),)

    def step(
        self,
        weights: PolicyWeights,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the memory after step `t` and the commands (B, m)."""
        del noise
        share = observation.new_full((len(observation), 1), t / self.steps)
        x = torch.cat([observation, target, share], dim=-1)
        if self.centre:
            x = x - x.new_tensor(self.centre)
        if self.scale:
            x = x / x.new_tensor(self.scale)
        if self.memory_units:
            x, memory = self._remembered(weights, memory, x)
        for weight, bias in weights.layers[:-1]:
            x = _ACTIVATIONS[self.activation](torch.addmm(bias, x, weight.T))
        weight, bias = weights.layers[-1]
        action = _BOUNDED[self.bounded](torch.addmm(bias, x, weight.T))
        low, high = action.new_tensor(self.low), action.new_tensor(self.high)
        if self.taper:
            action = self.taper[min(t, self.steps - 1)] * action
        return memory, 0.5 * (low + high) + 0.5 * (high - low) * action

    def _remembered(
        self, weights: PolicyWeights, memory: tuple[Tensor, ...], x: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What the LSTM sends on, and its memory (Hochreiter & Schmidhuber 1997, forget gates)."""
        sent, cell = memory[0].split(self.memory_units, dim=-1)  # type: ignore[no-untyped-call]
        into, own, bias, own_bias = weights.memory
        gates = torch.addmm(bias, x, into.T) + torch.addmm(own_bias, sent, own.T)
        write, keep, new, send = gates.chunk(4, dim=-1)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(write) * torch.tanh(new)
        sent = torch.sigmoid(send) * torch.tanh(cell)
        return sent, (torch.cat([sent, cell], dim=-1),)

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return what the units of the LSTM send on, (..., memory_units)."""
        return tuple(part[..., : self.memory_units] for part in memory)
