"""A session of reaching whose rates, events and movements are known, as arrays on one clock (s)."""

from dataclasses import dataclass

import numpy as np

RATE_HZ = 1000.0  # of the hand
REACTION_S = 0.25
MOVEMENT_S = 0.5
CLOCK_S = 0.1234  # after the go signal: when the first unit always fires once


@dataclass(frozen=True)
class Planted:
    """Trials of unequal lengths; the first unit fires once a trial, the last one never."""

    trials: dict
    spikes: list
    areas: list
    time_s: np.ndarray
    hand_m: np.ndarray
    preferred: np.ndarray

    def rate(self, unit, angle_deg):
        """Planted rate (spikes/s) of a tuned unit from 0.2 s before to 0.6 s after the go."""
        return 20 + 12 * np.cos(np.radians(angle_deg) - self.preferred[unit])


def planted(trials=64, tuned=6, seed=0):
    """Eight directions; tuned units fire at a constant rate in each trial."""
    rng = np.random.default_rng(seed)
    angle = rng.permutation(np.repeat(np.arange(8) * 45, -(-trials // 8))[:trials])
    length = rng.uniform(1.6, 2.2, trials)
    start = 0.5 + np.concatenate([[0], np.cumsum(length[:-1] + rng.uniform(0.5, 0.8, trials - 1))])
    stop = start + length
    cue = start + rng.uniform(0.1, 0.2, trials)
    go = cue + rng.uniform(0.4, 0.6, trials)
    preferred = np.concatenate([[0], rng.uniform(0, 2 * np.pi, tuned)])
    spikes = [go + CLOCK_S]
    whole = float(stop[-1] + 0.5)
    for unit in range(1, tuned + 1):
        times = []
        for a, begin, end in zip(angle, start, stop, strict=True):
            rate = 20 + 12 * np.cos(np.radians(a) - preferred[unit])
            times.append(rng.uniform(begin, end, rng.poisson(rate * (end - begin))))
        spikes.append(np.sort(np.concatenate(times)))
    spikes.append(np.zeros(0))
    time = np.arange(int(whole * RATE_HZ)) / RATE_HZ
    hand = np.zeros((len(time), 2))
    onset = go + REACTION_S
    for a, begin, end in zip(np.radians(angle), onset, stop, strict=True):
        s = np.clip((time - begin) / MOVEMENT_S, 0, 1)
        reach = 0.1 * (10 * s**3 - 15 * s**4 + 6 * s**5)
        back = np.clip((time - end) / 0.5, 0, 1)  # between trials
        reach *= 1 - (10 * back**3 - 15 * back**4 + 6 * back**5)
        now = (time >= begin) & (time < end + 0.5)
        hand[now] = reach[now, None] * np.array([np.cos(a), np.sin(a)])
    table = {
        "start_time": start,
        "stop_time": stop,
        "target_on_time": cue,
        "go_cue_time": go,
        "move_onset_time": onset,
        "angle": angle.astype(float),
        "result": np.where(rng.random(trials) < 0.8, "R", "F"),
    }
    areas = ["M1"] * (1 + tuned // 2) + ["PMd"] * (tuned - tuned // 2 + 1)
    return Planted(table, spikes, areas, time, hand, preferred)


def check_planted(recording, plan, unit_axis=None, trials=None):
    """Every direction's counts are within counting error of what was planted, cut from the go."""
    rate = recording["rate"].values.astype(float)
    step = float(recording["time"][1] - recording["time"][0])
    window = step * recording.sizes["time"]
    conditions = recording["condition"].values.astype(float)
    for place, unit in enumerate(unit_axis or range(rate.shape[2])):
        counts = rate[:, :, place].sum(1) * step
        if unit == 0:  # the bin that holds the spike, and no other
            expected = np.floor(CLOCK_S / step + 0.5) * step
            at = recording["time"].values[rate[:, :, place].argmax(1)]
            np.testing.assert_allclose(at, expected, atol=1e-9)
            np.testing.assert_allclose(counts, 1, rtol=1e-5)
            continue
        if unit == len(plan.spikes) - 1:
            assert not counts.any()
            continue
        for angle in np.unique(conditions):
            own = counts[conditions == angle]
            expected = plan.rate(unit, angle) * window * len(own)
            assert abs(own.sum() - expected) < 4.5 * np.sqrt(expected)
