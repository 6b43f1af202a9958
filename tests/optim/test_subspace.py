"""Krylov bases against linear algebra, the searches in them, and truncated Newton."""

import pytest
import torch
from cases import SmallProblem, generator, normal

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.optim import (
    Budget,
    HessianFree,
    KrylovSearch,
    KrylovSubspaceDescent,
    MixedPrecision,
    StrongWolfe,
    TruncatedNewton,
    conjugate_gradient,
    krylov_basis,
)
from neuromotor.optim.hessian_free import next_damping
from neuromotor.tasks import CenterOut

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
def test_a_small_closed_loop_is_trained(optimizer):
    task = CenterOut(directions=8, steps=20)
    net = ContinuousTimeRNN(layers=(8, 6))
    objective = ClosedLoop(task, net).objective(task.trials())
    result = optimizer.minimize(objective, net.initial_parameters(generator(1)), Budget(calls=400))
    assert result.value < 0.01 * result.history[0].value


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


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (1.0, 2 / 3),
        (0.76, 2 / 3),
        (0.75, 1.0),
        (0.5, 1.0),
        (0.25, 1.0),
        (0.24, 1.5),
        (-3.0, 1.5),
        (float("inf"), 2 / 3),
        (float("nan"), 1.5),
    ],
)
def test_levenberg_marquardt_rule(ratio, expected):
    """Martens (2010), section 4.1; a reduction that is not a number is none."""
    assert next_damping(1.0, ratio) == pytest.approx(expected)


def small_loop(dtype):
    task, net = CenterOut(directions=8, steps=20), ContinuousTimeRNN(layers=(8, 6))
    theta = net.initial_parameters(generator(1)).to(dtype)
    return ClosedLoop(task, net).objective(task.trials(dtype=dtype)), theta


def test_mixed_precision_keeps_value_and_gradient_and_rounds_products():
    double, theta = small_loop(torch.float64)
    mixed = MixedPrecision(double, small_loop(torch.float32)[0])
    exact, rough = double.linearize(theta), mixed.linearize(theta)
    assert rough.value == exact.value
    assert torch.equal(rough.gradient, exact.gradient)
    vector = 1e-30 * normal(len(theta), seed=3)  # below single precision once it is squared
    ours, theirs = rough.product(vector), exact.product(vector)
    assert ours.dtype == torch.float64
    error = float((ours - theirs).norm() / theirs.norm())
    assert 1e-9 < error < 1e-4
    assert not rough.product(torch.zeros_like(vector)).any()
    one, two = (HessianFree().minimize(o, theta, Budget(calls=300)) for o in (double, mixed))
    assert two.value < 1.5 * one.value


def test_curvature_from_part_of_the_trials():
    objective, theta = small_loop(torch.float64)
    whole = HessianFree().minimize(objective, theta, Budget(calls=300))
    part = HessianFree(curvature_trials=4).minimize(objective, theta, Budget(calls=300))
    all_of_them = HessianFree(curvature_trials=99).minimize(objective, theta, Budget(calls=300))
    assert part.value < 0.05 * part.history[0].value
    assert part.value != whole.value
    assert all_of_them.history[1].value == pytest.approx(whole.history[1].value, rel=1e-6)
    with pytest.raises(ValueError, match="`curvature_trials` needs an objective"):
        HessianFree(curvature_trials=2).minimize(
            SmallProblem(lambda x: x - 1), torch.zeros(2, dtype=torch.float64)
        )
