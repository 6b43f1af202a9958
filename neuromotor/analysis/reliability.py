"""How reliable condition averages are, and how much of their variance is signal.

Trials of each condition are divided into two halves, again and again.

Notation: a and b are the averages of both halves less their mean over conditions, (C, T, N); r is
their correlation over conditions and times; u_k are the principal axes of a.

    reliability of the whole average   2 r / (1 + r)            (Spearman 1910; Brown 1910)
    noise ceiling                      sqrt(reliability)        (Schoppe et al. 2016)
    signal variance along u_k          sum of (a u_k) (b u_k)   (cross-validated PCA,
                                                                 Stringer et al. 2019)

The noise ceiling is the correlation with the measured average that a model of the true average
would reach. For the null, condition labels are permuted over trials, which leaves every average
with the noise alone. p is the share of permutations, the data among them, that reach the data's r.
What is said to be reliable is so after Benjamini & Hochberg's (1995) correction for many units.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_seed
from neuromotor.analysis._arrays import by_sample, in_own_space
from neuromotor.analysis.corrections import false_discoveries
from neuromotor.analysis.cutting import window
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.section import (
    Findings,
    Material,
    SectionSpec,
    by_layer,
    median,
    span,
    with_reasons,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Reliability", "plot_reliability", "split_half_reliability"]

_LEVEL = 0.05
_PARTS = 20  # of time, in a report
_FEWEST_SHUFFLES = 99  # in a report: with fewer, no p can stand after correction


@dataclass(frozen=True)
class Reliability:
    """Reliability of condition averages; N units, k components.

    Attributes:
        correlation: Mean correlation of both halves, (N,); NaN for a unit without variance.
        reliability: That of the average over all trials, (N,); 0 where the halves are opposed.
        ceiling: Noise ceiling, (N,).
        p: Share of permutations whose correlation reaches the data's, (N,).
        reliable: Units with p below 0.05 after correction for their number, (N,).
        population: Reliability of the averages of all units together.
        population_p: Share of permutations that reach it.
        signal: Signal variance along each principal axis of the other half, (k,), as a share of all
            signal variance.
        null_signal: The same with permuted labels, 95th percentile, (k,).
        dimensions: Leading axes whose signal variance lies beyond that percentile.
        left_out: Conditions with a single trial, which have no halves.
    """

    correlation: NDArray[np.float64]
    reliability: NDArray[np.float64]
    ceiling: NDArray[np.float64]
    p: NDArray[np.float64]
    reliable: NDArray[np.bool_]
    population: float
    population_p: float
    signal: NDArray[np.float64]
    null_signal: NDArray[np.float64]
    dimensions: int
    left_out: int


def split_half_reliability(
    recording: xr.Dataset,
    variable: str = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    splits: int = 10,
    shuffles: int = 99,
    parts: int | None = None,
    seed: int = 0,
) -> Reliability:
    """Return how reliable the condition averages of a variable are, beyond their common course.

    Args:
        recording: Trials.
        variable: Any variable over trial, time and something.
        window_s: First and last time (s); all times by default.
        splits: Divisions of the trials into halves.
        shuffles: Permutations of the labels; p is at least 1 / (shuffles + 1).
        parts: Into how many parts time is averaged first; None for every sample. Fewer parts take
            less time, and average the noise within them.
        seed: Random seed of both.

    Raises:
        RecordingError: Fewer than two conditions have two trials or more, or samples are missing.
    """
    check_integer("splits", splits, minimum=1)
    check_integer("shuffles", shuffles, minimum=1)
    check_seed("seed", seed)
    check_recording(recording, [variable])
    part = window(recording, window_s)
    values = part[variable].values.astype(np.float64)
    if values.ndim != 3:
        raise RecordingError(f"`{variable}` must vary over trial, time and one more axis.")
    if parts is not None and parts < values.shape[1]:
        check_integer("parts", parts, minimum=1)
        edges = np.linspace(0, values.shape[1], parts + 1).astype(int)[:-1]
        sizes = np.diff(np.append(edges, values.shape[1]))
        values = np.add.reduceat(values, edges, axis=1) / sizes[:, None]
    member = np.unique(part["condition"].values, return_inverse=True)[1]
    counts = np.bincount(member)
    kept = counts[member] > 1
    if (counts > 1).sum() < 2:
        raise RecordingError(
            "halves need two conditions with two trials or more; merge conditions, or record more."
        )
    values = values[kept] - values[kept].mean((0, 1))
    member = np.unique(member[kept], return_inverse=True)[1]
    generator = np.random.default_rng(seed)
    halves = _halves(member, splits, generator)
    observed = _compared(values, member, halves)
    drawn = [_compared(values, generator.permutation(member), halves) for _ in range(shuffles)]
    correlation, whole, signal = observed
    with np.errstate(invalid="ignore"):
        reached = sum((other[0] >= correlation).astype(np.float64) for other in drawn)
    p = np.where(np.isfinite(correlation), (1 + reached) / (1 + shuffles), np.nan)
    reliability = _brown(correlation)
    total = float(signal.sum())
    null = np.array([other[2] for other in drawn])
    level = np.quantile(null, 1 - _LEVEL, axis=0)
    beyond = signal > level
    return Reliability(
        correlation=correlation,
        reliability=reliability,
        ceiling=np.sqrt(reliability),
        p=p,
        reliable=false_discoveries(p, _LEVEL),
        population=float(_brown(np.array(whole))),
        population_p=float((1 + sum(other[1] >= whole for other in drawn)) / (1 + shuffles)),
        signal=signal / total if total > 0 else np.full(len(signal), np.nan),
        null_signal=level / total if total > 0 else np.full(len(signal), np.nan),
        dimensions=int(len(beyond) if beyond.all() else beyond.argmin()),
        left_out=int((counts == 1).sum()),
    )


def _halves(
    member: NDArray[np.int64], splits: int, generator: np.random.Generator
) -> list[NDArray[np.bool_]]:
    """Return, for each split, which of the trials of a condition, in order, are the first half."""
    counts = np.bincount(member)
    found = []
    for _ in range(splits):
        first = np.zeros(len(member), dtype=bool)
        place = 0
        for count in counts:
            own = generator.permutation(count) < count // 2
            first[place : place + count] = own
            place += count
        found.append(first)
    return found


def _compared(
    values: NDArray[np.float64], member: NDArray[np.int64], halves: list[NDArray[np.bool_]]
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Return correlations of the units, of all together, and signal variance, over the splits."""
    order = np.argsort(member, kind="stable")
    count = int(member.max()) + 1
    belongs = (np.arange(count)[:, None] == member).astype(np.float64)
    flat = values.reshape(len(values), -1)
    correlations, whole, signals = [], [], []
    for half in halves:
        first = np.zeros(len(member), dtype=bool)
        first[order] = half
        sides = []
        for chosen in (first, ~first):
            weights = belongs * chosen
            weights /= weights.sum(1, keepdims=True)
            mean = (weights @ flat).reshape(count, *values.shape[1:])
            sides.append(by_sample(mean - mean.mean(0)))
        a, b = sides
        shared, sizes = (a * b).sum(0), np.sqrt((a**2).sum(0) * (b**2).sum(0))
        varies = sizes > 1e-12 * max(float(sizes.max()), 1e-300)
        correlations.append(np.where(varies, shared / np.where(varies, sizes, 1.0), np.nan))
        whole.append(float((a * b).sum() / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-300)))
        both = in_own_space(np.concatenate([a, b])[None])[0]
        a, b = both[: len(a)], both[len(a) :]
        axes = np.linalg.eigh(a.T @ a)[1][:, ::-1][:, : min(a.shape)]
        signals.append(((a @ axes) * (b @ axes)).sum(0))
    return np.mean(correlations, axis=0), float(np.mean(whole)), np.mean(signals, axis=0)


def _brown(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the reliability of a whole from the correlation of its halves; 0 where opposed."""
    known = np.maximum(correlation, 0.0)
    return np.asarray(2 * known / (1 + known), np.float64)


def plot_reliability(found: dict[str, Reliability]) -> Figure:
    """Draw the reliability of units, and the signal variance of components with its null."""
    from neuromotor.analysis.drawing import panels, plain
    from neuromotor.plotting import COLORS

    with panels(1, 2, figsize=(6.4, 2.6)) as (figure, (left, right)):
        bins = np.linspace(0, 1, 21)
        for (name, result), color in zip(found.items(), COLORS, strict=False):
            known = result.reliability[np.isfinite(result.reliability)]
            left.hist(known, bins=bins, histtype="step", color=color, label=plain(name))
            shown = min(12, len(result.signal))
            order = np.arange(1, shown + 1)
            right.plot(order, result.signal[:shown], "o-", color=color, markersize=3)
            right.plot(order, result.null_signal[:shown], ":", color=color)
        left.set(xlabel="reliability of a unit's averages", ylabel="units", xlim=(0, 1.02))
        right.axhline(0, color="black", linewidth=0.5)
        right.set(xlabel="component", ylabel="share of signal variance")
        right.set_title("dotted: labels permuted, 95 %")
        figure.legend(loc="outside lower center", ncols=min(len(found), 4), fontsize=6)
    return figure


def _section(given: Material) -> Findings:
    """Reliability of each layer's averages."""
    recording = given.activity
    shuffles = max(given.surrogates, _FEWEST_SHUFFLES)
    found, reasons = by_layer(
        recording,
        partial(split_half_reliability, splits=2, shuffles=shuffles, parts=_PARTS, seed=given.seed),
    )
    numbers = {
        layer: {
            "units": len(result.p),
            "reliable_units": result.reliable.sum(),
            "median_reliability": median(result.reliability),
            "median_noise_ceiling": median(result.ceiling),
            "population_reliability": result.population,
            "population_p": result.population_p,
            "signal_dimensions": result.dimensions,
            "conditions_left_out": result.left_out,
        }
        for layer, result in found.items()
    }
    text = (
        "Trials of each condition are divided into halves. Reliability is that of the averages of "
        "all trials beyond their mean over conditions, by Spearman and Brown; the noise ceiling, "
        "its root, is the correlation that a model of the true averages would reach. Units are "
        "called reliable by permuted labels, after Benjamini and Hochberg's correction for the "
        "number of units (5 % false discoveries). Signal variance is that which both halves "
        f"share along the principal axes of one of them. Time is averaged in {_PARTS} parts, "
        f"{span(recording)}."
    )
    return Findings(
        with_reasons(text, reasons), numbers, {"reliability": partial(plot_reliability, found)}
    )


SECTION = SectionSpec(
    "reliability",
    "Reliability of the averages",
    35,
    _section,
    ("changing rates",),
    lambda given: 0.5 + 2e-3 * given.million_rates * max(given.surrogates, _FEWEST_SHUFFLES),
    reading="The further right a unit stands, the more of its averages comes back in other trials; "
    "components above the dotted line hold more signal than permuted conditions, the null, give.",
)
