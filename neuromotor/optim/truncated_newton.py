"""Preconditioned truncated Newton, with products of the Hessian from differences of gradients.

Notation: H is the Hessian, g the gradient, and d a direction with ``H d = -g`` up to a tolerance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from neuromotor._checks import check_integer, check_number
from neuromotor.optim.iterative import Iterative
from neuromotor.optim.krylov import conjugate_gradient
from neuromotor.optim.lbfgs import PairsState, first_step, two_loop_direction
from neuromotor.optim.line_search import StrongWolfe
from neuromotor.optim.run import Run

__all__ = ["TruncatedNewton"]


@dataclass(frozen=True)
class TruncatedNewton(Iterative[PairsState]):
    """Newton's method by conjugate gradients that L-BFGS preconditions, with a line search.

    Each product costs a gradient. Conjugate gradients end at the tolerance
    ``min(1/2, sqrt(|g|)) |g|``, or when the Hessian curves downwards; the solution so far is then
    the direction.

    Source: minFunc (Schmidt 2005), its `pnewton0`, the "Hessian-free Newton" of Sutskever (2013),
    section 6.7; Nocedal & Wright (2006), algorithm 7.1; difference step of minFunc.

    Attributes:
        pairs: Number of pairs of the L-BFGS preconditioner.
        iterations: Largest number of products in a step.
        gradient_tolerance: The run has converged when no entry of the gradient is larger.
        line_search: Search for the step along each direction.

    Raises:
        ValueError: A setting is out of range.
    """

    pairs: int = 10
    iterations: int = 100
    gradient_tolerance: float = 1e-12
    line_search: StrongWolfe = field(
        default_factory=StrongWolfe, metadata={"registry": {"strong-wolfe": StrongWolfe()}}
    )

    def __post_init__(self) -> None:
        check_integer("pairs", self.pairs, minimum=1)
        check_integer("iterations", self.iterations, minimum=1)
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)

    def _begin(self, theta: Tensor) -> PairsState:
        return PairsState(theta)

    def _iterate(self, run: Run, state: PairsState) -> str | None:
        theta, gradient, pairs = state.theta, state.gradient, state.pairs
        norm = float(gradient.norm())

        def product(vector: Tensor) -> Tensor:
            step = 2e-6 * (1 + float(theta.norm())) / float(vector.norm())
            _, there = run.objective.value_and_gradient(theta + step * vector)
            return (there - gradient) / step

        solution = conjugate_gradient(
            product,
            -gradient,
            iterations=self.iterations,
            tolerance=min(0.5, math.sqrt(norm)),
            stop=lambda _: run.limit_reason() is not None,
            precondition=lambda vector: two_loop_direction(pairs, -vector),
        )
        direction = solution.solution
        first = 1.0
        if not float(gradient @ direction) < 0:  # the curvature is of no use
            direction = two_loop_direction(pairs, gradient)
            first = 1.0 if pairs else first_step(gradient)
        if not float(gradient @ direction) < 0:
            pairs.clear()
        elif state.descend(run, self.line_search, direction, first, self.pairs) is None:
            if not pairs:
                return "no step along the Newton direction lowers the objective"
            pairs.clear()
        return None
