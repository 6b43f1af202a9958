"""Products with a Jacobian and with its transpose, from one graph of autograd.

The tangent pass ``J v`` is the derivative of the adjoint pass ``w -> J^T w``, which is linear in w;
its graph is built once and serves every product.

Source: Pearlmutter (1994), the R-operator, here by reverse mode twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["JacobianProducts"]


class JacobianProducts:
    """J = d outputs / d parameters, for outputs that are several tensors, of any shapes."""

    def __init__(self, outputs: Sequence[Tensor], parameters: Tensor) -> None:
        """Take a graph.

        Args:
            outputs: What was computed.
            parameters: The leaf that it was computed from, (P,).
        """
        self._outputs = [one for one in outputs if one.requires_grad]
        self._active = [one.requires_grad for one in outputs]
        self._sizes = list(outputs)
        self._parameters = parameters
        self._probes: list[Tensor] = []
        self._adjoint: Tensor | None = None

    def forward(self, vector: Tensor) -> list[Tensor]:
        """Return J v, tensors of the outputs' shapes, of a vector (P,)."""
        if not self._outputs:
            return [torch.zeros_like(one) for one in self._sizes]
        if self._adjoint is None:
            self._probes = [torch.zeros_like(one, requires_grad=True) for one in self._outputs]
            (self._adjoint,) = torch.autograd.grad(
                self._outputs,
                self._parameters,
                self._probes,
                create_graph=True,
                materialize_grads=True,
            )
        if not self._adjoint.requires_grad:  # the outputs do not depend on the parameters
            return [torch.zeros_like(one) for one in self._sizes]
        found = iter(
            torch.autograd.grad(
                self._adjoint, self._probes, vector, retain_graph=True, materialize_grads=True
            )
        )
        return [
            next(found) if active else torch.zeros_like(one)
            for active, one in zip(self._active, self._sizes, strict=True)
        ]

    def backward(self, weights: Sequence[Tensor]) -> Tensor:
        """Return J^T w, (P,), of tensors of the outputs' shapes."""
        if not self._outputs:
            return torch.zeros_like(self._parameters)
        used = [one for one, active in zip(weights, self._active, strict=True) if active]
        (pulled,) = torch.autograd.grad(
            self._outputs, self._parameters, used, retain_graph=True, materialize_grads=True
        )
        return pulled
