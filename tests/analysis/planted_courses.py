"""Courses of the hand whose measures are known in closed form."""

import numpy as np


def minimum_jerk(duration_s=0.5, dt_s=0.005, angles=(0.0, 1.0, 2.5), far_m=0.1, rest_s=0.1):
    """Positions (B, T, 2) of minimum-jerk reaches with rest before and behind."""
    time = dt_s * np.arange(round((duration_s + 2 * rest_s) / dt_s) + 1)
    s = np.clip((time - rest_s) / duration_s, 0, 1)
    along = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return far_m * (10 * s**3 - 15 * s**4 + 6 * s**5)[:, None] * along[:, None]


def ellipse(exponent, long_m=0.1, short_m=0.03, dt_s=0.002, seconds=2.0):
    """An ellipse (1, T, 2) traced with speed proportional to curvature^exponent."""
    angle = np.linspace(0, 2 * np.pi, 20_001)
    stretch = np.hypot(long_m * np.sin(angle), short_m * np.cos(angle))  # ds / d angle
    curvature = long_m * short_m / stretch**3
    rate = stretch / curvature**exponent  # d time / d angle, but for a factor
    clock = np.concatenate([[0], np.cumsum(0.5 * (rate[1:] + rate[:-1]))])
    when = np.arange(0, seconds, dt_s) / seconds * clock[-1]
    place = np.interp(when, clock, angle)
    return np.stack([long_m * np.cos(place), short_m * np.sin(place)], axis=-1)[None]
