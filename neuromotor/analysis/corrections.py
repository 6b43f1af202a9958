"""Corrections for many comparisons.

false discoveries  at most a share of the findings, in expectation, are false (Benjamini &
                   Hochberg 1995; for independent or positively dependent tests)
family             with at most this probability is any finding false (Holm 1979; any tests)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

from neuromotor._checks import check_below_one

__all__ = ["false_discoveries", "family"]


def false_discoveries(p: ArrayLike, level: float = 0.05) -> NDArray[np.bool_]:
    """Return which of many findings stand when at most a share of them may be false.

    Args:
        p: p of each test; NaN counts as no test, and never stands.
        level: The share.

    Raises:
        ValueError: A p is not between 0 and 1.

    Example:
        >>> false_discoveries([0.001, 0.02, 0.04, 0.9]).tolist()
        [True, True, False, False]
    """
    values, known = _checked(p, level)
    stands = np.zeros(values.shape, dtype=bool)
    if known.any():
        stands[known] = false_discovery_control(values[known]) <= level
    return stands


def family(p: ArrayLike, level: float = 0.05) -> NDArray[np.bool_]:
    """Return which of many findings stand when with a probability no single one may be false.

    Args:
        p: p of each test; NaN counts as no test, and never stands.
        level: The probability that any of them is false.

    Raises:
        ValueError: A p is not between 0 and 1.

    Example:
        >>> family([0.001, 0.02, 0.04, 0.9]).tolist()
        [True, False, False, False]
    """
    values, known = _checked(p, level)
    own = values[known]
    order = np.argsort(own, kind="stable")
    steps = own[order] * np.arange(len(own), 0, -1)
    adjusted = np.maximum.accumulate(steps) if len(own) else steps
    stands = np.zeros(values.shape, dtype=bool)
    accepted = np.zeros(len(own), dtype=bool)
    accepted[order] = adjusted <= level
    stands[known] = accepted
    return stands


def _checked(p: ArrayLike, level: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return values of p, and which of them are there."""
    check_below_one("level", level)
    values = np.asarray(p, np.float64)
    known = np.asarray(np.isfinite(values))
    if ((values[known] < 0) | (values[known] > 1)).any():
        raise ValueError("`p` must lie between 0 and 1.")
    return values, known
