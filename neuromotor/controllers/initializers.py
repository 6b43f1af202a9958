"""How a recurrent network's weights start, behind one interface.

Every draw is made in float64 on the CPU, so that one seed gives one network on every device and
in every dtype. Biases and learned initial states start at zero unless said otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive
from neuromotor.extensions import Registry

__all__ = [
    "INITIALIZERS",
    "EchoState",
    "Gaussian",
    "Identity",
    "Initializer",
    "Orthogonal",
    "Sparse",
    "UniformFanIn",
    "VariancePreserving",
]


class Initializer(Protocol):
    """Draws the matrices of a recurrent network; rows are receiving units."""

    def biases(self, size: int, generator: torch.Generator) -> Tensor:
        """Return the hidden units' biases, (size,), float64."""
        ...

    def feedforward(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return weights from inputs or from the layer below, (rows, columns), float64."""
        ...

    def recurrent(self, size: int, generator: torch.Generator) -> Tensor:
        """Return weights within a layer, (size, size), float64."""
        ...

    def output(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return weights from the last layer to the commands, (rows, columns), float64."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """Dense normal weights with standard deviation ``gain / sqrt(incoming connections)``.

    With recurrent gain g a large random tanh network is quiescent for g < 1 and chaotic for g > 1
    (Sompolinsky, Crisanti & Sommers 1988). The gains are our choice.

    Attributes:
        gain: Gain of weights from inputs and between layers.
        recurrent_gain: Gain of weights within a layer.
        output_gain: Gain of weights to the commands.

    Raises:
        ValueError: A gain is negative or not finite.
    """

    gain: float = 1.0
    recurrent_gain: float = 1.0
    output_gain: float = 1.0

    def __post_init__(self) -> None:
        for name in ("gain", "recurrent_gain", "output_gain"):
            check_number(name, getattr(self, name), minimum=0.0)

    def biases(self, size: int, generator: torch.Generator) -> Tensor:
        """Return zeros, (size,)."""
        return torch.zeros(size, dtype=torch.float64)

    def feedforward(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return dense normal weights, (rows, columns)."""
        return self.gain / math.sqrt(columns) * _normal(rows, columns, generator)

    def recurrent(self, size: int, generator: torch.Generator) -> Tensor:
        """Return dense normal weights, (size, size)."""
        return self.recurrent_gain / math.sqrt(size) * _normal(size, size, generator)

    def output(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return dense normal weights, (rows, columns)."""
        return self.output_gain / math.sqrt(columns) * _normal(rows, columns, generator)


@dataclass(frozen=True)
class Sparse:
    """A fixed number of incoming unit-normal weights a unit, times a scale; the rest are zero.

    Source: Martens (2010); Sutskever (2013), section 7.3.1, with 15 connections and, for tanh
    units, scale 0.25. Its bias of -0.5 belongs to feed-forward networks; ours starts at zero. The
    preset `chapter-4` has the scales of its section 4.4: 1 for weights from inputs, and 15^-1/2 for
    all others and for the biases.

    Attributes:
        connections: Incoming weights a unit that are not zero (all, where there are fewer).
        scale: Standard deviation of those weights.
        output_scale: The same for weights to the commands.
        bias: Mean of the hidden units' biases.
        input_scale: The same as `scale` for weights from inputs and between layers; None for equal.
        bias_scale: Standard deviation of the hidden units' biases.

    Raises:
        ValueError: A number is out of range.
    """

    connections: int = 15
    scale: float = 0.25
    output_scale: float = 0.25
    bias: float = 0.0
    input_scale: float | None = None
    bias_scale: float = 0.0

    def __post_init__(self) -> None:
        check_integer("connections", self.connections, minimum=1)
        check_number("scale", self.scale, minimum=0.0)
        check_number("output_scale", self.output_scale, minimum=0.0)
        check_number("bias", self.bias)
        if self.input_scale is not None:
            check_number("input_scale", self.input_scale, minimum=0.0)
        check_number("bias_scale", self.bias_scale, minimum=0.0)

    def biases(self, size: int, generator: torch.Generator) -> Tensor:
        """Return normal biases, (size,)."""
        mean = torch.full((size,), self.bias, dtype=torch.float64)
        if not self.bias_scale:
            return mean
        return mean + self.bias_scale * _normal(1, size, generator)[0]

    def feedforward(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return sparse weights, (rows, columns)."""
        scale = self.scale if self.input_scale is None else self.input_scale
        return scale * _sparse(rows, columns, self.connections, generator)

    def recurrent(self, size: int, generator: torch.Generator) -> Tensor:
        """Return sparse weights, (size, size)."""
        return self.scale * _sparse(size, size, self.connections, generator)

    def output(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return sparse weights, (rows, columns)."""
        return self.output_scale * _sparse(rows, columns, self.connections, generator)


@dataclass(frozen=True)
class EchoState:
    """Sparse weights; those within a layer are rescaled to a given spectral radius.

    Source: Jaeger & Haas (2004); Sutskever (2013), section 7.4.1: 15 incoming connections, largest
    absolute eigenvalue 1.2 (1.1 and 1.3 were less robust there), inputs scaled by task.

    Attributes:
        connections: Incoming weights a unit that are not zero (all, where there are fewer).
        spectral_radius: Largest absolute eigenvalue of the weights within a layer.
        input_scale: Standard deviation of weights from inputs and between layers; 0.3 was the
            thesis's value for the memorisation tasks.
        output_scale: Standard deviation of weights to the commands (our choice).

    Raises:
        ValueError: A number is out of range.
    """

    connections: int = 15
    spectral_radius: float = 1.2
    input_scale: float = 0.3
    output_scale: float = 0.1

    def __post_init__(self) -> None:
        check_integer("connections", self.connections, minimum=1)
        check_positive("spectral_radius", self.spectral_radius)
        check_number("input_scale", self.input_scale, minimum=0.0)
        check_number("output_scale", self.output_scale, minimum=0.0)

    def biases(self, size: int, generator: torch.Generator) -> Tensor:
        """Return zeros, (size,)."""
        return torch.zeros(size, dtype=torch.float64)

    def feedforward(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return sparse weights, (rows, columns)."""
        return self.input_scale * _sparse(rows, columns, self.connections, generator)

    def recurrent(self, size: int, generator: torch.Generator) -> Tensor:
        """Return sparse weights of the wanted spectral radius, (size, size)."""
        matrix = _sparse(size, size, self.connections, generator)
        radius = float(torch.linalg.eigvals(matrix).abs().max())
        if radius == 0:  # a nilpotent draw, as a single unit without self-connection
            return matrix
        return matrix * (self.spectral_radius / radius)

    def output(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return sparse weights, (rows, columns)."""
        return self.output_scale * _sparse(rows, columns, self.connections, generator)


@dataclass(frozen=True)
class VariancePreserving:
    """Uniform weights that keep the variance of what they carry, forwards and backwards.

    Weights lie between ``-gain sqrt(6 / (rows + columns))`` and the same above zero.

    Source: Glorot & Bengio (2010), equation 16; Sutskever (2013), section 7.3.1.

    Attributes:
        gain: Factor of all weights.

    Raises:
        ValueError: `gain` is negative or not finite.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        check_number("gain", self.gain, minimum=0.0)

    def biases(self, size: int, generator: torch.Generator) -> Tensor:
        """Return zeros, (size,)."""
        return torch.zeros(size, dtype=torch.float64)

    def feedforward(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return uniform weights, (rows, columns)."""
        uniform = 2 * torch.rand(rows, columns, generator=generator, dtype=torch.float64) - 1
        return self.gain * math.sqrt(6 / (rows + columns)) * uniform

    def recurrent(self, size: int, generator: torch.Generator) -> Tensor:
        """Return uniform weights, (size, size)."""
        return self.feedforward(size, size, generator)

    def output(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return uniform weights, (rows, columns)."""
        return self.feedforward(rows, columns, generator)


@dataclass(frozen=True)
class UniformFanIn:
    """Uniform weights between ``-gain / sqrt(incoming connections)`` and the same above zero.

    Source: Kalidindi et al. (2021), methods; it is what torch does in its linear layers.

    Attributes:
        gain: Factor of all weights.

    Raises:
        ValueError: `gain` is negative or not finite.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        check_number("gain", self.gain, minimum=0.0)

    def biases(self, size: int, generator: torch.Generator) -> Tensor:
        """Return zeros, (size,)."""
        return torch.zeros(size, dtype=torch.float64)

    def feedforward(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return uniform weights, (rows, columns)."""
        uniform = 2 * torch.rand(rows, columns, generator=generator, dtype=torch.float64) - 1
        return self.gain / math.sqrt(columns) * uniform

    def recurrent(self, size: int, generator: torch.Generator) -> Tensor:
        """Return uniform weights, (size, size)."""
        return self.feedforward(size, size, generator)

    def output(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return uniform weights, (rows, columns)."""
        return self.feedforward(rows, columns, generator)


@dataclass(frozen=True)
class Orthogonal(Gaussian):
    """Random orthogonal weights within a layer, times a gain; dense normal weights elsewhere.

    A linear network with such weights neither forgets nor explodes where the gain is 1.

    Source: Saxe, McClelland & Ganguli (2014), section 3; the other weights are those of `Gaussian`.

    Attributes:
        gain: Gain of weights from inputs and between layers; see `Gaussian`.
        recurrent_gain: Every singular value of the weights within a layer.
        output_gain: Gain of weights to the commands.

    Raises:
        ValueError: A gain is negative or not finite.
    """

    def recurrent(self, size: int, generator: torch.Generator) -> Tensor:
        """Return a random orthogonal matrix, uniform over all of them, (size, size)."""
        vectors, triangle = torch.linalg.qr(_normal(size, size, generator))
        drawn: Tensor = vectors * torch.sign(torch.diagonal(triangle))
        return self.recurrent_gain * drawn


@dataclass(frozen=True)
class Identity:
    """A multiple of the identity within a layer, and small dense normal weights elsewhere.

    With rectified units, each unit then keeps what it has until something else tells it otherwise;
    such a network is called IRNN.

    Source: Le, Jaitly & Hinton (2015), section 3. They draw the other weights with a standard
    deviation of 0.001.

    Attributes:
        scale: The multiple.
        input_scale: Standard deviation of weights from inputs and between layers.
        output_scale: The same for weights to the commands.

    Raises:
        ValueError: A number is out of range.
    """

    scale: float = 1.0
    input_scale: float = 0.001
    output_scale: float = 0.001

    def __post_init__(self) -> None:
        check_number("scale", self.scale)
        check_number("input_scale", self.input_scale, minimum=0.0)
        check_number("output_scale", self.output_scale, minimum=0.0)

    def biases(self, size: int, generator: torch.Generator) -> Tensor:
        """Return zeros, (size,)."""
        return torch.zeros(size, dtype=torch.float64)

    def feedforward(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return dense normal weights, (rows, columns)."""
        return self.input_scale * _normal(rows, columns, generator)

    def recurrent(self, size: int, generator: torch.Generator) -> Tensor:
        """Return the multiple of the identity, (size, size); nothing is random."""
        return self.scale * torch.eye(size, dtype=torch.float64)

    def output(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Return dense normal weights, (rows, columns)."""
        return self.output_scale * _normal(rows, columns, generator)


def _normal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Unit-normal draws, (rows, columns)."""
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def _sparse(rows: int, columns: int, connections: int, generator: torch.Generator) -> Tensor:
    """Unit-normal draws at `connections` random places of each row, zeros elsewhere."""
    order = torch.rand(rows, columns, generator=generator, dtype=torch.float64).argsort(dim=1)
    keep = order < connections  # ranks of a random permutation: exactly `connections` a row
    return _normal(rows, columns, generator) * keep


INITIALIZERS: Registry[Initializer] = Registry(
    "initializer",
    {
        "gaussian": Gaussian(),
        "sparse": Sparse(),
        "echo-state": EchoState(),
        "chapter-4": Sparse(
            scale=15**-0.5, output_scale=15**-0.5, input_scale=1.0, bias_scale=15**-0.5
        ),
        "variance-preserving": VariancePreserving(),
        "uniform-fan-in": UniformFanIn(),
        "orthogonal": Orthogonal(),
        "identity": Identity(),
    },
    members=("feedforward", "recurrent", "output", "biases"),
)
