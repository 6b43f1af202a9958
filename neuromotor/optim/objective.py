"""What an optimizer sees: a function of one flat vector, and its derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from neuromotor.optim.result import Counts

__all__ = [
    "CountedLinearization",
    "CountedObjective",
    "HasStructuralFactors",
    "HasDraws",
    "HasKroneckerFactors",
    "HasParts",
    "KroneckerBlock",
    "Linearization",
    "Objective",
    "gives_factors",
    "or_infinity",
    "part_of",
]


class KroneckerBlock(NamedTuple):
    """An estimate ``columns x rows`` of the curvature of one weight matrix with its bias."""

    places: Tensor  # (r, c), where the matrix's entries lie in the flat vector
    rows: Tensor  # (r, r), second moments of the derivatives by the units' drives
    columns: Tensor  # (c, c), second moments of the inputs, a constant one for the bias at the end


class Linearization(Protocol):
    """An objective at one point: value, gradient, and products with its Gauss-Newton matrix.

    It is made once for a point, and every product uses it again.
    """

    @property
    def value(self) -> float:
        """Objective."""
        ...

    @property
    def gradient(self) -> Tensor:
        """Gradient, (P,)."""
        ...

    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        """Return G v, (P,), of a vector (P,).

        Args:
            vector: (P,).
            structural: Weight of structural damping (lambda mu in Martens & Sutskever 2011), for
                objectives that have hidden units; the others refuse anything but zero.
        """
        ...


class Objective(Protocol):
    """A function to be minimised, of a flat parameter vector (P,)."""

    def value(self, parameters: Tensor) -> float:
        """Return the objective; infinity where it is not finite."""
        ...

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the objective and its gradient, (P,)."""
        ...

    def linearize(self, parameters: Tensor) -> Linearization:
        """Return the objective at a point, with its Gauss-Newton products."""
        ...


@runtime_checkable
class HasKroneckerFactors(Protocol):
    """An objective whose Gauss-Newton matrix has a Kronecker-factored estimate.

    An objective that wraps another one may say by `has_factors` whether that one has factors.
    """

    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator
    ) -> tuple[KroneckerBlock, ...]:
        """Return the factors at a point, with random residuals from the generator."""
        ...


@runtime_checkable
class HasStructuralFactors(Protocol):
    """A linearisation whose Kronecker factors can contain structural damping."""

    def kronecker_factors(
        self, generator: torch.Generator, structural: float = 0.0
    ) -> tuple[KroneckerBlock, ...]:
        """Return the factors of what `product` multiplies by.

        Args:
            generator: Source of the random residuals.
            structural: As for `Linearization.product`.
        """
        ...


@runtime_checkable
class HasDraws(Protocol):
    """An objective with random draws, which stay the same within an iteration."""

    def redraw(self, iteration: int) -> bool:
        """Take the draws that belong to an iteration's number; return whether they changed."""
        ...


@runtime_checkable
class HasParts(Protocol):
    """An objective that is a mean over trials."""

    def part(self, size: int, generator: torch.Generator) -> Objective:
        """Return the mean over `size` random trials, or over all trials if there are no more."""
        ...


class CountedObjective:
    """Counts every call to an objective; a not-a-number value is turned into infinity.

    A linearisation counts as one gradient call, and each product as one product call.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self.counts = Counts()

    @property
    def stochastic(self) -> bool:
        """Whether draws change between iterations."""
        return isinstance(self._objective, HasDraws)

    def redraw(self, iteration: int) -> bool:
        """Let the objective take its draws for an iteration; return whether they changed."""
        return isinstance(self._objective, HasDraws) and self._objective.redraw(iteration)

    def value(self, parameters: Tensor) -> float:
        """Return the objective; infinity where it is not finite."""
        self._count(values=1)
        return or_infinity(self._objective.value(parameters))

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the objective and its gradient, (P,)."""
        self._count(gradients=1)
        value, gradient = self._objective.value_and_gradient(parameters)
        return or_infinity(value), gradient

    def linearize(self, parameters: Tensor, *, counted: bool = True) -> CountedLinearization:
        """Return the objective at a point, with its Gauss-Newton products.

        Args:
            parameters: (P,).
            counted: False if the same point was linearised and counted before.
        """
        self._count(gradients=int(counted))
        return CountedLinearization(self, self._objective.linearize(parameters), parameters)

    def linearize_part(
        self, parameters: Tensor, size: int, generator: torch.Generator
    ) -> CountedLinearization:
        """Return the objective of `size` random trials at a point, with its Gauss-Newton products.

        Raises:
            ValueError: The objective is not a mean over trials.
        """
        part = part_of(self._objective, size, generator)
        self._count(gradients=1)
        return CountedLinearization(self, part.linearize(parameters), parameters)

    def value_of_part(self, size: int, generator: torch.Generator) -> Callable[[Tensor], float]:
        """Return the objective of `size` random trials as a function of parameters, (P,).

        Raises:
            ValueError: The objective is not a mean over trials.
        """
        part = part_of(self._objective, size, generator)

        def value(parameters: Tensor) -> float:
            self._count(values=1)
            return or_infinity(part.value(parameters))

        return value

    @property
    def readout(self) -> slice | None:
        """The parameters that turn a network's rates into commands, or None if it is unknown."""
        found: slice | None = getattr(self._objective, "readout", None)
        return found

    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator
    ) -> tuple[KroneckerBlock, ...]:
        """Return the objective's Kronecker factors; they cost, and count as, one gradient.

        Raises:
            ValueError: The objective has no Kronecker factors.
        """
        objective = self.with_factors()
        self._count(gradients=1)
        return objective.kronecker_factors(parameters, generator)

    def with_factors(self) -> HasKroneckerFactors:
        """Return the objective, which must have Kronecker factors.

        Raises:
            ValueError: The objective has no Kronecker factors.
        """
        objective = self._objective
        if isinstance(objective, HasKroneckerFactors) and gives_factors(objective):
            return objective
        raise ValueError(
            "methods with Kronecker factors (kron-lbfgs, kron-descent, kron-adam, kron-hf) need an "
            "objective that gives factors, as closed loops of a ContinuousTimeRNN or a Network do, "
            f"got {type(objective).__name__} without; use lbfgs or adam."
        )

    def _count(self, values: int = 0, gradients: int = 0, products: int = 0) -> None:
        now = self.counts
        self.counts = Counts(
            now.values + values, now.gradients + gradients, now.products + products
        )


class CountedLinearization:
    """A linearisation whose products are counted by the objective that made it."""

    def __init__(self, owner: CountedObjective, inner: Linearization, parameters: Tensor) -> None:
        self._owner = owner
        self._inner = inner
        self._parameters = parameters

    @property
    def value(self) -> float:
        """Objective; infinity where it is not finite."""
        return or_infinity(self._inner.value)

    @property
    def gradient(self) -> Tensor:
        """Gradient, (P,)."""
        return self._inner.gradient

    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        """Return G v, (P,); see `Linearization.product`."""
        self._owner._count(products=1)
        return self._inner.product(vector, structural)

    def kronecker_factors(
        self, generator: torch.Generator, structural: float = 0.0
    ) -> tuple[KroneckerBlock, ...]:
        """Return the objective's Kronecker factors; they cost, and count as, one gradient.

        Structural damping is in them where the objective can put it there.

        Raises:
            ValueError: The objective has no Kronecker factors.
        """
        if not isinstance(self._inner, HasStructuralFactors):
            return self._owner.kronecker_factors(self._parameters, generator)
        self._owner.with_factors()
        self._owner._count(gradients=1)
        return self._inner.kronecker_factors(generator, structural)


def gives_factors(objective: object) -> bool:
    """Return whether an objective gives Kronecker factors."""
    return isinstance(objective, HasKroneckerFactors) and bool(
        getattr(objective, "has_factors", True)
    )


def part_of(objective: Objective, size: int, generator: torch.Generator) -> Objective:
    """Return the mean over some random trials of an objective.

    Raises:
        ValueError: The objective is not a mean over trials.
    """
    if not isinstance(objective, HasParts):
        raise ValueError(
            "`curvature_trials` needs an objective that is a mean over trials, got "
            f"{type(objective).__name__}; leave it None."
        )
    return objective.part(size, generator)


def or_infinity(value: float) -> float:
    """Return a value, or infinity where it is not finite."""
    return value if math.isfinite(value) else math.inf
