"""Losses of a sequence of outputs: their values, their curvature, and what counts as wrong.

Notation: o outputs, y targets, p what the outputs stand for, H Hessian of the loss by the outputs
of one step. Each loss matches its p, so that its gradient is p - y and H is positive semi-definite.

Source: Schraudolph (2002), section 3, for matching losses; Sutskever (2013), equation 4.4.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

__all__ = ["LOSSES", "TOLERANCE", "Logistic", "Loss", "Softmax", "Squared"]

TOLERANCE = 0.04  # a number further off is wrong; Hochreiter & Schmidhuber (1997), section 5.4


class Loss(Protocol):
    """A loss of outputs (..., K), which is summed over outputs and kept apart for each step."""

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each step, (...)."""
        ...

    def pulled(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the derivative by the outputs, p - y, (..., K)."""
        ...

    def curved(self, outputs: Tensor, tangent: Tensor) -> Tensor:
        """Return H times a change of the outputs, (..., K)."""
        ...

    def root(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Return R times noise, (..., K), where R R^T = H."""
        ...

    def wrong(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return whether each step's outputs are wrong, (...)."""
        ...


class Squared:
    """Half the squared error: p = o. Wrong is an error above `TOLERANCE`."""

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each step, (...)."""
        return 0.5 * (outputs - targets).square().sum(-1)

    def pulled(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the derivative by the outputs, p - y, (..., K)."""
        return outputs - targets

    def curved(self, outputs: Tensor, tangent: Tensor) -> Tensor:
        """Return the change itself."""
        return tangent

    def root(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Return the noise itself."""
        return noise

    def wrong(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return whether an output is further from its target than `TOLERANCE`, (...)."""
        return ((outputs - targets).abs() > TOLERANCE).any(-1)


class Logistic:
    """Kullback-Leibler divergence of Bernoulli variables: p = 1 / (1 + exp(-o)).

    Targets are probabilities. Wrong is a p on the other side of 1/2.
    """

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each step, (...)."""
        least = torch.special.entr(targets) + torch.special.entr(1 - targets)
        cross = torch.nn.functional.softplus(outputs) - targets * outputs
        loss: Tensor = (cross - least).sum(-1)
        return loss

    def pulled(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the derivative by the outputs, p - y, (..., K)."""
        return torch.sigmoid(outputs) - targets

    def curved(self, outputs: Tensor, tangent: Tensor) -> Tensor:
        """Return p (1 - p) times the change."""
        p = torch.sigmoid(outputs)
        return p * (1 - p) * tangent

    def root(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Return the square root of p (1 - p), times the noise."""
        p = torch.sigmoid(outputs)
        return (p * (1 - p)).sqrt() * noise

    def wrong(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return whether an output is on the wrong side, (...)."""
        return ((outputs > 0) != (targets > 0.5)).any(-1)


class Softmax:
    """Cross entropy of one symbol of K: p = exp(o) / sum exp(o).

    Targets are ones at the symbol's place. Wrong is another symbol as the likeliest one.
    """

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each step, (...)."""
        return -(targets * torch.log_softmax(outputs, dim=-1)).sum(-1)

    def pulled(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the derivative by the outputs, p - y, (..., K)."""
        return torch.softmax(outputs, dim=-1) * targets.sum(-1, keepdim=True) - targets

    def curved(self, outputs: Tensor, tangent: Tensor) -> Tensor:
        """Return (diag(p) - p p^T) times the change."""
        p = torch.softmax(outputs, dim=-1)
        return p * (tangent - (p * tangent).sum(-1, keepdim=True))

    def root(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Return (diag(sqrt p) - p sqrt(p)^T) times the noise."""
        p = torch.softmax(outputs, dim=-1)
        weighted = p.sqrt() * noise
        return weighted - p * weighted.sum(-1, keepdim=True)

    def wrong(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return whether another symbol is likelier than the right one, (...)."""
        return torch.ne(outputs.argmax(-1), targets.argmax(-1))


LOSSES: dict[str, Loss] = {"squared": Squared(), "logistic": Logistic(), "softmax": Softmax()}
