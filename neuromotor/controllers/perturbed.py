"""Units and connections of a network that are perturbed for some steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, lookup
from neuromotor.controllers.around import AroundController
from neuromotor.controllers.controller import Controller, unit_rates
from neuromotor.controllers.network import NetworkWeights, RecurrentNetwork

__all__ = ["PERTURBATIONS", "NetworkPerturbation", "PerturbedNetwork"]

PERTURBATIONS = {
    "silence": "nothing reads the units' rates",
    "stimulate": "a current is added to the units' input",
    "scale": "connections are multiplied by a factor",
}
_MATRICES = {"recurrent": 0, "feedforward": 1, "output": 2}


@dataclass(frozen=True)
class NetworkPerturbation:
    """What is done to some units, or to their connections, in a window of steps.

    Attributes:
        kind: `silence` (no connection and no command reads the units' rates), `stimulate`
            (`amount` is added to the sum of their inputs), or `scale` (weights of `matrix` are
            multiplied by `amount`; 0 removes them).
        layer: Layer of the units, from 0.
        first_step: First step of the window, from 0.
        last_step: Last step of the window.
        units: Units, by their numbers within the layer; none are all units of the layer.
        amount: Current of `stimulate`, in the unit of the activations; factor of `scale`.
        matrix: For `scale`: `recurrent` or `feedforward`, the connections into the units, or
            `output`, those from units of the last layer to the commands.

    Raises:
        ValueError: The kind or the matrix is unknown, or a number is out of range.

    Example:
        >>> NetworkPerturbation("stimulate", 0, 10, 14, units=(3, 4), amount=0.5).as_dict()["units"]
        [3, 4]
    """

    kind: str
    layer: int
    first_step: int
    last_step: int
    units: tuple[int, ...] = ()
    amount: float = 0.0
    matrix: str = "recurrent"

    def __post_init__(self) -> None:
        lookup("perturbation", self.kind, PERTURBATIONS)
        lookup("matrix", self.matrix, _MATRICES)
        check_integer("layer", self.layer, minimum=0)
        check_integer("first_step", self.first_step, minimum=0)
        check_integer("last_step", self.last_step, minimum=self.first_step)
        for unit in self.units:
            check_integer("units", unit, minimum=0)
        check_number("amount", self.amount)
        if self.kind == "silence" and self.amount:
            raise ValueError(f"`amount` must be left out for `silence`, got {self.amount:g}.")
        if self.kind != "scale" and self.matrix != "recurrent":
            raise ValueError(f"`matrix` belongs to `scale`, got it for {self.kind!r}.")

    def as_dict(self) -> dict[str, Any]:
        """Return what it is as plain data."""
        found: dict[str, Any] = {
            "kind": self.kind,
            "layer": self.layer,
            "first_step": self.first_step,
            "last_step": self.last_step,
            "units": list(self.units),
        }
        if self.kind != "silence":
            found["amount"] = self.amount
        if self.kind == "scale":
            found["matrix"] = self.matrix
        return found


class _Schedule(NamedTuple):
    """Weights by which perturbations act, (none,) first."""

    plain: NetworkWeights
    by_active: dict[tuple[int, ...], NetworkWeights]


@dataclass(frozen=True)
class PerturbedNetwork(AroundController):
    """A network with perturbations; otherwise it is the network itself.

    Attributes:
        controller: Whose units are perturbed.
        perturbations: What is done, and when; several may act at once, in their order.

    Raises:
        TypeError: `controller` is no network of cells.
        ValueError: A layer or unit does not exist, or a cell has several sums to stimulate.
    """

    controller: RecurrentNetwork
    perturbations: tuple[NetworkPerturbation, ...] = field(default=())

    def __post_init__(self) -> None:
        network = self.controller
        if not isinstance(network, RecurrentNetwork):
            raise TypeError(
                "`controller` must be a network of cells to have its units perturbed, got a "
                f"{type(network).__name__}."
            )
        for own in self.perturbations:
            if own.layer >= len(network.layers):
                raise ValueError(f"`layer` must be below {len(network.layers)}, got {own.layer}.")
            size = network.layers[own.layer]
            if own.units and max(own.units) >= size:
                raise ValueError(
                    f"`units` must be below the layer's {size} units, got {max(own.units)}."
                )
            if own.kind == "stimulate" and network.cell.gates != 1:
                raise ValueError(
                    "`stimulate` needs units whose inputs are one sum, got "
                    f"{type(network.cell).__name__}."
                )
            if own.matrix == "output" and own.layer != len(network.layers) - 1:
                raise ValueError(
                    f"`matrix` 'output' belongs to the last layer, {len(network.layers) - 1}, got "
                    f"layer {own.layer}."
                )

    def unpack(self, parameters: Tensor) -> _Schedule:
        """Return the network's weights, as they are and as each set of perturbations makes them.

        Raises:
            ValueError: The network's weights are not in layers.
        """
        plain = self.controller.unpack(parameters)
        if not isinstance(plain, NetworkWeights):
            raise ValueError(
                "`controller` must have weights in layers to be perturbed, got those of a "
                f"{type(self.controller).__name__}."
            )
        edges = {edge for own in self.perturbations for edge in (own.first_step, own.last_step + 1)}
        found: dict[tuple[int, ...], NetworkWeights] = {}
        for active in {self._active(t) for t in edges}:
            weights = plain
            for place in active:
                weights = self._changed(weights, self.perturbations[place])
            found[active] = weights
        return _Schedule(plain, found)

    def initial_memory(self, weights: _Schedule, batch: int) -> tuple[Tensor, ...]:
        """Return the network's memory before the first step."""
        return self.controller.initial_memory(weights.plain, batch)

    def step(
        self,
        weights: _Schedule,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the memory after the step, and the command (B, m), under what acts at step t."""
        active = self._active(t)
        own = weights.by_active[active] if active else weights.plain
        return self.controller.step(own, memory, observation, target, t, noise)

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the network's rates; a silenced unit has them, and nothing reads them."""
        controller: Controller = self.controller
        return unit_rates(controller, memory)

    def _active(self, t: int) -> tuple[int, ...]:
        return tuple(
            i for i, own in enumerate(self.perturbations) if own.first_step <= t <= own.last_step
        )

    def _changed(self, weights: NetworkWeights, own: NetworkPerturbation) -> NetworkWeights:
        """Return weights under one perturbation."""
        size, layers = self.controller.layers[own.layer], list(weights.layers)
        layer = layers[own.layer]
        chosen = torch.zeros(size, dtype=torch.bool, device=layer.bias.device)
        chosen[list(own.units) if own.units else slice(None)] = True
        if own.kind == "stimulate":
            layers[own.layer] = layer._replace(bias=layer.bias + own.amount * chosen)
            return weights._replace(layers=tuple(layers))
        if own.kind == "silence":
            keep = (~chosen).to(layer.bias)
            layers[own.layer] = layer._replace(recurrent=layer.recurrent * keep)
            if own.layer + 1 == len(layers):
                return weights._replace(layers=tuple(layers), output=weights.output * keep)
            above = layers[own.layer + 1]
            others = above.feedforward[:, :-size]
            read = torch.cat([others, above.feedforward[:, -size:] * keep], dim=1)
            layers[own.layer + 1] = above._replace(feedforward=read)
            return weights._replace(layers=tuple(layers))
        factor = torch.where(chosen, own.amount, 1.0).to(layer.bias)
        if own.matrix == "output":
            return weights._replace(output=weights.output * factor)
        rows = factor.repeat(self.controller.cell.gates)[:, None]
        part: Callable[..., Any] = layer._replace
        changed = {own.matrix: getattr(layer, own.matrix) * rows}
        layers[own.layer] = part(**changed)
        return weights._replace(layers=tuple(layers))
