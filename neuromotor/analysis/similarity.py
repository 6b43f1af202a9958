"""How alike two populations are: canonical correlations and Procrustes distance.

Notation: A and B are the centred scores of two populations (samples, k), and Q are orthonormal
bases of their columns.

    canonical correlations: singular values of Q_A^T Q_B (Bjorck & Golub 1973)
    Procrustes distance: arccos(|A^T B|_* / (|A|_F |B|_F)) (Williams et al. 2021)

Both compare the first principal components of each population. For the null, the conditions of one
population are exchanged at random.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis._arrays import by_sample, check_dimensions, null_p, reduced
from neuromotor.analysis.averages import condition_averages
from neuromotor.analysis.corrections import family
from neuromotor.analysis.cutting import window
from neuromotor.analysis.layout import RecordingError
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
    "Similarity",
    "canonical_correlations",
    "compare_populations",
    "plot_similarity",
    "procrustes_distance",
]


@dataclass(frozen=True)
class Similarity:
    """Comparison of two populations.

    Attributes:
        correlations: Canonical correlations, largest first, (k,).
        null_correlations: The same with exchanged conditions, (S, k).
        distance_rad: Procrustes distance, 0 (the same up to rotation and scale) to pi/2.
        null_distance_rad: Distances with exchanged conditions, (S,).
    """

    correlations: NDArray[np.float64]
    null_correlations: NDArray[np.float64]
    distance_rad: float
    null_distance_rad: NDArray[np.float64]


def compare_populations(
    one: xr.Dataset,
    two: xr.Dataset,
    variable: str = "rate",
    *,
    components: int = 6,
    shuffles: int = 100,
    seed: int = 0,
) -> Similarity:
    """Compare two recordings of the same conditions and numbers of times.

    Args:
        one: A recording, for instance of a network.
        two: Another, for instance a user's data; conditions must have the same labels.
        variable: Variable that is compared.
        components: Principal components kept of each.
        shuffles: Exchanges of conditions for the null.
        seed: Random seed of the exchanges.

    Raises:
        RecordingError: Conditions or times do not match, or too few dimensions vary.
    """
    a, b = (condition_averages(r, variable, shuffles=0) for r in (one, two))
    if a.conditions.tolist() != b.conditions.tolist():
        raise RecordingError(
            f"both recordings need the same conditions, got {a.conditions.tolist()} and "
            f"{b.conditions.tolist()}; select or rename them."
        )
    if len(a.time_s) != len(b.time_s):
        raise RecordingError(
            f"both recordings need as many times, got {len(a.time_s)} and {len(b.time_s)}; "
            "`align` and `.interp` them."
        )
    first, second = (_scores(part.mean, components) for part in (a, b))
    generator = np.random.default_rng(seed)
    null_r, null_d = [], []
    for _ in range(shuffles):
        other = second[generator.permutation(len(second))]
        null_r.append(canonical_correlations(by_sample(first), by_sample(other)))
        null_d.append(procrustes_distance(by_sample(first), by_sample(other)))
    correlations = canonical_correlations(by_sample(first), by_sample(second))
    return Similarity(
        correlations,
        np.array(null_r).reshape(shuffles, len(correlations)),
        procrustes_distance(by_sample(first), by_sample(second)),
        np.array(null_d),
    )


def canonical_correlations(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the canonical correlations of two sets of columns, (samples, .) each."""
    q_a, q_b = (np.linalg.qr(x - x.mean(0))[0] for x in (a, b))
    values = np.linalg.svd(q_a.T @ q_b, compute_uv=False)
    return np.clip(values, 0.0, 1.0)


def procrustes_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the angle (rad) left between two sets of columns after the best rotation."""
    a, b = a - a.mean(0), b - b.mean(0)
    nuclear = np.linalg.svd(a.T @ b, compute_uv=False).sum()
    cosine = nuclear / (np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _scores(mean: NDArray[np.float64], components: int) -> NDArray[np.float64]:
    """Return scores on the first principal components, (C, T, k)."""
    centered = mean - mean.mean((0, 1))
    check_dimensions(centered, float(np.linalg.norm(mean)), components, "the activity")
    return reduced(centered, components)[0]


def plot_similarity(found: dict[tuple[str, str], Similarity]) -> Figure:
    """Draw canonical correlations and Procrustes distances of pairs of layers, and their nulls."""
    from neuromotor.analysis.drawing import NULL_COLOR, panels, plain
    from neuromotor.plotting import COLORS

    with panels(1, 2, figsize=(6.4, 1.6 + 0.35 * len(found))) as (figure, (left, right)):
        for place, ((own, other), result) in enumerate(found.items()):
            color = COLORS[place % len(COLORS)]
            order = np.arange(1, len(result.correlations) + 1)
            label = plain(f"{own} - {other}")
            left.plot(order, result.correlations, "o-", color=color, markersize=3, label=label)
            left.plot(order, np.median(result.null_correlations, axis=0), ":", color=color)
            null = result.null_distance_rad
            right.plot(null, np.full(len(null), place), "|", color=NULL_COLOR)
            right.plot(result.distance_rad, place, "o", color=color, markersize=4)
        left.set(xlabel="component", ylabel="canonical correlation", ylim=(0, 1.02))
        left.set_title("dotted: conditions exchanged (median)")
        right.set_yticks(range(len(found)), [plain(f"{own} - {other}") for own, other in found])
        right.set(xlabel="Procrustes distance (rad)", xlim=(0, np.pi / 2), title="ticks: null")
        right.invert_yaxis()
        figure.legend(loc="outside lower center", ncols=min(len(found), 4), fontsize=6)
    return figure


def _section(given: Material) -> Findings:
    """Every layer of a recording compared with every layer of another."""
    if given.against is None:
        raise RecordingError("this analysis needs another recording.")
    other_recording = window(given.against, given.window_s)
    found: dict[tuple[str, str], Similarity] = {}
    reasons = []
    for (own, one), (other, two) in itertools.product(
        layers_of(given.activity).items(), layers_of(other_recording).items()
    ):
        try:
            found[own, other] = compare_populations(
                one, two, shuffles=given.surrogates, seed=given.seed
            )
        except RecordingError as error:
            reasons.append(f"{own} and {other}: {error}")
    if not found:
        raise RecordingError(" ".join(dict.fromkeys(reasons)))
    numbers = {}
    for (own, other), result in found.items():
        row = {
            "procrustes_rad": result.distance_rad,
            "procrustes_null_median_rad": median(result.null_distance_rad),
            "procrustes_p": null_p(-result.distance_rad, -result.null_distance_rad),
        }
        for i, value in enumerate(result.correlations):
            row[f"correlation_{i + 1}"] = value
            row[f"correlation_{i + 1}_null_median"] = median(result.null_correlations[:, i])
        mean = result.null_correlations.mean(1)
        row["correlations_p"] = null_p(float(result.correlations.mean()), mean)
        numbers[f"{own} - {other}"] = row
    for measure in ("procrustes_p", "correlations_p"):
        stand = family([row[measure] for row in numbers.values()])
        for row, stands in zip(numbers.values(), stand, strict=True):
            row[f"{measure}_stands_corrected"] = bool(stands)
    text = (
        "Each layer of this recording is compared with each layer of the other, by canonical "
        "correlations and the Procrustes distance (0 for populations that are alike, pi/2 for "
        "unrelated ones) of six principal components. For the null, conditions are exchanged; p is "
        "that of the mean correlation and of the distance. Whether it stands below 0.05 is "
        f"corrected for the number of pairs, {len(found)}, by Holm's method."
    )
    return Findings(
        with_reasons(text, reasons), numbers, {"similarity": partial(plot_similarity, found)}
    )


SECTION = SectionSpec(
    "similarity",
    "Comparison with the other recording",
    130,
    _section,
    ("changing rates", "other recording"),
    lambda given: 0.3 + 0.1 * given.million_surrogate_rates,
    gaps="averages",
    in_parts=True,
    reading="The further canonical correlations lie above those of exchanged conditions, which "
    "are the null, the more alike both populations are.",
)
