"""Nonlinear conjugate gradients, plain or preconditioned by L-BFGS.

Notation: g is the gradient, z the preconditioned gradient, d the direction, and beta the weight of
the last direction.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from neuromotor._checks import check_integer, check_number
from neuromotor.optim.iterative import Iterative
from neuromotor.optim.lbfgs import PairsState, first_step, two_loop_direction
from neuromotor.optim.line_search import StrongWolfe
from neuromotor.optim.run import Run

__all__ = ["NonlinearCG"]


@dataclass
class ConjugateState(PairsState):
    """State of `NonlinearCG`.

    Attributes:
        direction: d, None at the beginning.
        downhill: -z.
        step: Length of the last step along its direction, 0 at the beginning.
        last_slope: g.d at the start of that step.
        restarted: Whether d is the negative gradient because a search failed.
    """

    direction: Tensor | None = None
    downhill: Tensor | None = None
    step: float = field(default=0.0, metadata={"minimum": 0})
    last_slope: float = field(default=0.0, metadata={"minimum": -1e100, "maximum": 0})
    restarted: bool = False


@dataclass(frozen=True)
class NonlinearCG(Iterative[ConjugateState]):
    """Conjugate gradients by Polak and Ribiere's formula, restarted where it turns negative.

    Source: Nocedal & Wright (2006), equations 5.44 and 5.45 (PR+) and 3.60 (first step); with
    pairs, the preconditioned form of minFunc (Schmidt 2005), its `pcg`:
    ``beta = z'.(g' - g) / g.z`` with z the L-BFGS estimate times g.

    Attributes:
        pairs: Number of pairs of the L-BFGS preconditioner; 0 means plain conjugate gradients.
        gradient_tolerance: The run has converged when no entry of the gradient is larger.
        line_search: Search for the step along each direction; needs a tight `c2`.

    Raises:
        ValueError: A setting is out of range.
    """

    pairs: int = 0
    gradient_tolerance: float = 1e-12
    line_search: StrongWolfe = field(
        default_factory=lambda: StrongWolfe(c2=0.2),
        metadata={"registry": {"strong-wolfe": StrongWolfe(c2=0.2)}},
    )

    def __post_init__(self) -> None:
        check_integer("pairs", self.pairs, minimum=0)
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)

    def _begin(self, theta: Tensor) -> ConjugateState:
        return ConjugateState(theta)

    def _iterate(self, run: Run, state: ConjugateState) -> str | None:
        gradient = state.gradient
        if state.direction is None or state.downhill is None:
            state.downhill = state.direction = two_loop_direction(state.pairs, gradient)
        slope = float(gradient @ state.direction)
        if not slope < 0:
            self._restart(state)
            slope = float(gradient @ state.direction)
        first = state.step
        if state.last_slope:
            first *= min(state.last_slope / slope, 100.0)
        elif first == 0.0:
            first = first_step(gradient)
        direction, downhill = state.direction, state.downhill
        point = state.descend(run, self.line_search, direction, first, self.pairs)
        if point is None:
            if state.restarted and not state.pairs:
                return "no step along the negative gradient lowers the objective"
            self._restart(state)
            return None
        state.step, state.last_slope, state.restarted = point.step, slope, False
        state.downhill = two_loop_direction(state.pairs, state.gradient)  # -z
        bend = state.gradient - gradient
        beta = max(float(state.downhill @ bend) / float(gradient @ downhill), 0.0)
        state.direction = state.downhill + beta * direction if beta else state.downhill
        return None

    def _evaluate(self, run: Run, state: ConjugateState) -> None:
        super()._evaluate(run, state)
        state.direction = state.downhill = None  # they may belong to other draws

    def _restart(self, state: ConjugateState) -> None:
        state.pairs.clear()
        state.direction = state.downhill = state.gradient.neg()
        state.restarted = True
