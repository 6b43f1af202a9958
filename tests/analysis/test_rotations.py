"""Planted rotations are recovered, and structureless data stay inside their null."""

import os
from pathlib import Path

import numpy as np
import pytest
from planted import rotating, smooth_noise
from scipy.ndimage import gaussian_filter1d

from neuromotor.analysis import RecordingError, make_recording
from neuromotor.analysis.rotations import fit_rotations, rotational_dynamics, rotations_of


def test_a_rotational_system_is_recovered():
    mean, time = rotating([3.0, 1.5, 0.8])
    found = rotations_of(mean, time, soft=0.0, surrogates=20)
    # Dividing units by their ranges turns circles into ellipses, so R^2 stays below 1.
    assert found.r2_unconstrained > 0.9999
    assert found.r2_skew > 0.9
    np.testing.assert_allclose(found.frequencies_hz, [3.0, 1.5, 0.8], rtol=0.1)
    assert found.angle_deg == pytest.approx(90, abs=5)
    assert found.kept_variance == pytest.approx(1)
    halfway = rotations_of(mean, time, soft=0.0, at="middle", surrogates=0)
    np.testing.assert_allclose(halfway.frequencies_hz, [3.0, 1.5, 0.8], rtol=0.1)
    with pytest.raises(ValueError, match="unknown at 'end'"):
        rotations_of(mean, time, soft=0.0, at="end")


def test_the_first_plane_of_a_pure_rotation_is_exact():
    generator = np.random.default_rng(0)
    time = 0.01 * np.arange(30)
    turn = np.exp(1j * (2 * np.pi * 2.0 * time + generator.uniform(0, 6, 9)[:, None]))
    turn = turn - turn.mean(0)
    # Units in pairs a quarter turn apart, all of one range: normalisation changes nothing.
    mean = np.stack([turn.real, turn.imag], axis=-1)
    fit = fit_rotations(mean, 0.01, "middle")
    assert fit.r2_skew == pytest.approx(1, abs=1e-12)
    expected = 2 / 0.01 * np.tan(2 * np.pi * 2.0 * 0.005)
    np.testing.assert_allclose(fit.skew, [[0, -expected], [expected, 0]], atol=1e-8)
    # With the state a at a step's start, b - a is sin(w dt) J a and (cos(w dt) - 1) a, orthogonal.
    turn = 2 * np.pi * 2.0 * 0.01
    fit = fit_rotations(mean, 0.01, "start")
    assert fit.r2_skew == pytest.approx((1 + np.cos(turn)) / 2, abs=1e-12)
    assert fit.r2_unconstrained == pytest.approx(1, abs=1e-12)
    assert fit.skew[1, 0] == pytest.approx(np.sin(turn) / 0.01)


@pytest.mark.parametrize("at", ["start", "middle"])
def test_the_skew_fit_is_the_least_squares_one(at):
    """Against a dense solve over the free entries of a skew-symmetric matrix."""
    states = smooth_noise(units=4)
    fit = fit_rotations(states, 0.01, at)
    x = states[:, :-1] if at == "start" else (states[:, :-1] + states[:, 1:]) / 2
    x, derivative = x.reshape(-1, 4), (np.diff(states, axis=1) / 0.01).reshape(-1, 4)
    columns = []
    pairs = [(i, j) for i in range(4) for j in range(i)]
    for i, j in pairs:
        basis = np.zeros((4, 4))
        basis[i, j], basis[j, i] = 1, -1
        columns.append((x @ basis.T).ravel())
    free = np.linalg.lstsq(np.array(columns).T, derivative.ravel(), rcond=None)[0]
    np.testing.assert_allclose([fit.skew[i, j] for i, j in pairs], free, rtol=1e-8)
    assert fit.r2_skew <= fit.r2_unconstrained


@pytest.mark.parametrize("conditions", [8, 16])
def test_structureless_data_are_rarely_called_rotations(conditions):
    """Of 20 data sets of smoothed white noise, one may be called so at 5 %, and no more than 3."""
    time, alarms = 0.01 * np.arange(40), 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        white = generator.standard_normal((conditions, 80, 30))
        noise = gaussian_filter1d(white, 5, axis=1)[:, 20:60]
        alarms += rotations_of(noise, time, soft=0.0, surrogates=39).p_skew <= 0.05
    assert alarms <= 3


def test_few_conditions_have_no_null_and_no_p():
    mean, time = rotating([3.0, 1.5, 0.8], noise=0.01)
    for count in (2, 4, 7):
        found = rotations_of(mean[:count], time, soft=0.0, surrogates=5)
        assert np.isnan(found.p_skew)
        assert found.nulls == {}
        assert found.r2_unconstrained > 0
    assert rotations_of(mean[:8], time, soft=0.0, surrogates=5).p_skew <= 1


def test_rotations_stand_out_of_both_nulls():
    mean, time = rotating([3.0, 1.5, 0.8], noise=0.01)
    found = rotations_of(mean, time, soft=0.0, surrogates=20)
    for band in found.nulls.values():
        assert found.r2_skew > np.quantile(band.skew, 0.95)
    assert found.p_skew == pytest.approx(1 / 21)


@pytest.mark.skipif(
    "NEUROMOTOR_MONKEY_POSTURE" not in os.environ, reason="needs the folder of the data"
)
@pytest.mark.parametrize(
    ("monkey", "neurons", "skew"), [("P", 162, 0.403), ("Pu", 92, 0.428), ("X", 67, 0.471)]
)
def test_published_numbers_of_monkeys_in_posture(monkey, neurons, skew):
    """Kalidindi et al. (2021): rates from 70 to 370 ms after a load, R² of single monkeys."""
    from scipy.io import loadmat

    path = Path(os.environ["NEUROMOTOR_MONKEY_POSTURE"]) / f"motor_cortex_{monkey}.mat"
    parts = loadmat(path, squeeze_me=True, struct_as_record=False)["Data_struct"]
    rate = np.stack([part.A for part in parts])
    assert rate.shape == (8, 30, neurons)
    time = 0.07 + 1e-3 * (parts[0].times - 1)
    recording = make_recording(time, np.arange(8), {"rate": rate}, units={"rate": "spikes/s"})
    found = rotational_dynamics(recording, surrogates=39)
    assert found.r2_skew == pytest.approx(skew, abs=6e-4)
    assert found.p_skew == pytest.approx(1 / 40)
    middle = rotational_dynamics(recording, at="middle", surrogates=0)
    assert 0.01 < middle.r2_unconstrained - found.r2_unconstrained < 0.025


@pytest.mark.parametrize("shape", [(1, 60, 30), (12, 2, 30), (12, 60, 4)])
def test_too_little_data_for_rotations_is_an_error(shape):
    data = smooth_noise()[: shape[0], : shape[1], : shape[2]]
    with pytest.raises(RecordingError, match="rotational dynamics need"):
        rotations_of(data, 0.01 * np.arange(shape[1]), soft=0.0)
    with pytest.raises(RecordingError, match="varies in 0 dimensions, 6 are needed"):
        rotations_of(np.ones((4, 10, 8)), 0.01 * np.arange(10), soft=0.0)
