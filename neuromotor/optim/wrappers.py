"""Objectives made of objectives: with changing draws, and with products in single precision."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.optim.objective import (
    CountedObjective,
    KroneckerBlock,
    Linearization,
    Objective,
    gives_factors,
    part_of,
)

__all__ = ["MixedPrecision", "Resampled"]


class _Wrapper:
    """What both hand on: readout, factors, parts."""

    _objective: Objective

    @property
    def readout(self) -> slice | None:
        """See `CountedObjective.readout`."""
        found: slice | None = getattr(self._objective, "readout", None)
        return found

    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator
    ) -> tuple[KroneckerBlock, ...]:
        """Return the inner objective's factors.

        Raises:
            ValueError: It has none.
        """
        return CountedObjective(self._objective).kronecker_factors(parameters, generator)

    @property
    def has_factors(self) -> bool:
        """Whether the inner objective has factors."""
        return gives_factors(self._objective)

    def part(self, size: int, generator: torch.Generator) -> Objective:
        """Return the mean over `size` random trials of the inner objective.

        Raises:
            ValueError: It is not a mean over trials.
        """
        return part_of(self._objective, size, generator)


class Resampled(_Wrapper):
    """An objective whose draws are made anew every few iterations, and fixed within each.

    Example:
        >>> import torch
        >>> from neuromotor import DDN, Budget, ClosedLoop, ContinuousTimeRNN, LBFGS
        >>> loop = ClosedLoop(DDN(pairs=4), ContinuousTimeRNN(layers=(5,)))
        >>> def draw(number: int):
        ...     return loop.objective(loop.task.trials(torch.Generator().manual_seed(number)))
        >>> theta = loop.controller.initial_parameters(torch.Generator().manual_seed(0))
        >>> LBFGS().minimize(Resampled(draw, every=5), theta, Budget(calls=20)).counts.calls >= 20
        True
    """

    def __init__(self, make: Callable[[int], Objective], every: int = 1) -> None:
        """Wrap a family of objectives.

        Args:
            make: Returns the objective number 0, 1, ...; the same number, the same objective.
            every: Iterations that each serves.
        """
        check_integer("every", every, minimum=1)
        self._make, self._every = make, every
        self._number = 0
        self._objective = make(0)

    def redraw(self, iteration: int) -> bool:
        """Take the objective of an iteration; return whether it is another than before."""
        number = iteration // self._every
        changed = number != self._number
        if changed:
            self._number, self._objective = number, self._make(number)
        return changed

    def value(self, parameters: Tensor) -> float:
        """Return the current objective."""
        return self._objective.value(parameters)

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the current objective and its gradient, (P,)."""
        return self._objective.value_and_gradient(parameters)

    def linearize(self, parameters: Tensor) -> Linearization:
        """Return the current objective at a point, with its Gauss-Newton products."""
        return self._objective.linearize(parameters)


class MixedPrecision(_Wrapper):
    """Values and gradients of one objective, products of the same one in single precision.

    Products steer a step, the objective decides about it: rounding in them costs no accuracy. It
    pays where a method spends its time on products.
    """

    def __init__(self, objective: Objective, products: Objective) -> None:
        """Join both.

        Args:
            objective: In double precision.
            products: The same in single precision.
        """
        self._objective, self._products = objective, products

    def value(self, parameters: Tensor) -> float:
        """Return the objective in double precision."""
        return self._objective.value(parameters)

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the objective and its gradient, (P,), in double precision."""
        return self._objective.value_and_gradient(parameters)

    def linearize(self, parameters: Tensor) -> Linearization:
        """Return value and gradient in double precision, products in single."""
        value, gradient = self._objective.value_and_gradient(parameters)
        return _Mixed(value, gradient, self._products.linearize(parameters.float()))


class _Mixed:
    """Double precision outside, single precision inside the product."""

    def __init__(self, value: float, gradient: Tensor, inner: Linearization) -> None:
        self.value, self.gradient, self._inner = value, gradient, inner

    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        # Small vectors would leave single precision's range: products are linear, so scale first.
        size = float(vector.abs().max())
        if not size > 0:
            return torch.zeros_like(vector)
        product = self._inner.product((vector / size).float(), structural)
        return product.to(vector.dtype) * size
