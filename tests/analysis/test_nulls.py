"""Maximum-entropy surrogates have the covariances of the data."""

import numpy as np
from planted import smooth_noise
from scipy.stats import ks_2samp

from neuromotor.analysis._arrays import in_own_space, reduced
from neuromotor.analysis.nulls import fit_maximum_entropy
from neuromotor.analysis.rotation_fits import fit_rotations


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


def test_fewer_axes_than_units_give_the_same_surrogates():
    """More units than samples: surrogates on the samples' own axes have the same distribution."""
    data = smooth_noise(conditions=8, steps=10, units=200, seed=3)
    own = in_own_space(data)
    assert own.shape == (8, 10, 80)
    flat, small = data.reshape(80, -1), own.reshape(80, -1)
    np.testing.assert_allclose(small @ small.T, flat @ flat.T, atol=1e-9 * (flat**2).sum())
    turn = np.linalg.pinv(small) @ flat  # the axes, (80, 200)
    np.testing.assert_allclose(small @ turn, flat, atol=1e-9 * np.abs(flat).max())
    whole, reduced_ = fit_maximum_entropy(data), fit_maximum_entropy(own)
    np.testing.assert_allclose(reduced_.variance, whole.variance, rtol=1e-5)
    for one, two in zip(whole.bases[:2], reduced_.bases[:2], strict=True):
        np.testing.assert_allclose(np.abs(one.T @ two), np.eye(one.shape[1]), atol=1e-5)
    units = np.abs(whole.bases[2].T @ turn.T @ reduced_.bases[2])
    np.testing.assert_allclose(units, np.eye(len(units)), atol=1e-4)
    time = 0.01 * np.arange(10)

    def skew(model, seed):
        states = (reduced(x, 4)[0] for x in model.draw(300, seed))
        return [fit_rotations(x, time[1], "starts").r2_skew for x in states]

    assert ks_2samp(skew(whole, 0), skew(reduced_, 1)).pvalue > 0.01
