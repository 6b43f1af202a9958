"""Planted similarities of two populations are found."""

import numpy as np
import pytest
from planted import rotating
from scipy.stats import binom

from neuromotor.analysis import RecordingError, make_recording
from neuromotor.analysis._arrays import null_p
from neuromotor.analysis.similarity import (
    canonical_correlations,
    compare_populations,
    procrustes_distance,
)


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


def test_unrelated_populations_are_called_alike_as_rarely_as_is_said():
    alike = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        one, two = (
            make_recording(
                0.01 * np.arange(5),
                np.arange(8),
                {"rate": rng.standard_normal((8, 5, 6)).cumsum(1)},
            )
            for _ in range(2)
        )
        found = compare_populations(one, two, components=3, shuffles=19, seed=seed)
        alike += null_p(-found.distance_rad, -found.null_distance_rad) <= 0.05
    assert binom.ppf(0.001, 200, 0.05) <= alike <= binom.ppf(0.999, 200, 0.05)
