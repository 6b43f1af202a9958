"""Natural gradient descent with Kronecker factors, for trials that are drawn anew often.

Notation: theta are the parameters, f is the objective and g its gradient; P is the damped inverse
of the Kronecker-factored Gauss-Newton matrix, z = P g, v is the velocity, epsilon the learning
rate, and mu the momentum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from neuromotor._checks import (
    check_below_one,
    check_integer,
    check_number,
    check_positive,
    check_seed,
)
from neuromotor.optim.calm_start import CalmState
from neuromotor.optim.first_order import DescentState, warm_cosine
from neuromotor.optim.kronecker_factors import (
    Block,
    FactorsIterative,
    FactorsState,
    KroneckerPreconditioner,
)
from neuromotor.optim.run import Run

__all__ = ["KroneckerDescent"]


@dataclass
class KroneckerDescentState(DescentState, CalmState, FactorsState):
    """State of `KroneckerDescent`.

    Attributes:
        velocity: v.
    """

    velocity: Tensor = field(kw_only=True)


@dataclass(frozen=True)
class KroneckerDescent(FactorsIterative[KroneckerDescentState, KroneckerPreconditioner]):
    """Momentum along the natural gradient; without a line search, changing draws do no harm.

    The step is ``v <- mu v - epsilon nu z``, with nu at most 1 and such that ``nu^2 g.z`` is at
    most `trust` times the objective. The learning rate warms up and falls along a cosine to zero
    over the budget.

    Source: Martens & Grosse (2015), sections 6 and 7, with a fixed learning rate and momentum; they
    choose both from the quadratic model at each step. The bound follows Ba,
    Grosse & Martens (2017).

    Attributes:
        learning_rate: Largest epsilon. Its default and that of `damping` were chosen on DDN with
            500 calls and one random seed; three times larger rates diverge there.
        momentum: mu.
        trust: Bound on the squared length of a natural step, as a fraction of the objective.
        refresh: Iterations between new factors, which cost a gradient.
        decay: Weight of the old factors in the running means.
        damping: gamma as a fraction of the factors' mean eigenvalue.
        warmup: Fraction of the budget over which the learning rate rises from zero.
        calm_start: Whether the run begins by scaling the readout down.
        seed: Seed of the random residuals behind the factors.
        gradient_tolerance: The run has converged when no entry of the gradient is larger.

    Raises:
        ValueError: A setting is out of range.
    """

    learning_rate: float = 0.03
    momentum: float = 0.9
    trust: float = 0.1
    refresh: int = 20
    decay: float = 0.8
    damping: float = 0.1
    warmup: float = 0.02
    calm_start: bool = True
    seed: int = 0
    gradient_tolerance: float = 1e-12

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        check_positive("trust", self.trust)
        check_positive("damping", self.damping)
        check_integer("refresh", self.refresh, minimum=1)
        check_seed("seed", self.seed)
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)
        for name in ("momentum", "decay", "warmup"):
            check_below_one(name, getattr(self, name))

    def _begin(self, theta: Tensor) -> KroneckerDescentState:
        return KroneckerDescentState(
            theta, velocity=torch.zeros_like(theta), calm=not self.calm_start
        )

    def _prepare(self, blocks: Sequence[Block]) -> KroneckerPreconditioner:
        return KroneckerPreconditioner(blocks, self.damping)

    def _iterate(self, run: Run, state: KroneckerDescentState) -> str | None:
        if state.start_calmly(run):
            return None
        if state.left_the_finite_region():
            state.velocity = torch.zeros_like(state.theta)
            return state.back_to(run.best_parameters)
        natural = self._prepared(run, state)(state.gradient)
        promised = float(state.gradient @ natural)
        if not promised > 0:
            state.prepared = (
                None  # rounding spoilt the factors: the next iteration computes new ones
            )
            return None
        nu = min(1.0, math.sqrt(self.trust * max(state.value, 0.0) / promised))
        rate = state.scale * self.learning_rate * warm_cosine(run.fraction_used, self.warmup)
        state.velocity = self.momentum * state.velocity - (rate * nu) * natural
        state.move(state.theta + state.velocity)
        state.age += 1
        return None
