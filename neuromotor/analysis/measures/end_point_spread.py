"""The spread of end points in the axes of their movement: ellipse, and spread of direction.

Notation: errors of end points are (a, c), along the straight line from start to target and across
it, positive to the left. The ellipse is that of their covariance; its aspect is the square root of
the ratio of its variances, its tilt the angle from the line to its long axis.

The aspect of the long to the short axis is 1 or more whatever the end points are, so it is no test
by itself. `along_over_across` is: it is 1 where the spread does not know the direction of movement,
below 1 where it lies across. (Gordon, Ghilardi & Ghez 1994 show the axes; the ratio is ours.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import circmean, circstd

from neuromotor._checks import check_integer
from neuromotor.analysis.measures.courses import check_array, left_of
from neuromotor.evaluation.bootstrap import Interval, percentile_interval

__all__ = ["EndPointSpread", "end_point_spread", "movement_errors"]

_FEWEST = 3  # end points that have an ellipse
_CHUNK = 2_000_000  # resampled end points held at a time


@dataclass(frozen=True)
class EndPointSpread:
    """Spread of N end points about their mean, in the axes of the movements.

    Attributes:
        count: Number of end points.
        bias_m: Mean error along and across the movement (m), (2,).
        long_m: Standard deviation along the ellipse's long axis (m).
        short_m: The same along its short axis (m).
        aspect: Long over short, with its interval; value and bounds None where the short axis has
            no length.
        tilt_deg: Angle from the movement to the long axis, -90 to 90, with its interval, whose
            bounds may lie beyond that.
        along_m: Standard deviation along the movement (m).
        across_m: The same across it (m).
        along_over_across: Ratio of these two, with its interval.
        area_m2: Area of the ellipse that holds 95 % of a normal distribution (m^2).
        direction_bias_deg: Mean direction from start to end point, from that of the target (deg).
        direction_spread_deg: Circular standard deviation of these directions (deg).
    """

    count: int
    bias_m: NDArray[np.float64]
    long_m: float
    short_m: float
    aspect: Interval
    tilt_deg: Interval
    along_m: float
    across_m: float
    along_over_across: Interval
    area_m2: float
    direction_bias_deg: float
    direction_spread_deg: float


def movement_errors(ends: ArrayLike, starts: ArrayLike, targets: ArrayLike) -> NDArray[np.float64]:
    """Return errors of end points along and across (to the left of) their movements (m), (N, 2).

    NaN where a target lies at its start.

    Args:
        ends: End points (m), (N, 2).
        starts: Where the movements began (m), (N, 2).
        targets: Their targets (m), (N, 2).

    Raises:
        ValueError: An array is not finite or has another shape.
    """
    last = check_array("ends", ends, (None, 2))
    first = check_array("starts", starts, last.shape)
    goal = check_array("targets", targets, last.shape)
    left = left_of(goal - first)
    along = np.stack([left[:, 1], -left[:, 0]], axis=-1)
    away = last - goal
    return np.stack([(away * along).sum(-1), (away * left).sum(-1)], axis=-1)


def end_point_spread(
    ends: ArrayLike,
    starts: ArrayLike,
    targets: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> EndPointSpread:
    """Return the spread of end points in the axes of their movements.

    Args:
        ends: End points (m), (N, 2).
        starts: Where the movements began (m), (N, 2).
        targets: Their targets (m), (N, 2). Different directions may be pooled: each error is taken
            in the axes of its own movement.
        groups: Label of each trial, (N,): each group's mean error is subtracted first, and trials
            are resampled within groups. One group by default.
        level: Coverage of the percentile bootstrap intervals.
        resamples: Number of bootstrap samples.
        seed: Seed of the resampling.

    Raises:
        ValueError: There are fewer than three end points, a target lies at its start, or an array
            is not finite or has another shape.
    """
    check_integer("resamples", resamples, minimum=1)
    errors = movement_errors(ends, starts, targets)
    if len(errors) < _FEWEST or np.isnan(errors).any():
        raise ValueError(
            f"`ends` must hold {_FEWEST} end points or more of movements with a direction, got "
            f"{len(errors)}, {int(np.isnan(errors).any(1).sum())} with the target at the start."
        )
    labels = np.zeros(len(errors)) if groups is None else np.asarray(groups)
    if labels.shape != (len(errors),):
        raise ValueError(f"`groups` must have shape ({len(errors)},), got {labels.shape}.")
    numbers, member = np.unique(labels, return_inverse=True)
    away = errors.copy()
    for group in range(len(numbers)):
        away[member == group] -= errors[member == group].mean(0)
    covariance = away.T @ away / max(len(errors) - len(numbers), 1)
    again = _resampled_covariances(away, member, resamples, np.random.default_rng(seed))
    own_axes, own_tilt = _ellipse(covariance[None])
    (long, short), tilt = own_axes[0], float(own_tilt[0])
    axes, tilts = _ellipse(again)
    turned = tilt + (tilts - tilt + 90) % 180 - 90
    along, across = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        aspect = percentile_interval(float(long / short), axes[:, 0] / axes[:, 1], level)
        ratio = percentile_interval(
            float(along / across), np.sqrt(again[:, 0, 0] / again[:, 1, 1]), level
        )
    distance = np.linalg.norm(np.asarray(targets) - np.asarray(starts), axis=-1)
    angle = np.arctan2(errors[:, 1], distance + errors[:, 0])
    return EndPointSpread(
        count=len(errors),
        bias_m=errors.mean(0),
        long_m=float(long),
        short_m=float(short),
        aspect=aspect,
        tilt_deg=percentile_interval(tilt, turned, level),
        along_m=float(along),
        across_m=float(across),
        along_over_across=ratio,
        area_m2=float(-2 * np.log(0.05) * np.pi * long * short),
        direction_bias_deg=float(np.degrees(circmean(angle, high=np.pi, low=-np.pi))),
        direction_spread_deg=float(np.degrees(_direction_spread(angle, member, len(numbers)))),
    )


def _direction_spread(angle: NDArray[np.float64], member: NDArray[np.int64], count: int) -> float:
    """Return the circular standard deviation about each group's own mean (rad)."""
    away = angle.copy()
    for group in range(count):
        own = member == group
        away[own] -= circmean(angle[own], high=np.pi, low=-np.pi)
    return float(circstd(away, high=np.pi, low=-np.pi))


def _resampled_covariances(
    away: NDArray[np.float64],
    member: NDArray[np.int64],
    resamples: int,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Return covariances of errors that are resampled within groups, (R, 2, 2)."""
    groups = [np.flatnonzero(member == group) for group in range(int(member.max()) + 1)]
    free = max(len(away) - len(groups), 1)
    found = np.zeros((resamples, 2, 2))
    rows = max(1, _CHUNK // len(away))
    for first in range(0, resamples, rows):
        some = found[first : first + rows]
        for own in groups:
            values = away[own[generator.integers(len(own), size=(len(some), len(own)))]]
            values -= values.mean(1, keepdims=True)
            some += np.einsum("rni,rnj->rij", values, values) / free
    return found


def _ellipse(
    covariance: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return standard deviations along the axes, longest first (R, 2), and tilts (deg), (R,)."""
    values, vectors = np.linalg.eigh(covariance)
    long = vectors[:, :, 1]
    tilt = np.degrees(np.arctan2(long[:, 1], long[:, 0]))
    return np.sqrt(np.maximum(values[:, ::-1], 0.0)), (tilt + 90) % 180 - 90
