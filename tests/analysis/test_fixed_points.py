"""Fixed points and spectra against closed forms."""

import numpy as np
import pytest
import torch

from neuromotor import CenterOut, ContinuousTimeRNN
from neuromotor.analysis import RecordingError, record
from neuromotor.analysis.fixed_points import find_fixed_points, network_fixed_points
from neuromotor.training.single import initial_parameters

TASK = CenterOut(directions=3, steps=10)
NET = ContinuousTimeRNN(layers=(6, 5), time_constant_s=0.05)
PARAMETERS = initial_parameters(NET, 0)


def test_the_known_fixed_points_of_a_bistable_unit():
    """v' = (-v + 2 tanh v) / tau: fixed at 0 (unstable) and at v = 2 tanh v (stable)."""
    from scipy.optimize import brentq

    dt, tau = 0.01, 0.05
    root = brentq(lambda v: v - 2 * np.tanh(v), 1, 3)
    found = find_fixed_points(
        lambda v: v + dt / tau * (2 * torch.tanh(v) - v),
        torch.tensor([[-3.0], [-1.5], [0.02], [-0.01], [1.0], [2.5]]).double(),
        dt,
    )
    order = np.argsort(found.points[:, 0])
    np.testing.assert_allclose(found.points[order, 0], [-root, 0, root], atol=1e-8)
    assert found.converged.all()
    assert found.stable[order].tolist() == [True, False, True]
    assert found.found_from.sum() == 6
    slope = 1 + dt / tau * (2 / np.cosh(root) ** 2 - 1)
    np.testing.assert_allclose(found.eigenvalues[order[0], 0], slope, rtol=1e-6)
    np.testing.assert_allclose(found.time_constants_s[order[0], 0], -dt / np.log(slope), rtol=1e-6)


def test_the_spectrum_of_a_linear_spiral():
    dt = 0.01
    turn = np.exp(dt * (-4 + 2j * np.pi * 1.5))
    matrix = torch.tensor([[turn.real, -turn.imag], [turn.imag, turn.real]]).double()
    found = find_fixed_points(lambda v: v @ matrix.T + 0.1, torch.ones(2, 2).double(), dt)
    expected = np.linalg.solve(np.eye(2) - matrix.numpy(), [0.1, 0.1])
    np.testing.assert_allclose(found.points, expected[None], rtol=1e-9)
    np.testing.assert_allclose(found.frequencies_hz, 1.5, rtol=1e-9)
    np.testing.assert_allclose(found.time_constants_s, 0.25, rtol=1e-9)


def test_a_map_without_fixed_points_has_slow_ones_only():
    found = find_fixed_points(lambda v: v + 0.01 * (1 + v**2), torch.ones(1, 1).double(), 0.01)
    assert not found.converged.any()
    assert found.points[0, 0] == pytest.approx(0, abs=1e-2)


def test_fixed_points_of_a_network_stay_where_they_are():
    recording = record(TASK, NET, PARAMETERS)
    before = recording.copy(deep=True)
    found = network_fixed_points(NET, PARAMETERS, recording, starts=4)
    assert recording.identical(before)
    assert found.converged[0]
    weights = NET.unpack(PARAMETERS)
    memory = torch.from_numpy(found.points[:1]).split([6, 5], dim=-1)
    seen = torch.from_numpy(recording["observation"].values[:1, -1])
    target = torch.from_numpy(recording["target"].values[:1])
    for _ in range(3):
        memory, _ = NET.step(weights, memory, seen, target, 0, None)
    np.testing.assert_allclose(torch.cat(memory, -1), found.points[:1], atol=1e-9)
    with pytest.raises(RecordingError, match="11 units"):
        network_fixed_points(ContinuousTimeRNN(layers=(4,)), torch.zeros(62), recording)
