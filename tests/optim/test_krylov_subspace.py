"""Krylov bases against linear algebra, and the methods that search within them."""

import pytest
import torch
from cases import SmallProblem, normal, reaching_table

from neuromotor.closed_loop import ClosedLoop
from neuromotor.optim import Budget, KrylovSearch, KrylovSubspaceDescent, krylov_basis

SIZE, COUNT = 20, 6


@pytest.fixture
def system():
    root = normal(SIZE, SIZE, seed=1)
    return root @ root.T + torch.eye(SIZE, dtype=torch.float64), normal(SIZE, seed=2)


@pytest.mark.parametrize("augmented", [False, True])
def test_basis_is_orthonormal_and_spans_the_stated_space(system, augmented):
    matrix, right = system
    previous = normal(SIZE, seed=3) if augmented else None
    basis, projected = krylov_basis(lambda v: matrix @ v, right, COUNT, previous)
    identity = torch.eye(COUNT, dtype=torch.float64)
    torch.testing.assert_close(basis @ basis.T, identity, rtol=0, atol=1e-13)
    torch.testing.assert_close(projected, basis @ matrix @ basis.T, rtol=1e-12, atol=1e-12)
    powers = [right]
    while len(powers) < COUNT - augmented:
        powers.append(matrix @ powers[-1])
    stated = torch.stack([*powers, *([previous] if augmented else [])])
    outside = stated - stated @ basis.T @ basis
    assert float((outside.norm(dim=1) / stated.norm(dim=1)).max()) < 1e-9


def test_basis_ends_where_the_space_does():
    matrix = torch.diag(torch.tensor([1.0, 2.0, 2.0, 2.0], dtype=torch.float64))
    ones = torch.ones(4, dtype=torch.float64)
    basis, _ = krylov_basis(lambda v: matrix @ v, ones, 4)
    assert len(basis) == 2  # two different eigenvalues
    basis, _ = krylov_basis(lambda v: matrix @ v, ones, 4, previous=2 * ones)
    assert len(basis) == 2  # nothing new in it
    basis, _ = krylov_basis(lambda v: matrix @ v, ones, 4, previous=normal(4, seed=1))
    assert len(basis) == 3


def test_one_iteration_on_a_quadratic_is_nearly_the_optimum_of_the_subspace(system):
    """Lambda goes down as long as that helps, so the damped solution comes near the undamped."""
    matrix, right = system
    root = torch.linalg.cholesky(matrix)
    shift = torch.linalg.solve(root, right)
    problem = SmallProblem(lambda x: root.T @ x - shift)
    start = torch.zeros(SIZE, dtype=torch.float64)
    basis, projected = krylov_basis(lambda v: matrix @ v, right, COUNT)
    optimum = torch.linalg.solve(projected, basis @ right) @ basis
    best = problem.value(start) - problem.value(optimum)
    for method in (
        KrylovSearch(size=COUNT, tries=40, damping=1e-6),
        KrylovSubspaceDescent(size=COUNT, floor=1e-12),
    ):
        seen = []
        method.minimize(problem, start, Budget(calls=60), lambda p, s=seen: s.append(p.point.value))
        assert seen[0] - seen[1] == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize("optimizer", [KrylovSearch(size=12), KrylovSubspaceDescent(size=8)])
def test_the_commands_of_the_arm_become_ilqrs(optimizer):
    task, table, start, least = reaching_table()
    objective = ClosedLoop(task, table).objective(task.trials())
    result = optimizer.minimize(objective, start, Budget(calls=200))
    assert result.history[0].value > 5 * least
    assert result.value == pytest.approx(least, rel=1e-9)
