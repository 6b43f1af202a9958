"""Recordings whose truth is known."""

import numpy as np

from neuromotor.analysis import make_recording

SECTIONS = (  # of a report that tests are about, in order; further analyses may stand among them
    *("movement", "speed-accuracy", "averages", "tuning", "components", "demixing", "rotations"),
    *("alignment", "tangling", "decoding", "deviations", "latency", "similarity"),
    *("fixed-points", "jacobian", "sensitivity", "lesions"),
)


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


def smooth_noise(conditions=12, steps=60, units=30, seed=0):
    """Structureless data: noise with covariances across time and units."""
    generator = np.random.default_rng(seed)
    lag = np.subtract.outer(np.arange(steps), np.arange(steps))
    time = np.linalg.cholesky(np.exp(-0.5 * (lag / 8.0) ** 2) + 1e-8 * np.eye(steps))
    mix = generator.standard_normal((units, units)) * np.geomspace(1, 0.02, units)
    white = generator.standard_normal((conditions, steps, units))
    noise = np.einsum("st,ctn,mn->csm", time, white, mix)
    return noise - noise.mean(0)


def minimum_jerk(curve=0.0):
    """Four minimum-jerk reaches of 6 cm, bowed by a share of their length."""
    time, angle, condition, hand = reaches(directions=4, repeats=1, steps=101, dt=0.005)
    tau = time / time[-1]
    side = np.stack([-np.sin(angle), np.cos(angle)], -1)
    hand = hand + curve * 0.06 * np.sin(np.pi * tau)[None, :, None] ** 2 * side[:, None]
    target = 0.06 * np.stack([np.cos(angle), np.sin(angle)], -1)
    variables = {
        "rate": np.zeros((4, 101, 1)),
        "hand_position": hand,
        "target_position": target + np.array([0.001, 0.0]),
        "go_time": np.zeros(4),
    }
    return make_recording(time, condition, variables)
