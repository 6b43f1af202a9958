"""Arithmetic that several analyses share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromotor._checks import check_number

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "by_sample",
    "differences",
    "null_p",
    "r_squared",
    "rank_above_rounding",
    "reduced",
    "soft_constant",
    "soft_normalised",
    "unique",
]

# Added to a unit's range before division by it (Kalidindi et al. 2021).
_SOFT_NETWORK = 5e-4  # rates of tanh units
_SOFT_SPIKES = 5.0  # spikes/s
_SPIKES = {"spikes/s", "spike/s", "spikes/sec", "spikes s-1", "spikes s^-1", "sp/s", "imp/s"}
_SPIKES |= {"hz", "1/s", "s-1", "s^-1"}
_ROUNDING = 1e-9  # of the norm before anything was subtracted: what is smaller is no variation


def by_sample(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every axis but the last as one, (samples, N)."""
    return values.reshape(-1, values.shape[-1])


def soft_constant(recording: xr.Dataset, variable: str, soft: float | None) -> float:
    """What is added to the ranges of a variable: `soft`, or what its unit asks for.

    5 for spikes/s, 5e-4 for rates without a unit, 0 for kinematics, torques and all else.
    """
    if soft is not None:
        check_number("soft", soft, minimum=0.0)
        return float(soft)
    unit = str(recording[variable].attrs.get("units", "1")).strip().lower()
    if unit in _SPIKES:
        return _SOFT_SPIKES
    return _SOFT_NETWORK if unit in ("1", "") else 0.0


def soft_normalised(mean: NDArray[np.float64], soft: float) -> NDArray[np.float64]:
    """Each unit (C, T, N) over its range plus a constant (Churchland et al. 2012)."""
    size = np.ptp(mean, axis=(0, 1)) + soft
    return np.asarray(mean / np.where(size > 0, size, 1.0), np.float64)


def rank_above_rounding(values: NDArray[np.float64], norm: float) -> int:
    """Dimensions that values (..., N) span beyond the rounding of what had the norm `norm`.

    The norm is that of the values before their mean was subtracted: what is left of equal values is
    rounding, and must not count as variation.
    """
    singular = np.linalg.svd(by_sample(values), compute_uv=False)
    return int((singular > _ROUNDING * norm).sum())


def reduced(centered: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], float]:
    """Scores on the first k principal components, (..., k), and their share of variance."""
    flat = by_sample(centered)
    values, vectors = np.linalg.eigh(flat.T @ flat)
    return centered @ vectors[:, ::-1][:, :k], float(values[::-1][:k].sum() / values.sum())


def differences(
    states: NDArray[np.float64], dt_s: float, at: Literal["start", "middle"] = "middle"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Derivatives of (C, T, k) as differences over a step, and the states that they belong to.

    Those are the states at the start of each step, or halfway; (C (T - 1), k) each, states first.
    """
    first, last = states[:, :-1], states[:, 1:]
    where = first if at == "start" else 0.5 * (first + last)
    return by_sample(where), by_sample((last - first) / dt_s)


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
