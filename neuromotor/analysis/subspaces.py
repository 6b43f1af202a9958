"""Principal components, dimensionality, and how far two epochs share a subspace.

Notation: lambda eigenvalues of a covariance C; D its first k eigenvectors.

    participation ratio (sum lambda)^2 / sum lambda^2
    alignment of epoch a with b: tr(D_a^T C_b D_a) / (sum of the k largest lambda_b)

(Participation ratio: Gao et al. 2017. Alignment index: Elsayed et al. 2016, with their null: two
random subspaces drawn from the covariance of both epochs together.) Null of the dimensionality:
each unit's samples permuted by themselves, which keeps variances and breaks every correlation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor._extras import require
from neuromotor.analysis._arrays import (
    by_sample,
    rank_above_rounding,
    soft_constant,
    soft_normalised,
)
from neuromotor.analysis.averages import condition_averages
from neuromotor.analysis.layout import RecordingError

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Alignment",
    "PrincipalComponents",
    "participation_ratio",
    "principal_components",
    "subspace_alignment",
]


@dataclass(frozen=True)
class PrincipalComponents:
    """Principal components of condition averages; C conditions, T times, N units, k components.

    Attributes:
        time_s: (T,).
        conditions: (C,).
        explained: Share of variance of each component, (k,).
        scores: (C, T, k).
        loadings: Unit vectors, (k, N).
        participation_ratio: Effective number of dimensions.
        null_participation_ratio: Median of it over permuted data.
        dimensions_90: Components that together hold 90 % of the variance.
    """

    time_s: NDArray[np.float64]
    conditions: NDArray[np.generic]
    explained: NDArray[np.float64]
    scores: NDArray[np.float64]
    loadings: NDArray[np.float64]
    participation_ratio: float
    null_participation_ratio: float
    dimensions_90: int


@dataclass(frozen=True)
class Alignment:
    """Alignment index of two epochs, from 0 (orthogonal) to 1 (the same subspace).

    Attributes:
        index: Share of epoch b's variance that epoch a's subspace catches, of the most k can.
        null: Indices of random subspaces, (S,).
        components: Dimensions k.
    """

    index: float
    null: NDArray[np.float64]
    components: int


def principal_components(
    recording: xr.Dataset,
    variable: str = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    shuffles: int = 20,
    seed: int = 0,
) -> PrincipalComponents:
    """Return the principal components of condition averages, by scikit-learn.

    Raises:
        RecordingError: The activity does not vary.
        RuntimeError: scikit-learn is not installed.
    """
    decomposition = require("sklearn.decomposition", "analysis")
    averages = condition_averages(recording, variable, window_s=window_s, shuffles=0)
    flat = by_sample(averages.mean)
    if not rank_above_rounding(flat - flat.mean(0), float(np.linalg.norm(flat))):
        raise RecordingError(f"`{variable}` must vary to have principal components.")
    model = decomposition.PCA(svd_solver="full").fit(flat)
    generator = np.random.default_rng(seed)
    null = [
        participation_ratio(_spectrum(generator.permuted(flat, axis=0))) for _ in range(shuffles)
    ]
    return PrincipalComponents(
        time_s=averages.time_s,
        conditions=averages.conditions,
        explained=model.explained_variance_ratio_,
        scores=model.transform(flat).reshape(*averages.mean.shape[:2], -1),
        loadings=model.components_,
        participation_ratio=participation_ratio(model.explained_variance_),
        null_participation_ratio=float(np.median(null)) if null else float("nan"),
        dimensions_90=int(np.searchsorted(np.cumsum(model.explained_variance_ratio_), 0.9) + 1),
    )


def participation_ratio(variances: NDArray[np.float64]) -> float:
    """Return the effective number of dimensions of a spectrum of variances."""
    return float(variances.sum() ** 2 / (variances**2).sum())


def subspace_alignment(
    recording: xr.Dataset,
    first_s: tuple[float, float],
    second_s: tuple[float, float],
    *,
    components: int = 6,
    soft: float | None = None,
    surrogates: int = 200,
    seed: int = 0,
) -> Alignment:
    """Return how far the activity of one epoch, such as preparation, lies in that of another.

    Units are soft-normalised by their range over both epochs, and the mean over
    conditions is subtracted, as in `rotations`.

    Args:
        recording: Trials.
        first_s: First and last time of epoch a (s).
        second_s: Of epoch b.
        components: Dimensions k of each subspace.
        soft: Added to each unit's range; see `rotational_dynamics`.
        surrogates: Random subspaces of the null.
        seed: Of the null.

    Raises:
        RecordingError: An epoch does not span so many dimensions.
    """
    epochs = [
        condition_averages(recording, window_s=span, shuffles=0).mean
        for span in (first_s, second_s)
    ]
    constant = soft_constant(recording, "rate", soft)
    both = soft_normalised(np.concatenate(epochs, axis=1), constant)
    centered = both - both.mean(0)
    steps = epochs[0].shape[1]
    flat = [by_sample(part) for part in (centered[:, :steps], centered[:, steps:])]
    for name, part in zip(("first_s", "second_s"), flat, strict=True):
        rank = rank_above_rounding(part, float(np.linalg.norm(both)))
        if rank < components:
            raise RecordingError(
                f"the epoch `{name}` spans {rank} dimensions beyond its mean over conditions, "
                f"{components} are needed"
                + ("; use fewer `components` or a longer epoch." if rank else ".")
            )
    covariance = [part.T @ part / len(part) for part in flat]
    basis = np.linalg.eigh(covariance[0])[1][:, -components:]
    best = np.linalg.eigvalsh(covariance[1])[-components:].sum()
    index = np.trace(basis.T @ covariance[1] @ basis) / best
    values, vectors = np.linalg.eigh(np.cov(np.concatenate(flat).T))
    root = vectors * np.sqrt(np.maximum(values, 0))
    generator = np.random.default_rng(seed)
    null = []
    for _ in range(surrogates):
        one, two = (
            np.linalg.svd(root @ generator.standard_normal((len(values), components)), False)[0]
            for _ in range(2)
        )
        null.append(((one.T @ two) ** 2).sum() / components)
    return Alignment(float(index), np.array(null), components)


def _spectrum(flat: NDArray[np.float64]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.linalg.svd(flat - flat.mean(0), compute_uv=False) ** 2
    return values
