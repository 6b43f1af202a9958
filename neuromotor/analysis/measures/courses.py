"""What all measures of movements share: checks of positions, and the speed of the hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromotor._checks import check_positive

__all__ = ["check_array", "check_courses", "hand_speed", "left_of", "one_each"]


def check_array(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
    """Return finite numbers of `shape` (None: any size), or raise a `ValueError`."""
    array = np.asarray(values, np.float64)
    fits = array.ndim == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = "(" + ", ".join("*" if n is None else str(n) for n in shape) + ")"
        raise ValueError(f"`{name}` must have shape {wanted}, got {array.shape}.")
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise ValueError(
            f"`{name}` must be finite, got {bad} infinite or NaN entries; leave those trials out, "
            "or cut all trials to the samples that each has."
        )
    return array


def one_each(
    name: str, values: ArrayLike, count: int, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return `count` arrays of `shape`, from as many or from one for all, or raise."""
    array = np.asarray(values, np.float64)
    if array.ndim == len(shape):
        array = np.broadcast_to(check_array(name, array, shape), (count, *shape))
    return check_array(name, array, (count, *shape))


def check_courses(
    name: str, values: ArrayLike, dt_s: float, *, axes: int | None = None
) -> NDArray[np.float64]:
    """Return courses (B, T, d) of three samples or more, or raise a `ValueError`."""
    check_positive("dt_s", dt_s, "seconds")
    array = check_array(name, values, (None, None, axes))
    if array.shape[1] < 3:
        raise ValueError(
            f"`{name}` must have three samples or more of each trial, got {array.shape[1]}."
        )
    return array


def hand_speed(positions: ArrayLike, dt_s: float) -> NDArray[np.float64]:
    """Return the hand's speed by central differences (m/s), (B, T).

    Args:
        positions: Hand positions (m), (B, T, d); smooth measured ones first.
        dt_s: Time between samples (s).

    Raises:
        ValueError: Positions are not finite, or not (B, T, d) with three samples or more.
    """
    array = check_courses("positions", positions, dt_s)
    return np.asarray(np.linalg.norm(np.gradient(array, dt_s, axis=1), axis=-1), np.float64)


def left_of(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return unit vectors to the left of lines (B, 2); NaN where a line has no length."""
    length = np.linalg.norm(lines, axis=-1, keepdims=True)
    along = lines / np.where(length > 0, length, np.nan)
    return np.stack([-along[:, 1], along[:, 0]], axis=-1)
