"""Planted rotations are recovered, and structureless data stay inside their null."""

import numpy as np
import pytest
from planted import rotating, smooth_noise
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import lsq_linear

from neuromotor.analysis import RecordingError, make_recording
from neuromotor.analysis.rotation_fits import fit_rotations
from neuromotor.analysis.rotations import rotational_dynamics, rotations_of


def test_a_rotational_system_is_recovered():
    mean, time = rotating([3.0, 1.5, 0.8])
    found = rotations_of(mean, time, soft=0.0, surrogates=20)
    # Dividing units by their ranges turns circles into ellipses, so R^2 stays below 1.
    assert found.r2_unconstrained > 0.9999
    assert found.r2_skew > 0.9
    np.testing.assert_allclose(found.frequencies_hz, [3.0, 1.5, 0.8], rtol=0.1)
    assert found.angle_deg == pytest.approx(90, abs=5)
    assert found.kept_variance == pytest.approx(1)
    halfway = rotations_of(mean, time, soft=0.0, difference="midpoints", surrogates=0)
    np.testing.assert_allclose(halfway.frequencies_hz, [3.0, 1.5, 0.8], rtol=0.1)
    with pytest.raises(ValueError, match="unknown difference 'end'"):
        rotations_of(mean, time, soft=0.0, difference="end")


def test_each_plane_turns_at_its_own_frequency():
    mean, time = rotating([3.0, 1.5, 0.8])
    found = rotations_of(mean, time, soft=0.0, surrogates=0)
    assert found.projections.shape == (3, *mean.shape[:2], 2)
    np.testing.assert_array_equal(found.projection, found.projections[0])
    z = found.projections[..., 0] + 1j * found.projections[..., 1]
    turn = np.angle(z[:, :, 1:] / z[:, :, :-1]) / (2 * np.pi * (time[1] - time[0]))
    np.testing.assert_allclose(np.median(turn, axis=(1, 2)), [3.0, 1.5, 0.8], rtol=0.15)


def test_the_first_plane_of_a_pure_rotation_is_exact():
    generator = np.random.default_rng(0)
    time = 0.01 * np.arange(30)
    turn = np.exp(1j * (2 * np.pi * 2.0 * time + generator.uniform(0, 6, 9)[:, None]))
    turn = turn - turn.mean(0)
    # Units in pairs a quarter turn apart, all of one range: normalisation changes nothing.
    mean = np.stack([turn.real, turn.imag], axis=-1)
    fit = fit_rotations(mean, 0.01, "midpoints")
    assert fit.r2_skew == pytest.approx(1, abs=1e-12)
    expected = 2 / 0.01 * np.tan(2 * np.pi * 2.0 * 0.005)
    np.testing.assert_allclose(fit.skew, [[0, -expected], [expected, 0]], atol=1e-8)
    # With the state a at a step's start, b - a is sin(w dt) J a and (cos(w dt) - 1) a, orthogonal.
    turn = 2 * np.pi * 2.0 * 0.01
    fit = fit_rotations(mean, 0.01, "starts")
    assert fit.r2_skew == pytest.approx((1 + np.cos(turn)) / 2, abs=1e-12)
    assert fit.r2_unconstrained == pytest.approx(1, abs=1e-12)
    assert fit.skew[1, 0] == pytest.approx(np.sin(turn) / 0.01)


@pytest.mark.parametrize("difference", ["starts", "midpoints"])
def test_the_skew_fit_is_the_least_squares_one(difference):
    """Against a dense solve over the free entries of a skew-symmetric matrix."""
    states = smooth_noise(units=4)
    fit = fit_rotations(states, 0.01, difference)
    x = states[:, :-1] if difference == "starts" else (states[:, :-1] + states[:, 1:]) / 2
    x, derivative = x.reshape(-1, 4), (np.diff(states, axis=1) / 0.01).reshape(-1, 4)
    columns = []
    pairs = [(i, j) for i in range(4) for j in range(i)]
    for i, j in pairs:
        basis = np.zeros((4, 4))
        basis[i, j], basis[j, i] = 1, -1
        columns.append((x @ basis.T).ravel())
    free = lsq_linear(np.array(columns).T, derivative.ravel()).x
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


@pytest.mark.parametrize("shape", [(1, 60, 30), (12, 2, 30), (12, 60, 4)])
def test_too_little_data_for_rotations_is_an_error(shape):
    data = smooth_noise()[: shape[0], : shape[1], : shape[2]]
    with pytest.raises(RecordingError, match="rotational dynamics need"):
        rotations_of(data, 0.01 * np.arange(shape[1]), soft=0.0)
    with pytest.raises(RecordingError, match="varies in 0 dimensions, 6 are needed"):
        rotations_of(np.ones((4, 10, 8)), 0.01 * np.arange(10), soft=0.0)


def test_a_population_that_scales_one_pattern_does_not_rotate():
    """Cosine tuning times one course for all units: nothing turns."""
    generator = np.random.default_rng(0)
    time = 0.01 * np.arange(40)
    angle = 2 * np.pi * np.arange(8) / 8
    tuning = np.cos(angle[:, None] - generator.uniform(0, 2 * np.pi, 40))
    course = np.exp(-0.5 * ((time - 0.2) / 0.06) ** 2)
    found = rotations_of(
        tuning[:, None] * course[:, None], time, components=2, soft=0.0, surrogates=39
    )
    assert found.r2_skew < 1e-10
    assert found.p_skew > 0.5


def test_rotations_of_any_variable():
    mean, time = rotating([1.5], units=4)
    recording = make_recording(
        time,
        np.arange(12),
        {
            "rate": rotating([3.0, 1.5, 0.8])[0],
            "joint_position": mean[..., :2],
            "joint_velocity": mean[..., 2:],
            "command": mean,
        },
        units={"joint_position": "rad", "joint_velocity": "rad/s", "command": "1"},
    )
    joints = rotational_dynamics(recording, ("joint_position", "joint_velocity"), surrogates=0)
    whole = rotations_of(mean, time, components=2, soft=0.0, surrogates=0)
    assert (len(joints.skew), joints.soft, joints.difference, joints.signals) == (2, 0, "starts", 4)
    assert joints.r2_skew == pytest.approx(whole.r2_skew)
    np.testing.assert_allclose(joints.frequencies_hz, [1.5], rtol=0.1)
    with pytest.raises(RecordingError, match="varies in 2 dimensions, 4 are needed"):
        rotational_dynamics(recording, "command", surrogates=0)  # four, as of muscles
    rates = rotational_dynamics(recording, surrogates=0)
    assert (len(rates.skew), rates.soft) == (6, 5e-4)
    with pytest.raises(ValueError, match="`variable` must name"):
        rotational_dynamics(recording, ())
