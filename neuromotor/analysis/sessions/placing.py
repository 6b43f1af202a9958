"""Moments of a session placed on the grid of a recording's trials, and what is counted there.

Notation: C is the integral of a kernel, w a spike's place on the grid, h the grid's step.

    rate at t = sum over spikes of (C(t + h/2 - w) - C(t - h/2 - w)) / h

Without smoothing that is the count in [t - h/2, t + h/2) over h. With it, spikes beyond a trial's
ends count as they should, and every spike counts once in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from neuromotor.analysis.sessions.session import Course

__all__ = ["Kernel", "Placement", "interpolated", "observed_mask", "unit_rates"]

_REACH = 5.0  # standard deviations: less than a millionth of the kernel lies beyond
_TIE = 1e-6  # of a step: times on the edge between two bins belong to the later one
_SLACK_S = 1e-6
_WIDEST_GAP = 2.5  # median steps of a series: no interpolation over wider gaps


@dataclass(frozen=True)
class Kernel:
    """What a spike is smeared over.

    Attributes:
        kind: `none`; `gaussian`; or `causal`, the later half of a Gaussian, doubled, so that no
            spike counts before it happens.
        width_s: Standard deviation of the Gaussian (s).
    """

    kind: Literal["none", "gaussian", "causal"] = "none"
    width_s: float = 0.0

    @property
    def before_s(self) -> float:
        """How far a spike counts before it happens (s)."""
        return _REACH * self.width_s if self.kind == "gaussian" else 0.0

    @property
    def after_s(self) -> float:
        """How far a spike counts after it happens (s)."""
        return 0.0 if self.kind == "none" else _REACH * self.width_s

    def integral(self, lag_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return which share of the kernel lies before a lag (s)."""
        share = np.asarray(ndtr(lag_s / self.width_s), np.float64)
        return np.maximum(2 * share - 1, 0.0) if self.kind == "causal" else share


@dataclass(frozen=True)
class Placement:
    """How each trial's clock lies on the grid: pieces of straight lines through knots.

    Attributes:
        knots_s: Moments of each trial on the session's clock (s), increasing, (B, m).
        common_s: Where these lie on the grid (s), (m,). With one knot trials are aligned; with
            more, time is stretched between them, and never beyond the first and last.
        grid_s: The recording's times (s), even, (T,).
        step_s: Step of the grid.
    """

    knots_s: NDArray[np.float64]
    common_s: NDArray[np.float64]
    grid_s: NDArray[np.float64]
    step_s: float

    def to_session(self, place_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return moments of every trial on the session's clock for places on the grid, (B, P)."""
        slopes = np.diff(self.knots_s, axis=1) / np.diff(self.common_s)
        part = self._part(place_s, self.common_s)
        outside = (part < 0) | (part >= len(self.common_s) - 1)
        base = np.clip(part, 0, len(self.common_s) - 1)
        ones = np.ones((len(self.knots_s), 1))
        slope = np.where(outside, 1.0, np.concatenate([slopes, ones], axis=1)[:, base])
        return self.knots_s[:, base] + slope * (place_s - self.common_s[base])

    def to_grid(
        self, trial: NDArray[np.int64], moment_s: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return places on the grid (s) of moments of trials, and how much time is stretched."""
        own = self.knots_s[trial]
        count = own.shape[1]
        part = (moment_s[:, None] >= own).sum(1) - 1
        base = np.clip(part, 0, count - 1)
        stretch = np.ones(len(moment_s))
        if count > 1:
            inside = (part >= 0) & (part < count - 1)
            left = np.clip(part, 0, count - 2)
            rows = np.arange(len(own))
            real = own[rows, left + 1] - own[rows, left]
            stretch = np.where(inside, np.diff(self.common_s)[left] / real, 1.0)
        knot = own[np.arange(len(own)), base]
        return self.common_s[base] + stretch * (moment_s - knot), stretch

    def moments(self, event_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where an event of each trial lies on the grid (s), NaN where it is missing."""
        found = np.full(len(event_s), np.nan)
        known = np.flatnonzero(np.isfinite(event_s))
        found[known] = self.to_grid(known, event_s[known])[0]
        return found

    @staticmethod
    def _part(place_s: NDArray[np.float64], knots_s: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.asarray(np.searchsorted(knots_s, place_s, side="right") - 1, np.int64)


def unit_rates(
    spikes: Sequence[NDArray[np.float64]], placement: Placement, kernel: Kernel
) -> NDArray[np.float32]:
    """Return rates (spikes/s), (B, T, N), from the spike times (s) of each unit."""
    trials, times, step = len(placement.knots_s), len(placement.grid_s), placement.step_s
    first = placement.grid_s[0]
    lead, trail = (reach + step for reach in (kernel.after_s, kernel.before_s))
    ends = placement.to_session(np.array([first - lead, placement.grid_s[-1] + trail]))
    rates = np.zeros((trials, times, len(spikes)), np.float32)
    ahead, behind = (int(np.ceil(s / step)) + 1 for s in (kernel.after_s, kernel.before_s))
    offsets = np.arange(-behind, ahead + 1)
    for unit, own in enumerate(spikes):
        begin = np.searchsorted(own, ends[:, 0])
        counts = np.searchsorted(own, ends[:, 1]) - begin
        trial = np.repeat(np.arange(trials), counts)
        skipped = np.repeat(begin - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        place, stretch = placement.to_grid(trial, own[np.arange(len(trial)) + skipped])
        nearest = np.floor((place - first) / step + 0.5 + _TIE).astype(np.int64)
        total = np.zeros(trials * times)
        if kernel.kind == "none":
            weights: list[tuple[int, NDArray[np.float64]]] = [(0, stretch)]
        else:
            low = first + (nearest - 0.5) * step - place
            shares = [kernel.integral(low + k * step) for k in (*offsets, offsets[-1] + 1)]
            weights = [
                (int(k), stretch * (shares[i + 1] - shares[i])) for i, k in enumerate(offsets)
            ]
        for offset, weight in weights:
            bin_ = nearest + offset
            inside = (bin_ >= 0) & (bin_ < times)
            total += np.bincount(
                trial[inside] * times + bin_[inside], weight[inside], minlength=len(total)
            )
        rates[:, :, unit] = (total / step).reshape(trials, times)
    return rates


def observed_mask(
    intervals_s: NDArray[np.float64], low_s: NDArray[np.float64], high_s: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which spans, from `low_s` to `high_s` (s), lie inside one of the intervals, (k, 2)."""
    spans = intervals_s[np.argsort(intervals_s[:, 0], kind="stable")]
    if not len(spans):
        return np.zeros(low_s.shape, dtype=bool)
    ends = np.maximum.accumulate(spans[:, 1])
    new = np.concatenate([[True], spans[1:, 0] > ends[:-1] + _SLACK_S])  # neighbours are joined
    starts = spans[new, 0]
    stops = ends[np.append(np.flatnonzero(new)[1:] - 1, len(ends) - 1)]
    place = np.searchsorted(starts, low_s + _SLACK_S, side="right") - 1
    inside = (place >= 0) & (stops[np.maximum(place, 0)] >= high_s - _SLACK_S)
    return np.asarray(inside, np.bool_)


def interpolated(
    course: Course, moment_s: NDArray[np.float64], widest_gap_s: float | None
) -> NDArray[np.floating[Any]]:
    """Return samples at moments (s), (...,), by straight lines, (..., d); NaN over gaps.

    Args:
        course: What was sampled.
        moment_s: Where it is wanted.
        widest_gap_s: Widest gap between samples (s) that is bridged; None for two and a half median
            steps of the series.
    """
    time, values = course.known
    shape = (*moment_s.shape, course.values.shape[1])
    if not len(time):
        return np.full(shape, np.nan, course.values.dtype)
    gap = _WIDEST_GAP * course.step_s if widest_gap_s is None else widest_gap_s
    flat = moment_s.ravel()
    right = np.clip(np.searchsorted(time, flat), 1, max(len(time) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(time) - 1)
    span = time[right] - time[left]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(span > 0, (flat - time[left]) / np.where(span > 0, span, 1.0), 0.0)
    near = (np.abs(flat - time[left]) <= _SLACK_S) | (np.abs(flat - time[right]) <= _SLACK_S)
    inside = (flat >= time[0] - _SLACK_S) & (flat <= time[-1] + _SLACK_S)
    share = np.clip(share, 0.0, 1.0).astype(values.dtype)[:, None]
    found = values[left] * (1 - share) + values[right] * share
    found[~(inside & (near | (span <= gap)))] = np.nan
    return np.asarray(found.reshape(shape))
