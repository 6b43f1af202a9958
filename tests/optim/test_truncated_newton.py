"""Truncated Newton on a quadratic and at a saddle."""

import torch
from cases import SmallProblem

from neuromotor.optim import Budget, StrongWolfe, TruncatedNewton


def test_truncated_newton_ends_a_quadratic_at_once_and_curves_away_from_a_saddle():
    scale = torch.linspace(1.0, 3.0, 6, dtype=torch.float64)
    problem = SmallProblem(lambda x: scale * (x - 1.0))
    method = TruncatedNewton(line_search=StrongWolfe(c2=0.1), gradient_tolerance=1e-7)
    result = method.minimize(problem, torch.zeros(6, dtype=torch.float64), Budget(calls=200))
    assert result.converged
    assert len(result.history) <= 8

    # (x^2 - 1)^2 / 2 + y^2 / 2 curves downwards in x at the start.
    saddle = SmallProblem(lambda x: torch.stack([x[0] ** 2 - 1, x[1]]))
    start = torch.tensor([1e-3, 1.0], dtype=torch.float64)
    result = TruncatedNewton().minimize(saddle, start, Budget(calls=300))
    assert result.value < 1e-12
