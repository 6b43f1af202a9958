"""Adam along the eigenvectors of Kronecker factors, for trials that are drawn anew often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor._checks import check_below_one, check_integer, check_seed
from neuromotor.optim.first_order import AdamLike, AdamState, Axes
from neuromotor.optim.kronecker_factors import Block, FactorsIterative, FactorsState
from neuromotor.optim.run import Run

__all__ = ["KroneckerAdam"]


class _Eigenvectors(Axes):
    """The eigenvectors of every block's factors; parameters in no block keep their own axes."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._parts = [
            (places, torch.linalg.eigh(rows)[1], torch.linalg.eigh(columns)[1])
            for places, rows, columns in blocks
        ]

    def into(self, vector: Tensor) -> Tensor:
        result = vector.clone()
        for places, rows, columns in self._parts:
            result[places] = rows.T @ vector[places] @ columns
        return result

    def out_of(self, coordinates: Tensor) -> Tensor:
        result = coordinates.clone()
        for places, rows, columns in self._parts:
            result[places] = rows @ coordinates[places] @ columns.T
        return result


@dataclass
class KroneckerAdamState(AdamState, FactorsState):
    """State of `KroneckerAdam`: only the square lies along the eigenvectors."""


@dataclass(frozen=True)
class KroneckerAdam(
    FactorsIterative[KroneckerAdamState, _Eigenvectors], AdamLike[KroneckerAdamState]
):
    """Adam along the eigenvectors of a Kronecker-factored Gauss-Newton matrix.

    Adam scales each coordinate by the size of its own gradient, which helps little where inputs
    and rates vary together. Along the eigenvectors of a layer's Kronecker factors they do not.
    The sizes of the gradients replace the factors' eigenvalues, which are wrong because of noise
    and because factoring assumes independence. There is no damping to choose. An objective without
    factors is refused.

    Source: George et al. (2018), algorithm 1 (scales along the factors' eigenvectors); Vyas et al.
    (2025), algorithm 3 (Adam's moments there). They factor the second moments of gradients;
    the factors here are those of the Gauss-Newton matrix, as in Martens & Grosse (2015).

    Attributes:
        learning_rate: Largest epsilon. Its default, and those of the decay rates and of `refresh`,
            were chosen on DDN with 1,500 calls and one random seed.
        refresh: Iterations between new factors, which cost a gradient.
        decay: Weight of the old factors in the running means.
        seed: Seed of the random residuals behind the factors.

    The other attributes are those of `Adam`.

    Raises:
        ValueError: A setting is out of range.
    """

    learning_rate: float = 5e-3
    beta1: float = 0.95
    beta2: float = 0.95
    warmup: float = 0.02
    clip_norm: float | None = 1.0
    calm_start: bool = True
    refresh: int = 10
    decay: float = 0.8
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("refresh", self.refresh, minimum=1)
        check_below_one("decay", self.decay)
        check_seed("seed", self.seed)

    def _begin(self, theta: Tensor) -> KroneckerAdamState:
        zeros = torch.zeros_like(theta)
        return KroneckerAdamState(theta, mean=zeros, square=zeros, calm=not self.calm_start)

    def _prepare(self, blocks: Sequence[Block]) -> _Eigenvectors:
        return _Eigenvectors(blocks)

    def _axes(self, run: Run, state: KroneckerAdamState) -> Axes:
        axes = self._prepared(run, state)
        state.age += 1
        return axes
