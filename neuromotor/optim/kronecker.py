"""L-BFGS that starts each inverse-Hessian estimate from a Kronecker-factored Gauss-Newton matrix.

Notation: A second moment of a layer's inputs, S second moment of what the residuals pull at its
units, gamma damping; the layer's block of the Gauss-Newton matrix is taken as ``A x S``, so that
``(A x S + gamma I)^-1`` costs two small eigendecompositions.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, final

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive, check_seed
from neuromotor.optim.iterative import Iterative
from neuromotor.optim.lbfgs import PairsState, two_loop_direction
from neuromotor.optim.line_search import StrongWolfe
from neuromotor.optim.objective import KroneckerBlock
from neuromotor.optim.run import Run
from neuromotor.optim.state import State

__all__ = ["FactorsIterative", "FactorsState", "KroneckerLBFGS", "KroneckerPreconditioner"]

Block = KroneckerBlock | Sequence[Tensor]  # places, rows, columns


class KroneckerPreconditioner:
    """``(A x S + gamma I)^-1`` of every block; parameters in no block are scaled alike.

    Source: Martens & Grosse (2015), section 6, with the damping added to the product instead of
    its factors; Martens, Ba & Johnson (2018) for recurrent networks.
    """

    def __init__(self, blocks: Sequence[Block], damping: float) -> None:
        """Prepare the inverse.

        Args:
            blocks: A and S of each layer.
            damping: gamma, as a fraction of the mean eigenvalue of all blocks.
        """
        self._rest = 1.0
        self._blocks: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        traces = [float(columns.trace()) * float(rows.trace()) for _, rows, columns in blocks]
        mean = sum(traces) / sum(places.numel() for places, _, _ in blocks)
        gamma = max(damping * mean, 1e-300)
        self._rest = 1.0 / (mean + gamma)
        for places, rows, columns in blocks:
            column_values, column_vectors = torch.linalg.eigh(columns)
            row_values, row_vectors = torch.linalg.eigh(rows)
            values = row_values.clamp(min=0)[:, None] * column_values.clamp(min=0)
            self._blocks.append((places, row_vectors, column_vectors, 1 / (values + gamma)))

    def __call__(self, vector: Tensor) -> Tensor:
        """Return the inverse times a vector, (P,)."""
        result = self._rest * vector
        for index, rows, columns, weights in self._blocks:
            inner = rows.T @ vector[index] @ columns
            result[index] = rows @ (inner * weights) @ columns.T
        return result


def _wrong_blocks(value: object, theta: Tensor) -> str | None:
    """What factors from a file should be, where they are not; see `State`."""
    text = "None or a list of factors: places of parameters and two finite square matrices"
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        return text
    for block in value:
        if not isinstance(block, (list, tuple)) or len(block) != 3:
            return text
        places, rows, columns = block
        if not all(isinstance(part, Tensor) and part.ndim == 2 for part in block):
            return text
        high, wide = places.shape
        fits = rows.shape == (high, high) and columns.shape == (wide, wide) and places.numel()
        if not fits or places.dtype != torch.int64:
            return text
        if int(places.min()) < 0 or int(places.max()) >= theta.numel():
            return text
        for factor in (rows, columns):
            if factor.dtype != theta.dtype or not bool(torch.isfinite(factor).all()):
                return text
    return None


@dataclass
class FactorsState(State):
    """State of a method that goes by Kronecker factors.

    Attributes:
        blocks: The factors, or their running means; None where new ones are due.
        age: Steps since they were made.
        prepared: What the method made of them.
    """

    blocks: list[Block] | None = field(default=None, metadata={"check": _wrong_blocks})
    age: int = field(default=0, metadata={"minimum": 0, "counts": True})
    prepared: Any = field(default=None, metadata={"transient": True})

    def renew(self, run: Run, seed: int, decay: float = 0.0) -> list[Block]:
        """Make new factors, of random residuals; what there was keeps a weight of `decay`."""
        generator = torch.Generator().manual_seed(seed + self.iteration)
        fresh = [list(block) for block in run.objective.kronecker_factors(self.theta, generator)]
        if decay and self.blocks is not None:
            for new, old in zip(fresh, self.blocks, strict=True):
                for part in (1, 2):  # rows and columns
                    new[part] = torch.lerp(new[part], old[part], decay)
        self.blocks, self.age = [*fresh], 0
        return self.blocks


F = TypeVar("F", bound=FactorsState)
P = TypeVar("P")


class FactorsIterative(Iterative[F], Generic[F, P]):
    """An optimizer that uses Kronecker factors, and refuses an objective without them.

    Attributes:
        refresh: Iterations between new factors.
        seed: Seed of the random residuals behind the factors.
        decay: Weight of the old factors in the running means.
    """

    needs_factors = True
    refresh: int
    seed: int
    decay: float = 0.0

    @abstractmethod
    def _prepare(self, blocks: Sequence[Block]) -> P:
        """What the method computes once from new factors."""

    @final
    def _prepared(self, run: Run, state: F) -> P:
        """What `_prepare` made of the factors, which are made anew where they are due."""
        if state.prepared is None or state.age >= self.refresh:
            state.prepared = self._prepare(state.renew(run, self.seed, self.decay))
        found: P = state.prepared
        return found

    @final
    def _evaluate(self, run: Run, state: F) -> None:
        run.objective.with_factors()
        super()._evaluate(run, state)

    @final
    def _resume(self, run: Run, state: F) -> None:
        if state.blocks is not None:
            state.prepared = self._prepare(state.blocks)


@dataclass
class KroneckerState(PairsState, FactorsState):
    """State of `KroneckerLBFGS`.

    Attributes:
        radius: Bound on the next step's length.
    """

    radius: float = field(default=0.0, metadata={"minimum": 0})


@dataclass(frozen=True)
class KroneckerLBFGS(FactorsIterative[KroneckerState, KroneckerPreconditioner]):
    """L-BFGS preconditioned by Kronecker factors, within a bound on the step's length.

    A Kronecker-factored Gauss-Newton matrix is cheap (one gradient, every `refresh` iterations)
    and captures what makes networks ill-conditioned, inputs and rates that vary together; the
    pairs of L-BFGS, kept across refreshes, correct what it leaves out. Where the objective names
    its `readout`, the run begins by scaling it down as long as that lowers the objective
    (`calm_start`): an arm that flies off under random commands teaches nothing. Closed loops
    with a plain `ContinuousTimeRNN` and `QuadraticCost` give factors; an objective without them is
    refused.

    Source: this package; its parts are Nocedal (1980) and Martens & Grosse (2015).

    Attributes:
        history: Pairs kept.
        refresh: Iterations between new factors.
        damping: gamma as a fraction of the factors' mean eigenvalue.
        radius: First bound on a step's length (norm of the parameter change).
        growth: What the bound is multiplied by where it was binding and the first step tried was
            taken; it is lowered to the step where the search went back.
        calm_start: Whether the readout is scaled down first.
        seed: Of the random residuals behind S.
        gradient_tolerance: Converged where no entry of the gradient is larger.
        line_search: How far to go along each direction.

    Raises:
        ValueError: A setting is out of range.
    """

    history: int = 100
    refresh: int = 20
    damping: float = 3e-3
    radius: float = 0.03
    growth: float = 1.2
    calm_start: bool = True
    seed: int = 0
    gradient_tolerance: float = 1e-12
    line_search: StrongWolfe = field(
        default_factory=StrongWolfe, metadata={"registry": {"strong-wolfe": StrongWolfe()}}
    )

    def __post_init__(self) -> None:
        check_integer("history", self.history, minimum=1)
        check_integer("refresh", self.refresh, minimum=1)
        check_positive("damping", self.damping)
        check_positive("radius", self.radius)
        check_number("growth", self.growth, minimum=1.0)
        check_seed("seed", self.seed)
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)

    def _begin(self, theta: Tensor) -> KroneckerState:
        return KroneckerState(theta, calm=not self.calm_start, radius=self.radius)

    def _prepare(self, blocks: Sequence[Block]) -> KroneckerPreconditioner:
        return KroneckerPreconditioner(blocks, self.damping)

    def _iterate(self, run: Run, state: KroneckerState) -> str | None:
        if state.calm_down(run):
            return None
        gradient = state.gradient
        precondition = self._prepared(run, state)
        direction = two_loop_direction(state.pairs, gradient, precondition)
        slope = float(gradient @ direction)
        if not slope < 0:  # the pairs no longer fit
            state.pairs.clear()
            direction = precondition(-gradient)
            slope = float(gradient @ direction)
        length = float(direction.norm())
        if not (slope < 0 and math.isfinite(length)):
            return "no descent direction is left"
        bounded = state.radius < length
        first = min(1.0, state.radius / length)
        point = state.descend(run, self.line_search, direction, first, self.history)
        if point is None:
            if not state.pairs and state.age == 0:
                return "no step along the preconditioned gradient lowers it"
            state.pairs.clear()
            state.blocks = state.prepared = None
            state.radius *= 0.1
            return None
        if point.step < 0.99 * first:
            state.radius = max(0.5 * state.radius, point.step * length)
        elif bounded:
            state.radius *= self.growth
        state.age += 1
        return None
