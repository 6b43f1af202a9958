"""Corrective responses by matched pairs: a perturbed trial minus its unperturbed twin.

A twin is the same trial with the same draws of noise and without the perturbation, so that the
difference is what the perturbation caused and nothing else. With twins of measured trials (another
trial, or a mean of trials) the difference has noise, and only the statistical latency has a
meaning.

Notation: r is the response of a pair in a window, d its displacement, g the gain, r = g d.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from neuromotor._checks import check_below_one, check_number, check_positive
from neuromotor.analysis.measures.courses import check_array, check_courses, one_each
from neuromotor.evaluation.bootstrap import Interval

__all__ = [
    "GainOverTime",
    "PairedResponses",
    "first_departure",
    "gain_over_time",
    "mean_departure",
    "paired_responses",
    "response_in_window",
]

_ROUNDING = 1e-6  # of a sample


@dataclass(frozen=True)
class PairedResponses:
    """Differences of B pairs, from their perturbations on.

    Attributes:
        time_s: Times since the perturbation (s), (K,); some before it.
        difference: Perturbed minus twin, (B, K, d); NaN where a trial has no sample.
    """

    time_s: NDArray[np.float64]
    difference: NDArray[np.float64]

    def along(self, directions: ArrayLike) -> NDArray[np.float64]:
        """Return the parts of the differences along directions (d,) or (B, d), (B, K).

        Raises:
            ValueError: A direction has another size or no length.
        """
        count, _, axes = self.difference.shape
        lines = one_each("directions", directions, count, (axes,))
        length = np.linalg.norm(lines, axis=-1, keepdims=True)
        if (length <= 0).any():
            raise ValueError("`directions` must have a length, got one of zeros.")
        return np.asarray((self.difference * (lines / length)[:, None]).sum(-1), np.float64)


def paired_responses(
    perturbed: ArrayLike, twins: ArrayLike, onset_s: ArrayLike, dt_s: float
) -> PairedResponses:
    """Return perturbed trials minus their twins, over time since each perturbation.

    Args:
        perturbed: Any quantity over time, such as hand position, velocity or commands, (B, T, d).
        twins: The same of each trial's twin, (B, T, d).
        onset_s: When the perturbations begin, from the first sample (s), (B,).
        dt_s: Time between samples (s).

    Raises:
        ValueError: A shape does not fit, a value is not finite, or an onset lies outside the
            trials.
    """
    own = check_courses("perturbed", perturbed, dt_s)
    other = check_array("twins", twins, own.shape)
    samples = own.shape[1]
    onset = check_array("onset_s", onset_s, (len(own),)) / dt_s
    first = np.ceil(onset - _ROUNDING).astype(np.int64)
    if (first < 0).any() or (first >= samples).any():
        raise ValueError(
            f"`onset_s` must lie within trials of {(samples - 1) * dt_s:g} s, got from "
            f"{onset.min() * dt_s:g} to {onset.max() * dt_s:g} s."
        )
    before, after = int(first.max()), int(samples - first.min())
    difference = np.full((len(own), before + after, own.shape[2]), np.nan)
    for row, start in enumerate(first.tolist()):
        difference[row, before - start : before - start + samples] = own[row] - other[row]
    return PairedResponses(dt_s * np.arange(-before, after, dtype=np.float64), difference)


def first_departure(
    found: PairedResponses, *, threshold: float | None = None, share: float = 0.05
) -> NDArray[np.float64]:
    """Return how long after its perturbation each trial departs from its twin (s), (B,).

    That is the first sample from the perturbation on at which the length of the difference exceeds
    a threshold; NaN where none does.

    Args:
        found: Differences.
        threshold: In the unit of the differences; by default a share of each pair's largest.
        share: That share. Its size matters where a response begins slowly: compare like with like.

    Raises:
        ValueError: A number is out of range.
    """
    size = np.linalg.norm(np.nan_to_num(found.difference), axis=-1)
    size[:, found.time_s < -_ROUNDING * _step(found)] = 0.0
    if threshold is None:
        check_positive("share", share)
        check_below_one("share", share)
        limit = share * size.max(1, keepdims=True)
    else:
        check_number("threshold", threshold, minimum=0.0)
        limit = np.full((len(size), 1), float(threshold))
    beyond = size > limit
    return np.where(beyond.any(1), found.time_s[beyond.argmax(1)], np.nan)


def mean_departure(
    found: PairedResponses,
    directions: ArrayLike,
    *,
    lasting_s: float = 0.02,
    level: float = 0.05,
) -> float:
    """Return when the mean response differs from none, by paired t-tests at each sample (s).

    That is the first sample from the perturbation on from which the p of the mean over pairs stays
    below a level for some time; NaN where it never does. Tests of neighbouring samples hang
    together, so the time that they must last keeps chance small; our choice of it.

    Args:
        found: Differences.
        directions: Directions along which responses count, (d,) or (B, d).
        lasting_s: How long p must stay below the level (s).
        level: The level.

    Raises:
        ValueError: There are fewer than two pairs, or a number is out of range.
    """
    check_number("lasting_s", lasting_s, "seconds", minimum=0.0)
    check_positive("level", level)
    check_below_one("level", level)
    values = found.along(directions)
    if len(values) < 2:
        raise ValueError(f"`found` must hold two pairs or more, got {len(values)}.")
    after = (found.time_s >= -_ROUNDING * _step(found)) & np.isfinite(values).all(0)
    values = values[:, after]
    error = values.std(0, ddof=1) / np.sqrt(len(values))
    mean = np.abs(values.mean(0))
    limit = student.ppf(1 - level / 2, len(values) - 1) * error
    differs = (mean > limit) & (mean > 0)
    samples = int(np.ceil(lasting_s / _step(found) - _ROUNDING)) + 1
    if samples > differs.size:
        return float("nan")
    stays = np.lib.stride_tricks.sliding_window_view(differs, samples).all(-1)
    return float(found.time_s[after][stays.argmax()]) if stays.any() else float("nan")


def response_in_window(
    found: PairedResponses, directions: ArrayLike, window_s: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the mean response of each pair along a direction in a window, (B,).

    NaN where a trial has no sample in it, or not all of them.

    Args:
        found: Differences.
        directions: Directions along which responses count, (d,) or (B, d).
        window_s: First and last time since the perturbation (s), such as (0.18, 0.23).

    Raises:
        ValueError: The window holds no sample.
    """
    first, last = window_s
    slack = _ROUNDING * _step(found)
    inside = (found.time_s >= first - slack) & (found.time_s <= last + slack)
    if not inside.any():
        raise ValueError(
            f"`window_s` must hold samples from {found.time_s[0]:g} to {found.time_s[-1]:g} s, got "
            f"{first:g} to {last:g} s."
        )
    return np.asarray(found.along(directions)[:, inside].mean(1), np.float64)


@dataclass(frozen=True)
class GainOverTime:
    """Response per displacement at K times of perturbation.

    Attributes:
        time_s: When the perturbations came (s), (K,).
        gain: Slopes through the origin of response on displacement, with intervals.
        counts: Pairs behind each, (K,).
    """

    time_s: NDArray[np.float64]
    gain: tuple[Interval, ...]
    counts: NDArray[np.int64]

    @property
    def values(self) -> NDArray[np.float64]:
        """The gains without their intervals, (K,)."""
        return np.array([np.nan if one.value is None else one.value for one in self.gain])


def gain_over_time(
    time_s: ArrayLike, displacement: ArrayLike, response: ArrayLike, *, level: float = 0.95
) -> GainOverTime:
    """Return the gain of a response at each time at which perturbations came.

    Args:
        time_s: When each pair was perturbed (s), (B,); the same number for those of one group.
        displacement: How far, with its sign, (B,).
        response: The response in a window, with the sign of a correction positive for a positive
            displacement, (B,).
        level: Coverage of the intervals (Student's), which need two pairs of a group.

    Raises:
        ValueError: A shape does not fit, or no pair of a group is displaced.
    """
    check_positive("level", level)
    check_below_one("level", level)
    times = check_array("time_s", time_s, (None,))
    far = check_array("displacement", displacement, times.shape)
    answer = check_array("response", response, times.shape)
    groups = np.unique(times)
    gains, counts = [], []
    for time in groups:
        own = times == time
        d, r = far[own], answer[own]
        if not (d @ d) > 0:
            raise ValueError(f"`displacement` must not be zero in all pairs of time {time:g} s.")
        gain = float(d @ r / (d @ d))
        free = len(d) - 1
        if free:
            error = np.sqrt(((r - gain * d) ** 2).sum() / free / (d @ d))
            half = float(student.ppf(0.5 * (1 + level), free) * error)
            gains.append(Interval(gain, gain - half, gain + half))
        else:
            gains.append(Interval(gain, None, None))
        counts.append(len(d))
    return GainOverTime(groups, tuple(gains), np.array(counts))


def _step(found: PairedResponses) -> float:
    return float(found.time_s[1] - found.time_s[0])
