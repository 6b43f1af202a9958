"""Products in single precision beside values and gradients in double precision."""

import pytest
import torch
from cases import generator, normal, reaching_table

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.optim import AugmentedHessianFree, Budget, MixedPrecision
from neuromotor.tasks import CenterOut


def small_loop(dtype):
    task, net = CenterOut(directions=8, steps=20), ContinuousTimeRNN(layers=(8, 6))
    theta = net.initial_parameters(generator(1)).to(dtype)
    return ClosedLoop(task, net).objective(task.trials(dtype=dtype)), theta


@pytest.mark.slow
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


def test_rounded_products_lead_to_the_optimum_too():
    """Where iLQR's is: rounding in products costs iterations, not accuracy."""
    task, table, start, least = reaching_table()
    loop = ClosedLoop(task, table)
    mixed = MixedPrecision(
        loop.objective(task.trials()), loop.objective(task.trials(dtype=torch.float32))
    )
    result = AugmentedHessianFree().minimize(mixed, start, Budget(calls=150))
    assert result.value == pytest.approx(least, rel=1e-6)
