"""Products with a Jacobian and with its transpose, from one graph of autograd.

The tangent pass ``J v`` is the derivative of the adjoint pass ``w -> J^T w``, which is linear in w;
its graph is built once and serves every product.

Source: Pearlmutter (1994), the R-operator, here by reverse mode twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

__all__ = ["JacobianProducts", "flat"]


class JacobianProducts:
    """J = d outputs / d parameters, for outputs and parameters that are several tensors each."""

    def __init__(self, outputs: Sequence[Tensor], parameters: Sequence[Tensor]) -> None:
        """Take a graph.

        Args:
            outputs: What was computed, tensors of any shapes.
            parameters: The leaves that it was computed from; laid out flat, one after another, P
                numbers.
        """
        self._outputs, self._parameters = outputs, parameters
        self._used = [one for one in outputs if one.requires_grad]
        self._probes: list[Tensor] = []
        self._adjoint: Tensor | None = None

    def forward(self, vector: Tensor) -> list[Tensor]:
        """Return J v, tensors of the outputs' shapes, of a vector (P,)."""
        if self._adjoint is None:
            self._probes = [torch.zeros_like(one, requires_grad=True) for one in self._used]
            self._adjoint = self._pulled(self._probes, create_graph=True)
        if not self._adjoint.requires_grad:  # the outputs do not depend on the parameters
            return [torch.zeros_like(one) for one in self._outputs]
        found = iter(
            torch.autograd.grad(
                self._adjoint, self._probes, vector, retain_graph=True, materialize_grads=True
            )
        )
        return [
            next(found) if one.requires_grad else torch.zeros_like(one) for one in self._outputs
        ]

    def backward(self, weights: Sequence[Tensor]) -> Tensor:
        """Return J^T w, (P,), of tensors of the outputs' shapes."""
        pairs = zip(weights, self._outputs, strict=True)
        return self._pulled([weight for weight, one in pairs if one.requires_grad])

    def _pulled(self, weights: Sequence[Tensor], *, create_graph: bool = False) -> Tensor:
        """J^T w for the outputs that have a graph."""
        if not self._used:
            return flat(torch.zeros_like(part) for part in self._parameters)
        return flat(
            torch.autograd.grad(
                self._used,
                self._parameters,
                weights,
                retain_graph=True,
                create_graph=create_graph,
                materialize_grads=True,
            )
        )


def flat(parts: Iterable[Tensor]) -> Tensor:
    """Return tensors laid out one after another, (P,)."""
    return torch.cat([part.reshape(-1) for part in parts])
