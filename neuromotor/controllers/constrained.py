"""Networks whose connections are chosen and whose signs are fixed, whatever trains them.

A free parameter w stands behind each weight W, and the optimizer sees the free ones alone::

    W = m w                        m is 1 where a connection exists, and 0 elsewhere
    W = m s |w|                    under Dale's law, s = 1 or -1 by the unit that sends

So the constraints hold at every step of every optimizer, and no projection is needed. As products
with W say little about w where signs are fixed, there are no Kronecker factors here.

Source: Song, Yang & Wang (2016), methods, "Dale's principle", which rectifies w where we take its
size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_integer, check_seed, up_to_date
from neuromotor.controllers.cells import CELLS, Cell, LeakyCell
from neuromotor.controllers.initializers import INITIALIZERS, Gaussian, Initializer
from neuromotor.controllers.network import NetworkWeights, RecurrentNetwork

__all__ = ["ConstrainedNetwork"]


class _Masks(NamedTuple):
    """Of one layer, for its gates together."""

    recurrent: Tensor  # (gates units, units), m
    below: Tensor | None  # (inputs,), s of what comes from the layer below, and 0 for the rest
    own: Tensor | None  # (units,), s


@dataclass(frozen=True)
class ConstrainedNetwork(RecurrentNetwork):
    """Layers of any cell, with connections and signs that training cannot change.

    Attributes:
        layers: Units a layer.
        cell: Kind of all units.
        excitatory: Fraction of excitatory units in each layer, which come first; the others
            inhibit. It fixes the signs of weights within and between layers, not of those from
            inputs or to commands. None for free signs.
        density: Fraction of the connections within a layer that exist, drawn at random; a unit
            keeps the connection to itself.
        areas: Units of each area, in every layer; () for one area.
        between: Fraction of the connections between areas that exist, drawn at random.
        recurrence: Whether there are connections within a layer at all.
        mask_seed: Seed of the draws.
        input_size: See `Network`.
        command_size: See `Network`.
        dt_s: See `Network`.
        skip_inputs: See `Network`.
        learn_initial_state: See `Network`.
        private_noise: See `Network`.
        squash: See `Network`.
        initializer: How the free parameters start. With fixed signs, weights of one sign add up, so
            that rates grow without end where the recurrent gain is 1; by default it is 0.1, which
            is our choice.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A number is out of range, the areas are not the units of every layer, or signs
            are fixed and the cell's rates can be negative.

    Example:
        >>> import torch
        >>> network = ConstrainedNetwork(layers=(10,), excitatory=0.8)
        >>> theta = network.initial_parameters(torch.Generator().manual_seed(0))
        >>> recurrent = network.unpack(theta).layers[0].recurrent
        >>> bool((recurrent[:, :8] >= 0).all() and (recurrent[:, 8:] <= 0).all())
        True
    """

    layers: tuple[int, ...] = (100,)
    cell: Cell = field(
        default=LeakyCell(("rectified",), leak=(0.5,), leak_on="rate"),
        metadata={"registry": CELLS},
    )
    excitatory: float | None = 0.8
    density: float = 1.0
    areas: tuple[int, ...] = ()
    between: float = 0.2
    recurrence: bool = True
    mask_seed: int = 0
    input_size: int = 8
    command_size: int = 2
    dt_s: float = 0.01
    skip_inputs: bool = True
    learn_initial_state: bool = False
    private_noise: float = 0.0
    squash: str | None = None
    initializer: Initializer = field(
        default=Gaussian(recurrent_gain=0.1), metadata={"registry": INITIALIZERS}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("density", "between"):
            check_fraction(name, getattr(self, name))
        check_seed("mask_seed", self.mask_seed)
        for units in self.areas:
            check_integer("areas", units, minimum=1)
        for units in self.layers:
            if self.areas and sum(self.areas) != units:
                raise ValueError(
                    f"`areas` must add up to the units of every layer, got {self.areas!r} for a "
                    f"layer of {units}; change one of them."
                )
        if self.excitatory is not None:
            check_fraction("excitatory", self.excitatory)
            if not getattr(self.cell, "positive", False):
                raise ValueError(
                    "`cell` must have rates that are never negative where `excitatory` fixes the "
                    f"signs of weights, got {self.cell!r}; take `rectified-linear` or `logistic`, "
                    "or set `excitatory` to None."
                )
        for name in ("rates", "damped"):
            if not up_to_date(self.cell, name, "step"):
                raise ValueError(
                    f"`cell` must have a method `{name}` that belongs to its own `step`, got a "
                    f"{type(self.cell).__name__} without."
                )

    @property
    def follows_equations(self) -> bool:
        """Whether compiled loops are right: where only connections are chosen, and no signs."""
        return type(self) is ConstrainedNetwork and self.excitatory is None

    def connections(self, layer: int) -> Tensor:
        """Return which recurrent weights of a layer exist, 1 or 0, (gates units, units)."""
        return _masks(self)[layer].recurrent

    def unpack(self, parameters: Tensor) -> NetworkWeights:
        """Return the weights that a flat vector (P,) of free parameters stands for.

        Raises:
            ValueError: `parameters` is not of shape (P,).
        """
        free = super().unpack(parameters)
        layers = []
        for layer, masks in zip(free.layers, _masks(self), strict=True):
            feedforward, recurrent = layer.feedforward, layer.recurrent
            if masks.below is not None:
                signs = masks.below.to(parameters)
                signed = feedforward.abs() * signs
                feedforward = torch.where(signs == 0, feedforward, signed)
            if masks.own is not None:
                recurrent = recurrent.abs() * masks.own.to(parameters)
            recurrent = recurrent * masks.recurrent.to(parameters)
            layers.append(layer._replace(feedforward=feedforward, recurrent=recurrent))
        return free._replace(layers=tuple(layers))


@cache
def _masks(network: ConstrainedNetwork) -> tuple[_Masks, ...]:
    """Return the masks and signs of every layer."""
    generator = torch.Generator().manual_seed(network.mask_seed)
    found = []
    sizes = network.layers
    for index, units in enumerate(sizes):
        exists = _connections(network, units, generator)
        outside = network.input_size if index == 0 or network.skip_inputs else 0
        below = sizes[index - 1] if index else 0
        from_below = None
        if index and network.excitatory is not None:
            inputs = torch.zeros(outside, dtype=torch.float64)
            from_below = torch.cat([inputs, _signs(network.excitatory, below)])
        found.append(
            _Masks(
                exists.repeat(network.cell.gates, 1),
                from_below,
                None if network.excitatory is None else _signs(network.excitatory, units),
            )
        )
    return tuple(found)


def _connections(network: ConstrainedNetwork, units: int, generator: torch.Generator) -> Tensor:
    """Return which connections within a layer exist, (units, units)."""
    if not network.recurrence:
        return torch.zeros(units, units, dtype=torch.float64)
    drawn = torch.rand(units, units, generator=generator, dtype=torch.float64)
    area = torch.repeat_interleave(torch.tensor(network.areas or (units,)))
    same = area[:, None] == area
    share = torch.where(same, network.density, min(network.density, network.between))
    exists = (drawn < share).double()
    return exists.fill_diagonal_(1.0)


def _signs(excitatory: float, units: int) -> Tensor:
    """Return 1 for excitatory and -1 for inhibitory units, (units,)."""
    count = round(excitatory * units)
    return torch.where(torch.arange(units) < count, 1.0, -1.0).double()
