"""Krylov subspace methods search the objective in a small space from Gauss-Newton products.

Notation: G is the Gauss-Newton matrix, g the gradient, w the last update, and V an orthonormal
basis (k, P) of ``span{g, G g, G^2 g, ..., w}``; T = V G V^T, and z are the coordinates of a step in
V.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive
from neuromotor.optim.lbfgs import LBFGS
from neuromotor.optim.linearized import LinearizedIterative, LinearizedState
from neuromotor.optim.objective import CountedObjective, Linearization
from neuromotor.optim.result import Budget
from neuromotor.optim.run import Run

__all__ = ["KrylovSearch", "KrylovSubspaceDescent", "krylov_basis"]


def krylov_basis(
    product: Callable[[Tensor], Tensor], right: Tensor, size: int, previous: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return an orthonormal basis V, (k, P), of the augmented Krylov space, and T, (k, k).

    Lanczos's recurrence makes every vector orthogonal to all others twice, so that rounding does
    not spoil the basis. It takes k products; k is `size`, or less if the space is exhausted.

    Args:
        product: Returns G v, (P,), of a vector (P,).
        right: First vector, (P,), not zero.
        size: Largest number of vectors.
        previous: w, (P,), added last if given.
    """
    vectors: list[Tensor] = []
    images: list[Tensor] = []
    following: Tensor | None = right
    while following is not None and len(vectors) < size:
        last = previous is not None and len(vectors) == size - 1
        vector = _orthogonal(previous if last and previous is not None else following, vectors)
        if vector is None and not last and previous is not None:
            last, vector = True, _orthogonal(previous, vectors)
        if vector is None:
            break
        vectors.append(vector)
        images.append(product(vector))
        following = None if last else images[-1]
    basis = torch.stack(vectors)
    projected = basis @ torch.stack(images).T
    return basis, 0.5 * (projected + projected.T)


def _orthogonal(vector: Tensor, others: list[Tensor]) -> Tensor | None:
    """Return the unit vector orthogonal to the others; None if only rounding is left."""
    size = float(vector.norm())
    if not size > 0 or not math.isfinite(size):
        return None
    rest = vector / size
    if others:
        stacked = torch.stack(others)
        for _ in range(2):
            rest = rest - (stacked @ rest) @ stacked
    left = float(rest.norm())
    return rest / left if left > 1e-10 else None


@dataclass
class SubspaceState(LinearizedState):
    """State of the Krylov subspace methods.

    Attributes:
        damping: lambda of the last step.
        update: w, None at the beginning.
        failures: Number of iterations in a row without a step.
    """

    damping: float = field(default=0.0, metadata={"minimum": 0})
    update: Tensor | None = None
    failures: int = field(default=0, metadata={"minimum": 0, "counts": True})


class _Krylov(LinearizedIterative[SubspaceState]):
    """What both methods share: how they compute the basis and take a step."""

    size: int

    def _basis(self, run: Run, state: SubspaceState) -> tuple[Tensor, Tensor]:
        model = self._model(run, state)
        return krylov_basis(model.product, state.gradient, self.size, state.update)

    def _take(self, state: SubspaceState, delta: Tensor, value: float) -> str | None:
        """Move by a step that lowers the objective, or begin again from the gradient alone."""
        if value < state.value:
            state.update, state.failures = delta, 0
            state.move(state.theta + delta)
            return None
        state.update = None
        state.failures += 1
        return (
            "no step within the Krylov space lowers the objective" if state.failures > 20 else None
        )


@dataclass(frozen=True)
class KrylovSearch(_Krylov):
    """Damping and step length searched on the true objective, within an augmented Krylov space.

    One Krylov space holds the damped solutions of every lambda. Once it is spanned, each of them
    costs a small dense solve and one value, so lambda need not be guessed from the last
    iteration: it goes on by `factor`, up or down, while the objective falls, and so does the step.

    Source: this package, after Sutskever (2013), section 6.2.

    Attributes:
        size: Vectors of the space, a product each.
        damping: First lambda, as a fraction of T's largest eigenvalue.
        factor: Ratio of neighbouring lambdas.
        tries: Most values a search.
        gradient_tolerance: The run has converged when no entry of the gradient is larger.

    Raises:
        ValueError: A setting is out of range.
    """

    size: int = 40
    damping: float = 1e-3
    factor: float = 3.0
    tries: int = 12
    gradient_tolerance: float = 1e-12

    def __post_init__(self) -> None:
        check_integer("size", self.size, minimum=2)
        check_positive("damping", self.damping)
        check_integer("tries", self.tries, minimum=1)
        check_number("factor", self.factor)
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)
        if self.factor <= 1:
            raise ValueError(f"`factor` must be above 1, got {self.factor!r}.")

    def _begin(self, theta: Tensor) -> SubspaceState:
        return SubspaceState(theta)

    def _iterate(self, run: Run, state: SubspaceState) -> str | None:
        basis, projected = self._basis(run, state)
        values, vectors = torch.linalg.eigh(projected)
        largest = max(
            float(values.abs().max()), 1e-300
        )  # above zero also if all directions curve downwards
        values = values.clamp(min=0)
        pulled = vectors.T @ (basis @ state.gradient)

        def step(damping: float) -> Tensor:
            coordinates: Tensor = vectors @ (pulled / (values + damping))
            return -coordinates @ basis

        def reached(damping: float) -> float:
            return run.objective.value(state.theta + step(damping))

        damping = state.damping or self.damping * largest
        damping, value = _best(reached, damping, self.factor, self.tries)
        state.damping = min(max(damping, 1e-14 * largest), 1e6 * largest)
        delta = step(damping)

        def stretched(length: float) -> float:
            return run.objective.value(state.theta + length * delta)

        length, value = _best(stretched, 1.0, 1.3, self.tries, value)
        return self._take(state, length * delta, value)


def _best(
    function: Callable[[float], float],
    start: float,
    factor: float,
    tries: int,
    value: float | None = None,
) -> tuple[float, float]:
    """Try a number and its multiples while the value falls; return the best and its value."""
    best, lowest = start, function(start) if value is None else value
    upward = True  # if the first value is not finite, try larger numbers
    for ratio in (factor, 1 / factor):
        moved = False
        while tries > 0:
            trial = best * ratio
            found = function(trial)
            tries -= 1
            hopeless = upward and not math.isfinite(lowest) and not math.isfinite(found)
            if not found < lowest and not hopeless:
                break
            best, lowest, moved = trial, found, True
        upward = False
        if moved:
            break
    return best, lowest


@dataclass(frozen=True)
class KrylovSubspaceDescent(_Krylov):
    """A quasi-Newton search of the objective within an augmented Krylov space.

    The basis is scaled so that T becomes the identity; eigenvalues below `floor` times the largest
    are first raised to that. Then L-BFGS with a pair for each dimension runs on the objective
    itself.

    Source: Vinyals & Povey (2012), algorithm 1, without its preconditioner. Gradient,
    curvature and search use all trials.

    Attributes:
        size: Number of vectors of the space, which cost a product each; 20 in the source.
        evaluations: Largest number of values with gradient within the space; 30 in the source's
            code of BFGS.
        floor: Smallest eigenvalue of T as a fraction of the largest; 1e-4 in the source.
        gradient_tolerance: The run has converged when no entry of the gradient is larger.

    Raises:
        ValueError: A setting is out of range.
    """

    size: int = 20
    evaluations: int = 30
    floor: float = 1e-4
    gradient_tolerance: float = 1e-12

    def __post_init__(self) -> None:
        check_integer("size", self.size, minimum=2)
        check_integer("evaluations", self.evaluations, minimum=1)
        check_positive("floor", self.floor)
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)

    def _begin(self, theta: Tensor) -> SubspaceState:
        return SubspaceState(theta)

    def _iterate(self, run: Run, state: SubspaceState) -> str | None:
        basis, projected = self._basis(run, state)
        values, vectors = torch.linalg.eigh(projected)
        values = values.clamp(min=max(self.floor * float(values.abs().max()), 1e-300))
        scaled = (vectors / values.sqrt()).T @ basis
        within = _Within(run.objective, state.theta, scaled)
        result = LBFGS(history=self.size, gradient_tolerance=0.0).minimize(
            within, basis.new_zeros(len(basis)), self._inner_budget(run)
        )
        return self._take(state, result.parameters @ scaled, result.value)

    def _inner_budget(self, run: Run) -> Budget:
        """Return what a search may spend: its own evaluations, or what is left of the run."""
        left = run.budget.calls
        most = self.evaluations if left is None else min(self.evaluations, left - run.counts.calls)
        return Budget(calls=max(most, 1))  # an interruption waits until the iteration ends


class _Within:
    """An objective as a function of coordinates in a basis; the objective counts the calls."""

    def __init__(self, objective: CountedObjective, origin: Tensor, basis: Tensor) -> None:
        self._objective, self._origin, self._basis = objective, origin, basis

    def value(self, parameters: Tensor) -> float:
        return self._objective.value(self._origin + parameters @ self._basis)

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        point = self._origin + parameters @ self._basis
        value, gradient = self._objective.value_and_gradient(point)
        return value, self._basis @ gradient

    def linearize(self, parameters: Tensor) -> Linearization:
        return self._objective.linearize(self._origin + parameters @ self._basis)
