"""Corrections keep their promises over many repeats, and agree with worked examples."""

import numpy as np
import pytest
from scipy.stats import binom

from neuromotor.analysis import false_discoveries, family


def test_worked_examples():
    p = [0.01, 0.04, 0.03, 0.005]  # Holm by hand: 0.005 * 4, 0.01 * 3, 0.03 * 2 fails
    assert family(p).tolist() == [True, False, False, True]
    assert false_discoveries(p).tolist() == [True, True, True, True]
    # Benjamini & Hochberg 1995, the 15 tests of their table: the first four stand
    published = [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
        *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0),
    ]
    assert false_discoveries(published).sum() == 4
    assert family(published).sum() == 3
    assert family([np.nan, 0.04]).tolist() == [False, True]
    assert not false_discoveries([np.nan]).any()
    with pytest.raises(ValueError, match="between 0 and 1"):
        family([1.2])


def test_promises_over_many_repeats():
    rng = np.random.default_rng(0)
    wrong, shares = 0, []
    for _ in range(400):
        p = np.concatenate([rng.random(30), 1e-4 * rng.random(10)])
        wrong += family(p)[:30].any()
        stands = false_discoveries(p)
        shares.append(stands[:30].sum() / max(stands.sum(), 1))
    assert wrong <= binom.ppf(0.999, 400, 0.05)
    assert np.mean(shares) <= 0.05
    assert np.mean(shares) > 0.02  # 30 of 40 are true nulls: 3.75 % is expected
