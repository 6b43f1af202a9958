"""The peers do the work that they are timed for."""

import numpy as np
import pytest
import torch
from cases import generator

from neuromotor.benchmark.peers import jax_operations, motornet_gradient
from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.plants import PointMass
from neuromotor.tasks import CenterOut


def test_jax_computes_the_same_numbers():
    pytest.importorskip("jax")
    task, network = CenterOut(directions=6, steps=12), ContinuousTimeRNN(layers=(7, 5))
    trials = task.trials()
    theta = network.initial_parameters(generator())
    peers = jax_operations(task, network, theta, trials)
    objective = ClosedLoop(task, network).objective(trials, fast=False)
    value, gradient = objective.value_and_gradient(theta)
    assert float(peers["value"]()) == pytest.approx(value, rel=1e-10)
    peer_value, peer_gradient = peers["gradient"]()
    assert float(peer_value) == pytest.approx(value, rel=1e-10)
    np.testing.assert_allclose(np.asarray(peer_gradient), gradient.numpy(), rtol=1e-8, atol=1e-10)
    product = objective.linearize(theta).product(theta)
    peer_product = np.asarray(peers["gauss_newton"]())
    np.testing.assert_allclose(peer_product, product.numpy(), rtol=1e-8, atol=1e-10)
    single = jax_operations(task, network, theta.float(), trials.to(dtype=torch.float32))
    assert np.asarray(single["gradient"]()[1]).dtype == np.float32


def test_motornet_runs_its_reaches():
    pytest.importorskip("motornet")
    assert torch.isfinite(motornet_gradient(batch=4, steps=3)())


def test_what_is_not_written_for_jax_is_refused():
    network = ContinuousTimeRNN(layers=(3,))
    theta = network.initial_parameters(generator())
    task = CenterOut(plant=PointMass(), directions=2)
    with pytest.raises(ValueError, match="plain Euler arm"):
        jax_operations(task, network, theta, task.trials())
