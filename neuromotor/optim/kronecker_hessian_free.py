"""Hessian-free optimisation whose conjugate gradients are preconditioned by Kronecker factors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor.optim.hessian_free import HessianFreeLike, HessianFreeState
from neuromotor.optim.kronecker_factors import KroneckerPreconditioner
from neuromotor.optim.objective import CountedLinearization
from neuromotor.optim.run import Run

__all__ = ["KroneckerHessianFree"]


@dataclass(frozen=True)
class KroneckerHessianFree(HessianFreeLike):
    """Truncated Gauss-Newton with a few products, preconditioned by Kronecker factors.

    Each iteration computes Kronecker factors at its point, which cost a gradient, and preconditions
    conjugate gradients with ``(A x S + lambda I)^-1``. Structural damping is in the factors too
    where the objective can put it there, as those over sequences do. So ten products are enough.
    More of them, and warm starts, did harm on long memory: they carry on directions of little
    curvature, along which the hidden units soon change too much. All else is as in `HessianFree`.

    Source: this package; its parts are Martens (2010), Martens & Sutskever (2011) for structural
    damping, and Martens & Grosse (2015) for the factors.

    Attributes:
        damping: First lambda, in the unit of the objective's curvature: 0.1 as in `HessianFree`
            suits limbs, and 1 the memorisation of 5 bits.
        structural: mu; 1/30 in Martens & Sutskever (2011), zero means none. The objective must have
            hidden units.
        decay: Fraction of the last solution that conjugate gradients start from; 0 for none.
        iterations: Largest number of products in a step. Its default and that of `decay` were
            chosen on the memorisation of 5 bits at T = 100, among 5, 6, 10, 15, 25 and 300
            products, with and without warm starts.
        least_reduction: As that of `HessianFree`.
        curvature_trials: Number of random trials, new ones each iteration, that the curvature is
            taken from; None for all trials.
        seed: Seed of that choice, and of the random residuals behind the factors.
        gradient_tolerance: The run has converged when no entry of the gradient is larger.
        line_search: Search that shortens a step.

    Raises:
        ValueError: A setting is out of range.
    """

    needs_factors = True

    decay: float = 0.0
    iterations: int = 10

    def _preconditioner(
        self, run: Run, state: HessianFreeState, model: CountedLinearization
    ) -> Callable[[Tensor], Tensor]:
        generator = torch.Generator().manual_seed(self.seed + state.iteration)
        blocks = model.kronecker_factors(generator, self.structural * state.damping)
        return KroneckerPreconditioner(blocks, state.damping, relative=False)
