"""Kronecker factors against dense matrices."""

import pytest
import torch
from cases import generator, normal, timed

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import CommandTable, ContinuousTimeRNN
from neuromotor.optim import (
    Budget,
    KroneckerAdam,
    KroneckerDescent,
    KroneckerLBFGS,
    KroneckerPreconditioner,
)
from neuromotor.optim.objective import KroneckerBlock
from neuromotor.tasks import CenterOut
from neuromotor.training.comparison import compare
from neuromotor.training.single import train


def small_loop(directions=8, steps=20, own_times=False, **options):
    task = CenterOut(directions=directions, steps=steps)
    trials = timed(task.trials(), steps) if own_times else task.trials()
    net = ContinuousTimeRNN(layers=(8, 6), input_size=trials.input_size, **options)
    theta = net.initial_parameters(generator(1)) + 0.05 * normal(net.parameter_count, seed=4)
    return ClosedLoop(task, net).objective(trials), theta, net


def random_positive(size, seed):
    root = normal(size, size, seed=seed)
    return root @ root.T


def test_preconditioner_is_the_inverse_of_the_damped_blocks():
    places = torch.randperm(15, generator=generator(0))
    blocks = (
        KroneckerBlock(places[:6].view(2, 3), random_positive(2, 1), random_positive(3, 2)),
        KroneckerBlock(places[6:14].view(4, 2), random_positive(4, 3), random_positive(2, 4)),
    )
    matrix = torch.zeros(15, 15, dtype=torch.float64)
    for block in blocks:
        flat = block.places.flatten()
        matrix[flat[:, None], flat[None]] = torch.kron(block.rows, block.columns)
    mean = matrix.trace() / 14
    matrix[places[14], places[14]] = mean  # in no block
    matrix += 0.3 * mean * torch.eye(15, dtype=torch.float64)
    vector = normal(15, seed=5)
    expected = torch.linalg.solve(matrix, vector)
    torch.testing.assert_close(
        KroneckerPreconditioner(blocks, 0.3)(vector), expected, rtol=1e-10, atol=1e-12
    )
    absolute = KroneckerPreconditioner(blocks, 0.3 * float(mean), relative=False)
    torch.testing.assert_close(absolute(vector), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [{}, {"skip_inputs": False}, {"learn_initial_state": True}, {"own_times": True}],
)
def test_blocks_hold_every_weight_once(options):
    objective, theta, net = small_loop(**options)
    blocks = objective.kronecker_factors(theta, generator(0))
    places = torch.cat([block.places.flatten() for block in blocks])
    assert len(places.unique()) == len(places)
    initial = sum(net.layers) if net.learn_initial_state else 0
    assert len(places) == net.parameter_count - initial
    assert torch.equal(
        blocks[-1].places.flatten().sort().values,
        torch.arange(net.parameter_count)[objective.readout],
    )


@pytest.mark.parametrize("own_times", [False, True])
def test_factors_are_exact_where_nothing_is_averaged(own_times):
    """One trial of one step: inputs do not vary, so each block is ``columns x rows`` exactly."""
    objective, theta, net = small_loop(directions=1, steps=1, own_times=own_times)
    linear = objective.linearize(theta)
    identity = torch.eye(net.parameter_count, dtype=torch.float64)
    draws = [objective.kronecker_factors(theta, generator(seed)) for seed in range(3000)]
    for number in range(3):
        places = draws[0][number].places
        rows = torch.stack([draw[number].rows for draw in draws]).mean(0)
        found = torch.kron(rows, draws[0][number].columns)
        flat = places.flatten()
        dense = torch.stack([linear.product(identity[i])[flat] for i in flat])
        assert float((found - dense).norm() / dense.norm()) < 0.1  # 1 / sqrt(3000) a residual


@pytest.mark.parametrize("optimizer", [KroneckerLBFGS(), KroneckerDescent(), KroneckerAdam()])
def test_without_factors_they_are_refused_before_anything_is_done(optimizer):
    task = CenterOut(directions=2, steps=5)
    table = CommandTable(trials=2, steps=5, command_size=2)
    start = torch.zeros(20, dtype=torch.float64)
    with pytest.raises(ValueError, match="need an objective that gives factors"):
        train(task, table, optimizer, parameters=start)
    with pytest.raises(ValueError, match="need an objective that gives factors"):
        train(task, table, optimizer, parameters=start, products=torch.float32, refresh=1)
    with pytest.raises(ValueError, match="`optimizers` must be without ours for this controller"):
        compare(task, table, {"ours": optimizer}, budget=Budget(calls=5))
