"""Nonlinear conjugate gradients on a quadratic."""

import pytest
import torch
from cases import SmallProblem

from neuromotor.optim import Budget, NonlinearCG, StrongWolfe


@pytest.mark.parametrize("pairs", [0, 5])
def test_nonlinear_conjugate_gradients_end_a_quadratic_in_its_dimension(pairs):
    """With exact searches, n steps suffice (Nocedal & Wright 2006, theorem 5.1)."""
    scale = torch.linspace(1.0, 4.0, 8, dtype=torch.float64)
    problem = SmallProblem(lambda x: scale * (x - 1.0))
    exact = StrongWolfe(c1=1e-8, c2=1e-6, evaluations=60)
    result = NonlinearCG(pairs=pairs, line_search=exact, gradient_tolerance=1e-7).minimize(
        problem, torch.zeros(8, dtype=torch.float64), Budget(calls=1000)
    )
    assert result.converged
    assert len(result.history) - 1 <= 9
