"""Small quadratic programs with bounds, many side by side: what iLQR solves at each step.

Notation: each of B programs minimises ``x'H x / 2 + q'x`` with ``low <= x <= high`` over m
variables. A variable is clamped where it lies on a bound and the program would gain if it could go
beyond it; the other variables are free.

Source: Tassa, Mansard & Todorov (2014), Control-limited differential dynamic programming, section
IV.A: a projected-Newton method, which takes a full Newton step on the free variables as soon as it
has found which they are, and so ends after few iterations.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["BoxSolution", "solve_box_qp"]

_ITERATIONS = 100
_SHRINK, _STEPS, _ACCEPTANCE = 0.6, 40, 0.1  # step sizes 1, .6, ...; Armijo's constant


class BoxSolution(NamedTuple):
    """Minimum of B programs."""

    point: Tensor  # (B, m)
    free: Tensor  # booleans, (B, m)
    factor: Tensor  # Cholesky factor of H among free variables, 1 on the diagonal of clamped ones


def solve_box_qp(
    hessian: Tensor, gradient: Tensor, low: Tensor, high: Tensor, start: Tensor
) -> BoxSolution:
    """Return the minimum of convex quadratics in boxes.

    Args:
        hessian: H, positive definite, (B, m, m).
        gradient: q, (B, m).
        low: (B, m).
        high: (B, m).
        start: Where to begin, (B, m).
    """
    x = _clipped(start, low, high)
    powers = torch.arange(_STEPS, dtype=x.dtype, device=x.device)
    sizes = (_SHRINK**powers)[:, None, None]  # (S, 1, 1)
    slope = gradient + _times(hessian, x)
    free, factor = _free(hessian, slope, low, high, x)
    for _ in range(_ITERATIONS):
        step = -torch.cholesky_solve(torch.where(free, slope, 0.0)[..., None], factor)[..., 0]
        tried = _clipped(x + sizes * step, low, high)  # (S, B, m)
        change = tried - x
        promised = -(change * slope).sum(-1)
        lowered = promised - 0.5 * (change * _times(hessian, change)).sum(-1)
        good = (promised > 0) & (lowered >= _ACCEPTANCE * promised)
        some, first = good.any(0), good.int().argmax(0)  # the largest step that is good
        best = tried.gather(0, first[None, :, None].expand(1, *x.shape))[0]
        newton = some & (first == 0) & (tried[0] == x + step).all(-1)
        x = torch.where(some[:, None], best, x)
        slope = gradient + _times(hessian, x)
        before = free
        free, factor = _free(hessian, slope, low, high, x)
        if bool((~some | (newton & (free == before).all(-1))).all()):
            break
    return BoxSolution(x, free, factor)


def _free(
    hessian: Tensor, slope: Tensor, low: Tensor, high: Tensor, x: Tensor
) -> tuple[Tensor, Tensor]:
    """Which variables are free, (B, m), and the Cholesky factor of H among them, (B, m, m)."""
    free = ~(((x == low) & (slope > 0)) | ((x == high) & (slope < 0)))
    among = torch.where(free[..., None] & free[..., None, :], hessian, 0.0)
    factor, _ = torch.linalg.cholesky_ex(among + torch.diag_embed((~free).to(x)))
    return free, factor


def _clipped(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(x, low), high)


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices @ vectors.unsqueeze(-1)).squeeze(-1)
