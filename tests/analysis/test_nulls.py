"""Maximum-entropy surrogates have the covariances of the data."""

import numpy as np
from planted import smooth_noise

from neuromotor.analysis.nulls import fit_maximum_entropy


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
