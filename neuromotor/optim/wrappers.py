"""Objectives made from objectives: with changing draws, or with products in single precision."""

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

__all__ = ["MixedPrecision", "ObjectiveWrapper", "Resampled"]


class ObjectiveWrapper:
    """What all wrappers pass on: readout, Kronecker factors and parts."""

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
            ValueError: The inner objective has no factors.
        """
        return CountedObjective(self._objective).kronecker_factors(parameters, generator)

    @property
    def has_factors(self) -> bool:
        """Whether the inner objective has factors."""
        return gives_factors(self._objective)

    def part(self, size: int, generator: torch.Generator) -> Objective:
        """Return the mean over `size` random trials of the inner objective.

        Raises:
            ValueError: The inner objective is not a mean over trials.
        """
        return part_of(self._objective, size, generator)


class Resampled(ObjectiveWrapper):
    """An objective with new draws every few iterations, and the same draws in between.

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
            make: Returns the objective of number 0, 1, ...; the same number gives the same
                objective.
            every: Number of iterations that use each objective.
        """
        check_integer("every", every, minimum=1)
        self._make, self._every = make, every
        self._number = 0
        self._objective = make(0)

    def redraw(self, iteration: int) -> bool:
        """Take the objective of an iteration; return whether it is a new one."""
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


class MixedPrecision(ObjectiveWrapper):
    """Values and gradients in double precision, Gauss-Newton products in single precision.

    Products only propose a step, and the objective decides about it, so that rounding in products
    costs no accuracy. This pays for methods that spend their time on products.
    """

    def __init__(self, objective: Objective, products: Objective) -> None:
        """Join both objectives.

        Args:
            objective: The objective in double precision.
            products: The same objective in single precision.
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
    """A linearisation in double precision whose products are computed in single precision."""

    def __init__(self, value: float, gradient: Tensor, inner: Linearization) -> None:
        self.value, self.gradient, self._inner = value, gradient, inner

    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        # Products are linear: scaled first, small vectors stay in the range of single precision.
        size = float(vector.abs().max())
        if not size > 0:
            return torch.zeros_like(vector)
        product = self._inner.product((vector / size).float(), structural)
        return product.to(vector.dtype) * size
