"""Planted filters are recovered from spikes, as other packages recover them."""

import numpy as np
import pytest
from planted import reaches
from sklearn.metrics import d2_tweedie_score

from neuromotor.analysis import RecordingError, encode_spikes, make_recording
from neuromotor.analysis.section import Material
from neuromotor.analysis.spike_encoding import SECTION

STEP, LAG = 0.01, 0.08
GAIN = 8.0  # of the velocity (m/s) in the log of the rate


def planted(units=4, repeats=12, seed=0, gain=GAIN):
    """Spikes that lead the hand's velocity by LAG along each unit's own direction."""
    time, _, condition, hand = reaches(repeats=repeats, steps=60)
    rng = np.random.default_rng(seed)
    hand = hand * rng.uniform(0.5, 1.5, (len(hand), 1, 1))  # so that trials differ
    velocity = np.gradient(hand, STEP, axis=1)
    ahead = round(LAG / STEP)
    later = np.concatenate([velocity[:, ahead:], np.repeat(velocity[:, -1:], ahead, 1)], axis=1)
    turn = 2 * np.pi * np.arange(units) / units
    drive = gain * later @ np.stack([np.cos(turn), np.sin(turn)])
    counts = rng.poisson(0.3 * np.exp(drive))
    counts = np.concatenate([counts, 0 * counts[..., :1]], axis=2)  # one is silent
    variables = {"rate": counts / STEP, "hand_position": hand, "hand_velocity": velocity}
    return make_recording(time, condition, variables, units={"rate": "spikes/s"}), turn


def test_the_planted_filter_is_recovered():
    made, turn = planted()
    found = encode_spikes(made, lags_s=(0.0, LAG), ridge=1e-6)
    wanted = GAIN * np.stack([np.cos(turn), np.sin(turn)])
    np.testing.assert_allclose(found.weights[1, :, :-1], wanted, atol=1.2)  # about 3 errors
    np.testing.assert_allclose(found.weights[0, :, :-1], 0, atol=1.2)
    np.testing.assert_allclose(np.exp(found.baseline[:-1]), 0.3, atol=0.03)
    assert found.encodes[:-1].all()
    assert not found.encodes[-1]
    assert np.isnan(found.pseudo_r2[-1])
    assert found.labels == ("hand_velocity x", "hand_velocity y")
    np.testing.assert_allclose(found.lags_s, [0.0, LAG])
    late = encode_spikes(made, lags_s=(-LAG,), exchanges=1)
    assert (late.pseudo_r2[:-1] < found.pseudo_r2[:-1]).all()


def test_pseudo_r2_is_that_of_sklearn():
    made, _ = planted(units=2)
    found = encode_spikes(made, lags_s=(LAG,), folds=2, hold_out="conditions", exchanges=1)
    ahead = round(LAG / STEP)
    counts = (made["rate"].values * STEP).round()[:, :-ahead, 0]
    x = made["hand_velocity"].values[:, ahead:]
    held = np.random.default_rng(0).permutation(8)[:4]
    first = np.isin(made["condition"].values, held)
    predicted = np.zeros(counts.shape)
    from sklearn.linear_model import PoissonRegressor

    for own in (first, ~first):
        scale = x[~own].reshape(-1, 2).std(0)
        model = PoissonRegressor(alpha=1e-3, tol=1e-9, max_iter=1000)
        model.fit(x[~own].reshape(-1, 2) / scale, counts[~own].ravel())
        predicted[own] = model.predict(x[own].reshape(-1, 2) / scale).reshape(-1, len(x[0]))
    expected = d2_tweedie_score(counts.ravel(), predicted.ravel(), power=1)
    assert found.pseudo_r2[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow  # jax compiles
def test_weights_are_those_of_nemos():
    glm = pytest.importorskip("nemos.glm")
    made, _ = planted(units=2)
    found = encode_spikes(made, lags_s=(0.0, LAG), ridge=1e-9, exchanges=1)
    ahead = round(LAG / STEP)
    velocity = made["hand_velocity"].values
    x = np.concatenate([velocity[:, :-ahead], velocity[:, ahead:]], 2).reshape(-1, 4)
    counts = (made["rate"].values * STEP).round()[:, :-ahead, :2].reshape(-1, 2)
    scale = x.std(0)
    for unit in range(2):
        model = glm.GLM(solver_name="LBFGS", solver_kwargs={"tol": 1e-9, "maxiter": 500})
        model.fit(x / scale, counts[:, unit])
        own = found.weights[:, :, unit].ravel() * scale
        np.testing.assert_allclose(np.asarray(model.coef_), own, atol=2e-3)


def test_movements_of_other_trials_are_not_encoded():
    made, _ = planted()
    order = np.random.default_rng(1).permutation(made.sizes["trial"])
    rate = made["rate"].values[order]
    shuffled = made.assign(rate=(made["rate"].dims, rate, made["rate"].attrs))
    assert encode_spikes(shuffled, lags_s=(LAG,)).encodes.sum() == 0


def test_what_is_no_count_or_no_movement_is_refused():
    made, _ = planted(units=2, repeats=2)
    smooth = made.assign(rate=made["rate"] * 0.7)
    smooth["rate"].attrs = made["rate"].attrs
    with pytest.raises(RecordingError, match=r"no counts of spikes over the step of 0\.01 s"):
        encode_spikes(smooth)
    with pytest.raises(RecordingError, match="never change"):
        encode_spikes(made.assign(hand_velocity=0 * made["hand_velocity"]))
    with pytest.raises(RecordingError, match="differ by a step"):
        encode_spikes(made, lags_s=(0.0, 0.001))
    with pytest.raises(RecordingError, match="too short"):
        encode_spikes(made, lags_s=(0.59,))


def test_the_section_is_there_where_it_is_asked_for():
    made, _ = planted(units=2)
    assert not SECTION.wanted(Material(made))
    given = Material(made, encoded=("hand_velocity",), lags_s=(LAG,))
    assert SECTION.wanted(given)
    section = SECTION.section(given)
    assert section.numbers["units_that_encode"] == 2
    assert section.numbers["80 ms"]["median_weight_hand_velocity x"] > 2
    smooth = made.assign(rate=(made["rate"].dims, made["rate"].values * 0.7))
    assert "no counts" in SECTION.section(Material(smooth, encoded=("hand_velocity",))).skipped
