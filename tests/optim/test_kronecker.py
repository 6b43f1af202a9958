"""The Kronecker-factored preconditioner against dense matrices, and L-BFGS with it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import SmallProblem, generator, normal, rosenbrock, timed

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import CommandTable, ContinuousTimeRNN
from neuromotor.optim import (
    LBFGS,
    Budget,
    KroneckerAdam,
    KroneckerDescent,
    KroneckerLBFGS,
    KroneckerPreconditioner,
)
from neuromotor.optim.objective import KroneckerBlock
from neuromotor.tasks import DDN, CenterOut
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
    draws = [objective.kronecker_factors(theta, generator(seed)) for seed in range(1500)]
    for number in range(3):
        places = draws[0][number].places
        rows = torch.stack([draw[number].rows for draw in draws]).mean(0)
        found = torch.kron(rows, draws[0][number].columns)
        flat = places.flatten()
        dense = torch.stack([linear.product(identity[i])[flat] for i in flat])
        assert float((found - dense).norm() / dense.norm()) < 0.1  # 1 / sqrt(1500) a residual


def test_it_gets_ahead_of_lbfgs_on_a_closed_loop():
    objective, theta, _ = small_loop()
    budget = Budget(calls=300)
    ours = KroneckerLBFGS().minimize(objective, theta, budget)
    theirs = LBFGS().minimize(objective, theta, budget)
    assert ours.value < theirs.value
    again = KroneckerLBFGS().minimize(objective, theta, budget)
    assert torch.equal(again.parameters, ours.parameters)


def test_single_precision_is_enough_for_a_start():
    task = CenterOut(directions=8, steps=20)
    net = ContinuousTimeRNN(layers=(8, 6))
    objective = ClosedLoop(task, net).objective(task.trials(dtype=torch.float32))
    theta = net.initial_parameters(generator(1), dtype=torch.float32)
    result = KroneckerLBFGS().minimize(objective, theta, Budget(calls=100))
    assert result.parameters.dtype == torch.float32
    assert result.value < 0.1 * result.history[0].value


class Readout(SmallProblem):
    """A problem whose second half of parameters is the readout."""

    readout = slice(5, None)


def test_calm_start_scales_the_readout_down_while_that_helps():
    problem = Readout(lambda x: torch.cat([x[:5], 100 * x[5:] - 1.0]))
    start = torch.ones(10, dtype=torch.float64)
    seen = []
    result = KroneckerLBFGS().minimize(
        problem, start, Budget(calls=12), lambda progress: seen.append(progress.parameters)
    )
    assert result.counts.values == 5  # 0.3, 0.09, 0.027 and 0.0081 help, 0.00243 does not
    lbfgs = LBFGS(calm_start=True).minimize(problem, start, Budget(calls=12))
    assert lbfgs.counts.values == 5
    kept = KroneckerLBFGS(calm_start=False).minimize(problem, start, Budget(calls=12))
    assert kept.counts.values == 0


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


@pytest.mark.parametrize(
    "wrong", [{"damping": 0.0}, {"radius": -1.0}, {"growth": 0.5}, {"refresh": 0}]
)
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}`"):
        replace(KroneckerLBFGS(), **wrong)


def test_rosenbrock_from_exact_factors():
    start = torch.linspace(-1.2, 1.0, 10, dtype=torch.float64)
    result = KroneckerLBFGS(refresh=1).minimize(SmallProblem(rosenbrock), start, Budget(calls=2000))
    torch.testing.assert_close(result.parameters, torch.ones_like(start), rtol=0, atol=1e-5)


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


def test_adam_takes_its_first_step_along_the_signs_of_the_eigenvectors_coordinates():
    matrix = random_positive(6, 1)
    root = torch.linalg.cholesky(matrix)
    start, rate = torch.ones(6, dtype=torch.float64), 0.2
    seen = []
    KroneckerAdam(learning_rate=rate, warmup=0.0, clip_norm=None).minimize(
        SmallProblem(lambda x: root.T @ x),
        start,
        Budget(interrupted=lambda: len(seen) >= 2),
        lambda progress: seen.append(progress.parameters.clone()),
    )
    vectors = np.linalg.eigh(matrix.numpy())[1]
    expected = -rate * vectors @ np.sign(vectors.T @ (matrix @ start).numpy())
    np.testing.assert_allclose((seen[1] - start).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("optimizer", [KroneckerDescent(), KroneckerAdam()])
def test_descent_stands_changing_draws(optimizer):
    """Where L-BFGS's pairs would be of other trials."""
    task, net = DDN(pairs=30, steps=20, disturbance_nm=0.01), ContinuousTimeRNN(layers=(12, 12))
    result = train(task, net, optimizer, budget=Budget(calls=300), refresh=1)
    losses = [point.value for point in result.history]
    assert sum(losses[-20:]) < 0.1 * sum(losses[:20])
