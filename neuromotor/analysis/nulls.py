"""Surrogates with the data's covariances and nothing else: tensor maximum entropy.

Notation: e are the eigenvalues of the marginal covariances (scatter) over conditions, times and
units, l are their Lagrange multipliers, and s = l_c + l_t + l_n.

The distribution of largest entropy with given covariances across conditions, times and units is
Gaussian with independent entries of variance 1/s in the marginals' eigenvectors, where l makes the
sums of 1/s over the other two axes equal e (Elsayed & Cunningham 2017). That dual problem is convex
and self-concordant, so that a damped Newton method always gets there. Means over conditions, as
the analyses remove them, are null directions and stay zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MaximumEntropy", "fit_maximum_entropy"]

_NEGLIGIBLE = 1e-6  # of the largest eigenvalue: directions without variance


@dataclass(frozen=True)
class MaximumEntropy:
    """Gaussian tensors (C, T, N) with the covariances of some data.

    Attributes:
        bases: Eigenvectors kept, (C, c), (T, t), (N, n).
        variance: Variance of the entries in those bases, (c, t, n).
        error: Largest relative error of a marginal eigenvalue.
    """

    bases: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
    variance: NDArray[np.float64]
    error: float

    def draw(self, count: int, seed: int = 0) -> Iterator[NDArray[np.float64]]:
        """Yield surrogate tensors, (C, T, N)."""
        generator = np.random.default_rng(seed)
        conditions, times, units = self.bases
        for _ in range(count):
            entries = np.sqrt(self.variance) * generator.standard_normal(self.variance.shape)
            entries = np.tensordot(conditions, entries, (1, 0))
            entries = np.tensordot(entries, units, (2, 1))  # (C, t, N)
            yield np.einsum("ct,xtn->xcn", times, entries)


def fit_maximum_entropy(data: NDArray[np.float64], *, iterations: int = 200) -> MaximumEntropy:
    """Fit the surrogate distribution to a tensor (C, T, N).

    Args:
        data: Its mean over conditions should be zero.
        iterations: Most Newton steps.

    Raises:
        ValueError: The data do not vary.
    """
    scale = float((data**2).sum())
    if scale == 0:
        raise ValueError("`data` must vary to have surrogates, got zeros.")
    bases, sums = [], []
    for axis in range(3):
        flat = np.moveaxis(data, axis, 0).reshape(data.shape[axis], -1)
        values, vectors = np.linalg.eigh(flat @ flat.T / scale)
        kept = values > _NEGLIGIBLE * values[-1]
        bases.append(vectors[:, kept])
        sums.append(values[kept] / values[kept].sum())
    sizes = [len(e) for e in sums]
    starts = np.cumsum([0, *sizes])
    target = np.concatenate(sums)
    # As if the other two axes were white: right in order of magnitude where e is small.
    multiplier = np.concatenate(
        [np.prod(sizes) / (3 * n * e) for n, e in zip(sizes, sums, strict=True)]
    )
    error = np.inf
    for _ in range(iterations):
        inverse = 1 / _sum(multiplier, starts)
        gradient = target - np.concatenate([inverse.sum(_others(axis)) for axis in range(3)])
        error = float(np.abs(gradient / target).max())
        if error < 1e-8:
            break
        step = _newton_step(inverse**2, gradient, starts)
        slope = float(gradient @ step)
        # A step of 1 / (1 + decrement) always descends; longer ones are tried first.
        value, length = _dual(multiplier, target, starts), 1.0
        shortest = 1 / (1 + np.sqrt(max(-slope, 0.0)))
        while length > shortest:
            if _dual(multiplier + length * step, target, starts) <= value + 0.1 * length * slope:
                break
            length = max(0.5 * length, shortest)
        multiplier = multiplier + length * step
    variance = scale / _sum(multiplier, starts)
    return MaximumEntropy((bases[0], bases[1], bases[2]), variance, error)


def _sum(multiplier: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return s = l_c + l_t + l_n, (c, t, n)."""
    l_c, l_t, l_n = (multiplier[starts[i] : starts[i + 1]] for i in range(3))
    total: NDArray[np.float64] = l_c[:, None, None] + l_t[:, None] + l_n
    return total


def _dual(
    multiplier: NDArray[np.float64], target: NDArray[np.float64], starts: NDArray[np.int64]
) -> float:
    """Return the convex function whose minimum gives the multipliers; infinite off its domain."""
    total = _sum(multiplier, starts)
    if total.min() <= 0:
        return np.inf
    return float(target @ multiplier - np.log(total).sum())


def _newton_step(
    square: NDArray[np.float64], gradient: NDArray[np.float64], starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the step of least norm, since shifting one l up and another down changes nothing."""
    hessian = np.zeros((starts[-1], starts[-1]))
    for i in range(3):
        rows = slice(starts[i], starts[i + 1])
        hessian[rows, rows] = np.diag(square.sum(_others(i)))
        for j in range(i + 1, 3):
            columns = slice(starts[j], starts[j + 1])
            hessian[rows, columns] = square.sum(3 - i - j)
            hessian[columns, rows] = hessian[rows, columns].T
    scale = 1 / np.sqrt(np.diag(hessian))
    # Diagonal scaling first: eigenvalues of the data, and so curvatures, span many decades.
    scaled = hessian * scale[:, None] * scale
    step, *_ = np.linalg.lstsq(scaled, -gradient * scale, rcond=1e-13)
    result: NDArray[np.float64] = scale * step
    return result


def _others(axis: int) -> tuple[int, int]:
    first, second = (i for i in range(3) if i != axis)
    return first, second
