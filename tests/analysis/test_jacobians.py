"""Jacobians of a network's step against closed forms and finite differences."""

import numpy as np
import pytest
import torch
from cases import noisy

from neuromotor import CenterOut, ContinuousTimeRNN
from neuromotor.analysis import RecordingError, record
from neuromotor.analysis.jacobians import jacobian_spectrum
from neuromotor.training.single import initial_parameters

TASK = CenterOut(directions=3, steps=10)
NET = ContinuousTimeRNN(layers=(6, 5), time_constant_s=0.05)
PARAMETERS = initial_parameters(NET, 0)


def test_the_spectrum_along_a_trajectory_in_closed_form():
    """One layer feeds the next within a step: eigenvalues are those of both diagonal blocks."""
    recording = record(TASK, NET, PARAMETERS, noisy(TASK.trials(), TASK.steps))
    before = recording.copy(deep=True)
    found = jacobian_spectrum(NET, PARAMETERS, recording, [0, 2])
    assert recording.identical(before)
    assert found.eigenvalues.shape == (2, 9, 11)
    np.testing.assert_allclose(found.time_s, 0.01 * np.arange(1, 10))
    layers = NET.unpack(PARAMETERS).layers
    share = 0.01 / 0.05
    for place, trial in enumerate((0, 2)):
        for t in (1, 6):
            rate = recording["rate"].values[trial, t - 1]
            expected = np.concatenate(
                [
                    np.linalg.eigvals(
                        (1 - share) * np.eye(len(h)) + share * layer.recurrent.numpy() * (1 - h**2)
                    )
                    for layer, h in zip(layers, (rate[:6], rate[6:]), strict=True)
                ]
            )
            mu = found.eigenvalues[place, t - 1]
            np.testing.assert_allclose(np.sort_complex(mu), np.sort_complex(expected), atol=1e-10)
            assert (np.diff(np.abs(mu)) <= 1e-12).all()
            assert found.norm[place, t - 1] >= np.abs(mu[0]) - 1e-12
    with pytest.raises(ValueError, match="`trials` must be below 3, got 3"):
        jacobian_spectrum(NET, PARAMETERS, recording, [3])
    with pytest.raises(RecordingError, match="two times"):
        jacobian_spectrum(NET, PARAMETERS, recording.isel(time=[0]))


def test_the_norm_of_a_steps_jacobian_by_finite_differences():
    recording = record(TASK, NET, PARAMETERS)
    weights = NET.unpack(PARAMETERS)
    seen = torch.from_numpy(recording["observation"].values[:1, 4]).expand(22, -1)
    target = torch.from_numpy(recording["target"].values[:1]).expand(22, -1)
    axes = 1e-6 * torch.cat([torch.eye(11), -torch.eye(11)]).double()
    start = torch.from_numpy(recording["activation"].values[:1, 3]) + axes
    after = torch.cat(NET.step(weights, start.split([6, 5], -1), seen, target, 4, None)[0], -1)
    jacobian = ((after[:11] - after[11:]) / 2e-6).numpy().T
    found = jacobian_spectrum(NET, PARAMETERS, recording)
    assert found.norm[0, 3] == pytest.approx(np.linalg.norm(jacobian, 2), rel=1e-7)
