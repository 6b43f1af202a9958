"""L-BFGS beside scipy's."""

import numpy as np
import pytest
import scipy.optimize
import torch
from cases import SmallProblem, beale, rosenbrock, stretched_quadratic

from neuromotor.optim import LBFGS, Budget

STANDARD = {
    "rosenbrock": (rosenbrock, torch.linspace(-1.2, 1.0, 10, dtype=torch.float64)),
    "beale": (beale, torch.tensor([1.0, 1.0], dtype=torch.float64)),
    "stretched quadratic": (stretched_quadratic, torch.zeros(20, dtype=torch.float64)),
}


@pytest.mark.parametrize("name", STANDARD)
def test_lbfgs_keeps_up_with_scipy(name):
    residuals, start = STANDARD[name]
    problem = SmallProblem(residuals)
    result = LBFGS(gradient_tolerance=1e-9).minimize(problem, start, Budget(calls=2000))

    def function(x):
        value, gradient = problem.value_and_gradient(torch.from_numpy(x))
        return value, gradient.numpy()

    reference = scipy.optimize.minimize(
        function,
        start.numpy(),
        jac=True,
        method="L-BFGS-B",
        options={"maxcor": 100, "ftol": 0, "gtol": 1e-9, "maxfun": 2000, "maxiter": 2000},
    )
    assert result.converged
    np.testing.assert_allclose(result.parameters.numpy(), reference.x, rtol=1e-4, atol=1e-4)
    assert result.value <= 1e-12
    assert result.counts.gradients <= 1.5 * reference.nfev
