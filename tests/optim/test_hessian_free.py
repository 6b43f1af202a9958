"""Hessian-free optimisation: the damping rule, and the curvature of some trials."""

from itertools import pairwise

import pytest
import torch
from cases import SmallProblem, generator

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.optim import Budget, HessianFree
from neuromotor.optim.hessian_free import next_damping
from neuromotor.tasks import CenterOut


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


def test_the_curvature_of_trials_that_are_alike_is_that_of_any_part_of_them():
    task, net = CenterOut(directions=8, steps=20), ContinuousTimeRNN(layers=(8, 6))
    alike = task.trials().subset(torch.zeros(8, dtype=torch.long))
    objective = ClosedLoop(task, net).objective(alike)
    theta = net.initial_parameters(generator(1))
    whole = HessianFree().minimize(objective, theta, Budget(calls=60))
    part = HessianFree(curvature_trials=3).minimize(objective, theta, Budget(calls=60))
    assert len(whole.history) > 3
    for one, two in zip(whole.history[:4], part.history[:4], strict=True):
        assert two.value == pytest.approx(one.value, rel=1e-5)


def test_curvature_from_part_of_the_trials():
    """It changes the steps, yet none of them goes up; and all of the trials are the whole."""
    objective, theta = small_loop(torch.float64)
    whole = HessianFree().minimize(objective, theta, Budget(calls=100))
    part = HessianFree(curvature_trials=4).minimize(objective, theta, Budget(calls=100))
    all_of_them = HessianFree(curvature_trials=99).minimize(objective, theta, Budget(calls=100))
    values = [point.value for point in part.history]
    assert all(after <= before for before, after in pairwise(values))
    assert values[1] < values[0]
    assert values[1] != pytest.approx(whole.history[1].value, rel=1e-3)
    assert all_of_them.history[1].value == pytest.approx(whole.history[1].value, rel=1e-6)
    with pytest.raises(ValueError, match="`curvature_trials` needs an objective"):
        HessianFree(curvature_trials=2).minimize(
            SmallProblem(lambda x: x - 1), torch.zeros(2, dtype=torch.float64)
        )
