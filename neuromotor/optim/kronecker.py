"""L-BFGS that starts each inverse-Hessian estimate from a Kronecker-factored Gauss-Newton matrix.

Notation: A second moment of a layer's inputs, S second moment of what the residuals pull at its
units, gamma damping; the layer's block of the Gauss-Newton matrix is taken as ``A x S``, so that
``(A x S + gamma I)^-1`` costs two small eigendecompositions.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive
from neuromotor.closed_loop.passes import KroneckerBlock
from neuromotor.optim.calm import calmer
from neuromotor.optim.lbfgs import Pair, two_loop_direction
from neuromotor.optim.line_search import SearchPoint, StrongWolfe
from neuromotor.optim.objective import Objective
from neuromotor.optim.result import Budget, Result
from neuromotor.optim.run import Callback, Run

__all__ = ["KroneckerLBFGS", "KroneckerPreconditioner"]


class KroneckerPreconditioner:
    """``(A x S + gamma I)^-1`` of every block; parameters in no block are scaled alike.

    Source: Martens & Grosse (2015), section 6, with the damping added to the product instead of
    its factors; Martens, Ba & Johnson (2018) for recurrent networks.
    """

    def __init__(self, blocks: tuple[KroneckerBlock, ...], damping: float) -> None:
        """Prepare the inverse.

        Args:
            blocks: A and S of each layer; none for the identity.
            damping: gamma, as a fraction of the mean eigenvalue of all blocks.
        """
        self._rest = 1.0
        self._blocks: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        if not blocks:
            return
        traces = [float(b.columns.trace()) * float(b.rows.trace()) for b in blocks]
        mean = sum(traces) / sum(block.places.numel() for block in blocks)
        gamma = max(damping * mean, 1e-300)
        self._rest = 1.0 / (mean + gamma)
        for block in blocks:
            column_values, column_vectors = torch.linalg.eigh(block.columns)
            row_values, row_vectors = torch.linalg.eigh(block.rows)
            values = row_values.clamp(min=0)[:, None] * column_values.clamp(min=0)
            self._blocks.append((block.places, row_vectors, column_vectors, 1 / (values + gamma)))

    def __call__(self, vector: Tensor) -> Tensor:
        """Return the inverse times a vector, (P,)."""
        result = self._rest * vector
        for index, rows, columns, weights in self._blocks:
            inner = rows.T @ vector[index] @ columns
            result[index] = rows @ (inner * weights) @ columns.T
        return result


@dataclass(frozen=True)
class KroneckerLBFGS:
    """L-BFGS preconditioned by Kronecker factors, within a bound on the step's length.

    A Kronecker-factored Gauss-Newton matrix is cheap (one gradient, every `refresh` iterations)
    and captures what makes networks ill-conditioned, inputs and rates that vary together; the
    pairs of L-BFGS, kept across refreshes, correct what it leaves out. Where the objective names
    its `readout`, the run begins by scaling it down as long as that lowers the objective
    (`calm_start`): an arm that flies off under random commands teaches nothing. Closed loops
    with a `ContinuousTimeRNN` give factors; without them plain L-BFGS remains.

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
        check_integer("seed", self.seed, minimum=0)
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)

    def minimize(
        self,
        objective: Objective,
        parameters: Tensor,
        budget: Budget | None = None,
        callback: Callback | None = None,
    ) -> Result:
        """Minimise; see `Optimizer.minimize`."""
        run = Run(objective, parameters, budget, callback)
        theta = parameters.detach().clone()
        value, gradient = run.objective.value_and_gradient(theta)
        stop = run.record(theta, value, float(gradient.norm()))
        if self.calm_start and stop is None:
            calm = calmer(run, theta, value)
            if calm is not None:
                theta = calm
                value, gradient = run.objective.value_and_gradient(theta)
        pairs: deque[Pair] = deque(maxlen=self.history)
        precondition: KroneckerPreconditioner | None = None
        radius, iteration, made = self.radius, 0, -1
        while stop is None:
            if float(gradient.abs().max()) <= self.gradient_tolerance:
                return run.result(
                    f"no entry of the gradient above {self.gradient_tolerance:g}", converged=True
                )
            if precondition is None or iteration >= made + self.refresh:
                generator = torch.Generator().manual_seed(self.seed + iteration)
                blocks = run.objective.kronecker_factors(theta, generator)
                precondition, made = KroneckerPreconditioner(blocks, self.damping), iteration
            direction = two_loop_direction(pairs, gradient, precondition)
            slope = float(gradient @ direction)
            if not slope < 0:  # the pairs no longer fit
                pairs.clear()
                direction = precondition(-gradient)
                slope = float(gradient @ direction)
            length = float(direction.norm())
            if not (slope < 0 and math.isfinite(length)):
                return run.result("no descent direction is left")
            bounded = radius < length
            first = min(1.0, radius / length)
            start = SearchPoint(0.0, value, slope, gradient)
            point = self.line_search.search(run.objective, theta, direction, start, first)
            if point.gradient is None or point.step == 0.0:
                if not pairs and made == iteration:
                    return run.result("no step along the preconditioned gradient lowers it")
                pairs.clear()
                precondition, radius = None, 0.1 * radius
                stop = run.budget_reason()
                continue
            if point.step < 0.99 * first:
                radius = max(0.5 * radius, point.step * length)
            elif bounded:
                radius *= self.growth
            change = point.step * direction
            bend = point.gradient - gradient
            curvature = float(change @ bend)
            if curvature > 1e-10 * float(bend @ bend):
                pairs.append((change, bend, 1.0 / curvature))
            theta = theta + change
            value, gradient = point.value, point.gradient
            iteration += 1
            stop = run.record(theta, value, float(gradient.norm()))
        return run.result(stop)
