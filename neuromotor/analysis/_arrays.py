"""Arithmetic that several analyses share."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "SOFT",
    "by_sample",
    "differences",
    "null_p",
    "r_squared",
    "reduced",
    "soft_normalised",
    "unique",
]

SOFT = 5e-4  # added to a unit's range before division by it: for rates of tanh units


def by_sample(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every axis but the last as one, (samples, N)."""
    return values.reshape(-1, values.shape[-1])


def soft_normalised(mean: NDArray[np.float64], soft: float = SOFT) -> NDArray[np.float64]:
    """Each unit (C, T, N) over its range plus a constant (Churchland et al. 2012)."""
    return np.asarray(mean / (np.ptp(mean, axis=(0, 1)) + soft), np.float64)


def reduced(centered: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], float]:
    """Scores on the first k principal components, (..., k), and their share of variance."""
    flat = by_sample(centered)
    values, vectors = np.linalg.eigh(flat.T @ flat)
    return centered @ vectors[:, ::-1][:, :k], float(values[::-1][:k].sum() / values.sum())


def differences(
    states: NDArray[np.float64], dt_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """States halfway between samples of (C, T, k), and derivatives there, (C (T - 1), k) each."""
    middle = 0.5 * (states[:, 1:] + states[:, :-1])
    return by_sample(middle), by_sample(np.diff(states, axis=1) / dt_s)


def r_squared(
    truth: NDArray[np.float64],
    prediction: NDArray[np.float64],
    axis: tuple[int, ...],
    baseline: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Share of variance about a baseline (or the mean) that is predicted; NaN if none varies."""
    about = truth.mean(axis) if baseline is None else baseline
    total = ((truth - about) ** 2).sum(axis)
    left = ((truth - prediction) ** 2).sum(axis)
    varies = total > 1e-24 * np.maximum((truth**2).sum(axis), 1e-300)
    return np.where(varies, 1 - left / np.where(varies, total, 1.0), np.nan)


def null_p(observed: float, null: ArrayLike) -> float:
    """Share of the null, the observation itself among it, that reaches the observation."""
    values = np.asarray(null)
    return float((np.sum(values >= observed) + 1) / (len(values) + 1))


def unique(names: Iterable[str]) -> list[str]:
    """Names as they are, a number behind each that was there before."""
    found: list[str] = []
    for name in names:
        own, number = name, 1
        while own in found:
            number += 1
            own = f"{name} ({number})"
        found.append(own)
    return found
