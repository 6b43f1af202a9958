"""Lines, Fitts' and Schmidt's laws against scipy, coverage and planted slopes."""

import numpy as np
import pytest
from scipy.stats import linregress

from neuromotor.analysis.measures import fit_line, fitts_law, schmidt_law


def test_a_line_is_that_of_scipy():
    generator = np.random.default_rng(0)
    x = generator.uniform(0, 5, 12)
    y = 2 * x + 1 + generator.standard_normal(12)
    found, truth = fit_line(x, y), linregress(x, y)
    assert found.slope == pytest.approx(truth.slope)
    assert found.intercept == pytest.approx(truth.intercept)
    assert found.r2 == pytest.approx(truth.rvalue**2)
    assert found.p == pytest.approx(truth.pvalue)


def test_the_interval_covers_the_slope_as_often_as_it_says():
    generator = np.random.default_rng(1)
    x, inside = np.arange(8.0), 0
    for _ in range(400):
        low, high = fit_line(x, 0.3 * x + generator.standard_normal(8), level=0.9).slope_interval
        inside += low < 0.3 < high
    assert inside / 400 == pytest.approx(0.9, abs=0.05)


def test_planted_fitts_times_have_their_slope():
    far, wide = (grid.ravel() for grid in np.meshgrid([0.05, 0.1, 0.2], [0.01, 0.02]))
    found = fitts_law(far, wide, 0.05 + 0.1 * np.log2(2 * far / wide))
    assert found.slope == pytest.approx(0.1)
    assert found.intercept == pytest.approx(0.05)
    assert found.r2 == pytest.approx(1)
    shannon = fitts_law(far, wide, 0.05 + 0.1 * np.log2(far / wide + 1), difficulty="shannon")
    assert shannon.slope == pytest.approx(0.1)
    # Times that follow distance over width in the same range, in a shuffled order.
    p = [
        fitts_law(far, wide, np.random.default_rng(seed).permutation(far / wide)).p
        for seed in range(200)
    ]
    assert np.mean(np.array(p) < 0.05) < 0.12


def test_planted_schmidt_spreads_have_their_slope():
    far, time = (grid.ravel() for grid in np.meshgrid([0.1, 0.2, 0.3], [0.14, 0.2]))
    found = schmidt_law(far, time, 0.001 + 0.02 * far / time)
    assert found.slope == pytest.approx(0.02)
    assert found.intercept == pytest.approx(0.001)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="two different values"):
        fit_line([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="`width_m` must be positive"):
        fitts_law([0.1, 0.2], [0.01, 0.0], [0.2, 0.3])
    with pytest.raises(ValueError, match="`time_s` must have shape"):
        fitts_law([0.1, 0.2], [0.01, 0.02], [0.2])
    with pytest.raises(ValueError, match="unknown difficulty 'log'"):
        fitts_law([0.1, 0.2], [0.01, 0.02], [0.2, 0.3], difficulty="log")
    two = fit_line([0.0, 1.0], [0.0, 2.0])
    assert two.slope == 2
    assert np.isnan(two.slope_interval).all()
