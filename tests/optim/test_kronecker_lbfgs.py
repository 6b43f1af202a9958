"""L-BFGS with Kronecker factors."""

from dataclasses import replace

import pytest
import torch
from cases import SmallProblem, generator, normal, rosenbrock, timed

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.optim import LBFGS, Budget, KroneckerLBFGS
from neuromotor.tasks import CenterOut


def small_loop(directions=8, steps=20, own_times=False, **options):
    task = CenterOut(directions=directions, steps=steps)
    trials = timed(task.trials(), steps) if own_times else task.trials()
    net = ContinuousTimeRNN(layers=(8, 6), input_size=trials.input_size, **options)
    theta = net.initial_parameters(generator(1)) + 0.05 * normal(net.parameter_count, seed=4)
    return ClosedLoop(task, net).objective(trials), theta, net


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
