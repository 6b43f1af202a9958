"""Linear dynamics of condition averages: what is fitted, and to which states.

Notation: X are the states of k principal components (samples, k), X' their time derivatives, and M
is the matrix of the dynamics. The derivatives are differences over a step; X are the states at the
start of each step (`starts`, as in Kalidindi et al. 2021), or halfway (`midpoints`).

    X' = X M,   M = -M^T of least squares solves (X^T X) M + M (X^T X) = X^T X' - X'^T X

(Churchland et al. 2012; the Lyapunov form of the normal equations is ours and exact.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_continuous_lyapunov

from neuromotor._checks import check_integer, check_number, lookup
from neuromotor.analysis._arrays import (
    Difference,
    check_dimensions,
    differences,
    reduced,
    soft_constant,
    soft_normalised,
)
from neuromotor.analysis.averages import condition_averages
from neuromotor.analysis.layout import ACTUATOR, LAYOUT, RecordingError

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "DIFFERENCES",
    "NullBand",
    "RotationFit",
    "Signals",
    "band_of",
    "centred",
    "fit_rotations",
    "signals_of",
    "usual_components",
]

DIFFERENCES: dict[Difference, str] = {
    "starts": "at the start of each step",
    "midpoints": "halfway through each step",
}
_UNITS, _MUSCLES, _MOVEMENT = 6, 4, 2  # components of each kind, Kalidindi et al. 2021


@dataclass(frozen=True)
class RotationFit:
    """Fits of linear dynamics to states.

    Attributes:
        r2_skew: R^2 of the derivatives by rotations alone.
        r2_unconstrained: R^2 by any linear dynamics.
        skew: M^T of the rotations, so that x' = skew x, (k, k).
        free: M^T of any linear dynamics, (k, k).
    """

    r2_skew: float
    r2_unconstrained: float
    skew: NDArray[np.float64]
    free: NDArray[np.float64]


@dataclass(frozen=True)
class NullBand:
    """R^2 of the skew-symmetric and the unconstrained fits to surrogates, (S,) each."""

    skew: NDArray[np.float64]
    unconstrained: NDArray[np.float64]


def fit_rotations(
    states: NDArray[np.float64], dt_s: float, difference: Difference = "starts"
) -> RotationFit:
    """Return the fits of rotations, and of any linear dynamics, to states (C, T, k).

    Args:
        states: Scores, less their mean over conditions.
        dt_s: Step between samples (s).
        difference: Which state belongs to a difference over a step: `starts` or `midpoints`.
    """
    x, derivative = differences(states, dt_s, difference)
    gram, cross = x.T @ x, x.T @ derivative
    free = np.linalg.lstsq(gram, cross, rcond=None)[0]
    skew = np.asarray(solve_continuous_lyapunov(gram, cross - cross.T), np.float64)
    total = (derivative**2).sum()
    r2 = [1 - ((derivative - x @ m) ** 2).sum() / total for m in (skew, free)]
    return RotationFit(float(r2[0]), float(r2[1]), skew.T, np.asarray(free.T, np.float64))


def band_of(
    tensors: Iterable[NDArray[np.float64]], components: int, dt_s: float, difference: Difference
) -> NullBand:
    """Return the R^2 of surrogate tensors (C, T, N) on their own principal components."""
    fits = [fit_rotations(reduced(tensor, components)[0], dt_s, difference) for tensor in tensors]
    return NullBand(
        np.array([fit.r2_skew for fit in fits]), np.array([fit.r2_unconstrained for fit in fits])
    )


def centred(
    mean: NDArray[np.float64], components: int, soft: float, difference: str
) -> NDArray[np.float64]:
    """Return condition averages (C, T, N) over their ranges, less their mean over conditions.

    Raises:
        RecordingError: There are too few conditions, times or signals, or they do not vary.
        ValueError: `components`, `soft` or `difference` is out of range.
    """
    lookup("difference", difference, DIFFERENCES)
    check_number("soft", soft, minimum=0.0)
    check_integer("components", components, minimum=2)
    if components % 2:
        raise ValueError(f"`components` must be even, 2 or more, got {components}.")
    count, steps, size = mean.shape
    if count < 2 or steps < 3 or size < components:
        raise RecordingError(
            f"rotational dynamics need two conditions, three times and {components} units or more, "
            f"got {count}, {steps} and {size}."
        )
    normalised = soft_normalised(mean, soft)
    found = normalised - normalised.mean(0)
    norm = float(np.linalg.norm(normalised))
    check_dimensions(found, norm, components, "the activity beyond its mean over conditions")
    return found


@dataclass(frozen=True)
class Signals:
    """Condition averages of one or more variables; C conditions, T times, N signals.

    Attributes:
        mean: Averages, (C, T, N).
        time_s: Times, (T,).
        conditions: Labels, (C,).
        soft: What is added to each signal's range.
        components: Principal components that are usual for this kind.
    """

    mean: NDArray[np.float64]
    time_s: NDArray[np.float64]
    conditions: NDArray[np.generic]
    soft: float
    components: int


def signals_of(
    recording: xr.Dataset,
    variable: str | Sequence[str] = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    components: int | None = None,
    soft: float | None = None,
) -> Signals:
    """Return the condition averages of one variable, or of several side by side.

    Args:
        recording: Trials.
        variable: `rate`, `command`, `actuator_activation`, ... or several, such as
            `("joint_position", "joint_velocity")`.
        window_s: First and last time (s).
        components: Principal components; None for those that are usual for this kind.
        soft: Added to each signal's range; None for what suits the kind of the first variable.

    Raises:
        RecordingError: The recording lacks a variable.
        ValueError: No variable is named.
    """
    names = [variable] if isinstance(variable, str) else list(variable)
    if not names:
        raise ValueError("`variable` must name one variable or more, got none.")
    averages = [condition_averages(recording, n, window_s=window_s, shuffles=0) for n in names]
    mean = np.concatenate([own.mean for own in averages], axis=2)
    return Signals(
        mean=mean,
        time_s=averages[0].time_s,
        conditions=averages[0].conditions,
        soft=soft_constant(recording, names[0], soft),
        components=usual_components(names[0], mean.shape[2]) if components is None else components,
    )


def usual_components(variable: str, size: int) -> int:
    """Return how many principal components are usual for a kind of signal, at most `size`.

    Six for units, four for muscles, two for kinematics (Kalidindi et al. 2021); commands count as
    muscles. The number is even; fewer than two signals are refused later.
    """
    usual = _UNITS
    if variable == "command" or variable.startswith(ACTUATOR):
        usual = _MUSCLES
    elif variable in LAYOUT and LAYOUT[variable].dims[-1] not in ("unit",):
        usual = _MOVEMENT
    return max(2, min(usual, size - size % 2)) if usual != _UNITS else usual
