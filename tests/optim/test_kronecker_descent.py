"""Natural gradient steps against a direct solve, and changing draws."""

import pytest
import torch
from cases import SmallProblem, normal

from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.optim import Budget, KroneckerAdam, KroneckerDescent
from neuromotor.tasks import DDN
from neuromotor.training.single import train


def random_positive(size, seed):
    root = normal(size, size, seed=seed)
    return root @ root.T


@pytest.mark.parametrize("trust", [1e9, 1e-3])
def test_descent_steps_along_the_natural_gradient_within_its_bound(trust):
    matrix = random_positive(6, 1)
    root = torch.linalg.cholesky(matrix)
    problem = SmallProblem(lambda x: root.T @ x)
    start, rate = torch.ones(6, dtype=torch.float64), 0.2
    seen = []
    KroneckerDescent(
        learning_rate=rate, momentum=0.0, warmup=0.0, trust=trust, damping=0.5
    ).minimize(
        problem,
        start,
        Budget(interrupted=lambda: len(seen) >= 2),
        lambda progress: seen.append(progress.parameters.clone()),
    )
    damped = matrix + 0.5 * matrix.trace() / 6 * torch.eye(6, dtype=torch.float64)
    gradient = matrix @ start
    natural = torch.linalg.solve(damped, gradient)
    squared = rate**2 * float(gradient @ natural)
    step = seen[1] - start
    if trust > 1:
        torch.testing.assert_close(step, -rate * natural, rtol=1e-10, atol=1e-12)
    else:
        length = float(step @ damped @ step)
        assert length == pytest.approx(rate**2 * trust * problem.value(start), rel=1e-9)
        assert length < squared


@pytest.mark.parametrize("optimizer", [KroneckerDescent(), KroneckerAdam()])
def test_descent_stands_changing_draws(optimizer):
    """Where L-BFGS's pairs would be of other trials."""
    task, net = DDN(pairs=30, steps=20, disturbance_nm=0.01), ContinuousTimeRNN(layers=(12, 12))
    result = train(task, net, optimizer, budget=Budget(calls=300), refresh=1)
    losses = [point.value for point in result.history]
    assert sum(losses[-20:]) < 0.1 * sum(losses[:20])
