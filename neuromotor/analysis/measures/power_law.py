r"""The power law of speed and curvature: the exponent of each trial, without its slow ends.

Notation: v is the speed of the hand, k the curvature of its path, w = v k the angular speed.

    log v = c + b log k,   log w = c + (1 + b) log k

Drawn ellipses have b near -1/3, so 1 + b near 2/3 (Lacquaniti et al. 1983; as tangential speed
Viviani & Terzuolo 1982). Both regressions are the same line; they differ in their correlation,
which is higher for w, since k is a part of it. Noise of positions by itself gives an exponent near
-1/3 (Maoz et al. 2006), so measured positions want smoothing, and a null of noise alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import savgol_filter

from neuromotor._checks import check_below_one, check_number
from neuromotor.analysis.measures.courses import check_courses
from neuromotor.analysis.measures.lines import least_squares_line
from neuromotor.analysis.measures.movement_times import MovementTimes
from neuromotor.analysis.measures.paths import during

__all__ = ["PowerLaw", "power_law"]

_SAMPLES = 10  # that a trial's line needs
_EDGE = 2  # samples of the course's ends, where differences are one-sided


@dataclass(frozen=True)
class PowerLaw:
    """Exponents of B trials; NaN where fewer than ten samples count or curvature is constant.

    Attributes:
        exponent: Exponent b of speed over curvature, (B,).
        correlation: Of log speed with log curvature, (B,).
        angular_exponent: Exponent 1 + b of angular speed over curvature, (B,).
        angular_correlation: Of log angular speed with log curvature, (B,).
        samples: How many samples count, (B,).
        counts: Which these are, (B, T).
        speed_m_s: Speed of the hand (m/s), (B, T).
        curvature_per_m: Curvature of its path (1/m), (B, T).
    """

    exponent: NDArray[np.float64]
    correlation: NDArray[np.float64]
    angular_exponent: NDArray[np.float64]
    angular_correlation: NDArray[np.float64]
    samples: NDArray[np.int64]
    counts: NDArray[np.bool_]
    speed_m_s: NDArray[np.float64]
    curvature_per_m: NDArray[np.float64]


def power_law(
    positions: ArrayLike,
    dt_s: float,
    *,
    times: MovementTimes | None = None,
    cut: float = 0.1,
    least_curvature_per_m: float = 0.5,
    smoothing_s: float = 0.0,
) -> PowerLaw:
    """Return the exponent of speed over curvature of each trial.

    Args:
        positions: Hand positions in the plane (m), (B, T, 2).
        dt_s: Time between samples (s).
        times: Onsets and ends of the movements; the whole course by default.
        cut: Samples slower than this share of the trial's peak speed do not count: where the hand
            starts and stops, speed says nothing of the path.
        least_curvature_per_m: Samples that are less curved (1/m) do not count: at an inflection
            the law has no speed.
        smoothing_s: Width of the local cubics by which derivatives are taken (Savitzky & Golay
            1964); 0 takes central differences.

    Raises:
        ValueError: Positions are not finite or have another shape, or a number is out of range.
    """
    array = check_courses("positions", positions, dt_s, axes=2)
    check_below_one("cut", cut)
    check_number("least_curvature_per_m", least_curvature_per_m, "1/m", minimum=0.0)
    check_number("smoothing_s", smoothing_s, "seconds", minimum=0.0)
    count, samples, _ = array.shape
    velocity, acceleration = _derivatives(array, dt_s, smoothing_s)
    speed = np.linalg.norm(velocity, axis=-1)
    turn = velocity[..., 0] * acceleration[..., 1] - velocity[..., 1] * acceleration[..., 0]
    counts = during(times, count, samples, dt_s)
    fastest = np.where(counts, speed, 0.0).max(1, keepdims=True)
    counts &= (speed > cut * fastest) & (speed > 0)
    counts[:, :_EDGE] = counts[:, -_EDGE:] = False
    curvature = np.abs(turn) / np.where(speed > 0, speed, np.nan) ** 3
    counts &= np.nan_to_num(curvature) > max(least_curvature_per_m, np.finfo(float).tiny)
    rows = np.full((count, 4), np.nan)
    for trial in np.flatnonzero(counts.sum(1) >= _SAMPLES):
        bent = np.log(curvature[trial, counts[trial]])
        fast = np.log(speed[trial, counts[trial]])
        if bent.std() > 1e-3:  # a circle has one curvature, and no exponent
            slope = least_squares_line(bent, fast)[0]
            rows[trial] = (
                slope,
                _correlation(bent, fast),
                1 + slope,
                _correlation(bent, fast + bent),
            )
    own, r, angular, angular_r = rows.T
    return PowerLaw(own, r, angular, angular_r, counts.sum(1), counts, speed, curvature)


def _derivatives(
    positions: NDArray[np.float64], dt_s: float, smoothing_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return velocity and acceleration, (B, T, 2) each."""
    width = 2 * round(smoothing_s / dt_s / 2) + 1
    if width < 5:
        velocity = np.gradient(positions, dt_s, axis=1)
        return velocity, _second(positions, dt_s)
    if width > positions.shape[1]:
        raise ValueError(
            f"`smoothing_s` must be shorter than a trial of {positions.shape[1] * dt_s:g} s, got "
            f"{smoothing_s:g} s."
        )
    first, second = (
        savgol_filter(positions, width, 3, deriv=order, delta=dt_s, axis=1) for order in (1, 2)
    )
    return first, second


def _second(positions: NDArray[np.float64], dt_s: float) -> NDArray[np.float64]:
    """Return second central differences, (B, T, 2), those beside the ends at the ends."""
    found = np.empty_like(positions)
    found[:, 1:-1] = (positions[:, 2:] - 2 * positions[:, 1:-1] + positions[:, :-2]) / dt_s**2
    found[:, 0], found[:, -1] = found[:, 1], found[:, -2]
    return found


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the correlation of two rows; NaN where one is constant."""
    x, y = x - x.mean(), y - y.mean()
    size = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / size) if size > 0 else float("nan")
