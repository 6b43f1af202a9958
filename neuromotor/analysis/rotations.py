"""Rotational dynamics (jPCA) with their nulls.

Notation: X states of k principal components (samples, k), X' their time derivatives, M dynamics.

    X' = X M,   M = -M^T of least squares solves (X^T X) M + M (X^T X) = X^T X' - X'^T X

(Churchland et al. 2012; the Lyapunov form of the normal equations is ours and exact). Preprocessing
as there and in Kalidindi et al. (2021): average over trials, divide each unit by its range plus a
constant (5e-4 for tanh units, 5 for spikes/s), subtract the mean over conditions, keep six
principal components. Nulls: each condition's activity after its first sample inverted or not at
random (Churchland's "invert half"), and tensors of maximum entropy (Elsayed & Cunningham 2017;
`nulls`). Smooth data fit well to some dynamics whatever they are, so R^2 means something only
against its null.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_continuous_lyapunov

from neuromotor.analysis._arrays import (
    SOFT,
    by_sample,
    differences,
    null_p,
    reduced,
    soft_normalised,
)
from neuromotor.analysis.averages import condition_averages
from neuromotor.analysis.nulls import fit_maximum_entropy
from neuromotor.analysis.recording import RecordingError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NullBand", "Rotations", "rotational_dynamics", "rotations_of"]


@dataclass(frozen=True)
class NullBand:
    """R^2 of surrogates, skew-symmetric and unconstrained, (S,) each."""

    skew: NDArray[np.float64]
    unconstrained: NDArray[np.float64]

    def p_skew(self, observed: float) -> float:
        """Return the share of surrogates whose skew-symmetric R^2 reaches the observed one."""
        return null_p(observed, self.skew)


@dataclass(frozen=True)
class Rotations:
    """Linear dynamics of a population; C conditions, T times, k components.

    Attributes:
        time_s: Times, (T,).
        conditions: Labels, (C,).
        r2_skew: R^2 of the derivatives, rotations only.
        r2_unconstrained: R^2 of any linear dynamics.
        frequencies_hz: Of the rotations in the planes, fastest first, (k // 2,).
        plane_variance: Share of the preprocessed variance in each plane, (k // 2,).
        kept_variance: Share of the preprocessed variance that the k components hold.
        angle_deg: Median over samples of the angle from state to derivative in the first plane;
            90 for pure rotation.
        projection: Conditions in the first plane, (C, T, 2).
        skew: M^T, so that x' = skew x, (k, k).
        nulls: R^2 of surrogates by name, `invert` and `maximum entropy`.
    """

    time_s: NDArray[np.float64]
    conditions: NDArray[np.generic]
    r2_skew: float
    r2_unconstrained: float
    frequencies_hz: NDArray[np.float64]
    plane_variance: NDArray[np.float64]
    kept_variance: float
    angle_deg: float
    projection: NDArray[np.float64]
    skew: NDArray[np.float64]
    nulls: dict[str, NullBand]


def rotational_dynamics(
    recording: xr.Dataset,
    *,
    window_s: tuple[float, float] | None = None,
    components: int = 6,
    soft: float = SOFT,
    surrogates: int = 50,
    seed: int = 0,
) -> Rotations:
    """Return the rotations in a recording's condition averages.

    Args:
        recording: Trials; `align` them to movement or load first where onsets differ.
        window_s: First and last time (s); 300 ms from onset are usual.
        components: Principal components, even.
        soft: Added to each unit's range before it is divided by it.
        surrogates: Of each null.
        seed: Of the surrogates.

    Raises:
        RecordingError: There are too few conditions, times or units.
    """
    averages = condition_averages(recording, window_s=window_s, shuffles=0)
    return rotations_of(
        averages.mean,
        averages.time_s,
        conditions=averages.conditions,
        components=components,
        soft=soft,
        surrogates=surrogates,
        seed=seed,
    )


def rotations_of(
    mean: NDArray[np.float64],
    time_s: NDArray[np.float64],
    *,
    conditions: NDArray[np.generic] | None = None,
    components: int = 6,
    soft: float = SOFT,
    surrogates: int = 50,
    seed: int = 0,
) -> Rotations:
    """Return the rotations in condition averages (C, T, N) at times (s), (T,)."""
    count, steps, size = mean.shape
    if components < 2 or components % 2:
        raise ValueError(f"`components` must be even, 2 or more, got {components}.")
    if count < 2 or steps < 3 or size < components:
        raise RecordingError(
            f"rotational dynamics need two conditions, three times and {components} units or more, "
            f"got {count}, {steps} and {size}."
        )
    normalised = soft_normalised(mean, soft)
    centered = normalised - normalised.mean(0)
    if not np.linalg.matrix_rank(by_sample(centered)) >= components:
        raise RecordingError(
            f"the activity must span {components} dimensions beyond its mean over conditions; use "
            "fewer `components`."
        )
    dt = float(time_s[1] - time_s[0])
    states, share = reduced(centered, components)
    fit = _fit(states, dt)
    values, vectors = np.linalg.eig(fit.skew)
    order = [i for i in np.argsort(-values.imag) if values[i].imag > -1e-12][: components // 2]
    planes = [_plane(vectors[:, i], states) for i in order]
    flat = by_sample(states)
    total = (centered**2).sum()
    projection = flat @ planes[0]
    speed = fit.derivative @ planes[0]
    angle = np.angle(_complex(speed) * _complex(fit.middle @ planes[0]).conj())
    null = {}
    if surrogates:
        generator = np.random.default_rng(seed)
        null["invert"] = _band(_inverted(centered, surrogates, generator), components, dt)
        drawn = fit_maximum_entropy(centered).draw(surrogates, seed)
        null["maximum entropy"] = _band(drawn, components, dt)
    return Rotations(
        time_s=time_s,
        conditions=np.arange(count) if conditions is None else conditions,
        r2_skew=fit.r2_skew,
        r2_unconstrained=fit.r2_unconstrained,
        # A difference over one step sees tan(w dt / 2) for w dt / 2; this undoes it exactly.
        frequencies_hz=np.arctan(np.abs(values[order].imag) * dt / 2) / (np.pi * dt),
        plane_variance=np.array([((flat @ plane) ** 2).sum() / total for plane in planes]),
        kept_variance=share,
        angle_deg=float(np.degrees(np.median(angle))),
        projection=projection.reshape(count, steps, 2),
        skew=fit.skew,
        nulls=null,
    )


@dataclass(frozen=True)
class _Fit:
    r2_skew: float
    r2_unconstrained: float
    skew: NDArray[np.float64]
    middle: NDArray[np.float64]
    derivative: NDArray[np.float64]


def _fit(states: NDArray[np.float64], dt: float) -> _Fit:
    """Both least-squares fits, with differences between samples and the states halfway."""
    middle, derivative = differences(states, dt)
    gram, cross = middle.T @ middle, middle.T @ derivative
    free = np.linalg.lstsq(gram, cross, rcond=None)[0]
    skew = np.asarray(solve_continuous_lyapunov(gram, cross - cross.T), np.float64)
    total = (derivative**2).sum()
    r2 = [1 - ((derivative - middle @ m) ** 2).sum() / total for m in (skew, free)]
    return _Fit(float(r2[0]), float(r2[1]), skew.T, middle, derivative)


def _plane(vector: NDArray[np.complex128], states: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal plane of a complex eigenvector (k, 2), counter-clockwise, spread along x."""
    plane, _ = np.linalg.qr(np.stack([vector.real, vector.imag], axis=-1))
    start = states[:, 0] @ plane
    _, _, turn = np.linalg.svd(start - start.mean(0), full_matrices=False)
    plane = plane @ turn.T
    real = vector.real @ plane, vector.imag @ plane
    # x' = S x with eigenvalue +i w turns from -imag to real: make that counter-clockwise.
    if real[0][0] * real[1][1] - real[0][1] * real[1][0] > 0:
        plane = plane * np.array([1.0, -1.0])
    return np.asarray(plane, np.float64)


def _complex(points: NDArray[np.float64]) -> NDArray[np.complex128]:
    numbers: NDArray[np.complex128] = points[:, 0] + 1j * points[:, 1]
    return numbers


def _inverted(
    centered: NDArray[np.float64], count: int, generator: np.random.Generator
) -> Iterable[NDArray[np.float64]]:
    """Half of the conditions turned around their first sample."""
    conditions = len(centered)
    for _ in range(count):
        sign = np.ones(conditions)
        sign[generator.permutation(conditions)[: conditions // 2]] = -1
        first = centered[:, :1]
        turned = first + sign[:, None, None] * (centered - first)
        yield turned - turned.mean(0)


def _band(tensors: Iterable[NDArray[np.float64]], components: int, dt: float) -> NullBand:
    fits = [_fit(reduced(tensor, components)[0], dt) for tensor in tensors]
    return NullBand(
        np.array([fit.r2_skew for fit in fits]), np.array([fit.r2_unconstrained for fit in fits])
    )
