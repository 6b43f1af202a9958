"""Demixed components of planted parts, against a numerical optimum."""

import numpy as np
import pytest
from scipy.optimize import minimize

from neuromotor.analysis import RecordingError, demixed_components, make_recording

TIME = 0.01 * np.arange(40)
SHARED = np.sin(2 * np.pi * 2 * TIME)
BUMP = np.exp(-(((TIME - 0.2) / 0.08) ** 2))
CONDITION = np.linspace(-1, 1, 6)
AXES = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 2)))[0].T
OVERLAP = (AXES[0] + AXES[1]) / np.sqrt(2)  # 45 degrees from the shared axis


def planted(trials=8, noise=0.05, different=1.0):
    """All conditions go along one axis together, and each by its own amount along another."""
    generator = np.random.default_rng(1)
    mean = SHARED[None, :, None] * AXES[0]
    mean = mean + different * (CONDITION[:, None] * BUMP)[:, :, None] * OVERLAP
    rate = np.repeat(mean, trials, 0)
    rate = rate + noise * generator.standard_normal(rate.shape)
    return make_recording(TIME, np.repeat(np.arange(6), trials), {"rate": rate})


def test_parts_that_overlap_are_told_apart():
    found = demixed_components(planted(), components=1)
    assert found.time.purity[0] > 0.99
    assert found.condition.purity[0] > 0.99
    assert found.time.pca_purity < 0.95
    assert abs(found.time.encoder[:, 0] @ AXES[0]) > 0.99
    assert abs(found.condition.encoder[:, 0] @ OVERLAP) > 0.99
    shared = found.time.scores[..., 0].mean(0)
    assert abs(np.corrcoef(shared, SHARED)[0, 1]) > 0.999
    total = (SHARED - SHARED.mean()).var() + CONDITION.var() * (BUMP**2).mean()
    expected = CONDITION.var() * (BUMP**2).mean() / total
    assert found.condition.share == pytest.approx(expected, abs=0.02)
    assert found.condition.share > found.condition.null_share.max()
    assert found.time.share + found.condition.share == pytest.approx(1)


def test_the_closed_form_is_the_minimum():
    """Against L-BFGS on the objective itself, from random starts."""
    recording = planted(trials=3, noise=0.3)
    ridge = 0.05
    found = demixed_components(recording, components=2, ridge=ridge, shuffles=0)
    values = recording["rate"].values
    average = values.reshape(6, 3, 40, 20).mean(1)
    left = (values - np.repeat(average, 3, 0)).reshape(-1, 20)
    mean = average - average.mean((0, 1))
    flat, part = mean.reshape(-1, 20), (mean - mean.mean(0)).reshape(-1, 20)
    covariance = left.T @ left / len(left)

    def objective(numbers):
        decoder, encoder = numbers[:40].reshape(2, 20), numbers[40:].reshape(20, 2)
        both = encoder @ decoder
        error = ((part - flat @ both.T) ** 2).sum()
        noise = len(flat) * np.trace(both @ covariance @ both.T)
        return error + noise + ridge**2 * (flat**2).sum() * (both**2).sum()

    own = objective(
        np.concatenate([found.condition.decoder.ravel(), found.condition.encoder.ravel()])
    )
    generator = np.random.default_rng(2)
    reached = [
        minimize(objective, 0.3 * generator.standard_normal(80), options={"maxiter": 300}).fun
        for _ in range(2)
    ]
    assert own == pytest.approx(min(reached), rel=1e-4)
    assert own <= min(reached) * (1 + 1e-9)


def test_conditions_that_do_not_differ_stay_inside_the_null():
    shares = demixed_components(planted(different=0.0), components=1, shuffles=40).condition
    assert shares.null_share.min() <= shares.share <= shares.null_share.max()


def test_too_few_dimensions_and_lone_trials():
    noiseless = planted(trials=1, noise=0.0)
    assert demixed_components(noiseless, components=1).time.null_share.size == 0
    with pytest.raises(RecordingError, match="`time` varies in 1 dimensions"):
        demixed_components(noiseless, components=2)
    with pytest.raises(RecordingError, match="`condition` varies in 0"):
        demixed_components(noiseless.isel(trial=[0]), components=1)
    with pytest.raises(ValueError, match="`ridge`"):
        demixed_components(noiseless, ridge=-1.0)
