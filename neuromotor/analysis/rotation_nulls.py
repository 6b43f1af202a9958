"""Further nulls of rotations: conditions reassigned unit by unit, and as few neurons as signals.

Notation: A are condition averages less their mean over conditions (C T, N), V their first k
principal axes and S their sizes, so that A V = U S; P are the averages after the conditions were
exchanged for each unit by itself.

**Covariance-matched permutations** (Michaels et al. 2016). Units that are tuned to movement, each
with its own latency, look like rotations without any dynamics behind them. Exchanging conditions
unit by unit keeps every unit's courses and breaks what binds units together in a condition. The
covariance is put back afterwards, since rotations of data with another covariance are no
comparison:

    P* = Q S,   Q^T Q = 1,   Q nearest to   P V        (polar decomposition)

P* has the covariance of A V exactly. That it is matched on the k axes of the fit is our choice; the
paper's own procedure we could not check in detail. The statistic is the ratio of the R^2 of
rotations to that of any linear dynamics; p of the skew-symmetric R^2 is given beside it.

**Down-sampled neurons** (Kalidindi et al. 2021). A null of maximum entropy is unreliable for few
signals, such as six muscles. Instead, as many neurons are drawn at random, again and again, and get
the same analysis. p is the share of draws, the signals among them, whose R^2 is not above that of
the signals: small where the signals rotate less than neurons do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_seed
from neuromotor.analysis._arrays import (
    Difference,
    by_sample,
    check_dimensions,
    null_p,
    principal_axes,
    reduced,
    soft_normalised,
)
from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.rotation_fits import (
    NullBand,
    band_of,
    centred,
    fit_rotations,
    signals_of,
)

if TYPE_CHECKING:
    import xarray as xr

    from neuromotor.analysis.rotations import Rotations

__all__ = [
    "CovarianceMatched",
    "DownsampledNull",
    "covariance_matched",
    "covariance_matched_test",
    "covariance_matched_test_of",
    "downsampled_rotations",
]


@dataclass(frozen=True)
class CovarianceMatched:
    """Rotations against covariance-matched permutations.

    Attributes:
        ratio: R^2 of rotations over R^2 of any linear dynamics, of the data.
        null_ratio: The same of the permutations, (S,).
        p_ratio: Share of the permutations, the data among them, whose ratio reaches the data's.
        null: R^2 of the permutations.
        p_skew: Share of the permutations, the data among them, whose skew-symmetric R^2 reaches the
            data's.
        difference: Which state a difference over a step belongs to.
    """

    ratio: float
    null_ratio: NDArray[np.float64]
    p_ratio: float
    null: NullBand
    p_skew: float
    difference: Difference


def covariance_matched_test(
    recording: xr.Dataset,
    variable: str | Sequence[str] = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    components: int | None = None,
    soft: float | None = None,
    difference: Difference = "starts",
    permutations: int = 100,
    seed: int = 0,
) -> CovarianceMatched:
    """Return whether rotations depend on how conditions bind units together.

    Args:
        recording: Trials; arguments as in `rotational_dynamics`.
        variable: Variable, or several side by side.
        window_s: First and last time (s).
        components: Principal components, even.
        soft: Added to each signal's range.
        difference: `starts` or `midpoints`.
        permutations: Number of permutations; p is at least 1 / (permutations + 1).
        seed: Random seed of the permutations.

    Raises:
        RecordingError: There are too few conditions, times or signals.
    """
    found = signals_of(recording, variable, window_s=window_s, components=components, soft=soft)
    return covariance_matched_test_of(
        found.mean,
        found.time_s,
        components=found.components,
        soft=found.soft,
        difference=difference,
        permutations=permutations,
        seed=seed,
    )


def covariance_matched_test_of(
    mean: NDArray[np.float64],
    time_s: NDArray[np.float64],
    *,
    components: int = 6,
    soft: float,
    difference: Difference = "starts",
    permutations: int = 100,
    seed: int = 0,
) -> CovarianceMatched:
    """Return `covariance_matched_test` of condition averages (C, T, N) at times (s), (T,)."""
    check_integer("permutations", permutations, minimum=1)
    check_seed("seed", seed)
    data = centred(mean, components, soft, difference)
    dt = float(time_s[1] - time_s[0])
    fit = fit_rotations(reduced(data, components)[0], dt, difference)
    null = band_of(
        covariance_matched(data, components, permutations, seed), components, dt, difference
    )
    ratio, null_ratio = fit.r2_skew / fit.r2_unconstrained, null.skew / null.unconstrained
    return CovarianceMatched(
        ratio=ratio,
        null_ratio=null_ratio,
        p_ratio=null_p(ratio, null_ratio),
        null=null,
        p_skew=null_p(fit.r2_skew, null.skew),
        difference=difference,
    )


def covariance_matched(
    data: NDArray[np.float64], components: int, count: int, seed: int = 0
) -> Iterator[NDArray[np.float64]]:
    """Yield permutations of data (C, T, N) on the data's first k principal axes, (C, T, k).

    Args:
        data: Its mean over conditions must be zero; so is that of the permutations.
        components: How many axes, k.
        count: How many permutations.
        seed: Random seed.
    """
    conditions, steps, units = data.shape
    axes = principal_axes(data, components)[0]
    sizes = np.linalg.norm(by_sample(data) @ axes, axis=0)
    generator = np.random.default_rng(seed)
    place = np.arange(units)
    for _ in range(count):
        order = np.argsort(generator.random((conditions, units)), axis=0)
        permuted = data[order[:, None], np.arange(steps)[:, None], place]
        left, _, right = np.linalg.svd(by_sample(permuted) @ axes, full_matrices=False)
        yield ((left @ right) * sizes).reshape(conditions, steps, components)


@dataclass(frozen=True)
class DownsampledNull:
    """Rotations of as many neurons as there are signals, drawn at random.

    Attributes:
        band: R^2 of the draws.
        p_skew: Share of the draws, the signals among them, whose skew-symmetric R^2 is not above
            that of the signals: small where these rotate less than neurons.
        p_unconstrained: The same of any linear dynamics.
    """

    band: NullBand
    p_skew: float
    p_unconstrained: float


def downsampled_rotations(
    found: Rotations,
    neurons: xr.Dataset,
    *,
    window_s: tuple[float, float] | None = None,
    soft: float | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> DownsampledNull:
    """Return how much few signals rotate, against as many neurons.

    Args:
        found: Rotations of the signals: their number, components and differences are taken from it.
        neurons: A recording with `rate`.
        window_s: First and last time (s) of the neurons' activity.
        soft: Added to each neuron's range; None goes by the unit of the rates.
        draws: Number of draws.
        seed: Random seed of the draws.

    Raises:
        RecordingError: There are fewer neurons than signals, or they do not vary enough.
    """
    check_integer("draws", draws, minimum=1)
    check_seed("seed", seed)
    components = len(found.skew)
    cells = signals_of(neurons, window_s=window_s, components=components, soft=soft)
    count = cells.mean.shape[2]
    if count < found.signals:
        raise RecordingError(
            f"{found.signals} signals need as many neurons or more to be compared with, got "
            f"{count}."
        )
    scaled = soft_normalised(cells.mean, cells.soft)
    varies = scaled - scaled.mean(0)
    check_dimensions(varies, float(np.linalg.norm(scaled)), components, "the neurons' activity")
    generator = np.random.default_rng(seed)
    drawn = (varies[..., generator.permutation(count)[: found.signals]] for _ in range(draws))
    dt = float(cells.time_s[1] - cells.time_s[0])
    band = band_of(drawn, components, dt, found.difference)
    return DownsampledNull(
        band,
        null_p(-found.r2_skew, -band.skew),
        null_p(-found.r2_unconstrained, -band.unconstrained),
    )
