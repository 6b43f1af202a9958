"""What a network's penalties come to, and their derivatives by its rates and its weights.

`tasks.penalties` says what they are. Here they are functions of two things, whoever ran the trials:
the rates h of each layer after every step, and the matrices that the penalties name. So compiled
loops, which have both at hand, and autograd share them.

Notation: there are T steps of dt and B trials; h[t] are the rates of a layer, (T, B, units), U its
recurrent weights, s[t] the slopes f' of its units. With d[t] = h[t] - h[t - 1] the residuals are::

    rates           sqrt(w[t] dt) h[t]
    rate_changes    sqrt(w[t] / dt) d[t]                     t = 1, ..., T - 1
    dynamics        sqrt(w[t] dt) U[i, j] s[t, j]            for all i, j
    weights         sqrt(w) W                                once, whatever the trials
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from neuromotor._checks import up_to_date
from neuromotor.closed_loop.simulate import Trajectory
from neuromotor.controllers.controller import Controller, unit_rates
from neuromotor.controllers.network import NetworkWeights, RecurrentNetwork
from neuromotor.tasks.penalties import network_penalties, penalties_of
from neuromotor.tasks.task import Task

__all__ = ["Matrices", "NetworkPenalties", "penalties_of_run"]


class Matrices(NamedTuple):
    """Weights of a network that penalties name, or where these lie in the flat vector."""

    recurrent: list[Tensor]  # of each layer, (units, units)
    every: list[Tensor]  # all matrices

    @classmethod
    def of(cls, weights: NetworkWeights) -> Matrices:
        """Return those of unpacked weights."""
        layers = weights.layers
        recurrent = [layer.recurrent for layer in layers]
        pairs = [one for layer in layers for one in (layer.feedforward, layer.recurrent)]
        return cls(recurrent, [*pairs, weights.output])


@dataclass(frozen=True)
class NetworkPenalties:
    """The penalties of a task on a network: values, gradients and Gauss-Newton products.

    Attributes:
        network: Whose.
        kinds: Which there are.
        rates: w dt in each step, (T,).
        changes: w / dt in each step, (T,); the first counts nothing.
        dynamics: w dt in each step, (T,).
        weights: w.
    """

    network: RecurrentNetwork
    kinds: tuple[str, ...]
    rates: Tensor
    changes: Tensor
    dynamics: Tensor
    weights: float

    @classmethod
    def of(cls, task: Task, controller: Controller) -> NetworkPenalties | None:
        """Return the penalties of a task on a controller, or None where there are none.

        Raises:
            ValueError: The controller is no network of cells, or its units have no slopes.
        """
        kinds = network_penalties(task)
        if not kinds:
            return None
        if not isinstance(controller, RecurrentNetwork) or not up_to_date(
            controller, "rates", "step"
        ):
            raise ValueError(
                f"`task.penalties` on {', '.join(kinds)} need a network of cells, got a "
                f"{type(controller).__name__}; take `rnn` or `network`, or leave them out."
            )
        if "dynamics" in kinds and not up_to_date(controller.cell, "slopes", "step"):
            raise ValueError(
                "`task.penalties` on dynamics need a cell with one nonlinearity and a method "
                f"`slopes`, got a {type(controller.cell).__name__}; take `tanh` or `leaky`."
            )
        penalties, dt_s = penalties_of(task), task.plant.dt_s
        over = {
            kind: penalties.over_time(kind, task.steps, dt_s)
            for kind in ("rates", "rate_changes", "dynamics")
        }
        return cls(
            network=controller,
            kinds=kinds,
            rates=dt_s * over["rates"],
            changes=over["rate_changes"] / dt_s,
            dynamics=dt_s * over["dynamics"],
            weights=penalties.total("weights"),
        )

    @property
    def on_rates(self) -> bool:
        """Whether any of them depends on the rates."""
        return self.kinds != ("weights",)

    @property
    def draws(self) -> int:
        """How many random numbers `random_pulls` takes for each rate."""
        return sum(kind != "weights" for kind in self.kinds)

    def of_memory(self, memory: tuple[Tensor, ...]) -> list[Tensor]:
        """Return each layer's rates, (T, B, units), of its memory, (B, T, memory units)."""
        return [rates.transpose(0, 1) for rates in unit_rates(self.network, memory)]

    def values(self, rates: Sequence[Tensor], matrices: Matrices) -> dict[str, Tensor]:
        """Return what each kind adds to each trial's loss, (B,), by kind; differentiable.

        Args:
            rates: Of each layer, (T, B, units).
            matrices: The network's.
        """
        batch = rates[0].shape[1]
        found: dict[str, Tensor] = {}
        for kind in self.kinds:
            if kind == "weights":
                whole = torch.stack([one.square().sum() for one in matrices.every]).sum()
                found[kind] = (0.5 * self.weights * whole).expand(batch)
                continue
            parts = [
                self._squares(kind, h, u) for h, u in zip(rates, matrices.recurrent, strict=True)
            ]
            found[kind] = 0.5 * torch.stack(parts).sum(0)
        return found

    def _squares(self, kind: str, h: Tensor, recurrent: Tensor) -> Tensor:
        """One layer's squared residuals, summed, (B,)."""
        if kind == "rates":
            return torch.einsum("t,tbj->b", self.rates.to(h), h.square())
        if kind == "rate_changes":
            return torch.einsum("t,tbj->b", self.changes[1:].to(h), (h[1:] - h[:-1]).square())
        squares = self._slopes(h).square() @ recurrent.square().sum(0)  # (T, B)
        return self.dynamics.to(h) @ squares

    def products(
        self,
        rates: Sequence[Tensor],
        matrices: Matrices,
        r_rates: Sequence[Tensor],
        r_recurrent: Sequence[Tensor] | None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the Gauss-Newton matrix of the trials' summed penalties times changes.

        Args:
            rates: Of each layer, (T, B, units).
            matrices: The network's.
            r_rates: Changes of the rates along a direction.
            r_recurrent: Changes of `Matrices.recurrent`; with None, and the rates as changes, the
                result is the gradient.

        Returns:
            Pulls on the rates, (T, B, units), and on the recurrent weights.
        """
        on_rates, on_recurrent = [], []
        for layer, (h, recurrent, r_h) in enumerate(
            zip(rates, matrices.recurrent, r_rates, strict=True)
        ):
            pull = self.rates.to(h)[:, None, None] * r_h
            if "rate_changes" in self.kinds:
                change = self.changes[1:].to(h)[:, None, None] * (r_h[1:] - r_h[:-1])
                pull[1:] += change
                pull[:-1] -= change
            on_weights = torch.zeros_like(recurrent)
            if "dynamics" in self.kinds:
                r_u = None if r_recurrent is None else r_recurrent[layer]
                more, on_weights = self._dynamics(h, recurrent, r_h, r_u)
                pull += more
            on_rates.append(pull)
            on_recurrent.append(on_weights)
        return on_rates, on_recurrent

    def _dynamics(
        self, h: Tensor, recurrent: Tensor, r_h: Tensor, r_recurrent: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The same of one layer's dynamics: pulls on rates and on recurrent weights."""
        slopes, bend = self._slopes_and_bend(h)
        weight = self.dynamics.to(h)[:, None, None]
        sizes = recurrent.square().sum(0)
        if r_recurrent is None:  # the gradient: of residuals times themselves
            summed = (weight * slopes.square()).sum((0, 1))
            return weight * bend * slopes * sizes, recurrent * summed
        r_slopes = bend * r_h
        along = (recurrent * r_recurrent).sum(0)
        on_slopes = weight * (slopes * along + sizes * r_slopes)
        squared = (weight * slopes.square()).sum((0, 1))
        crossed = (weight * slopes * r_slopes).sum((0, 1))
        return bend * on_slopes, r_recurrent * squared + recurrent * crossed

    def random_pulls(self, rates: Sequence[Tensor], matrices: Matrices, drawn: Any) -> list[Tensor]:
        """Return random residuals of unit variance, pulled back to the rates of each layer.

        Residuals of the dynamics act on the recurrent weights too, and those of the weights on
        nothing else; that part is no product of two factors, and is left out.

        Args:
            rates: Of each layer, (T, B, units).
            matrices: The network's.
            drawn: Gives standard normal numbers, (T, B, units), for a number of units.
        """
        found = []
        for h, recurrent in zip(rates, matrices.recurrent, strict=True):
            pull = torch.zeros_like(h)
            units = h.shape[2]
            if "rates" in self.kinds:
                pull += self.rates.sqrt().to(h)[:, None, None] * drawn(units).to(h)
            if "rate_changes" in self.kinds:
                change = self.changes[1:].sqrt().to(h)[:, None, None] * drawn(units).to(h)[1:]
                pull[1:] += change
                pull[:-1] -= change
            if "dynamics" in self.kinds:
                _, bend = self._slopes_and_bend(h)
                sizes = recurrent.square().sum(0).sqrt()
                pull += (
                    self.dynamics.sqrt().to(h)[:, None, None] * bend * sizes * drawn(units).to(h)
                )
            found.append(pull)
        return found

    def _slopes(self, rates: Tensor) -> Tensor:
        slopes: Tensor = cast(Any, self.network.cell).slopes(rates)
        return slopes

    def _slopes_and_bend(self, rates: Tensor) -> tuple[Tensor, Tensor]:
        """Slopes, and how they change with the rates, each by its own."""
        with torch.enable_grad():
            own = rates.detach().requires_grad_(True)
            slopes = self._slopes(own)
            if not slopes.requires_grad:
                return slopes, torch.zeros_like(rates)
            (bend,) = torch.autograd.grad(slopes.sum(), own)
        return slopes.detach(), bend


def penalties_of_run(
    task: Task, controller: Controller, parameters: Tensor, happened: Trajectory
) -> dict[str, Tensor]:
    """Return what each kind of a task's penalties on a network came to in a run, (B,), by kind.

    Args:
        task: Whose penalties.
        controller: The network.
        parameters: Its parameters, (P,).
        happened: What it did.
    """
    penalties = NetworkPenalties.of(task, controller)
    if penalties is None:
        return {}
    matrices = Matrices.of(controller.unpack(parameters))
    return penalties.values(penalties.of_memory(happened.memory), matrices)
