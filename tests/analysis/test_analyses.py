"""Planted truth is recovered, and structureless data stay inside their nulls."""

import os
from pathlib import Path

import numpy as np
import pytest
from planted import reaches, rotating, tuned_units
from scipy.ndimage import gaussian_filter1d

from neuromotor import ContinuousTimeRNN, Postural
from neuromotor.analysis import RecordingError, make_recording, record
from neuromotor.analysis.averages import align, condition_averages
from neuromotor.analysis.decoding import decode, decode_each, encode_units
from neuromotor.analysis.nulls import fit_maximum_entropy
from neuromotor.analysis.rotations import rotational_dynamics, rotations_of
from neuromotor.analysis.similarity import (
    canonical_correlations,
    compare_populations,
    procrustes_distance,
)
from neuromotor.analysis.subspaces import (
    participation_ratio,
    principal_components,
    subspace_alignment,
)
from neuromotor.analysis.tangling import tangling, tangling_of
from neuromotor.analysis.tuning import circular_summary, cosine_tuning, preferred_directions
from neuromotor.training.single import initial_parameters

sklearn = pytest.importorskip("sklearn")
PREFERRED = np.radians([-170.0, -60.0, 10.0, 75.0, 160.0])


def smooth_noise(conditions=12, steps=60, units=30, seed=0):
    """Structureless data: noise with covariances across time and units."""
    generator = np.random.default_rng(seed)
    lag = np.subtract.outer(np.arange(steps), np.arange(steps))
    time = np.linalg.cholesky(np.exp(-0.5 * (lag / 8.0) ** 2) + 1e-8 * np.eye(steps))
    mix = generator.standard_normal((units, units)) * np.geomspace(1, 0.02, units)
    white = generator.standard_normal((conditions, steps, units))
    noise = np.einsum("st,ctn,mn->csm", time, white, mix)
    return noise - noise.mean(0)


# ---- averages ----


def test_averages_are_the_means_over_a_conditions_trials():
    recording = tuned_units(PREFERRED)
    averages = condition_averages(recording)
    rate = recording["rate"].values
    np.testing.assert_allclose(averages.mean[3], rate[12:16].mean(0))
    error = rate[12:16].std(0, ddof=1) / 2
    np.testing.assert_allclose(averages.standard_error[3], error)
    assert (averages.explained[:-1] > 0.97).all()
    assert (averages.null_explained[:-1] < 0.7).all()
    assert np.isnan(averages.explained[-1])  # constant unit


def test_noise_explains_nothing_and_single_trials_have_no_error():
    time, _, condition, _ = reaches()
    rate = np.random.default_rng(1).standard_normal((len(condition), len(time), 200))
    averages = condition_averages(make_recording(time, condition, {"rate": rate}))
    assert np.mean(averages.explained > averages.null_explained) < 0.12
    single = condition_averages(make_recording(time, np.arange(len(condition)), {"rate": rate}))
    assert np.isnan(single.standard_error).all()
    assert np.isnan(single.null_explained).all()


def test_alignment_moves_events_to_zero():
    time = 0.01 * np.arange(40)
    onset = np.array([0.1, 0.2, np.nan])
    rate = np.where(np.isclose(time, np.nan_to_num(onset)[:, None]), 1.0, 0.0)[..., None]
    recording = make_recording(time, [0, 1, 2], {"rate": rate, "movement_onset": onset})
    cut = align(recording, "movement_onset", 0.05, 0.1)
    assert cut.sizes["trial"] == 2
    np.testing.assert_allclose(cut["time"], 0.01 * np.arange(-5, 11))
    np.testing.assert_array_equal(cut["rate"].values[..., 0].argmax(1), [5, 5])
    with pytest.raises(RecordingError, match="does not cover"):
        align(recording, "movement_onset", 0.15, 0.1)
    with pytest.raises(RecordingError, match="lacks `go_time`"):
        align(recording, "go_time", 0.0, 0.1)


# ---- tuning ----


def test_planted_preferred_directions_are_found():
    tuning = preferred_directions(tuned_units(PREFERRED), bootstraps=200, shuffles=200)
    np.testing.assert_allclose(tuning.direction_deg[:-1], np.degrees(PREFERRED), atol=3)
    np.testing.assert_allclose(tuning.depth[:-1], 0.5, atol=0.02)
    error = np.abs(tuning.direction_deg[:-1] - np.degrees(PREFERRED))
    assert (error < 2 * tuning.interval_deg[:-1]).all()
    assert tuning.tuned.tolist() == [True] * 5 + [False]
    assert np.isnan([tuning.direction_deg[-1], tuning.r2[-1], tuning.p[-1]]).all()


def test_torque_space_uses_the_commands():
    recording = tuned_units(PREFERRED)
    _, angle, _, _ = reaches()
    turned = angle + np.radians(40)
    torque = np.stack([np.cos(turned), np.sin(turned)], -1)[:, None] * np.ones((1, 30, 1))
    recording["command"] = (("trial", "time", "actuator"), torque)
    tuning = preferred_directions(recording, "torque", bootstraps=0, shuffles=0)
    expected = np.degrees(np.angle(np.exp(1j * (PREFERRED + np.radians(40)))))
    np.testing.assert_allclose(tuning.direction_deg[:-1], expected, atol=3)


@pytest.mark.parametrize("space", ["load", "force"])
def test_preferred_load_directions_are_found(space):
    """Planted from the load's onset on, in a posture where the hand goes nowhere."""
    time, angle, condition, _ = reaches()
    late = (time >= 0.1)[:, None]
    generator = np.random.default_rng(0)
    rate = 1 + 0.5 * np.cos(angle[:, None] - PREFERRED)[:, None] * late
    rate = rate + 0.05 * generator.standard_normal(rate.shape)
    load = 0.2 * np.stack([np.cos(angle), np.sin(angle)], -1)[:, None] * late
    name = {"load": "load", "force": "hand_force"}[space]
    still = np.zeros((len(angle), len(time), 2))
    variables = {"rate": rate, name: load, "hand_position": still}
    recording = make_recording(time, condition, variables)
    tuning = preferred_directions(recording, space, bootstraps=0, shuffles=100)
    np.testing.assert_allclose(tuning.direction_deg, np.degrees(PREFERRED), atol=3)
    np.testing.assert_allclose(tuning.depth, 0.5, atol=0.02)  # not thinned by what came before
    early = preferred_directions(recording, space, window_s=(0, 0.2), bootstraps=0, shuffles=0)
    np.testing.assert_allclose(early.depth, 0.5, atol=0.03)
    with pytest.raises(RecordingError, match="got 0 trials"):
        preferred_directions(recording, space, window_s=(0, 0.05), bootstraps=0, shuffles=0)
    with pytest.raises(ValueError, match="unknown space 'muscle'"):
        preferred_directions(recording, "muscle")


def test_untuned_units_are_rarely_called_tuned():
    _, angle, _, _ = reaches()
    rate = np.random.default_rng(2).standard_normal((len(angle), 400))
    tuning = cosine_tuning(angle, rate, bootstraps=0, shuffles=200)
    assert 0.02 < tuning.tuned.mean() < 0.09  # 5 % by construction


def test_an_axis_is_told_from_a_direction_and_from_neither():
    generator = np.random.default_rng(3)
    spread = np.radians(15) * generator.standard_normal(60)
    axis = circular_summary(np.radians(117) + spread + np.pi * (np.arange(60) % 2))
    assert axis.axis_deg == pytest.approx(117, abs=5)
    assert axis.axis_resultant == pytest.approx(np.exp(-2 * np.radians(15) ** 2), abs=0.06)
    assert axis.p_axis < 1e-6
    assert axis.p_direction > 0.5
    p = [circular_summary(generator.uniform(0, 2 * np.pi, 50)).p_axis for _ in range(400)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("angles", [[0.0, 1.0, 2.0], [0.0, np.pi, 0.0, np.pi, np.pi]])
def test_too_few_directions_are_an_error(angles):
    with pytest.raises(RecordingError, match="span the plane"):
        cosine_tuning(np.array(angles), np.zeros((len(angles), 2)))


# ---- rotations ----


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
    from neuromotor.analysis.rotations import _fit

    fit = _fit(mean, 0.01, "middle")
    assert fit.r2_skew == pytest.approx(1, abs=1e-12)
    expected = 2 / 0.01 * np.tan(2 * np.pi * 2.0 * 0.005)
    np.testing.assert_allclose(fit.skew, [[0, -expected], [expected, 0]], atol=1e-8)
    # With the state a at a step's start, b - a is sin(w dt) J a and (cos(w dt) - 1) a, orthogonal.
    turn = 2 * np.pi * 2.0 * 0.01
    fit = _fit(mean, 0.01, "start")
    assert fit.r2_skew == pytest.approx((1 + np.cos(turn)) / 2, abs=1e-12)
    assert fit.r2_unconstrained == pytest.approx(1, abs=1e-12)
    assert fit.skew[1, 0] == pytest.approx(np.sin(turn) / 0.01)


@pytest.mark.parametrize("at", ["start", "middle"])
def test_the_skew_fit_is_the_least_squares_one(at):
    """Against a dense solve over the free entries of a skew-symmetric matrix."""
    from neuromotor.analysis.rotations import _fit

    states = smooth_noise(units=4)
    fit = _fit(states, 0.01, at)
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


def test_the_constant_follows_the_unit_of_the_rates():
    """Silent units with a little noise must not rule over those that fire."""
    mean, time = rotating([3.0, 1.5, 0.8], noise=0.001)
    silent = 1e-3 * np.random.default_rng(0).standard_normal((*mean.shape[:2], 200))
    variables = {"rate": np.concatenate([50 * mean, silent], axis=-1)}
    spikes = make_recording(time, np.arange(12), variables, units={"rate": "spikes/s"})
    plain = make_recording(time, np.arange(12), variables)
    found = rotational_dynamics(spikes, surrogates=0)
    assert found.soft == 5
    assert found.r2_unconstrained > 0.9
    assert rotational_dynamics(plain, surrogates=0).soft == 5e-4
    assert rotational_dynamics(plain, surrogates=0).r2_unconstrained < 0.5
    by_hand = rotational_dynamics(plain, soft=5.0, surrogates=0)
    assert by_hand.r2_skew == pytest.approx(found.r2_skew, rel=1e-12)
    for analysis in (
        lambda r, **soft: tangling(r, surrogates=0, **soft).percentile_90,
        lambda r, **soft: subspace_alignment(r, (0, 0.1), (0.105, 0.29), **soft).index,
    ):
        assert analysis(spikes) == pytest.approx(analysis(plain, soft=5.0), rel=1e-12)
        assert abs(analysis(spikes) - analysis(plain)) > 1e-3


def test_one_trial_under_eight_labels_has_nothing_to_find():
    """What is left of equal trials after their mean is subtracted is rounding."""
    generator = np.random.default_rng(0)
    trial = generator.standard_normal((1, 40, 20)).cumsum(1) + 3.3
    recording = make_recording(0.01 * np.arange(40), np.arange(8), {"rate": trial.repeat(8, 0)})
    with pytest.raises(RecordingError, match="it spans 0"):
        rotational_dynamics(recording)
    with pytest.raises(RecordingError, match="spans 0 dimensions"):
        subspace_alignment(recording, (0, 0.19), (0.2, 0.39))
    assert len(tangling(recording).null_percentile_90) == 0
    same = np.full((8, 40, 20), 1 / 3) * np.linspace(1, 2, 20)
    constant = make_recording(0.01 * np.arange(40), np.arange(8), {"rate": same})
    for analysis in (tangling, principal_components, lambda r: compare_populations(r, r)):
        with pytest.raises(RecordingError, match=r"must vary|varies in 0"):
            analysis(constant)


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


def test_maximum_entropy_surrogates_have_the_datas_covariances():
    data = smooth_noise()
    model = fit_maximum_entropy(data)
    assert model.error < 1e-8
    drawn = list(model.draw(300, seed=1))
    for axis in range(3):
        flat = np.moveaxis(data, axis, 0).reshape(data.shape[axis], -1)
        wanted = flat @ flat.T
        mean = np.zeros_like(wanted)
        for tensor in drawn:
            flat = np.moveaxis(tensor, axis, 0).reshape(data.shape[axis], -1)
            mean += flat @ flat.T / len(drawn)
        np.testing.assert_allclose(mean, wanted, atol=0.05 * np.abs(wanted).max())
    assert np.abs(np.mean([tensor.mean(0) for tensor in drawn])).max() < 1e-10


@pytest.mark.parametrize("shape", [(1, 60, 30), (12, 2, 30), (12, 60, 4)])
def test_too_little_data_for_rotations_is_an_error(shape):
    data = smooth_noise()[: shape[0], : shape[1], : shape[2]]
    with pytest.raises(RecordingError, match="rotational dynamics need"):
        rotations_of(data, 0.01 * np.arange(shape[1]), soft=0.0)
    with pytest.raises(RecordingError, match="must span 6"):
        rotations_of(np.ones((4, 10, 8)), 0.01 * np.arange(10), soft=0.0)


# ---- subspaces ----


def test_participation_ratio_in_closed_form():
    assert participation_ratio(np.array([2.0, 2.0, 2.0])) == pytest.approx(3)
    assert participation_ratio(np.array([1.0, 0.0])) == pytest.approx(1)


def test_principal_components_find_the_planted_plane():
    mean, time = rotating([2.0])
    found = principal_components(make_recording(time, np.arange(12), {"rate": mean}))
    assert found.explained[:2].sum() == pytest.approx(1)
    assert found.participation_ratio < 2.001 < found.null_participation_ratio
    assert found.dimensions_90 == 2
    np.testing.assert_allclose(found.scores @ found.loadings, mean - mean.mean((0, 1)), atol=1e-10)


@pytest.mark.parametrize(("shared", "low", "high"), [(True, 0.99, 1.01), (False, -0.01, 0.1)])
def test_alignment_of_shared_and_orthogonal_epochs(shared, low, high):
    generator = np.random.default_rng(0)
    basis = np.linalg.qr(generator.standard_normal((20, 4)))[0]
    late = basis[:, :2] if shared else basis[:, 2:]
    parts = [generator.standard_normal((10, 15, 2)) @ b.T for b in (basis[:, :2], late)]
    recording = make_recording(
        0.01 * np.arange(30), np.arange(10), {"rate": np.concatenate(parts, 1)}
    )
    found = subspace_alignment(recording, (0, 0.14), (0.15, 0.29), components=2, surrogates=50)
    assert low < found.index < high
    # Random planes of the shared plane are that plane; of four dimensions they share half.
    assert np.median(found.null) == pytest.approx(1.0 if shared else 0.5, abs=0.12)


# ---- tangling ----


def test_a_circle_is_untangled_and_an_eight_is_not():
    phase = np.linspace(0, 2 * np.pi, 100)
    circle = np.stack([np.cos(phase), np.sin(phase)], -1)[None]
    eight = np.stack([np.cos(phase), np.sin(2 * phase)], -1)[None]
    assert tangling_of(eight, 0.01).max() > 5 * tangling_of(circle, 0.01).max()
    # On a circle |x' - y'| = w |x - y|: at most w^2, for the farthest pair 4 w^2 / (4 + 0.1).
    speed = (phase[1] - phase[0]) / 0.01
    assert tangling_of(circle, 0.01).max() == pytest.approx(speed**2 * 4 / 4.1, rel=5e-3)


def test_rotations_are_less_tangled_than_their_surrogates():
    mean, time = rotating([3.0, 1.5])
    found = tangling(make_recording(time, np.arange(12), {"rate": mean}), surrogates=5)
    assert found.percentile_90 < found.null_percentile_90.min()


# ---- regression ----


def linear_recording(seed=0):
    time, _, condition, hand = reaches(noise_free := 8)
    generator = np.random.default_rng(seed)
    recording = make_recording(
        time, condition, {"rate": np.zeros((len(condition), len(time), 1)), "hand_position": hand}
    )
    both = np.concatenate([hand, recording["hand_velocity"].values], -1)
    rate = both @ generator.standard_normal((4, noise_free))
    variables = {"rate": rate, "hand_position": hand, "load": generator.standard_normal(hand.shape)}
    return make_recording(time, condition, variables)


@pytest.mark.parametrize("units", [12, 70])
def test_a_decoder_is_the_ridge_that_generalised_cross_validation_chooses(units):
    rng = np.random.default_rng(units)
    conditions, steps = 6, 8  # 48 samples, 40 of them in the training part
    signal = rng.standard_normal((conditions, steps, 3))
    rate = signal @ rng.standard_normal((3, units)) + rng.standard_normal(
        (conditions, steps, units)
    )
    hand = 0.1 * signal[..., :2] + 0.03 * rng.standard_normal((conditions, steps, 2))
    recording = make_recording(
        0.1 * np.arange(steps), range(conditions), {"rate": rate, "hand_position": hand}
    )
    found = decode(recording, "hand_position", folds=conditions, shuffles=0)
    for held in range(conditions):
        rest = np.delete(np.arange(conditions), held)
        x, y = (rate / rate.std())[rest].reshape(-1, units), hand[rest].reshape(-1, 2)
        away = x - x.mean(0)
        errors = {}
        for strength in np.logspace(-6, 4, 11):
            gram = away.T @ away + strength * np.eye(units)
            hat = away @ np.linalg.solve(gram, away.T) + 1 / len(x)
            residual = y - hat @ y
            errors[strength] = (residual**2).sum() / np.trace(np.eye(len(x)) - hat) ** 2
        model = sklearn.linear_model.Ridge(alpha=min(errors, key=errors.get)).fit(x, y)
        expected = model.predict((rate / rate.std())[held])
        np.testing.assert_allclose(found.prediction[held], expected, rtol=1e-6, atol=1e-9)


def test_decoding_each_variable_is_decoding_them_one_by_one_and_shows_its_progress():
    recording = tuned_units(np.array([0.3, 1.9, 4.0]))
    shown = []
    names = ["hand_position", "hand_velocity"]
    found = decode_each(
        recording, names, shuffles=2, progress=lambda done, of: shown.append((done, of))
    )
    assert shown == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    for name in names:
        alone = decode(recording, name, shuffles=2)
        np.testing.assert_allclose(found[name].r2, alone.r2, rtol=1e-12)
        np.testing.assert_allclose(found[name].null, alone.null, rtol=1e-12)


def test_values_of_one_name_keep_their_own_lines():
    recording = tuned_units(np.array([0.3, 1.9, 4.0]))
    recording = recording.assign_coords(axis=["x", "x"])
    assert decode(recording, shuffles=0).labels == ("hand_velocity x", "hand_velocity x (2)")


def test_linear_codes_are_decoded_and_unrelated_loads_are_not():
    recording = linear_recording()
    found = decode(recording, "hand_velocity", shuffles=3)
    assert (found.r2 > 0.999).all()
    assert (found.null < 0.5).all()
    assert found.labels == ("hand_velocity x", "hand_velocity y")
    assert (decode(recording, "load", shuffles=0).r2 < 0.05).all()
    back = encode_units(recording, ["hand_position", "hand_velocity"], shuffles=0)
    assert (back.r2 > 0.999).all()


def test_a_lag_is_undone():
    recording = linear_recording()
    late = recording.copy(deep=True)
    late["rate"].values[:, :-4] = recording["rate"].values[:, 4:]  # rates lead by 40 ms
    ahead = decode(late, lag_s=0.04, window_s=(0, 0.25), shuffles=0).r2
    now = decode(late, lag_s=0.0, window_s=(0, 0.25), shuffles=0).r2
    assert (ahead > 0.999).all()
    assert (ahead > now).all()


def test_one_condition_cannot_be_held_out():
    recording = linear_recording().isel(trial=[0, 1])
    with pytest.raises(RecordingError, match="two conditions"):
        decode(recording)


# ---- similarity ----


def test_known_canonical_correlations():
    generator = np.random.default_rng(0)
    q = np.linalg.qr(generator.standard_normal((200, 6)) - 0.0)[0]
    q = np.linalg.qr(q - q.mean(0))[0]
    wanted = np.array([0.95, 0.6, 0.1])
    a = q[:, :3]
    b = a * wanted + q[:, 3:] * np.sqrt(1 - wanted**2)
    a, b = (x @ generator.standard_normal((3, 3)) for x in (a, b))
    np.testing.assert_allclose(canonical_correlations(a, b), wanted, atol=1e-10)


def test_procrustes_distance_sees_neither_rotation_nor_scale():
    generator = np.random.default_rng(0)
    a = generator.standard_normal((50, 4))
    turn = np.linalg.qr(generator.standard_normal((4, 4)))[0]
    assert procrustes_distance(a, 3 * a @ turn + 1) == pytest.approx(0, abs=1e-6)
    a, b = np.eye(4)[:, :1] - 0.25, np.array([[0.0], [0.0], [1.0], [-1.0]])
    assert procrustes_distance(a, b) == pytest.approx(np.pi / 2)


def test_two_views_of_one_system_are_alike_and_exchanged_conditions_are_not():
    latent, time = rotating([3.0, 1.5, 0.8])
    generator = np.random.default_rng(1)
    one, two = (
        make_recording(time, np.arange(12), {"rate": latent @ generator.standard_normal((40, 25))})
        for _ in range(2)
    )
    found = compare_populations(one, two, shuffles=20)
    np.testing.assert_allclose(found.correlations, 1)
    assert (found.null_correlations[:, 0] < 1).all()
    assert found.distance_rad < found.null_distance_rad.min()
    with pytest.raises(RecordingError, match="same conditions"):
        compare_populations(one, two.isel(trial=slice(0, 4)))


# ---- all of them ----


@pytest.mark.parametrize(
    "analysis",
    [
        condition_averages,
        principal_components,
        decode,
        tangling,
        lambda r: preferred_directions(r, bootstraps=5, shuffles=5),
        lambda r: compare_populations(r, r, components=2, shuffles=2),
        lambda r: subspace_alignment(r, (0, 0.1), (0.11, 0.29), components=2, surrogates=2),
    ],
)
def test_no_analysis_changes_its_input_and_nan_is_refused(analysis):
    recording = tuned_units(PREFERRED)
    before = recording.copy(deep=True)
    analysis(recording)
    assert recording.identical(before)
    broken = recording.copy(deep=True)
    broken["rate"].values[0, 0, 0] = np.nan
    with pytest.raises(RecordingError, match="`rate` holds 1 NaN"):
        analysis(broken)


@pytest.mark.parametrize(
    ("loads", "other", "own"), [("hand", "load", "force"), ("joint", "force", "load")]
)
def test_a_space_without_anything_names_the_one_that_has(loads, other, own):
    task = Postural(loads=loads, steps=20)
    net = ContinuousTimeRNN(layers=(5,))
    recording = record(task, net, initial_parameters(net, 0))
    with pytest.raises(RecordingError, match=f"zero in every trial.*`space` '{own}'"):
        preferred_directions(recording, other)
    calm = record(task, net, initial_parameters(net, 0), task.trials().without_loads())
    with pytest.raises(RecordingError, match=r"zero in every trial, so there are no directions\.$"):
        preferred_directions(calm, other)
