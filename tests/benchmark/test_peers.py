"""The peers' programs: jax gives our numbers, MotorNet a gradient of its own."""

import sys

import numpy as np
import pytest
import torch
from cases import generator, noisy, normal

from neuromotor.benchmark.peers import jax_operations, motornet_gradient
from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.plants import PointMass, TwoJointArm
from neuromotor.plants.integrators import RK4
from neuromotor.tasks import CenterOut

NETWORKS = {
    "two layers": ContinuousTimeRNN(layers=(9, 7)),
    "three slow layers without skips": ContinuousTimeRNN(
        layers=(5, 4, 6), time_constant_s=0.03, skip_inputs=False, learn_initial_state=True
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "delay"),
    [("two layers", 3), ("two layers", 11), ("three slow layers without skips", 0)],
)
def test_jax_gives_our_numbers(network, delay):
    pytest.importorskip("jax")
    net = NETWORKS[network]
    task = CenterOut(directions=6, steps=12, delay_steps=delay, velocity_weight=0.3)
    trials = task.trials()
    theta = net.initial_parameters(generator(1))
    theta += 0.1 * normal(len(theta), seed=2)  # biases and initial states are not zero then
    v = normal(len(theta), seed=3)
    objective = ClosedLoop(task, net).objective(trials, fast=False)
    value, gradient = objective.value_and_gradient(theta)
    product = objective.linearize(theta).product(v)

    operations = jax_operations(task, net, theta, trials, vector=v)
    assert float(operations["value"]()) == pytest.approx(value, rel=1e-9)
    jax_value, jax_gradient = operations["gradient"]()
    assert float(jax_value) == pytest.approx(value, rel=1e-9)
    for ours, theirs in [(gradient, jax_gradient), (product, operations["gauss_newton"]())]:
        assert theirs.dtype == np.float64
        atol = 1e-12 * float(ours.abs().max())  # sums that cancel, in another order
        np.testing.assert_allclose(np.asarray(theirs), ours.numpy(), rtol=1e-9, atol=atol)


@pytest.mark.slow
def test_jax_works_in_the_dtype_of_the_parameters_and_leaves_its_setting_alone():
    jax = pytest.importorskip("jax")
    task, net = CenterOut(directions=4, steps=5), ContinuousTimeRNN(layers=(6,))
    theta = net.initial_parameters(generator(1))
    single = jax_operations(task, net, theta.float(), task.trials(dtype=torch.float32))
    double = jax_operations(task, net, theta, task.trials())
    results = [operations["gradient"]() for operations in (double, single, double)]
    types = [gradient.dtype for _, gradient in results]
    assert types == [np.float64, np.float32, np.float64]
    assert float(results[1][0]) == pytest.approx(float(results[0][0]), rel=1e-4)
    assert single["gauss_newton"]().dtype == np.float32
    assert jax.numpy.ones(1).dtype == np.float32


def test_what_is_not_written_in_jax_is_refused():
    task, net = CenterOut(directions=4, steps=5), ContinuousTimeRNN(layers=(6,))
    theta, trials = net.initial_parameters(generator(1)), task.trials()
    for plant in (PointMass(), TwoJointArm(integrator=RK4())):
        other = CenterOut(plant=plant, directions=4, steps=5)
        with pytest.raises(ValueError, match=r"task\.plant"):
            jax_operations(other, net, theta, other.trials())
    with pytest.raises(ValueError, match="without loads and noise"):
        jax_operations(task, net, theta, noisy(trials, steps=5))
    with pytest.raises(ValueError, match="private_noise"):
        jax_operations(task, ContinuousTimeRNN(layers=(6,), private_noise=0.1), theta, trials)


def test_without_a_peer_the_error_names_the_way_out(monkeypatch):
    task, net = CenterOut(directions=4, steps=5), ContinuousTimeRNN(layers=(6,))
    for name in ("jax", "motornet"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it fails
    with pytest.raises(ImportError, match=r"`jax` is needed.*\[bench\]"):
        jax_operations(task, net, net.initial_parameters(generator(1)), task.trials())
    with pytest.raises(ImportError, match=r"`motornet` is needed.*\[bench\]"):
        motornet_gradient(2, 3, torch.float32)


def test_motornet_gives_the_same_finite_loss_each_time():
    pytest.importorskip("motornet")
    gradient = motornet_gradient(3, 4, torch.float32)
    loss = gradient()
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert gradient() == loss


def test_motornet_is_refused_another_dtype():
    with pytest.raises(ValueError, match="float32"):
        motornet_gradient(3, 4, torch.float64)
