"""Adam in the coordinates of Kronecker factors: for trials that are drawn anew all the time.

Notation: theta parameters, g gradient, m and s Adam's moments, Q eigenvectors of the factors of the
Gauss-Newton matrix, epsilon learning rate, beta1 and beta2 decay rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive
from neuromotor.optim.calm import CalmState
from neuromotor.optim.descent import DescentState, clipped, warm_cosine
from neuromotor.optim.iterative import Iterative
from neuromotor.optim.kronecker import Block, FactorsState
from neuromotor.optim.run import Run

__all__ = ["KroneckerAdam"]


class _Basis:
    """Eigenvectors Q of every block; parameters in no block keep their own axes."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._parts = [
            (places, torch.linalg.eigh(rows)[1], torch.linalg.eigh(columns)[1])
            for places, rows, columns in blocks
        ]

    def into(self, vector: Tensor) -> Tensor:
        """Return the coordinates of a vector, (P,)."""
        result = vector.clone()
        for places, rows, columns in self._parts:
            result[places] = rows.T @ vector[places] @ columns
        return result

    def out_of(self, coordinates: Tensor) -> Tensor:
        """Return the vector with these coordinates, (P,)."""
        result = coordinates.clone()
        for places, rows, columns in self._parts:
            result[places] = rows @ coordinates[places] @ columns.T
        return result


@dataclass
class KroneckerAdamState(DescentState, CalmState, FactorsState):
    """State of `KroneckerAdam`.

    Attributes:
        mean: m, in the parameters' own axes.
        square: s, along the eigenvectors.
        step: Steps since the moments were zero.
        basis: Q; None before the first factors.
    """

    mean: Tensor = field(kw_only=True)
    square: Tensor = field(kw_only=True)
    step: int = 0
    basis: _Basis | None = field(default=None, metadata={"transient": True})


@dataclass(frozen=True)
class KroneckerAdam(Iterative[KroneckerAdamState]):
    """Adam along the eigenvectors of a Kronecker-factored Gauss-Newton matrix.

    Adam scales each coordinate by the size of its own gradient, which helps little where inputs
    and rates vary together. Along the eigenvectors of a layer's second moments of inputs and of
    pulls they do not, and the sizes of the gradients replace the factors' eigenvalues, which noise
    and the independence that factoring takes for granted make wrong. There is no damping to
    choose. The learning rate warms up and falls along a cosine to zero over the budget; the run
    begins with a calm start, as `KroneckerLBFGS`.

    Source: George et al. (2018), algorithm 1 (scales along the factors' eigenvectors); Vyas et al.
    (2025), algorithm 3 (Adam's moments there). Theirs are the second moments of gradients; the
    factors here are the Gauss-Newton matrix's, as in Martens & Grosse (2015).

    Attributes:
        learning_rate: Largest epsilon; chosen on DDN, 1,500 calls of one seed.
        beta1: Decay rate of the gradient's mean.
        beta2: Decay rate of the gradient's square.
        epsilon: Added to the root of the mean square.
        refresh: Iterations between new factors, a gradient each.
        decay: Weight of the old factors in the running means.
        warmup: Fraction of the budget over which the learning rate rises from zero.
        clip_norm: Largest norm of the gradient, a longer one is shortened; None for no limit.
        calm_start: Whether the readout is scaled down first.
        seed: Of the random residuals behind the factors.
        gradient_tolerance: Converged where no entry of the gradient is larger.

    Raises:
        ValueError: A setting is out of range.
    """

    learning_rate: float = 3e-3
    beta1: float = 0.9
    beta2: float = 0.99
    epsilon: float = 1e-8
    refresh: int = 20
    decay: float = 0.8
    warmup: float = 0.02
    clip_norm: float | None = 1.0
    calm_start: bool = True
    seed: int = 0
    gradient_tolerance: float = 1e-12

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        check_positive("epsilon", self.epsilon)
        if self.clip_norm is not None:
            check_positive("clip_norm", self.clip_norm)
        check_integer("refresh", self.refresh, minimum=1)
        check_integer("seed", self.seed, minimum=0)
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)
        for name in ("beta1", "beta2", "decay", "warmup"):
            value = getattr(self, name)
            check_number(name, value, minimum=0.0)
            if value >= 1:
                raise ValueError(f"`{name}` must be below 1, got {value!r}.")

    def _begin(self, theta: Tensor) -> KroneckerAdamState:
        return KroneckerAdamState(
            theta,
            mean=torch.zeros_like(theta),
            square=torch.zeros_like(theta),
            calm=not self.calm_start,
        )

    def _resume(self, run: Run, state: KroneckerAdamState) -> None:
        if state.blocks is not None:
            state.basis = _Basis(state.blocks)

    def _iterate(self, run: Run, state: KroneckerAdamState) -> str | None:
        if state.calm_down(run):
            return None
        if state.left_the_finite_region():
            state.step = 0
            state.mean, state.square = torch.zeros_like(state.theta), torch.zeros_like(state.theta)
            return state.back_to(run.best_parameters)
        if state.basis is None or state.age >= self.refresh:
            state.basis = _Basis(state.renew(run, self.seed, self.decay))
        state.step += 1
        gradient = clipped(state.gradient, self.clip_norm)
        along = state.basis.into(gradient)
        state.mean = torch.lerp(state.mean, gradient, 1 - self.beta1)
        state.square = self.beta2 * state.square + (1 - self.beta2) * along.square()
        mean = state.basis.into(state.mean) / (1 - self.beta1**state.step)
        root = (state.square / (1 - self.beta2**state.step)).sqrt_().add_(self.epsilon)
        rate = state.scale * self.learning_rate * warm_cosine(run.fraction_used, self.warmup)
        state.move(state.theta - rate * state.basis.out_of(mean / root))
        state.age += 1
        return None
