"""When a response begins, by a line through its rise: a latency that its size does not change.

The mean response over pairs rises to its first large peak. The line through the points of the rise
at a quarter and at three quarters of the peak meets zero at the latency. Thresholds find larger
responses earlier; of the methods that Oostwoud Wijdenes, Brenner & Smeets (2014) compared, this one
did best for the acceleration of adjustments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from neuromotor._checks import check_below_one, check_integer, check_positive, check_seed
from neuromotor.analysis.measures.paired_responses import PairedResponses
from neuromotor.evaluation.bootstrap import Interval, percentile_interval

__all__ = ["response_onset"]

_SHARES = (0.25, 0.75)  # of the peak


def response_onset(
    found: PairedResponses,
    directions: ArrayLike,
    *,
    level: float = 0.05,
    resamples: int = 200,
    seed: int = 0,
) -> Interval:
    """Return how long after the perturbation the mean response begins (s), with a 95 % interval.

    The interval is of a bootstrap over pairs. There is no onset where the mean response at its peak
    does not differ from none by a t-test over pairs, or goes the other way.

    Args:
        found: Differences of B pairs, best of accelerations or forces.
        directions: Directions in which responses go, (d,) or (B, d).
        level: Of the t-test, which is corrected for the number of samples (Bonferroni).
        resamples: Number of bootstrap samples.
        seed: Seed of the resampling.

    Raises:
        ValueError: There are fewer than two pairs, or a number is out of range.
    """
    check_positive("level", level)
    check_below_one("level", level)
    check_integer("resamples", resamples, minimum=1)
    check_seed("seed", seed)
    values = found.along(directions)
    if len(values) < 2:
        raise ValueError(f"`found` must hold two pairs or more, got {len(values)}.")
    after = (found.time_s >= -1e-9) & np.isfinite(values).all(0)
    values, time = values[:, after], found.time_s[after]
    mean = values.mean(0)
    peak = int(mean.argmax())
    error = values[:, peak].std(ddof=1) / np.sqrt(len(values))
    limit = student.ppf(1 - level / (2 * len(mean)), len(values) - 1) * error
    if not mean[peak] > max(limit, 0.0):
        return Interval(None, None, None)
    draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    again = np.array([_onset(values[draw].mean(0), time) for draw in draws])
    return percentile_interval(_onset(mean, time), again[np.isfinite(again)])


def _onset(mean: NDArray[np.float64], time: NDArray[np.float64]) -> float:
    """Where the line through the rise of one course meets zero."""
    peak = int(mean.argmax())
    if not mean[peak] > 0:
        return float("nan")
    crossings = []
    for share in _SHARES:
        level = share * mean[peak]
        below = np.flatnonzero(mean[:peak] < level)
        if not below.size:
            return float(time[0])  # it has risen before it is looked for
        i = int(below[-1])
        part = (level - mean[i]) / (mean[i + 1] - mean[i])
        crossings.append(float(time[i] + part * (time[i + 1] - time[i])))
    low, high = crossings
    return low - (high - low) * _SHARES[0] / (_SHARES[1] - _SHARES[0])
