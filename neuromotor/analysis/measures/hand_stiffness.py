"""Stiffness of the hand from forces at small static displacements, and its ellipse.

Notation: d is the displacement of the hand from its posture, F the force by which the hand answers.

    F = F0 - K d

by least squares (Mussa-Ivaldi, Hogan & Bizzi 1985). The ellipse is that of the symmetric part of K,
which alone stores energy: the forces at displacements of one length in all directions. What is
antisymmetric is a curl.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromotor.analysis._arrays import r_squared
from neuromotor.analysis.measures.courses import check_array

__all__ = ["HandStiffness", "hand_stiffness"]


@dataclass(frozen=True)
class HandStiffness:
    """Stiffness in the plane.

    Attributes:
        matrix_n_m: K (N/m), (2, 2).
        standard_error_n_m: Standard errors of its entries (N/m), (2, 2); NaN where there are as
            many unknowns as forces.
        rest_force_n: F0 (N), (2,).
        r2: Share of the variance of the forces that is explained.
        axes_n_m: Largest and smallest stiffness of the symmetric part (N/m), (2,).
        orientation_deg: Direction of the largest, 0 to 180 from x.
        shape: Largest over smallest.
        area_n2_m2: Area of the ellipse, pi times their product (N^2/m^2).
        curl_n_m: Antisymmetric part, (K21 - K12) / 2 (N/m).
    """

    matrix_n_m: NDArray[np.float64]
    standard_error_n_m: NDArray[np.float64]
    rest_force_n: NDArray[np.float64]
    r2: float
    axes_n_m: NDArray[np.float64]
    orientation_deg: float
    shape: float
    area_n2_m2: float
    curl_n_m: float


def hand_stiffness(displacements: ArrayLike, forces: ArrayLike) -> HandStiffness:
    """Return the stiffness that a table of displacements and forces shows.

    Args:
        displacements: Displacements of the hand from its posture (m), (N, 2); some millimetres,
            and of a hand that is at rest again.
        forces: Forces of the hand on what displaced it (N), (N, 2), before anything is corrected.

    Raises:
        ValueError: The displacements do not span the plane, or an array is not finite or has
            another shape.

    Example:
        >>> found = hand_stiffness([[0.01, 0], [-0.01, 0], [0, 0.01]], [[-3, 0], [3, 0], [0, -1]])
        >>> found.matrix_n_m.round(6).tolist(), round(found.shape, 6)
        ([[300.0, 0.0], [0.0, 100.0]], 3.0)
    """
    moved = check_array("displacements", displacements, (None, 2))
    pushed = check_array("forces", forces, moved.shape)
    scale = float(np.abs(moved).max()) if len(moved) else 0.0
    design = np.column_stack([np.ones(len(moved)), -moved / (scale or 1.0)])
    singular = np.linalg.svd(design, compute_uv=False)
    if len(moved) < 3 or singular[-1] < 1e-6 * singular[0]:
        raise ValueError(
            "`displacements` must span the plane with three of them or more, got "
            f"{len(moved)}; displace the hand along x and along y."
        )
    fitted, *_ = np.linalg.lstsq(design, pushed, rcond=None)
    matrix = fitted[1:].T / scale
    error = np.full((2, 2), np.nan)
    free = len(moved) - 3
    if free > 0:
        left = ((pushed - design @ fitted) ** 2).sum(0) / free
        error = np.sqrt(np.outer(left, np.diag(np.linalg.inv(design.T @ design))[1:])) / scale
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    small, large = values
    long = vectors[:, 1]
    return HandStiffness(
        matrix_n_m=np.asarray(matrix, np.float64),
        standard_error_n_m=error,
        rest_force_n=fitted[0],
        r2=float(r_squared(pushed, design @ fitted, (0, 1), pushed.mean(0))),
        axes_n_m=np.array([large, small]),
        orientation_deg=float(np.degrees(np.arctan2(long[1], long[0])) % 180),
        shape=float(large / small) if small else float("inf"),
        area_n2_m2=float(np.pi * large * small),
        curl_n_m=float(0.5 * (matrix[1, 0] - matrix[0, 1])),
    )
