"""Percentile bootstrap intervals, which say how far a mean over trials can be trusted.

Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, section 13.3.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from neuromotor._checks import check_below_one, check_finite_tensor, check_integer, check_number
from neuromotor.storage.files import finite_or_none

__all__ = ["Interval", "bootstrap_interval", "percentile_interval", "ratio_to"]

_CHUNK = 4_000_000  # resampled numbers held at a time


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds of its confidence interval; None for what is not finite."""

    value: float | None
    low: float | None
    high: float | None

    def as_dict(self) -> dict[str, float | None]:
        """Return the numbers by name, for JSON."""
        return asdict(self)


def ratio_to(value: float, reference: float) -> float:
    """Return a loss divided by its reference's; NaN where that is zero and there is no ratio."""
    return value / reference if reference else math.nan


def bootstrap_interval(
    values: Tensor,
    *,
    divide_by: Tensor | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the mean of `values` and its percentile bootstrap interval over trials.

    Args:
        values: One value a trial, (N,). If one is not finite, nothing can be said of the mean.
        divide_by: One value a trial, (N,). The estimate is then the ratio of the two means. Both
            are resampled together, because they belong to the same trials.
        level: Coverage of the interval.
        resamples: Number of bootstrap samples.
        seed: Seed of the resampling.

    Raises:
        ValueError: `values` is no vector, `divide_by` has another shape, or a number is out of
            range.

    Example:
        >>> interval = bootstrap_interval(torch.arange(100.0))
        >>> interval.low < interval.value < interval.high
        True
    """
    check_integer("resamples", resamples, minimum=1)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"`values` must be a vector of trials, got {tuple(values.shape)}.")
    if divide_by is None:
        divide_by = torch.ones_like(values)
    check_finite_tensor("divide_by", divide_by, (len(values),))
    if not bool(torch.isfinite(values).all()):
        return Interval(None, None, None)
    pair = torch.stack([values, divide_by]).double().cpu()
    generator = torch.Generator().manual_seed(seed)
    count = pair.shape[1]
    size = max(1, _CHUNK // count)
    means = []
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        picks = torch.randint(count, (rows, count), generator=generator)
        means.append(pair[:, picks].mean(-1))
    ratios = torch.cat([above / below for above, below in means])
    return percentile_interval(float(pair[0].mean() / pair[1].mean()), ratios, level)


def percentile_interval(value: float, resampled: ArrayLike, level: float = 0.95) -> Interval:
    """Return an estimate with the percentiles of what resampling gave.

    Args:
        value: The estimate.
        resampled: The same of each bootstrap sample, (R,).
        level: Coverage of the interval.

    Raises:
        ValueError: `level` is not between 0 and 1.
    """
    check_number("level", level, minimum=0.0)
    check_below_one("level", level)
    tails = [(1 - level) / 2, (1 + level) / 2]
    with np.errstate(invalid="ignore"):  # between infinities
        low, high = np.quantile(np.asarray(resampled, np.float64), tails).tolist()
    return Interval(*map(finite_or_none, (value, low, high)))
