"""Principal components of condition averages, and how many dimensions they need.

Notation: lambda are the eigenvalues of the covariance.

    participation ratio (sum lambda)^2 / sum lambda^2   (Gao et al. 2017)

For its null, the samples of each unit are permuted by themselves, which keeps variances and breaks
every correlation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor._extras import require
from neuromotor.analysis._arrays import by_sample, rank_above_rounding
from neuromotor.analysis.averages import condition_averages
from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.section import (
    Findings,
    Material,
    SectionSpec,
    by_layer,
    span,
    with_reasons,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = [
    "PrincipalComponents",
    "participation_ratio",
    "plot_principal_components",
    "principal_components",
]


@dataclass(frozen=True)
class PrincipalComponents:
    """Principal components of condition averages; C conditions, T times, N units, k components.

    Attributes:
        time_s: Times (s), (T,).
        conditions: Labels, (C,).
        explained: Share of variance of each component, (k,).
        scores: Scores of the averages, (C, T, k).
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
    null = [_participation_ratio_of(generator.permuted(flat, axis=0)) for _ in range(shuffles)]
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


def _participation_ratio_of(flat: NDArray[np.float64]) -> float:
    """Return the participation ratio of samples (S, N), from traces instead of eigenvalues."""
    centered = flat - flat.mean(0)
    wide = centered.shape[1] > centered.shape[0]
    gram = centered @ centered.T if wide else centered.T @ centered
    return float(np.trace(gram) ** 2 / (gram**2).sum())


def plot_principal_components(found: PrincipalComponents) -> Figure:
    """Draw the variance of the components, and the conditions in the first two."""
    from matplotlib.ticker import MaxNLocator

    from neuromotor.analysis.drawing import NULL_COLOR, add_condition_key, draw_conditions, panels

    with panels(1, 2, figsize=(6.0, 2.7)) as (figure, (left, right)):
        shown = min(15, len(found.explained))
        left.plot(np.arange(1, shown + 1), np.cumsum(found.explained)[:shown], "o-", markersize=3)
        left.axhline(0.9, color=NULL_COLOR, linestyle="--")
        left.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        left.set(xlabel="components", ylabel="share of variance", ylim=(0, 1.02))
        left.set_title(f"participation ratio {found.participation_ratio:.2f}")
        second = 1 if found.scores.shape[2] > 1 else 0
        draw_conditions(right, found.scores[..., [0, second]])
        right.set(xlabel="component 1", ylabel="component 2")
        add_condition_key(figure, found.conditions, right)
    return figure


def _section(given: Material) -> Findings:
    """Principal components and dimensionality of each layer."""
    found, reasons = by_layer(given.activity, partial(principal_components, seed=given.seed))
    numbers = {
        layer: {
            "participation_ratio": result.participation_ratio,
            "null_participation_ratio": result.null_participation_ratio,
            "dimensions_90": result.dimensions_90,
            "first_component": result.explained[0],
        }
        for layer, result in found.items()
    }
    figures = {
        f"components-{layer}": partial(plot_principal_components, result)
        for layer, result in found.items()
    }
    text = (
        f"The components are those of condition averages, {span(given.activity)}. For the null of "
        "the participation ratio, the samples of each unit are permuted by themselves."
    )
    return Findings(with_reasons(text, reasons), numbers, figures)


SECTION = SectionSpec(
    "components",
    "Principal components",
    50,
    _section,
    ("changing rates",),
    lambda given: 0.3 + given.million_rates,
    gaps="averages",
    in_parts=True,
    reading="The sooner the line reaches 90 %, the fewer dimensions the averages need; the null, "
    "samples permuted within each unit, is in the table.",
)
