"""A planted lag is found; trials without structure have no significant lag more often than said."""

import numpy as np
import pytest
from scipy.stats import binom

from neuromotor.analysis import RecordingError, analyze, decode_lags, make_recording

LAGS = (-0.06, -0.03, 0.0, 0.03, 0.06, 0.1)


def lagged(lag, trials=24, steps=40, units=12, seed=0, noise=0.3):
    """Rates that see a smooth random movement `lag` samples before it happens."""
    rng = np.random.default_rng(seed)
    kernel = np.exp(-0.5 * (np.arange(-10, 11) / 3) ** 2)
    course = rng.standard_normal((trials, steps + 60, 2))
    course = np.apply_along_axis(lambda x: np.convolve(x, kernel, "same"), 1, course)
    now, ahead = course[:, 20 : 20 + steps], course[:, 20 + lag : 20 + lag + steps]
    rate = ahead @ rng.standard_normal((2, units))
    rate = rate + noise * rate.std() * rng.standard_normal(rate.shape)
    variables = {"rate": rate, "hand_velocity": now}
    return make_recording(0.01 * np.arange(steps), np.arange(trials) % 6, variables)


@pytest.mark.parametrize("lag", [-3, 0, 6])
def test_the_planted_lag_is_the_best(lag):
    found = decode_lags(lagged(lag), LAGS)
    assert found.best_s == pytest.approx(0.01 * lag)
    best = found.mean_r2.argmax()
    assert found.p[best] == pytest.approx(0.05)
    assert found.mean_r2[best] > 0.9
    assert found.r2.shape == (6, 2)
    np.testing.assert_allclose(found.lags_s, LAGS)


def test_all_lags_predict_the_same_samples():
    recording = lagged(3)
    together, alone = decode_lags(recording, (0.0, 0.1, -0.05)), []
    for lag in (0.0, 0.1, -0.05):
        part = {0.0: slice(10, 35), 0.1: slice(0, 35), -0.05: slice(10, 40)}[lag]
        alone.append(decode_lags(recording.isel(time=part), (lag,)).r2[0])
    np.testing.assert_allclose(together.r2, alone)


@pytest.mark.slow  # 200 repeats of 20 decodings at 3 lags
def test_exchanged_trials_are_significant_as_rarely_as_is_said():
    rng = np.random.default_rng(5)
    hits = 0
    for seed in range(200):
        recording = lagged(0, trials=12, steps=14, units=4, seed=seed)
        shuffled = recording["hand_velocity"].values[rng.permutation(12)]
        own = recording.assign(hand_velocity=(recording["hand_velocity"].dims, shuffled))
        found = decode_lags(own, (-0.03, 0.0, 0.03), folds=3, seed=seed)
        hits += bool((found.p <= 0.05).any())
    assert hits <= binom.ppf(0.999, 200, 0.05)


def test_what_cannot_be_is_refused():
    recording = lagged(0, steps=12)
    with pytest.raises(RecordingError, match="too short for lags that take 16"):
        decode_lags(recording, (-0.08, 0.08))
    with pytest.raises(RecordingError, match=r"differ by a step of 0\.01 s"):
        decode_lags(recording, (0.0, 0.001))


def test_a_report_has_lags_where_they_are_asked_for():
    recording = lagged(3)
    names = [s.name for s in analyze(recording, surrogates=1).sections]
    assert "lags" not in names
    report = analyze(recording, surrogates=1, lags_s=(0.0, 0.03))
    numbers = report.as_dict()["sections"]["lags"]
    assert numbers["best_lag_s"] == pytest.approx(0.03)
    assert numbers["30 ms"]["mean_r2"] > 0.9
