"""L-BFGS whose first inverse-Hessian estimate comes from a Kronecker-factored curvature matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive, check_seed
from neuromotor.optim.kronecker_factors import (
    Block,
    FactorsIterative,
    FactorsState,
    KroneckerPreconditioner,
)
from neuromotor.optim.lbfgs import PairsState, two_loop_direction
from neuromotor.optim.line_search import StrongWolfe
from neuromotor.optim.run import Run

__all__ = ["KroneckerLBFGS"]


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
    and captures why networks are ill-conditioned: their inputs and rates vary together. The pairs
    of L-BFGS are kept when the factors are renewed, and correct what the factors leave out. If the
    objective names its `readout`, the run begins by scaling the readout down as long as that
    lowers the objective (`calm_start`), because random commands that throw the arm about teach a
    network nothing. Closed loops with a network of any cells give factors, and so do torch modules
    with linear layers; an objective without them is refused.

    Source: this package; its parts are Nocedal (1980) and Martens & Grosse (2015).

    Attributes:
        history: Number of pairs that are kept.
        refresh: Iterations between new factors.
        damping: gamma as a fraction of the factors' mean eigenvalue.
        radius: First bound on a step's length (norm of the parameter change).
        growth: Factor of the bound after a step that the bound had shortened and that was taken as
            it was. After a shorter step the bound is lowered to that step.
        calm_start: Whether the run begins by scaling the readout down.
        seed: Seed of the random residuals behind S.
        gradient_tolerance: The run has converged when no entry of the gradient is larger.
        line_search: Search for the step along each direction.

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
        if state.start_calmly(run):
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
                return "no step along the preconditioned gradient lowers the objective"
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
