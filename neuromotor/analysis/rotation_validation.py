"""Rotations cross-validated over conditions: dynamics of some conditions predict the others.

As Suresh et al. (2020) do, R^2 is that of the derivatives of conditions which the fit did not see:
one condition at a time is left out where there are eight or fewer, else a fifth of them. Ranges,
the mean over conditions, principal components and dynamics all come from the other conditions; the
paper leaves open which of these do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_seed
from neuromotor.analysis._arrays import Difference, differences, principal_axes
from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.rotation_fits import centred, fit_rotations, signals_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "RotationValidation",
    "cross_validated_rotations",
    "cross_validated_rotations_of",
]

_ONE_BY_ONE = 8  # conditions; with more, five folds (Suresh et al. 2020)
_FOLDS = 5


@dataclass(frozen=True)
class RotationValidation:
    """R^2 of the derivatives of conditions that the fit did not see; F folds.

    Attributes:
        r2_skew: Of rotations alone, over all conditions; below 0 where it is worse than none.
        r2_unconstrained: Of any linear dynamics.
        fold_r2_skew: Of each fold, (F,).
        fold_r2_unconstrained: Of each fold, (F,).
        left_out: Conditions of each fold, by their places.
        difference: Which state a difference over a step belongs to.
    """

    r2_skew: float
    r2_unconstrained: float
    fold_r2_skew: NDArray[np.float64]
    fold_r2_unconstrained: NDArray[np.float64]
    left_out: tuple[tuple[int, ...], ...]
    difference: Difference


def cross_validated_rotations(
    recording: xr.Dataset,
    variable: str | Sequence[str] = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    components: int | None = None,
    soft: float | None = None,
    difference: Difference = "starts",
    folds: int | None = None,
    seed: int = 0,
) -> RotationValidation:
    """Return how well linear dynamics of some conditions predict the others.

    Args:
        recording: Trials; arguments as in `rotational_dynamics`.
        variable: Variable, or several side by side.
        window_s: First and last time (s).
        components: Principal components, even.
        soft: Added to each signal's range.
        difference: `starts` or `midpoints`.
        folds: Number of folds; None leaves one condition out at a time where there are eight or
            fewer, and makes five folds else.
        seed: Random seed of the folds.

    Raises:
        RecordingError: There are too few conditions, times or signals.
    """
    found = signals_of(recording, variable, window_s=window_s, components=components, soft=soft)
    return cross_validated_rotations_of(
        found.mean,
        found.time_s,
        components=found.components,
        soft=found.soft,
        difference=difference,
        folds=folds,
        seed=seed,
    )


def cross_validated_rotations_of(
    mean: NDArray[np.float64],
    time_s: NDArray[np.float64],
    *,
    components: int = 6,
    soft: float,
    difference: Difference = "starts",
    folds: int | None = None,
    seed: int = 0,
) -> RotationValidation:
    """Return `cross_validated_rotations` of condition averages (C, T, N) at times (s), (T,)."""
    check_seed("seed", seed)
    count, dt = len(mean), float(time_s[1] - time_s[0])
    if count < 3:
        raise RecordingError(
            f"cross-validation over conditions needs three conditions or more, got {count}."
        )
    if folds is None:
        folds = count if count <= _ONE_BY_ONE else _FOLDS
    check_integer("folds", folds, minimum=2)
    if folds > count:
        raise ValueError(f"`folds` must be at most the {count} conditions, got {folds}.")
    order = np.random.default_rng(seed).permutation(count)
    parts = [np.sort(part) for part in np.array_split(order, folds)]
    left, total = [], []
    for part in parts:
        own = np.delete(mean, part, axis=0)
        data = centred(own, components, soft, difference)
        axes = principal_axes(data, components)[0]
        fit = fit_rotations(data @ axes, dt, difference)
        size = np.ptp(own, axis=(0, 1)) + soft
        unseen = (mean[part] - own.mean(0)) / np.where(size > 0, size, 1.0)
        x, derivative = differences(unseen @ axes, dt, difference)
        total.append((derivative**2).sum())
        left.append([((derivative - x @ m.T) ** 2).sum() for m in (fit.skew, fit.free)])
    errors, sizes = np.array(left), np.array(total)
    by_fold = 1 - errors / sizes[:, None]
    whole = 1 - errors.sum(0) / sizes.sum()
    return RotationValidation(
        r2_skew=float(whole[0]),
        r2_unconstrained=float(whole[1]),
        fold_r2_skew=by_fold[:, 0],
        fold_r2_unconstrained=by_fold[:, 1],
        left_out=tuple(tuple(int(i) for i in part) for part in parts),
        difference=difference,
    )
