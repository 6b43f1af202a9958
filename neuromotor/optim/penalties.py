"""An objective with penalties on the parameters, or on anything that is computed from them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from neuromotor._checks import check_number
from neuromotor.optim.objective import Linearization, Objective, or_infinity
from neuromotor.optim.wrappers import ObjectiveWrapper

__all__ = ["Penalized"]


class Penalized(ObjectiveWrapper):
    """``f(theta) + l2 |theta|^2 / 2 + weight p(theta)``, with p differentiated by autograd.

    Gauss-Newton products are those of f and of the first penalty; the curvature of p, which may be
    negative, is left out of them. Kronecker factors are those of f alone.

    Example:
        >>> import torch
        >>> from neuromotor import Budget, CenterOut, ClosedLoop, ContinuousTimeRNN, LBFGS
        >>> loop = ClosedLoop(CenterOut(directions=2), ContinuousTimeRNN(layers=(5,)))
        >>> theta = loop.controller.initial_parameters(torch.Generator().manual_seed(0))
        >>> penalized = Penalized(loop.objective(loop.task.trials()), l2=1e-4)
        >>> small = LBFGS().minimize(penalized, theta, Budget(calls=20)).parameters
        >>> bool(small.norm() < theta.norm())
        True
    """

    def __init__(
        self,
        objective: Objective,
        l2: float = 0.0,
        penalty: Callable[[Tensor], Tensor] | None = None,
        weight: float = 1.0,
    ) -> None:
        """Wrap an objective.

        Args:
            objective: f.
            l2: Weight of half the squared norm of the parameters.
            penalty: p, which returns a tensor of one number from a vector (P,) that requires
                gradients; None for no such penalty.
            weight: Of p.

        Raises:
            ValueError: A weight is negative or not finite.
        """
        check_number("l2", l2, minimum=0.0)
        check_number("weight", weight, minimum=0.0)
        self._objective, self._l2, self._penalty, self._weight = objective, l2, penalty, weight

    def value(self, parameters: Tensor) -> float:
        """Return the sum."""
        return or_infinity(self._objective.value(parameters) + self._added(parameters)[0])

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the sum and its gradient, (P,)."""
        value, gradient = self._objective.value_and_gradient(parameters)
        more, pull = self._added(parameters, gradient=True)
        return or_infinity(value + more), gradient + pull

    def linearize(self, parameters: Tensor) -> Linearization:
        """Return the sum at a point, with the products of f and of the l2 penalty."""
        value, pull = self._added(parameters, gradient=True)
        return _PenalizedAt(self._objective.linearize(parameters), value, pull, self._l2)

    def part(self, size: int, generator: torch.Generator) -> Penalized:
        """Return the mean over `size` random trials of f, with the same penalties.

        Raises:
            ValueError: f is not a mean over trials.
        """
        return Penalized(super().part(size, generator), self._l2, self._penalty, self._weight)

    def _added(self, parameters: Tensor, *, gradient: bool = False) -> tuple[float, Tensor]:
        """Return the penalties' sum and its gradient, which is zero unless it is asked for."""
        value = 0.5 * self._l2 * float(parameters @ parameters)
        pull = self._l2 * parameters
        if self._penalty is None or not self._weight:
            return value, pull
        with torch.enable_grad():
            theta = parameters.detach().requires_grad_(True)
            found = self._weight * self._penalty(theta)
            if gradient:
                pull = pull + torch.autograd.grad(found, theta, materialize_grads=True)[0]
        return value + float(found.detach()), pull


class _PenalizedAt:
    """A linearisation with penalties."""

    def __init__(self, inner: Linearization, value: float, pull: Tensor, l2: float) -> None:
        self._inner, self._l2 = inner, l2
        self.value, self.gradient = inner.value + value, inner.gradient + pull

    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        return self._inner.product(vector, structural) + self._l2 * vector
