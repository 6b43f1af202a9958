"""Conjugate gradients and augmented directions against linear algebra."""

import pytest
import torch
from cases import normal, uniform

from neuromotor.optim import conjugate_gradient


def test_conjugate_gradients_against_a_direct_solve():
    n = 30
    factor = normal(n, n)
    matrix = factor @ factor.T + 0.1 * torch.eye(n, dtype=torch.float64)
    right, start = normal(n, seed=1), uniform(-1, 1, n, seed=2)
    result = conjugate_gradient(
        lambda v: matrix @ v, right, start=start, iterations=500, tolerance=1e-13
    )
    solution = torch.linalg.solve(matrix, right)
    torch.testing.assert_close(result.solution, solution, rtol=1e-8, atol=1e-8)
    assert result.quadratic == pytest.approx(-0.5 * float(right @ solution), rel=1e-10)
    short = conjugate_gradient(lambda v: matrix @ v, right, iterations=n, keep_every=1.3)
    numbers = [number for number, _ in short.iterates]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1
    values = [0.5 * float(x @ matrix @ x) - float(right @ x) for _, x in short.iterates]
    assert values == sorted(values, reverse=True)


SIZE, COUNT = 20, 6


@pytest.fixture
def system():
    root = normal(SIZE, SIZE, seed=1)
    return root @ root.T + torch.eye(SIZE, dtype=torch.float64), normal(SIZE, seed=2)


def test_preconditioned_conjugate_gradients_against_a_direct_solve(system):
    """With the inverse itself one step is enough; with a diagonal the answer is the same."""
    matrix, right = system
    solution = torch.linalg.solve(matrix, right)
    inverse = torch.linalg.inv(matrix)
    exact = conjugate_gradient(
        lambda v: matrix @ v, right, tolerance=1e-10, precondition=lambda r: inverse @ r
    )
    assert exact.products == 1
    torch.testing.assert_close(exact.solution, solution, rtol=1e-8, atol=1e-8)
    rough = conjugate_gradient(
        lambda v: matrix @ v,
        right,
        tolerance=1e-12,
        precondition=lambda r: r / matrix.diagonal(),
    )
    torch.testing.assert_close(rough.solution, solution, rtol=1e-8, atol=1e-8)
