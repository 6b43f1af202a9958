"""Representational geometry: how far apart conditions are in a population, and whether two agree.

The dissimilarity of two conditions is the squared distance of their patterns over units and parts
of time, divided by the number of these, by rsatoolbox (Nili et al. 2014). Where every condition has
two trials or more it is cross-validated over trials (crossnobis, Walther et al. 2016, with
equal and independent noise): its expectation is 0 for conditions that do not differ. Otherwise it
is the plain squared distance, which noise makes larger.

Two geometries are compared by the correlation of their dissimilarities. For the null, the
conditions of one are permuted. The noise ceiling of a recording is the correlation that the true
geometry would reach with geometries of disjoint parts of its trials: at least that of each part
with the mean of the others, at most that with the mean of all (Nili et al. 2014).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_seed
from neuromotor._extras import require
from neuromotor.analysis._arrays import null_p, soft_constant, unique
from neuromotor.analysis.averages import means_of
from neuromotor.analysis.corrections import family
from neuromotor.analysis.cutting import window
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.section import (
    Findings,
    Material,
    SectionSpec,
    layers_of,
    median,
    with_reasons,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = [
    "Geometry",
    "GeometryComparison",
    "compare_geometries",
    "plot_geometries",
    "representational_geometry",
]

_PARTS = 5  # of time
_MOST_FOLDS = 4  # of trials
_FEWEST = 4  # conditions: with fewer, a correlation is of three numbers or less


@dataclass(frozen=True)
class Geometry:
    """Dissimilarities of C conditions.

    Attributes:
        conditions: Labels, (C,).
        dissimilarity: Symmetric, 0 on the diagonal, (C, C).
        crossvalidated: Whether noise adds nothing to its expectation.
        folds: The same of disjoint parts of the trials, not cross-validated, (K, C, C); none where
            a condition has one trial.
        ceiling: Lower and upper noise ceiling of correlations; NaN without folds.
    """

    conditions: NDArray[np.generic]
    dissimilarity: NDArray[np.float64]
    crossvalidated: bool
    folds: NDArray[np.float64]
    ceiling: tuple[float, float]


@dataclass(frozen=True)
class GeometryComparison:
    """Whether two populations tell the same conditions apart.

    Attributes:
        correlation: Of their dissimilarities.
        null: The same with conditions permuted, (S,).
        p: Share of permutations, the data among them, that reach it.
        ceiling: Noise ceiling of the second geometry, lower and upper.
    """

    correlation: float
    null: NDArray[np.float64]
    p: float
    ceiling: tuple[float, float]


def representational_geometry(
    recording: xr.Dataset,
    *,
    window_s: tuple[float, float] | None = None,
    parts: int = _PARTS,
    soft: float | None = None,
    seed: int = 0,
) -> Geometry:
    """Return how far apart the conditions of a recording are.

    Args:
        recording: Trials.
        window_s: First and last time (s); all times by default.
        parts: Parts of time whose mean rates are a pattern.
        soft: Added to each unit's range of averages before it is divided by it, as for rotations.
        seed: Random seed of the parts of the trials.

    Raises:
        RecordingError: There are fewer than two conditions, or no rate varies.
        RuntimeError: rsatoolbox is not installed.
    """
    check_integer("parts", parts, minimum=1)
    check_seed("seed", seed)
    check_recording(recording, ["rate"])
    part = window(recording, window_s)
    values = part["rate"].values.astype(np.float64)
    edges = np.linspace(0, values.shape[1], min(parts, values.shape[1]) + 1).astype(int)
    values = np.add.reduceat(values, edges[:-1], axis=1) / np.diff(edges)[:, None]
    labels, member = np.unique(part["condition"].values, return_inverse=True)
    if len(labels) < 2:
        raise RecordingError("a geometry needs two conditions or more.")
    average = means_of(values, member)
    size = np.ptp(average, axis=(0, 1)) + soft_constant(recording, "rate", soft)
    if not (np.ptp(average, axis=0) > 0).any():
        raise RecordingError("the averages of all conditions are the same.")
    patterns = (values / np.where(size > 0, size, 1.0)).reshape(len(values), -1)
    count = min(int(np.bincount(member).min()), _MOST_FOLDS)
    whole = _dissimilarities(means_of(patterns[:, None], member)[:, 0])
    if count < 2:
        none = np.zeros((0, len(labels), len(labels)))
        return Geometry(labels, whole, False, none, (float("nan"), float("nan")))
    generator = np.random.default_rng(seed)
    fold = np.empty(len(member), np.int64)
    for condition in range(len(labels)):
        own = generator.permutation(np.flatnonzero(member == condition))
        fold[own] = np.arange(len(own)) % count
    data: Any = require("rsatoolbox.data", "geometry")
    rdm: Any = require("rsatoolbox.rdm", "geometry")
    order = np.argsort(member, kind="stable")  # rsatoolbox takes conditions as they come
    names = {"condition": member[order].astype(float), "fold": fold[order].astype(float)}
    dataset = data.Dataset(patterns[order], obs_descriptors=names)
    crossed = rdm.calc_rdm(dataset, "crossnobis", descriptor="condition", cv_descriptor="fold")
    folds = np.array(
        [
            _dissimilarities(means_of(patterns[fold == k][:, None], member[fold == k])[:, 0])
            for k in range(count)
        ]
    )
    ceiling = (float("nan"), float("nan"))
    if len(labels) >= _FEWEST:
        inference: Any = require("rsatoolbox.inference", "geometry")
        low, high = inference.boot_noise_ceiling(_as_rdms(folds), method="corr")
        ceiling = (float(low), float(high))
    return Geometry(labels, np.asarray(crossed.get_matrices()[0]), True, folds, ceiling)


def compare_geometries(
    one: Geometry, two: Geometry, *, permutations: int = 999, seed: int = 0
) -> GeometryComparison:
    """Return whether two populations tell the same conditions apart.

    Args:
        one: A geometry, for instance of a network.
        two: Another of the same conditions, for instance of neurons, whose noise ceiling counts.
        permutations: Permutations of conditions for p, which is at least 1 / (permutations + 1).
        seed: Random seed of the permutations.

    Raises:
        RecordingError: Conditions differ, or are fewer than four.
        RuntimeError: rsatoolbox is not installed.
    """
    check_integer("permutations", permutations, minimum=1)
    check_seed("seed", seed)
    if one.conditions.tolist() != two.conditions.tolist():
        raise RecordingError(
            f"both geometries need the same conditions, got {one.conditions.tolist()} and "
            f"{two.conditions.tolist()}; select or rename them."
        )
    count = len(one.conditions)
    if count < _FEWEST:
        raise RecordingError(
            f"geometries are compared from {_FEWEST} conditions on, got {count}: fewer give a "
            "correlation of three numbers or less."
        )
    rdm: Any = require("rsatoolbox.rdm", "geometry")
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(count) for _ in range(permutations)]
    others = [one.dissimilarity, *(one.dissimilarity[np.ix_(order, order)] for order in orders)]
    found = rdm.compare(
        _as_rdms(np.array(others)), _as_rdms(two.dissimilarity[None]), method="corr"
    )
    correlations = np.asarray(found, np.float64).ravel()
    if not np.isfinite(correlations[0]):
        raise RecordingError("all conditions of a population are as far apart as each other.")
    null = correlations[1:]
    p = null_p(float(correlations[0]) - 1e-12, null)
    return GeometryComparison(float(correlations[0]), null, p, two.ceiling)


def _dissimilarities(patterns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return squared distances between patterns, (C, P), over their length, by rsatoolbox."""
    data: Any = require("rsatoolbox.data", "geometry")
    rdm: Any = require("rsatoolbox.rdm", "geometry")
    return np.asarray(rdm.calc_rdm(data.Dataset(patterns), "euclidean").get_matrices()[0])


def _as_rdms(matrices: NDArray[np.float64]) -> Any:
    """Return dissimilarities (K, C, C) as rsatoolbox takes them."""
    rows, columns = np.triu_indices(matrices.shape[1], 1)
    return require("rsatoolbox.rdm", "geometry").RDMs(matrices[:, rows, columns])


def plot_geometries(found: dict[str, Geometry]) -> Figure:
    """Draw the dissimilarities of named populations, each over its largest."""
    from neuromotor.analysis.drawing import panels, plain

    with panels(1, len(found), figsize=(2.3 * len(found) + 0.5, 2.5), squeeze=False) as (
        figure,
        axes,
    ):
        for ax, (name, geometry) in zip(axes.flat, found.items(), strict=True):
            largest = float(geometry.dissimilarity.max())
            shown = geometry.dissimilarity / (largest or 1.0)
            picture = ax.imshow(shown, vmin=min(0.0, shown.min()), vmax=1, cmap="viridis")
            places = np.arange(len(geometry.conditions))
            words = [plain(str(x))[:12] for x in geometry.conditions]
            step = -(-len(places) // 8)
            ax.set_xticks(places[::step], words[::step], rotation=90)
            ax.set_yticks(places[::step], words[::step])
            ax.set_title(plain(name))
        figure.colorbar(picture, ax=axes, label="dissimilarity / largest", shrink=0.8)
    return figure


def _section(given: Material) -> Findings:
    """Geometry of each layer beside those of the other recording."""
    if given.against is None:
        raise RecordingError("this analysis needs another recording.")
    reasons: list[str] = []
    sides: list[dict[str, Geometry]] = []
    for recording in (given.activity, window(given.against, given.window_s)):
        own: dict[str, Geometry] = {}
        for layer, part in layers_of(recording).items():
            try:
                own[layer] = representational_geometry(part, soft=given.soft, seed=given.seed)
            except RecordingError as error:
                reasons.append(f"{layer}: {error}")
            except RuntimeError as error:  # rsatoolbox is not there: the other analyses need not it
                raise RecordingError(str(error)) from error
        sides.append(own)
    numbers: dict[str, Any] = {}
    for (layer, one), (other, two) in itertools.product(*(side.items() for side in sides)):
        try:
            found = compare_geometries(
                one, two, permutations=max(199, given.surrogates), seed=given.seed
            )
        except RecordingError as error:
            reasons.append(f"{layer} and {other}: {error}")
            continue
        numbers[f"{layer} - {other}"] = {
            "correlation": found.correlation,
            "null_median": median(found.null),
            "p": found.p,
            "noise_ceiling_low": found.ceiling[0],
            "noise_ceiling_high": found.ceiling[1],
        }
    if not numbers:
        raise RecordingError(" ".join(dict.fromkeys(reasons)))
    for row, stands in zip(
        numbers.values(), family([row["p"] for row in numbers.values()]), strict=True
    ):
        row["stands_corrected"] = bool(stands)
    text = (
        "The dissimilarity of two conditions is the squared distance of their patterns over units "
        f"and {_PARTS} parts of time, cross-validated over trials where each condition has two. "
        "Correlation is that of all dissimilarities of this recording and the other; the noise "
        "ceiling is what the true geometry of the other recording would reach with parts of its "
        "trials. For the null, conditions are permuted; whether p stands below 0.05 is corrected "
        f"for the number of pairs, {len(numbers)}, by Holm's method."
    )
    names = unique([*sides[0], *(f"other, {layer}" for layer in sides[1])])
    shown = dict(zip(names, [*sides[0].values(), *sides[1].values()], strict=True))
    return Findings(
        with_reasons(text, list(dict.fromkeys(reasons))),
        numbers,
        {"geometry": partial(plot_geometries, shown)},
    )


SECTION = SectionSpec(
    "geometry",
    "Geometry of conditions beside the other recording",
    135,
    _section,
    ("changing rates", "other recording"),
    lambda given: 3.0 + 0.2 * given.million_rates,
    reading="Two populations tell the same conditions apart where their pictures have the same "
    "pattern; for the null, conditions are permuted.",
)
