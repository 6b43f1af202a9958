"""Energies that never rise, patterns that are recalled, and the load at which that ends."""

import itertools

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from neuromotor import ContinuousTimeRNN
from neuromotor.analysis import hopfield
from neuromotor.training.single import initial_parameters


def symmetric(units, seed=0):
    weights = np.random.default_rng(seed).normal(size=(units, units))
    weights = (weights + weights.T) / units**0.5
    np.fill_diagonal(weights, 0)
    return weights


def test_energy_never_rises_and_every_end_is_a_minimum():
    """Random symmetric weights and thresholds; at an end no flip of one unit lowers the energy."""
    weights = symmetric(30)
    theta = np.random.default_rng(1).normal(size=30)
    starts = hopfield.random_patterns(20, 30, seed=2)
    path = []
    ends = hopfield.recall(weights, starts, theta, energies=path)
    assert (np.diff(np.stack(path), axis=0) <= 1e-12).all()
    assert (path[-1] < path[0]).all()
    expected = [-0.5 * s @ weights @ s + theta @ s for s in ends]
    np.testing.assert_allclose(path[-1], expected, rtol=1e-12)
    for end, low in zip(ends, expected, strict=True):
        for i in range(30):
            other = end.copy()
            other[i] *= -1
            assert -0.5 * other @ weights @ other + theta @ other >= low - 1e-12


def test_attractors_and_their_basins_are_those_of_all_states():
    """Ten units: every start ends in a state that sums over all 1,024 find to be stable."""
    weights = symmetric(10, seed=3)
    every = np.array(list(itertools.product([-1.0, 1.0], repeat=10)))
    stable = every[((every @ weights) * every > 0).all(1)]
    found = hopfield.attractors(weights, starts=400)
    assert {tuple(s) for s in found.states} <= {tuple(s) for s in stable}
    assert len(found.states) == len(stable)  # none of so few has a basin that 400 starts miss
    assert found.share.sum() == pytest.approx(1)
    lowest = min(-0.5 * s @ weights @ s for s in every)
    assert found.energy.min() == pytest.approx(lowest)


def test_planted_patterns_are_recalled_and_their_mirror_images_too():
    xi = hopfield.random_patterns(5, 200, seed=4)
    weights = hopfield.hebbian_weights(xi)
    expected = sum(np.outer(x, x) for x in xi) / 200 - 5 / 200 * np.eye(200)
    np.testing.assert_allclose(weights, expected, atol=1e-12)
    noisy = xi.copy()
    noisy[:, :50] *= -1  # a quarter of the units
    np.testing.assert_array_equal(hopfield.recall(weights, noisy), xi)
    np.testing.assert_array_equal(hopfield.recall(weights, -noisy), -xi)


def test_recall_breaks_down_near_the_capacity():
    """Amit, Gutfreund & Sompolinsky (1985): up to 0.138 patterns a unit."""
    overlaps = {}
    for load in (0.05, 0.11, 0.2):
        xi = hopfield.random_patterns(round(400 * load), 400, seed=5)
        found = hopfield.recall_test(hopfield.hebbian_weights(xi), xi, (0.0, 0.1), starts=20)
        overlaps[load] = found.overlap
        assert (found.energy_after <= found.energy_before + 1e-12).all()
    assert overlaps[0.05].min() > 0.99
    assert overlaps[0.11][0] > 0.95
    assert overlaps[0.2].max() < 0.8


def test_energy_in_continuous_time_falls_along_the_solution():
    """The integral of the inverse by quadrature; the path by scipy's solver."""
    weights, inputs = 2.0 * symmetric(8, seed=6), np.random.default_rng(7).normal(size=8)
    rates = np.random.default_rng(8).uniform(-0.99, 0.99, 8)
    expected = -0.5 * rates @ weights @ rates - inputs @ rates
    expected += sum(quad(np.arctanh, 0, r)[0] for r in rates)
    found = hopfield.continuous_energy(weights, rates, inputs)
    assert float(found) == pytest.approx(expected, rel=1e-8)
    starts = np.random.default_rng(9).normal(size=(3, 8))
    _, paths = hopfield.relax(weights, starts, inputs)
    values = hopfield.continuous_energy(weights, np.tanh(paths), inputs)
    assert (np.diff(values, axis=1) < 1e-8).all()
    assert (values[:, -1] < values[:, 0]).all()
    end = paths[:, -1]
    np.testing.assert_allclose(np.tanh(end) @ weights + inputs, end, atol=1e-5)
    corner = hopfield.continuous_energy(np.zeros((2, 2)), [1.0, -1.0])
    assert float(corner) == pytest.approx(2 * np.log(2))


def test_attractors_in_continuous_time_are_points_of_rest_of_a_network():
    """Two patterns in a strong Hebbian network: both, with their mirror images, and of a controller
    with these weights every attractor is a fixed point of its own steps."""
    xi = np.array([[1, 1, 1, 1, 1, 1.0], [1, 1, 1, -1, -1, -1.0]])
    weights = 3 * hopfield.hebbian_weights(xi)
    net = ContinuousTimeRNN(layers=(6,), input_size=2, command_size=1, time_constant_s=0.05)
    parameters = torch.zeros(net.parameter_count, dtype=torch.float64)
    parameters[12:48] = torch.from_numpy(weights).flatten()
    own, biases = hopfield.recurrent_part(net, parameters)
    np.testing.assert_array_equal(own, weights)
    found = hopfield.continuous_attractors(own, biases, starts=40, seed=1)
    ends = {tuple(np.sign(state)) for state in found.states}
    assert ends >= {tuple(sign * x) for x in xi for sign in (1, -1)}
    assert found.share.sum() == pytest.approx(1)
    v = torch.from_numpy(np.arctanh(found.states))
    nothing = torch.zeros(len(v), 2, dtype=torch.float64)
    (after,), _ = net.step(net.unpack(parameters), (v,), nothing, nothing[:, :0], 0, None)
    torch.testing.assert_close(after, v, rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match="must be symmetric"):
        hopfield.recurrent_part(net, initial_parameters(net, 0))
    two = ContinuousTimeRNN(layers=(3, 3))
    with pytest.raises(ValueError, match="one layer of tanh units"):
        hopfield.recurrent_part(two, initial_parameters(two, 0))


def test_what_has_no_energy_is_refused():
    weights = symmetric(4)
    lopsided = weights + np.triu(np.ones((4, 4)), 1)
    for call in (
        lambda: hopfield.energy(lopsided, np.ones(4)),
        lambda: hopfield.recall(lopsided, np.ones((1, 4))),
        lambda: hopfield.continuous_energy(lopsided, np.zeros(4)),
        lambda: hopfield.relax(lopsided, np.zeros((1, 4))),
    ):
        with pytest.raises(ValueError, match=r"`weights` must be symmetric.*find_fixed_points"):
            call()
    with pytest.raises(ValueError, match="must not be negative on the diagonal, got -1"):
        hopfield.recall(weights - np.eye(4), np.ones((1, 4)))
    with pytest.raises(ValueError, match="must be rows of -1 and 1"):
        hopfield.hebbian_weights([[0, 1, 1]])
    with pytest.raises(ValueError, match=r"4 units along the last axis, got shape \(3,\)"):
        hopfield.energy(weights, np.ones(3))
    with pytest.raises(ValueError, match=r"between -1 and 1, got 1\.5"):
        hopfield.continuous_energy(weights, 1.5 * np.ones(4))
