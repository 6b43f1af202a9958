"""What experiments on free reaches share: targets about a place, courses of the hand, intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor.evaluation.bootstrap import Interval, bootstrap_interval
from neuromotor.experiments.session import Run

__all__ = [
    "correlation_interval",
    "directions",
    "hand_and_speed",
    "targets_about",
    "trial_interval",
]

_Z = 1.96  # of a normal distribution: 95 %


def directions(count: int) -> Tensor:
    """Return unit vectors in even directions, from x anticlockwise, (count, 2), in float64."""
    angle = 2 * math.pi / count * torch.arange(count, dtype=torch.float64)
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def targets_about(center: Tensor, distances_m: Sequence[float], count: int) -> Tensor:
    """Return targets in `count` directions at each distance (m), distances slowest, (D C, 2)."""
    far = torch.tensor(list(distances_m), dtype=torch.float64)
    return center + (far[:, None, None] * directions(count)).flatten(0, 1)


def hand_and_speed(run: Run) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return hand positions (m), (B, T + 1, 2), and speeds (m/s), (B, T + 1)."""
    speed = run.velocity.norm(dim=-1)
    return np.asarray(run.hand, np.float64), np.asarray(speed, np.float64)


def trial_interval(values: NDArray[np.float64]) -> Interval:
    """Return the mean over the trials that have a value; None where half or more have none."""
    known = values[np.isfinite(values)]
    if 2 * len(known) <= values.size:
        return Interval(None, None, None)
    return bootstrap_interval(torch.from_numpy(known))


def correlation_interval(x: NDArray[np.float64], y: NDArray[np.float64]) -> Interval:
    """Return the correlation of N pairs with its 95 % interval (Fisher's z).

    None where a pair lacks a value, where one does not vary, or where there are fewer than four.
    """
    if len(x) < 4 or not np.isfinite([x, y]).all():
        return Interval(None, None, None)
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    if size <= 0:
        return Interval(None, None, None)
    r = min(max(float(x @ y) / size, -1 + 1e-12), 1 - 1e-12)
    wide = _Z / math.sqrt(len(x) - 3)
    return Interval(r, math.tanh(math.atanh(r) - wide), math.tanh(math.atanh(r) + wide))
