"""Products in tiles against numpy's, for every remainder of rows and columns."""

from __future__ import annotations

import numpy as np
import pytest

from neuromotor.closed_loop.compiled.arrangement import Arrangement, aligned
from neuromotor.compiled.pieces import Gradient, back, forth, outer
from neuromotor.compiled.tiles import VECTOR_BYTES, product_address
from neuromotor.controllers import ContinuousTimeRNN


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 32])
@pytest.mark.parametrize("units", [1, 3, 7, 16, 25, 50])
def test_products_are_numpys(dtype, rows, units):
    """The recurrent weights of a layer, from both sides, and their gradient."""
    net = ContinuousTimeRNN(layers=(units,))
    arrangement = Arrangement(net, _pieces(), 4, dtype)
    rng = np.random.default_rng(units)
    flat = rng.standard_normal(net.parameter_count).astype(dtype)
    weights = arrangement.weights()
    arrangement.fill(weights, flat)
    matrix = flat[units * 8 : units * 8 + units * units].reshape(units, units)
    width = arrangement.padded(units)
    a, z = aligned((rows, width), dtype), aligned((rows, width), dtype)
    a[:, :units] = rng.standard_normal((rows, units))
    close = {"rtol": 1e-4 if dtype is np.float32 else 1e-12, "atol": 1e-5}
    forth(weights, 2, a, z, False)
    np.testing.assert_allclose(z[:, :units], a[:, :units] @ matrix.T, **close)
    before = z.copy()
    back(weights, 2, a, z, True)
    np.testing.assert_allclose(z[:, :units], before[:, :units] + a[:, :units] @ matrix, **close)
    data, (gradient, *_) = arrangement.gradients(1)
    assert isinstance(gradient, Gradient)
    outer(gradient, 2, a, z, units)
    total = arrangement.flat(data)[units * 8 : units * 8 + units * units]
    np.testing.assert_allclose(total.reshape(units, units), a[:, :units].T @ z[:, :units], **close)


def _pieces():
    from neuromotor.controllers.cells import tanh_compiled

    return tanh_compiled


def test_widths_are_whole_vectors():
    net = ContinuousTimeRNN(layers=(5,))
    arrangement = Arrangement(net, _pieces(), 4, np.float64)
    assert arrangement.padded(1) * 8 == VECTOR_BYTES
    assert arrangement.padded(0) == 0
    assert product_address(np.dtype(np.float64)) != product_address(np.dtype(np.float32))
