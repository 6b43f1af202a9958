"""The augmented Krylov directions against linear algebra; the method that searches along them."""

import itertools
from statistics import median

import pytest
import torch
from cases import SmallProblem, generator, normal, reaching_table, rosenbrock

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import CommandTable, ContinuousTimeRNN
from neuromotor.optim import AugmentedHessianFree, Budget, HessianFree, augmented_directions
from neuromotor.tasks import CenterOut

SIZE, COUNT = 20, 6


@pytest.fixture
def system():
    root = normal(SIZE, SIZE, seed=1)
    return root @ root.T + torch.eye(SIZE, dtype=torch.float64), normal(SIZE, seed=2)


def first_directions(matrix, right, previous):
    found = []
    for c, kappa in augmented_directions(lambda v: matrix @ v, right, previous):
        assert float(c @ matrix @ c) == pytest.approx(kappa, rel=1e-8)
        found.append(c)
        if len(found) == COUNT:
            break
    return torch.stack(found)


@pytest.mark.parametrize("augmented", [False, True])
def test_directions_are_conjugate_and_span_the_stated_space(system, augmented):
    matrix, right = system
    previous = normal(SIZE, seed=3) if augmented else None
    directions = first_directions(matrix, right, previous)
    gram = directions @ matrix @ directions.T
    scale = gram.diagonal().sqrt()
    off = gram / (scale[:, None] * scale) - torch.eye(COUNT, dtype=torch.float64)
    assert float(off.abs().max()) < 1e-8
    powers = [right]
    while len(powers) < COUNT - augmented:
        powers.append(matrix @ powers[-1])
    stated = torch.stack([*([previous] if augmented else []), *powers])
    basis = torch.linalg.qr(stated.T).Q
    outside = directions - directions @ basis @ basis.T
    assert float(outside.norm() / directions.norm()) < 1e-7


def test_the_first_update_on_a_quadratic_is_the_optimum_of_its_subspace(system):
    """From a start where the last update is unknown: the plain Krylov space of G and -g."""
    matrix, right = system
    root = torch.linalg.cholesky(matrix)
    shift = torch.linalg.solve(root, right)
    problem = SmallProblem(lambda x: root.T @ x - shift)
    start = torch.zeros(SIZE, dtype=torch.float64)
    seen = []
    AugmentedHessianFree(directions=COUNT).minimize(
        problem,
        start,
        Budget(calls=COUNT * 2 + 3),
        lambda progress: seen.append(progress.parameters.clone()),
    )
    basis = torch.linalg.qr(first_directions(matrix, right, None).T).Q
    optimum = basis @ torch.linalg.solve(basis.T @ matrix @ basis, basis.T @ right)
    torch.testing.assert_close(seen[1], optimum, rtol=1e-8, atol=1e-8)


def test_a_direction_that_does_not_help_is_left_out():
    """Rosenbrock from its curved valley: the model's full steps leave the valley."""
    start = torch.linspace(-1.2, 1.0, 10, dtype=torch.float64)
    values = []
    result = AugmentedHessianFree().minimize(
        SmallProblem(rosenbrock),
        start,
        Budget(calls=3000),
        lambda progress: values.append(progress.point.value),
    )
    assert all(after < before for before, after in itertools.pairwise(values))
    assert result.value < 1e-8


def test_the_commands_of_the_arm_become_ilqrs():
    task, table, start, least = reaching_table()
    objective = ClosedLoop(task, table).objective(task.trials())
    result = AugmentedHessianFree().minimize(objective, start, Budget(calls=150))
    assert result.history[0].value > 5 * least
    assert result.value == pytest.approx(least, rel=1e-7)  # 5e-9 with other rounding
    assert result.counts.calls < 150 + 10


@pytest.mark.slow
def test_structural_damping_trains_networks_to_reach():
    """At the median of three seeds the loss is .07 of that of an arm that stays where it is."""
    task, net = CenterOut(directions=8, steps=20), ContinuousTimeRNN(layers=(8, 6))
    trials = task.trials()
    objective = ClosedLoop(task, net).objective(trials)
    table = CommandTable(trials=8, steps=20)  # of 320 numbers
    still = ClosedLoop(task, table).objective(trials).value(torch.zeros(320, dtype=torch.float64))
    starts = [net.initial_parameters(generator(seed)) for seed in (1, 2, 3)]
    method = HessianFree(structural=1 / 30)
    ends = [method.minimize(objective, start, Budget(calls=400)).value for start in starts]
    assert median(ends) < 0.15 * still


@pytest.mark.parametrize("wrong", [{"directions": 0}, {"shrink": 1.0}, {"structural": -1.0}])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}`"):
        AugmentedHessianFree(**wrong)
