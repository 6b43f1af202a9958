"""Reaches whose measures are known, as experiments on reaching ask for them."""

import numpy as np

DT = 0.01


def bell(s):
    """Minimum jerk: share of the way, and speed over mean speed, at shares of the time."""
    s = np.clip(s, 0, 1)
    return 10 * s**3 - 15 * s**4 + 6 * s**5, 30 * s**2 * (1 - s) ** 2


def parabola(s):
    """The same of a parabola of speed."""
    s = np.clip(s, 0, 1)
    return 3 * s**2 - 2 * s**3, 6 * s * (1 - s)


def flat(s):
    """The same of a constant speed."""
    return np.clip(s, 0, 1), ((s > 0) & (s < 1)).astype(float)


def reaches(far_m, duration_s, angle, *, steps=110, shape=bell, bow=0.0, start=(0.0, 0.4)):
    """Hand positions (B, T, 2) and speeds (B, T) of straight reaches, bowed by a share."""
    far, duration, way = np.broadcast_arrays(far_m, duration_s, angle)
    s = (DT * np.arange(steps) - 0.05) / duration[:, None]
    along, speed = shape(s)
    unit = np.stack([np.cos(way), np.sin(way)], axis=-1)
    left = np.stack([-np.sin(way), np.cos(way)], axis=-1)
    hand = np.array(start) + (far[:, None] * along)[..., None] * unit[:, None]
    aside = bow * far[:, None] * np.sin(np.pi * np.clip(s, 0, 1)) ** 2
    return hand + aside[..., None] * left[:, None], speed * (far / duration)[:, None]
