"""Straight lines through points, with intervals, and the two laws of speed and accuracy.

Notation: D is the distance of a target and W its width, both along the movement; T is movement time
and s the standard deviation of end points along the movement.

    Fitts     T = a + b log2(2 D / W)      (Fitts 1954)
    Shannon   T = a + b log2(D / W + 1)    (MacKenzie 1992)
    Schmidt   s = a + b D / T              (Schmidt et al. 1979)

Intervals of slopes are those of Student's distribution for independent normal residuals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from neuromotor._checks import check_below_one, check_positive, lookup
from neuromotor.analysis._arrays import r_squared
from neuromotor.analysis.measures.courses import check_array

__all__ = ["Difficulty", "Line", "fit_line", "fitts_law", "least_squares_line", "schmidt_law"]

Difficulty = Literal["fitts", "shannon"]
_BITS = {"fitts": (2.0, 0.0), "shannon": (1.0, 1.0)}  # a, b of log2(a D / W + b)


@dataclass(frozen=True)
class Line:
    """A line of least squares through K points.

    Attributes:
        x: Abscissae, (K,).
        y: Ordinates, (K,).
        slope: Slope.
        slope_interval: Bounds of its interval; NaN where there are two points.
        intercept: Ordinate at 0.
        r2: Share of variance explained; NaN where the ordinates do not vary.
        p: p of no slope, two-sided; NaN where there are two points.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    slope: float
    slope_interval: tuple[float, float]
    intercept: float
    r2: float
    p: float


def fit_line(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> Line:
    """Return the line of least squares of y on x.

    Args:
        x: Abscissae, (K,).
        y: Ordinates, (K,).
        level: Coverage of the slope's interval, which needs three points.

    Raises:
        ValueError: There are fewer than two points, x does not vary, or a value is not finite.

    Example:
        >>> line = fit_line([0.0, 1.0, 2.0, 3.0], [1.0, 3.1, 4.9, 7.0])
        >>> round(line.slope, 2), round(line.intercept, 2)
        (1.98, 1.03)
    """
    check_positive("level", level)
    check_below_one("level", level)
    across = check_array("x", x, (None,))
    up = check_array("y", y, across.shape)
    if len(across) < 2 or np.ptp(across) <= 1e-12 * np.abs(across).max():
        raise ValueError(
            "`x` must hold two different values or more, got "
            f"{len(np.unique(across))} in {len(across)} points."
        )
    slope, intercept, r2 = least_squares_line(across, up)
    free = len(across) - 2
    if free < 1:
        unknown = float("nan")
        return Line(across, up, slope, (unknown, unknown), intercept, r2, unknown)
    left = float(((up - intercept - slope * across) ** 2).sum())
    error = np.sqrt(left / free / ((across - across.mean()) ** 2).sum())
    half = float(student.ppf(0.5 * (1 + level), free) * error)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = float(2 * student.sf(np.abs(slope / error), free))
    return Line(across, up, slope, (slope - half, slope + half), intercept, r2, p)


def least_squares_line(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return slope, intercept and R^2 of the line of least squares; slope 0 where x is constant."""
    away = x - x.mean()
    spread = float(away @ away)
    slope = float(away @ y) / spread if spread > 0 else 0.0
    intercept = float(y.mean() - slope * x.mean())
    return slope, intercept, float(r_squared(y, slope * x + intercept, (0,)))


def fitts_law(
    distance_m: ArrayLike,
    width_m: ArrayLike,
    time_s: ArrayLike,
    *,
    difficulty: Difficulty = "fitts",
    level: float = 0.95,
) -> Line:
    """Return movement time (s) as a line over difficulty (bits).

    Args:
        distance_m: Distances of K targets (m), (K,).
        width_m: Their widths along the movement (m), (K,).
        time_s: Movement times (s), (K,), best the mean of each target.
        difficulty: `fitts` or `shannon`, see the head of the module.
        level: Coverage of the interval of the slope (s/bit).

    Raises:
        ValueError: A distance or width is not positive, difficulty does not vary, or a shape does
            not fit.
    """
    far = _positive("distance_m", check_array("distance_m", distance_m, (None,)))
    wide = _positive("width_m", check_array("width_m", width_m, far.shape))
    times = check_array("time_s", time_s, far.shape)
    factor, shift = lookup("difficulty", difficulty, _BITS)
    return fit_line(np.log2(factor * far / wide + shift), times, level=level)


def schmidt_law(
    distance_m: ArrayLike, time_s: ArrayLike, spread_m: ArrayLike, *, level: float = 0.95
) -> Line:
    """Return the spread of end points (m) as a line over mean speed (m/s).

    Args:
        distance_m: Distances of K conditions (m), (K,).
        time_s: Their movement times (s), (K,).
        spread_m: Standard deviations of their end points along the movement (m), (K,).
        level: Coverage of the interval of the slope (s).

    Raises:
        ValueError: A distance or time is not positive, speed does not vary, or a shape does not
            fit.
    """
    far = _positive("distance_m", check_array("distance_m", distance_m, (None,)))
    times = _positive("time_s", check_array("time_s", time_s, far.shape))
    return fit_line(far / times, check_array("spread_m", spread_m, far.shape), level=level)


def _positive(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values, or raise where one is not positive."""
    if (values <= 0).any():
        raise ValueError(f"`{name}` must be positive, got {values.min():g} at the least.")
    return values
