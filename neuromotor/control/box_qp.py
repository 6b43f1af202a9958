"""Small quadratic programs with bounds, many side by side: what iLQR solves at each step.

Notation: each of B programs minimises ``x'H x / 2 + q'x`` with ``low <= x <= high`` over m
variables. A variable is either clamped to one of its bounds or free, and free ones lie where the
slope ``H x + q`` is zero. The minimum is found as soon as every free variable lies within its
bounds and no clamped one would lower the program by leaving its bound.

Source: Júdice & Pires (1994), A block principal pivoting algorithm for large-scale strictly
monotone linear complementarity problems, Computers & Operations Research 21. Every variable on the
wrong side changes at once; where that no longer lowers their number, only one does (Murty's rule),
so that the search ends. The projected-Newton method of Tassa, Mansard & Todorov (2014) may go to
and fro for a hundred steps where H is ill-conditioned, as for an arm of more muscles than joints.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["BoxSolution", "solve_box_qp"]

_ITERATIONS = 100
_PATIENCE = 3  # changes of all at once that may leave as many on the wrong side
_ROUNDING = 100  # in units of the number format's relative spacing


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
        start: Where to begin, (B, m): variables at or beyond a bound begin clamped to it.
    """
    rounding = _ROUNDING * torch.finfo(gradient.dtype).eps
    side = (start >= high).int() - (start <= low).int()  # -1 and 1: clamped; 0: free
    fewest = torch.full(side.shape[:1], side.shape[1] + 1, device=side.device)
    patience = torch.full_like(fewest, _PATIENCE)
    for _ in range(_ITERATIONS):
        free = side == 0
        bound = torch.where(side < 0, low, torch.where(side > 0, high, 0.0))
        among = torch.where(free[..., None] & free[..., None, :], hessian, 0.0)
        factor, _ = torch.linalg.cholesky_ex(among + torch.diag_embed((~free).to(bound)))
        pull = torch.where(free, -gradient - _times(hessian, bound), 0.0)
        x = bound + torch.cholesky_solve(pull[..., None], factor)[..., 0]
        slope = gradient + _times(hessian, x)

        near = rounding * x.abs().amax(-1, keepdim=True)
        flat = rounding * (gradient.abs() + _times(hessian.abs(), x.abs()))
        goal = (free & (x > high + near)).int() - (free & (x < low - near)).int()
        wrong = (goal != 0) | (side * slope > flat)
        count = wrong.sum(-1)
        if not bool(count.any()):
            break
        patience = torch.where(count < fewest, _PATIENCE, patience - 1)
        fewest = torch.minimum(fewest, count)
        last = wrong & (wrong.flip(-1).cumsum(-1).flip(-1) == 1)
        side = torch.where(torch.where(patience[..., None] < 0, last, wrong), goal, side)
    return BoxSolution(torch.minimum(torch.maximum(x, low), high), free, factor)


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices @ vectors.unsqueeze(-1)).squeeze(-1)
