"""Conjugate gradients on ``A x = b`` for a curvature matrix that is only known by its products.

Notation: q(x) = x.Ax/2 - b.x is minimised, r = b - Ax is the residual, p a conjugate direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["CGResult", "augmented_directions", "conjugate_gradient", "martens_stop"]


@dataclass(frozen=True)
class CGResult:
    """The result of conjugate gradients.

    Attributes:
        solution: Last iterate, (P,).
        quadratic: q at the solution.
        iterates: Some iterates with their numbers, the last iterate at the end.
        products: Number of products.
        reason: Why the iteration stopped, in words.
    """

    solution: Tensor
    quadratic: float
    iterates: tuple[tuple[int, Tensor], ...]
    products: int
    reason: str


Stop = Callable[[list[float]], bool]


def martens_stop(quadratics: list[float]) -> bool:
    """Return whether q has stalled: ``(q_i - q_(i-k)) / q_i < k 5e-4``, k = max(10, i/10).

    Source: Martens (2010), section 4.4. `quadratics` holds q after 0, 1, ... iterations.
    """
    i = len(quadratics) - 1
    k = max(10, i // 10)
    if i <= k or quadratics[i] >= 0:
        return False
    return (quadratics[i] - quadratics[i - k]) / quadratics[i] < k * 5e-4


def conjugate_gradient(
    product: Callable[[Tensor], Tensor],
    right: Tensor,
    *,
    start: Tensor | None = None,
    iterations: int = 250,
    tolerance: float = 0.0,
    stop: Stop | None = None,
    keep_every: float | None = None,
    watch: Callable[[Tensor], bool] | None = None,
    precondition: Callable[[Tensor], Tensor] = lambda vector: vector,
) -> CGResult:
    """Minimise ``x.Ax/2 - right.x`` for a positive semi-definite A.

    Source: Hestenes & Stiefel (1952); Nocedal & Wright (2006), algorithm 5.3.

    Args:
        product: Returns A v, (P,), of a vector (P,).
        right: b, (P,).
        start: First x, (P,); zero if absent.
        iterations: Largest number of products after the first.
        tolerance: The iteration stops when the residual's norm is below this fraction of b's.
        stop: Called after each iteration with all values of q so far; true stops the iteration.
        keep_every: Factor between the numbers of the iterates that are kept (1.3 in Martens 2010).
        watch: Called with each iterate that is kept on the way; true stops the iteration.
        precondition: Returns M^-1 r, (P,), of a vector (P,), M positive definite and near A.

    Returns:
        The last iterate; a direction of no or negative curvature ends the iteration before it.
    """
    x = torch.zeros_like(right) if start is None else start.clone()
    products = 0
    if start is None:
        residual = right.clone()
    else:
        residual = right - product(x)
        products += 1
    direction = precondition(residual.clone())
    square = float(residual @ direction)
    target = tolerance * float(right.norm())
    quadratics = [-0.5 * float(x @ (right + residual))]
    kept: list[tuple[int, Tensor]] = []
    next_kept = 1.0
    reason = f"{iterations} iterations made"
    for i in range(1, iterations + 1):
        if float(residual.norm()) <= target:
            reason = "residual below the tolerance"
            break
        curved = product(direction)
        products += 1
        curvature = float(direction @ curved)
        if curvature <= 1e-16 * float(direction @ direction):
            reason = "direction without curvature"
            break
        step = square / curvature
        x = x + step * direction
        residual = residual - step * curved
        quadratics.append(-0.5 * float(x @ (right + residual)))
        if keep_every is not None and i >= next_kept:
            kept.append((i, x))
            next_kept = max(next_kept * keep_every, i + 1)
            if watch is not None and watch(x):
                reason = "the iterates get no better"
                break
        if stop is not None and stop(quadratics):
            reason = "the quadratic model has stalled"
            break
        preconditioned = precondition(residual)
        before, square = square, float(residual @ preconditioned)
        direction = preconditioned + (square / before) * direction
    last = len(quadratics) - 1
    if not kept or kept[-1][0] != last:
        kept.append((last, x))
    return CGResult(x, quadratics[-1], tuple(kept), products, reason)


def augmented_directions(
    product: Callable[[Tensor], Tensor], right: Tensor, previous: Tensor | None = None
) -> Iterator[tuple[Tensor, float]]:
    """Yield conjugate directions c of ``span{w, b, A b, A^2 b, ...}`` and their curvature c.A c.

    The directions come from plain conjugate gradients. Step by step, w is made conjugate to them,
    and each of them to the rest of w, so that only a handful of vectors is stored. The iteration
    ends when no curvature is left.

    Source: Sutskever (2013), section 6.2, for the space; the recurrence is this package's own.

    Args:
        product: Returns A v, (P,), of a vector (P,), A positive semi-definite.
        right: b, (P,).
        previous: w, (P,), the first direction if given.
    """
    w, omega, start = previous, 0.0, 0.0
    if w is not None:
        omega = start = float(w @ product(w))
        if omega > 1e-300:
            yield w, omega
        else:
            w = None
    rest = w  # the rest of w, conjugate to the directions so far
    residual, direction = right.clone(), right.clone()
    square = float(residual @ residual)
    while square > 0:
        curved = product(direction)
        curvature = float(direction @ curved)
        if not curvature > 1e-16 * float(direction @ direction):
            return
        if w is None or rest is None:
            yield direction, curvature
        else:
            sigma = float(w @ curved)
            kappa = curvature - sigma * sigma / omega
            if kappa > 1e-12 * curvature:
                yield direction - (sigma / omega) * rest, kappa
            rest = rest - (sigma / curvature) * direction
            omega -= sigma * sigma / curvature
            if omega < 1e-8 * start:
                w = rest = None
        residual = residual - (square / curvature) * curved
        before, square = square, float(residual @ residual)
        direction = residual + (square / before) * direction
