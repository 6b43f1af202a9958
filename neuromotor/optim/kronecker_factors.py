"""Kronecker factors of the Gauss-Newton matrix, and what the methods that use them share.

Notation: A is the second moment of a layer's inputs, S the second moment of the derivatives by
its units' drives, and gamma the damping. The layer's block of the Gauss-Newton matrix is estimated
as ``A x S``, so that ``(A x S + gamma I)^-1`` costs two small eigendecompositions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, final

import torch
from torch import Tensor

from neuromotor.optim.iterative import Iterative
from neuromotor.optim.objective import KroneckerBlock
from neuromotor.optim.run import Run
from neuromotor.optim.state import State

__all__ = ["FactorsIterative", "FactorsState", "KroneckerPreconditioner"]

Block = KroneckerBlock | Sequence[Tensor]  # places, rows, columns


class KroneckerPreconditioner:
    """Applies ``(A x S + gamma I)^-1`` to every block, and one factor to all other parameters.

    Source: Martens & Grosse (2015), section 6, with the damping added to the product instead of
    its factors; Martens, Ba & Johnson (2018) for recurrent networks.
    """

    def __init__(self, blocks: Sequence[Block], damping: float, *, relative: bool = True) -> None:
        """Prepare the inverse.

        Args:
            blocks: A and S of each layer.
            damping: gamma.
            relative: Whether gamma is given as a fraction of the mean eigenvalue of all blocks.
        """
        self._blocks: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        traces = [float(columns.trace()) * float(rows.trace()) for _, rows, columns in blocks]
        mean = sum(traces) / sum(places.numel() for places, _, _ in blocks)
        gamma = max(damping * mean if relative else damping, 1e-300)
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
    """Say what factors from a file should be, if they are not that; see `State`."""
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
    """State of a method that uses Kronecker factors.

    Attributes:
        blocks: The factors, or their running means; None if new ones are due.
        age: Steps since the factors were computed.
        prepared: What the method computed from the factors.
    """

    blocks: list[Block] | None = field(default=None, metadata={"check": _wrong_blocks})
    age: int = field(default=0, metadata={"minimum": 0, "counts": True})
    prepared: Any = field(default=None, metadata={"transient": True})

    def renew(self, run: Run, seed: int, decay: float = 0.0) -> list[Block]:
        """Compute new factors with random residuals; the old ones keep a weight of `decay`."""
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
        """Compute what the method needs from new factors."""

    @final
    def _prepared(self, run: Run, state: F) -> P:
        """Return what `_prepare` computed, after an update of the factors if that is due."""
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
