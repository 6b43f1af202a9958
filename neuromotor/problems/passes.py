"""Hand-derived passes over sequences for one layer of tanh units, in place of autograd.

Inputs are given and outputs feed nothing back, so that all but the recurrent product is computed
for all steps at once.

Notation: x inputs, v activations, h = tanh(v), o outputs, F, U, b, W, c as in `Network`; R marks a
change along a direction, d a derivative of a loss. Arrays have time first, (T, B, .)::

    v_t = F x_t + U h_{t-1} + b                    o_t = W h_t + c
    Rv_t = F' x_t + U' h_{t-1} + b' + U Rh_{t-1}   Rh_t = (1 - h_t^2) Rv_t
    dv_t = (1 - h_t^2) (W^T do_t + U^T dv_{t+1})   (+ what is pulled at v_t itself)

Source: Werbos (1990) for the adjoint; Pearlmutter (1994) for the tangent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from neuromotor.controllers import ContinuousTimeRNN, Controller, Network, TanhCell
from neuromotor.controllers.cells import LinearMap
from neuromotor.controllers.network import NetworkWeights, RecurrentNetwork
from neuromotor.optim.objective import KroneckerBlock
from neuromotor.problems.problem import Sequences

__all__ = ["TanhRun", "has_passes"]


def has_passes(controller: Controller) -> bool:
    """Return whether a controller is one layer of tanh units without leak, and nothing else."""
    if type(controller) not in (ContinuousTimeRNN, Network):
        return False
    network = cast(RecurrentNetwork, controller)
    return (
        type(network.cell) is TanhCell
        and network.cell.leak == 1.0
        and len(network.layers) == 1
        and not network.learn_initial_state
    )


class TanhRun:
    """One run over sequences, and products with its Jacobian and the transpose.

    Attributes:
        outputs: (B, T, O).
    """

    def __init__(self, controller: Controller, parameters: Tensor, sequences: Sequences) -> None:
        """Run the network.

        Args:
            controller: One that `has_passes`.
            parameters: (P,).
            sequences: B sequences.
        """
        self._network = cast(RecurrentNetwork, controller)
        self._weights = self._unpacked(parameters)
        layer = self._weights.layers[0]
        self._inputs = sequences.inputs.transpose(0, 1).contiguous()
        steps, batch, _ = self._inputs.shape
        units = len(layer.bias)
        rates = self._inputs.new_zeros(steps + 1, batch, units)
        torch.matmul(self._inputs, layer.feedforward.T, out=rates[1:])
        rates[1:] += layer.bias
        recurrent, before = layer.recurrent.T.contiguous(), rates[0]
        for rate in rates[1:].unbind(0):
            before = rate.addmm_(before, recurrent).tanh_()
        self._before, self._rates = rates[:-1], rates[1:]
        product = self._rates @ self._weights.output.T + self._weights.output_bias
        self.outputs = product.transpose(0, 1)
        self._slopes: Tensor | None = None

    def damped(self) -> list[Tensor]:
        """Return the weights of what structural damping holds back, the activations: 1 - h^2."""
        return [self.slopes]

    @property
    def slopes(self) -> Tensor:
        """1 - h^2, (T, B, units)."""
        if self._slopes is None:
            self._slopes = 1 - self._rates.square()
        return self._slopes

    def tangent(self, vector: Tensor, *, damped: bool) -> list[Tensor]:
        """Return how outputs and, if they are damped, activations change, of a vector (P,)."""
        weights, change = self._weights, self._unpacked(vector)
        own, other = weights.layers[0], change.layers[0]
        change_v = self._inputs @ other.feedforward.T + other.bias
        change_v += self._before @ other.recurrent.T
        change_h = torch.empty_like(change_v)
        recurrent, before = own.recurrent.T.contiguous(), torch.zeros_like(change_v[0])
        for v, h, slope in zip(
            change_v.unbind(0), change_h.unbind(0), self.slopes.unbind(0), strict=True
        ):
            torch.mul(v.addmm_(before, recurrent), slope, out=h)
            before = h
        product = change_h @ weights.output.T + self._rates @ change.output.T + change.output_bias
        return [product.transpose(0, 1), *([change_v] if damped else [])]

    def adjoint(self, pulls: Sequence[Tensor]) -> Tensor:
        """Return the derivative by the parameters, (P,).

        Args:
            pulls: The derivative by the outputs, (B, T, O), and that by the activations, if any.
        """
        pull_o, pull_v = self._pulled(pulls)
        flat_v, flat_o = pull_v.flatten(0, 1), pull_o.flatten(0, 1)
        parts = [
            flat_v.T @ self._inputs.flatten(0, 1),
            flat_v.T @ self._before.flatten(0, 1),
            flat_v.sum(0),
            flat_o.T @ self._rates.flatten(0, 1),
            flat_o.sum(0),
        ]
        return torch.cat([part.reshape(-1) for part in parts])

    def factors(self, pulls: Sequence[Tensor]) -> tuple[KroneckerBlock, ...]:
        """Return the Kronecker factors of both maps.

        Args:
            pulls: Random residuals in place of the derivatives that `adjoint` takes.
        """
        pull_o, pull_v = self._pulled(pulls)
        ones = self._inputs.new_ones(*self._inputs.shape[:2], 1)
        maps = (
            (LinearMap(0, 0, 1), torch.cat([self._inputs, self._before, ones], dim=-1), pull_v),
            (LinearMap(1, 0, 1), torch.cat([self._rates, ones], dim=-1), pull_o),
        )
        blocks = []
        for place, inputs, pulled in maps:
            seen, rows = inputs.flatten(0, 1), pulled.flatten(0, 1)
            where = self._network.places(place).to(seen.device)
            blocks.append(KroneckerBlock(where, rows.T @ rows, seen.T @ seen / len(seen)))
        return tuple(blocks)

    def _pulled(self, pulls: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Derivatives by outputs and by activations, time first."""
        pull_o = pulls[0].transpose(0, 1).contiguous()
        pull_v = pull_o @ self._weights.output
        recurrent = self._weights.layers[0].recurrent
        own = pulls[1].unbind(0) if len(pulls) > 1 else None
        parts, slopes = pull_v.unbind(0), self.slopes.unbind(0)
        for t in range(len(parts) - 1, -1, -1):
            if t + 1 < len(parts):
                parts[t].addmm_(parts[t + 1], recurrent)
            parts[t].mul_(slopes[t])
            if own is not None:
                parts[t].add_(own[t])
        return pull_o, pull_v

    def _unpacked(self, parameters: Tensor) -> NetworkWeights:
        return self._network.unpack(parameters.detach())
