"""Linear codes are decoded by the ridge of generalised cross-validation."""

import numpy as np
import pytest
from planted import reaches, tuned_units

from neuromotor.analysis import RecordingError, make_recording
from neuromotor.analysis.decoding import decode, decode_each, encode_units

sklearn = pytest.importorskip("sklearn")


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


def test_trials_may_be_held_out_where_there_is_one_condition():
    rng = np.random.default_rng(0)
    hand = rng.standard_normal((20, 15, 2)).cumsum(1)
    rate = hand @ rng.standard_normal((2, 8)) + 0.1 * rng.standard_normal((20, 15, 8))
    own = make_recording(0.01 * np.arange(15), ["all"] * 20, {"rate": rate, "hand_position": hand})
    with pytest.raises(RecordingError, match="two conditions or more"):
        decode(own, "hand_position")
    found = decode(own, "hand_position", hold_out="trials", shuffles=19)
    assert found.r2.min() > 0.98 > found.null.max()
    with pytest.raises(ValueError, match="unknown hold_out 'units'"):
        decode(own, "hand_position", hold_out="units")
