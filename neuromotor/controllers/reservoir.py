"""Reservoirs: recurrent networks of which only the read-out is trained.

All other weights are drawn once, from a seed of their own. What is left to learn is linear in the
rates, so that ridge regression finds it where inputs and wanted outputs are given; any optimizer
trains it too, on a limb as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor

from neuromotor._checks import check_number, check_seed
from neuromotor.controllers.cells import CELLS, Cell, LayerWeights, TanhCell
from neuromotor.controllers.controller import check_parameters
from neuromotor.controllers.initializers import INITIALIZERS, EchoState, Initializer
from neuromotor.controllers.network import NetworkWeights, RecurrentNetwork

__all__ = ["Reservoir"]


@dataclass(frozen=True)
class Reservoir(RecurrentNetwork):
    """Layers of any cell with frozen weights, and a linear read-out of the last, which is trained.

    With tanh units it is an echo-state network. The parameters are the read-out's weights and
    biases; they start at zero.

    Source: Jaeger & Haas (2004); Sutskever (2013), section 2.8.4: sparse recurrent weights of a
    spectral radius slightly below 1.

    Attributes:
        layers: Units a layer.
        cell: Kind of all units; `leaky` ones remember for longer.
        input_size: See `Network`.
        command_size: See `Network`.
        dt_s: See `Network`.
        skip_inputs: See `Network`.
        private_noise: See `Network`.
        squash: See `Network`; ridge regression needs None.
        initializer: How the frozen weights are drawn.
        bias_scale: Standard deviation of frozen biases, which are normal. Without any, a reservoir
            of tanh units computes odd functions of its inputs alone (our choice).
        frozen_seed: Seed of all frozen weights.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A number is out of range.

    Example:
        >>> Reservoir(layers=(50,)).parameter_count
        102
    """

    layers: tuple[int, ...] = (300,)
    cell: Cell = field(default=TanhCell(), metadata={"registry": CELLS})
    input_size: int = 8
    command_size: int = 2
    dt_s: float = 0.01
    skip_inputs: bool = True
    private_noise: float = 0.0
    squash: str | None = None
    initializer: Initializer = field(
        default=EchoState(spectral_radius=0.95), metadata={"registry": INITIALIZERS}
    )
    bias_scale: float = 0.2
    frozen_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("bias_scale", self.bias_scale, minimum=0.0)
        check_seed("frozen_seed", self.frozen_seed)

    @property
    def learn_initial_state(self) -> bool:
        """False: every layer starts from zeros."""
        return False

    @property
    def parameter_count(self) -> int:
        """Number P of parameters: weights and biases of the read-out."""
        return self.command_size * (self.layers[-1] + 1)

    def initial_parameters(
        self,
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return zeros, (P,); what is random is frozen."""
        del generator
        return torch.zeros(self.parameter_count, dtype=dtype, device=device)

    def unpack(self, parameters: Tensor) -> NetworkWeights:
        """Return the frozen weights, and views of a flat vector (P,) as the read-out.

        Raises:
            ValueError: `parameters` is not of shape (P,).
        """
        check_parameters(parameters, self.parameter_count)
        layers = tuple(
            LayerWeights(
                feedforward.to(parameters), recurrent.to(parameters), bias.to(parameters), None
            )
            for feedforward, recurrent, bias in _frozen(self)
        )
        shape = self.command_size, self.layers[-1]
        output, bias = torch.split(parameters, [shape[0] * shape[1], shape[0]])
        return NetworkWeights(layers, output.view(shape), bias)


@cache
def _frozen(network: Reservoir) -> tuple[tuple[Tensor, Tensor, Tensor], ...]:
    """Return the weights from inputs, within the layer and the biases of every layer."""
    generator = torch.Generator().manual_seed(network.frozen_seed)
    start, gates = network.initializer, range(network.cell.gates)
    layers = []
    for units, inputs in zip(network.layers, network._inputs(), strict=True):
        feedforward = [start.feedforward(units, inputs, generator) for _ in gates]
        recurrent = [start.recurrent(units, generator) for _ in gates]
        size = len(gates) * units
        biases = start.biases(size, generator)
        noise = torch.randn(size, generator=generator, dtype=torch.float64)
        biases = biases + network.bias_scale * noise
        layers.append((torch.cat(feedforward), torch.cat(recurrent), biases))
    return tuple(layers)
