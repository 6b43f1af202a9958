"""Arithmetic that several analyses share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from neuromotor._checks import check_number
from neuromotor.analysis.layout import RecordingError

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Difference",
    "by_sample",
    "check_dimensions",
    "counts_spikes",
    "differences",
    "in_own_space",
    "null_p",
    "principal_axes",
    "r_squared",
    "rank_above_rounding",
    "reduced",
    "soft_constant",
    "soft_normalised",
    "stacked",
    "unique",
]

Difference = Literal["starts", "midpoints"]  # of which state a difference over a step is taken

# Added to a unit's range before division by it (Kalidindi et al. 2021).
_SOFT_NETWORK = 5e-4  # rates of tanh units
_SOFT_SPIKES = 5.0  # spikes/s
_SPIKES = {"spikes/s", "spike/s", "spikes/sec", "spikes s-1", "spikes s^-1", "sp/s", "imp/s"}
_SPIKES |= {"hz", "1/s", "s-1", "s^-1"}
_UNITS = ("rate", "activation")  # of neurons or of a network: what the constants above are for
_ROUNDING = 1e-9  # of the norm before anything was subtracted: smaller values are no variation


def by_sample(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values with all axes but the last made one, (samples, N)."""
    return values.reshape(-1, values.shape[-1])


def soft_constant(recording: xr.Dataset, variable: str, soft: float | None) -> float:
    """Return what is added to the ranges of a variable: `soft`, or the constant for its kind.

    The constant is 5 for rates in spikes/s, 5e-4 for rates without a unit, and 0 for all else, such
    as kinematics and muscles (Kalidindi et al. 2021).
    """
    if soft is not None:
        check_number("soft", soft, minimum=0.0)
        return float(soft)
    if variable not in _UNITS:
        return 0.0
    if counts_spikes(recording, variable):
        return _SOFT_SPIKES
    return _SOFT_NETWORK if _unit_of(recording, variable) in ("1", "") else 0.0


def counts_spikes(recording: xr.Dataset, variable: str) -> bool:
    """Return whether a variable's unit is spikes per second, however it is written."""
    return _unit_of(recording, variable) in _SPIKES


def _unit_of(recording: xr.Dataset, variable: str) -> str:
    return str(recording[variable].attrs.get("units", "1")).strip().lower()


def soft_normalised(mean: NDArray[np.float64], soft: float) -> NDArray[np.float64]:
    """Return (C, T, N) over each unit's range plus a constant (Churchland et al. 2012)."""
    size = np.ptp(mean, axis=(0, 1)) + soft
    return np.asarray(mean / np.where(size > 0, size, 1.0), np.float64)


def in_own_space(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values (..., N) on orthonormal axes of the space that they span, (..., r).

    No more axes than samples are needed. Distances, covariances across samples and scores on
    principal components stay what they are, and so does everything that is computed from linear
    mixtures of samples: it is a change of axes, no approximation.
    """
    flat = by_sample(values)
    if flat.shape[1] <= flat.shape[0]:
        return values
    # flat = triangle^T Q^T with orthonormal Q
    triangle: NDArray[np.float64] = np.asarray(np.linalg.qr(flat.T, mode="r"), np.float64)
    return np.asarray(triangle.T.reshape(*values.shape[:-1], -1), np.float64)


def rank_above_rounding(values: NDArray[np.float64], norm: float) -> int:
    """Return how many dimensions values (..., N) span beyond rounding.

    `norm` is the norm of the values before their mean was subtracted. What is left of equal values
    is rounding, and must not count as variation.
    """
    singular = np.linalg.svd(by_sample(in_own_space(values)), compute_uv=False)
    return int((singular > _ROUNDING * norm).sum())


def check_dimensions(
    values: NDArray[np.float64],
    norm: float,
    components: int,
    what: str,
    advice: str = "use fewer `components`",
) -> None:
    """Raise a `RecordingError` unless values (..., N) vary in as many dimensions as are needed.

    Args:
        values: Values after their mean was subtracted.
        norm: Norm before that, as in `rank_above_rounding`.
        components: Dimensions that are needed.
        what: Name of the values, for the message.
        advice: What to do where the values vary at all.
    """
    rank = rank_above_rounding(values, norm)
    if rank < components:
        raise RecordingError(
            f"{what} varies in {rank} dimensions, {components} are needed"
            + (f"; {advice}." if rank else ".")
        )


def reduced(centered: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], float]:
    """Return scores on the first k principal components, (..., k), and their share of variance."""
    axes, share = principal_axes(centered, k)
    return np.asarray(centered @ axes, np.float64), share


def principal_axes(centered: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], float]:
    """Return the first k principal axes of values (..., N), (N, k), and their share of variance."""
    flat = by_sample(centered)
    size = flat.shape[1]
    gram = flat.T @ flat
    first = max(size - k, 0)
    values, vectors = eigh(gram, subset_by_index=(first, size - 1), check_finite=False)
    return np.asarray(vectors[:, ::-1], np.float64), float(values.sum() / np.trace(gram))


def differences(
    states: NDArray[np.float64], dt_s: float, difference: Difference = "midpoints"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return states of (C, T, k) and their derivatives, as differences over a step.

    The states are those at the start of each step, or halfway. Both are (C (T - 1), k).
    """
    first, last = states[:, :-1], states[:, 1:]
    where = first if difference == "starts" else 0.5 * (first + last)
    return by_sample(where), by_sample((last - first) / dt_s)


def r_squared(
    truth: NDArray[np.float64],
    prediction: NDArray[np.float64],
    axis: tuple[int, ...],
    baseline: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the predicted share of variance about a baseline or the mean; NaN without variance."""
    about = truth.mean(axis) if baseline is None else baseline
    total = ((truth - about) ** 2).sum(axis)
    left = ((truth - prediction) ** 2).sum(axis)
    varies = total > 1e-24 * np.maximum((truth**2).sum(axis), 1e-300)
    return np.where(varies, 1 - left / np.where(varies, total, 1.0), np.nan)


def null_p(observed: float, null: ArrayLike) -> float:
    """Return the share of the null, to which the observation belongs, that reaches it."""
    values = np.asarray(null)
    return float((np.sum(values >= observed) + 1) / (len(values) + 1))


def unique(names: Iterable[str]) -> list[str]:
    """Return the names, with a number behind each that stood there before."""
    found: list[str] = []
    for name in names:
        own, number = name, 1
        while own in found:
            number += 1
            own = f"{name} ({number})"
        found.append(own)
    return found


def stacked(recording: xr.Dataset, names: Sequence[str]) -> NDArray[np.float64]:
    """Return variables side by side, (B, T, D).

    Raises:
        RecordingError: A variable has other axes than trial, time and one more.
    """
    parts = [recording[name].values.astype(np.float64) for name in names]
    for name, part in zip(names, parts, strict=True):
        if part.ndim != 3:
            raise RecordingError(f"`{name}` must vary over trial, time and one more axis.")
    return np.concatenate(parts, axis=-1)
