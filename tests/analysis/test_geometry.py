"""Geometries of planted patterns, against closed forms."""

import numpy as np
import pytest

from neuromotor.analysis import (
    RecordingError,
    compare_geometries,
    make_recording,
    representational_geometry,
)
from neuromotor.analysis.geometry import SECTION
from neuromotor.analysis.section import Material

pytest.importorskip("rsatoolbox")
TIME = 0.01 * np.arange(20)


def patterned(patterns, trials=6, noise=0.5, seed=0):
    """Units whose rates are each condition's pattern at all times, with noise."""
    rng = np.random.default_rng(seed)
    mean = np.repeat(patterns, trials, axis=0)[:, None]
    rate = mean + noise * rng.standard_normal((len(mean), len(TIME), patterns.shape[1]))
    return make_recording(TIME, np.repeat(np.arange(len(patterns)), trials), {"rate": rate})


def ring(count=8, units=30, seed=0):
    turn = 2 * np.pi * np.arange(count) / count
    axes = np.random.default_rng(seed).standard_normal((2, units))
    return np.stack([np.cos(turn), np.sin(turn)], -1) @ axes


def squared(patterns):
    size = np.ptp(patterns, axis=0)
    scaled = patterns / size
    return ((scaled[:, None] - scaled) ** 2).mean(-1)


def test_dissimilarities_are_squared_distances():
    patterns = ring()
    single = representational_geometry(patterned(patterns, 1, 0.0), soft=0.0)
    np.testing.assert_allclose(single.dissimilarity, squared(patterns), atol=1e-12)
    assert not single.crossvalidated
    assert np.isnan(single.ceiling).all()
    mixed = patterned(patterns, 3, 0.0).isel(trial=np.random.default_rng(0).permutation(24))
    several = representational_geometry(mixed, soft=0.0)
    np.testing.assert_allclose(several.dissimilarity, squared(patterns), atol=1e-12)
    np.testing.assert_allclose(several.ceiling, 1.0, atol=1e-9)


def test_noise_adds_nothing_to_crossvalidated_dissimilarities():
    rng = np.random.default_rng(3)
    patterns = np.repeat(rng.standard_normal((2, 40)), 2, axis=0)  # 0 and 1 are alike, 2 and 3 too
    found = [
        representational_geometry(patterned(patterns, 4, 4.0, seed), soft=50.0)
        for seed in range(40)
    ]
    same = np.array([x.dissimilarity[[0, 2], [1, 3]] for x in found]).mean(1)
    plain = np.array([x.folds[0][[0, 2], [1, 3]] for x in found]).mean(1)
    error = same.std() / np.sqrt(len(same))
    assert abs(same.mean()) < 4 * error
    assert plain.mean() > 20 * error


def test_the_same_geometry_in_other_units_is_found():
    one, two = (representational_geometry(patterned(ring(seed=s), seed=s)) for s in (1, 2))
    found = compare_geometries(one, two, permutations=199)
    assert found.correlation > 0.8
    assert found.p == pytest.approx(1 / 200)
    assert found.ceiling[0] <= found.ceiling[1]
    mixed = ring(seed=3)[np.random.default_rng(0).permutation(8)]
    other = compare_geometries(representational_geometry(patterned(mixed)), two, permutations=199)
    assert other.p > 0.05


def test_what_cannot_be_compared_is_refused():
    few = representational_geometry(patterned(ring(3)))
    with pytest.raises(RecordingError, match="from 4 conditions on, got 3"):
        compare_geometries(few, few)
    with pytest.raises(RecordingError, match="need the same conditions"):
        compare_geometries(few, representational_geometry(patterned(ring(4))))
    with pytest.raises(RecordingError, match="two conditions"):
        representational_geometry(patterned(ring(1)))
    with pytest.raises(RecordingError, match="are the same"):
        representational_geometry(patterned(np.ones((4, 3)), noise=0.0))


def test_the_section_compares_every_pair_and_corrects_for_their_number():
    one, two = patterned(ring(seed=1), seed=1), patterned(ring(seed=2), seed=2)
    one = one.assign_coords(layer=("unit", ["M1"] * 15 + ["PMd"] * 15))
    section = SECTION.section(Material(one, against=two))
    assert list(section.numbers) == ["M1 - all", "PMd - all"]
    assert all(row["stands_corrected"] for row in section.numbers.values())
    assert section.numbers["M1 - all"]["noise_ceiling_high"] > 0.9
