"""Recordings whose truth is known."""

import numpy as np

from neuromotor.analysis import make_recording


def reaches(directions=8, repeats=4, steps=30, dt=0.01, radius=0.06):
    """Times, directions of trials (rad), conditions and minimum-jerk hand paths."""
    time = dt * np.arange(steps)
    condition = np.repeat(np.arange(directions), repeats)
    angle = condition * 2 * np.pi / directions
    s = time / time[-1]
    profile = 10 * s**3 - 15 * s**4 + 6 * s**5
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return time, angle, condition, radius * profile[None, :, None] * unit[:, None]


def tuned_units(preferred, noise=0.05, seed=0, **sizes):
    """Units with known preferred directions (rad) and a last one that never changes."""
    time, angle, condition, hand = reaches(**sizes)
    generator = np.random.default_rng(seed)
    rate = 1 + 0.5 * np.cos(angle[:, None] - preferred)
    rate = rate[:, None] + noise * generator.standard_normal(
        (len(angle), len(time), len(preferred))
    )
    rate = np.concatenate([rate, np.ones_like(rate[..., :1])], axis=-1)
    return make_recording(time, condition, {"rate": rate, "hand_position": hand})


def rotating(frequencies, units=40, conditions=12, steps=60, dt=0.005, noise=0.0, seed=0):
    """Condition averages of planes that rotate, seen through random weights, and their times."""
    generator = np.random.default_rng(seed)
    time = dt * np.arange(steps)
    mean = np.zeros((conditions, steps, units))
    for amplitude, hz in zip(np.geomspace(1, 0.5, len(frequencies)), frequencies, strict=True):
        start = amplitude * (
            generator.standard_normal(conditions) + 1j * generator.standard_normal(conditions)
        )
        turn = start[:, None] * np.exp(2j * np.pi * hz * time)
        weights = np.linalg.qr(generator.standard_normal((units, 2)))[0]
        mean += np.stack([turn.real, turn.imag], axis=-1) @ weights.T
    return mean + noise * generator.standard_normal(mean.shape), time
