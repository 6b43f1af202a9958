"""When movements begin and end, by rules that are stated.

Movement times depend on the rule, so a result says which one it used. Each rule is an object:

    PeakFraction    from the last sample before the peak that is slower than a share of the peak
                    speed to the first one after it that is not faster (10 %: the rule of
                    `behaviour`)
    SpeedThreshold  from the last slow sample before the hand stays faster than a speed for some
                    time to the first sample of a time in which it stays slower
    LeavesStart     onset: the last sample inside a circle about the start
    StaysInTarget   end: the first sample from which the hand stays inside a circle about the target
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromotor._checks import check_below_one, check_number, check_positive
from neuromotor.analysis.from_arrays import movement_onset
from neuromotor.analysis.measures.courses import check_array, check_courses, hand_speed

__all__ = [
    "EndRule",
    "LeavesStart",
    "Motion",
    "MovementTimes",
    "OnsetRule",
    "PeakFraction",
    "SpeedThreshold",
    "StaysInTarget",
    "movement_times",
]

_ROUNDING = 1e-9  # of a sample


@dataclass(frozen=True)
class Motion:
    """What rules look at: B trials of T samples.

    Attributes:
        positions: Hand positions (m), (B, T, d).
        speed: Speed of the hand (m/s), (B, T).
        targets: Targets (m), (B, d), or None.
        dt_s: Time between samples (s).
    """

    positions: NDArray[np.float64]
    speed: NDArray[np.float64]
    targets: NDArray[np.float64] | None
    dt_s: float


class OnsetRule(Protocol):
    """What says when movements begin."""

    def onset(self, motion: Motion) -> NDArray[np.float64]:
        """Return onsets (s) from the first sample, (B,); NaN where there is none."""
        ...


class EndRule(Protocol):
    """What says when movements end."""

    def end(self, motion: Motion, onset_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ends (s) of movements with these onsets, (B,); NaN where there is none."""
        ...


@dataclass(frozen=True)
class MovementTimes:
    """Onsets and ends of B movements, in seconds from the first sample.

    Attributes:
        onset_s: Onsets, (B,); NaN where there is no movement.
        end_s: Ends, (B,); NaN where there is no movement or it does not end.
    """

    onset_s: NDArray[np.float64]
    end_s: NDArray[np.float64]

    @property
    def duration_s(self) -> NDArray[np.float64]:
        """Time from onset to end (s), (B,)."""
        return self.end_s - self.onset_s


@dataclass(frozen=True)
class PeakFraction:
    """Slow is what lies below a share of the trial's own peak speed.

    Attributes:
        fraction: Share of the peak speed; 5 to 10 % are usual.
        minimum_peak_m_s: Trials that never get so fast (m/s) do not move.
    """

    fraction: float = 0.1
    minimum_peak_m_s: float = 0.01

    def __post_init__(self) -> None:
        check_positive("fraction", self.fraction)
        check_below_one("fraction", self.fraction)
        check_number("minimum_peak_m_s", self.minimum_peak_m_s, "m/s", minimum=0.0)

    def onset(self, motion: Motion) -> NDArray[np.float64]:
        """Return the last times before each peak at which the hand is slow, (B,)."""
        time = np.asarray(motion.dt_s * np.arange(motion.speed.shape[1]), np.float64)
        return movement_onset(
            time, motion.speed, fraction=self.fraction, minimum_peak=self.minimum_peak_m_s
        )

    def end(self, motion: Motion, onset_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the first times after each peak at which the hand is slow, (B,)."""
        peak = motion.speed.argmax(1)
        size = np.take_along_axis(motion.speed, peak[:, None], 1)
        after = np.arange(motion.speed.shape[1]) > peak[:, None]
        slow = after & (motion.speed <= self.fraction * size)
        there = slow.any(1) & (size[:, 0] >= self.minimum_peak_m_s) & np.isfinite(onset_s)
        return np.where(there, motion.dt_s * slow.argmax(1), np.nan)


@dataclass(frozen=True)
class SpeedThreshold:
    """Slow is what lies below a speed, for long enough.

    Attributes:
        speed_m_s: The speed (m/s).
        lasting_s: How long the hand must be faster to have begun, and slower to have ended (s).
    """

    speed_m_s: float = 0.02
    lasting_s: float = 0.05

    def __post_init__(self) -> None:
        check_positive("speed_m_s", self.speed_m_s, "m/s")
        check_number("lasting_s", self.lasting_s, "seconds", minimum=0.0)

    def onset(self, motion: Motion) -> NDArray[np.float64]:
        """Return the last slow samples before the hand stays faster, (B,)."""
        begun = _stays(motion.speed > self.speed_m_s, _samples(self.lasting_s, motion.dt_s))
        first = begun.argmax(1)
        return np.where(begun.any(1) & (first > 0), motion.dt_s * (first - 1), np.nan)

    def end(self, motion: Motion, onset_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the first samples after the onset from which the hand stays slower, (B,)."""
        ended = _stays(motion.speed <= self.speed_m_s, _samples(self.lasting_s, motion.dt_s))
        return _first(ended & _later(motion, onset_s), motion.dt_s)


@dataclass(frozen=True)
class LeavesStart:
    """A movement begins when the hand leaves a circle about its first position.

    Attributes:
        radius_m: Radius of the circle (m).
    """

    radius_m: float = 0.005

    def __post_init__(self) -> None:
        check_positive("radius_m", self.radius_m, "m")

    def onset(self, motion: Motion) -> NDArray[np.float64]:
        """Return the last samples before the hand is first outside, (B,)."""
        away = np.linalg.norm(motion.positions - motion.positions[:, :1], axis=-1)
        outside = away > self.radius_m
        return np.where(outside.any(1), motion.dt_s * (outside.argmax(1) - 1), np.nan)


@dataclass(frozen=True)
class StaysInTarget:
    """A movement ends when the hand is inside its target and stays there.

    Attributes:
        radius_m: Radius of the target (m).
        lasting_s: How long it must stay (s); None is to the last sample.
    """

    radius_m: float = 0.01
    lasting_s: float | None = None

    def __post_init__(self) -> None:
        check_positive("radius_m", self.radius_m, "m")
        if self.lasting_s is not None:
            check_number("lasting_s", self.lasting_s, "seconds", minimum=0.0)

    def end(self, motion: Motion, onset_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the first samples from which the hand stays inside, (B,).

        Raises:
            ValueError: The motion has no targets.
        """
        if motion.targets is None:
            raise ValueError("`targets` must be given for an end inside the target, got none.")
        away = np.linalg.norm(motion.positions - motion.targets[:, None], axis=-1)
        inside = away <= self.radius_m
        if self.lasting_s is None:
            stays = np.logical_and.accumulate(inside[:, ::-1], axis=1)[:, ::-1]
        else:
            stays = _stays(inside, _samples(self.lasting_s, motion.dt_s))
        return _first(stays & _later(motion, onset_s), motion.dt_s)


def movement_times(
    positions: ArrayLike,
    dt_s: float,
    *,
    targets: ArrayLike | None = None,
    speed: ArrayLike | None = None,
    onset: OnsetRule | None = None,
    end: EndRule | None = None,
) -> MovementTimes:
    """Return when each movement begins and ends.

    Args:
        positions: Hand positions (m), (B, T, d).
        dt_s: Time between samples (s).
        targets: Targets (m), (B, d), for ends inside them.
        speed: Speed of the hand (m/s), (B, T); by default by central differences.
        onset: Rule of the onset; `PeakFraction()` by default.
        end: Rule of the end; `PeakFraction()` by default.

    Raises:
        ValueError: An array has another shape or is not finite, or targets are missing.

    Example:
        >>> s = np.linspace(0, 1, 101)[None, :, None]
        >>> reach = 0.1 * (10 * s**3 - 15 * s**4 + 6 * s**5) * np.array([1.0, 0.0])
        >>> movement_times(reach, 0.005).duration_s.round(2).tolist()
        [0.42]
    """
    array = check_courses("positions", positions, dt_s)
    count, samples, axes = array.shape
    fast = (
        hand_speed(array, dt_s) if speed is None else check_array("speed", speed, (count, samples))
    )
    goals = None if targets is None else check_array("targets", targets, (count, axes))
    motion = Motion(array, fast, goals, dt_s)
    begins = (onset or PeakFraction()).onset(motion)
    ends = (end or PeakFraction()).end(motion, begins)
    return MovementTimes(begins, np.where(np.isfinite(begins), ends, np.nan))


def _samples(seconds: float, dt_s: float) -> int:
    """Return how many samples, ends included, cover a time."""
    return int(np.ceil(seconds / dt_s - _ROUNDING)) + 1


def _stays(holds: NDArray[np.bool_], samples: int) -> NDArray[np.bool_]:
    """Return from which samples on something holds for so many samples, (B, T)."""
    found = np.zeros_like(holds)
    if samples <= holds.shape[1]:
        windows = np.lib.stride_tricks.sliding_window_view(holds, samples, axis=1)
        found[:, : windows.shape[1]] = windows.all(-1)
    return found


def _later(motion: Motion, onset_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which samples come after each onset, (B, T); none where it is NaN."""
    sample = np.arange(motion.speed.shape[1])
    return np.asarray(sample * motion.dt_s > onset_s[:, None] + _ROUNDING * motion.dt_s)


def _first(holds: NDArray[np.bool_], dt_s: float) -> NDArray[np.float64]:
    """Return the time of the first sample of each trial that holds, NaN where none does."""
    return np.where(holds.any(1), dt_s * holds.argmax(1), np.nan)
