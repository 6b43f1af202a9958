"""How movement time and the spread of end points depend on each other (Fitts' law)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis._arrays import null_p
from neuromotor.analysis.behaviour import behaviour
from neuromotor.analysis.ellipses import end_errors
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.measures.lines import fit_line, least_squares_line
from neuromotor.analysis.section import Findings, Material, SectionSpec

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["SpeedAccuracy", "plot_speed_accuracy", "speed_accuracy"]


@dataclass(frozen=True)
class SpeedAccuracy:
    """How movement time and end-point spread go together over C conditions.

    Attributes:
        conditions: Labels, (C,).
        distance_m: Mean distance from start to target, (C,).
        width_m: Effective target width, 4.133 standard deviations of the end points along the
            line from start to target: 96 % of a normal distribution, (C,).
        movement_time_s: Mean, (C,).
        difficulty_bits: log2(distance / width + 1), (C,).
        slope_s: Fitts' law: movement time (s) per bit.
        slope_interval_s: Its 95 % interval, if conditions scatter normally about the line, (2,).
        intercept_s: Movement time at no difficulty.
        r2: R^2 of that line.
        p_slope: Share of permutations of movement times over conditions whose slope is as large.
        width_slope_s: Width (m) per mean speed (m/s), distance / movement time.
        width_r2: R^2 of that line.
        p_width_slope: The same share for the slope of width.
    """

    conditions: NDArray[np.generic]
    distance_m: NDArray[np.float64]
    width_m: NDArray[np.float64]
    movement_time_s: NDArray[np.float64]
    difficulty_bits: NDArray[np.float64]
    slope_s: float
    slope_interval_s: tuple[float, float]
    intercept_s: float
    r2: float
    p_slope: float
    width_slope_s: float
    width_r2: float
    p_width_slope: float


def speed_accuracy(
    recording: xr.Dataset, *, permutations: int = 500, seed: int = 0
) -> SpeedAccuracy:
    """Return the relation of speed and accuracy over conditions.

    Fitts' law in its Shannon form with effective widths (MacKenzie 1992), and the linear relation
    of spread and mean speed (Schmidt et al. 1979). Conditions with three movements or more count.

    Args:
        recording: Trials with targets; distances or speeds should differ between conditions.
        permutations: Permutations of movement times over conditions, for p.
        seed: Random seed of the permutations.

    Raises:
        RecordingError: Fewer than three conditions have three movements that end and a spread, or
            difficulty does not vary among them.
    """
    check_recording(recording, ["hand_position", "target_position"])
    duration = behaviour(recording).movement_time_s
    line = recording["target_position"].values - recording["hand_position"].values[:, 0]
    distance = np.linalg.norm(line, axis=-1)
    counts = np.isfinite(duration) & (distance > 0)
    direction = line / np.where(distance > 0, distance, 1.0)[:, None]
    along = (end_errors(recording) * direction).sum(-1)
    labels = recording["condition"].values
    rows = []
    for label in np.unique(labels):
        own = counts & (labels == label)
        if own.sum() >= 3 and (spread := along[own].std(ddof=1)) > 1e-9 * distance[own].mean():
            rows.append((label, distance[own].mean(), 4.133 * spread, duration[own].mean()))
    if len(rows) < 3:
        raise RecordingError(
            "a speed-accuracy relation needs three conditions or more with three movements each "
            f"that end, and with spread, got {len(rows)}; record more trials a condition."
        )
    far, width, time_s = np.array([row[1:] for row in rows]).T
    bits = np.log2(far / width + 1)
    if np.ptp(bits) < 1e-9 or np.ptp(far / time_s) < 1e-12:
        raise RecordingError("difficulty and speed must vary over conditions.")
    generator = np.random.default_rng(seed)
    drawn = [generator.permutation(time_s) for _ in range(permutations)]
    slopes = [least_squares_line(bits, times)[0] for times in drawn]
    width_slopes = [least_squares_line(far / times, width)[0] for times in drawn]
    line = fit_line(bits, time_s)
    width_slope, _, width_r2 = least_squares_line(far / time_s, width)
    return SpeedAccuracy(
        conditions=np.array([row[0] for row in rows]),
        distance_m=far,
        width_m=width,
        movement_time_s=time_s,
        difficulty_bits=bits,
        slope_s=line.slope,
        slope_interval_s=line.slope_interval,
        intercept_s=line.intercept,
        r2=line.r2,
        p_slope=null_p(line.slope, slopes),
        width_slope_s=width_slope,
        width_r2=width_r2,
        p_width_slope=null_p(width_slope, width_slopes),
    )


def plot_speed_accuracy(found: SpeedAccuracy) -> Figure:
    """Draw movement time against difficulty, and spread against speed, a point a condition."""
    from neuromotor.analysis.drawing import NULL_COLOR, panels
    from neuromotor.plotting import COLORS

    with panels(1, 2, figsize=(5.6, 2.5)) as (figure, (left, right)):
        bits = found.difficulty_bits
        left.plot(bits, 1e3 * found.movement_time_s, "o", color=COLORS[0], markersize=3)
        ends = np.array([bits.min(), bits.max()])
        left.plot(ends, 1e3 * (found.intercept_s + found.slope_s * ends), color=NULL_COLOR)
        left.set(xlabel="difficulty (bits)", ylabel="movement time (ms)")
        left.set_title(f"{1e3 * found.slope_s:.0f} ms/bit, R² {found.r2:.2f}")
        speed = 100 * found.distance_m / found.movement_time_s
        right.plot(speed, 100 * found.width_m, "o", color=COLORS[0], markersize=3)
        right.set(xlabel="mean speed (cm/s)", ylabel="effective width (cm)")
        right.set_title(f"R² {found.width_r2:.2f}")
    return figure


def _section(given: Material) -> Findings:
    """Movement time against difficulty, spread against speed."""
    found = speed_accuracy(given.recording, seed=given.seed)
    numbers = {
        "conditions": len(found.conditions),
        "fitts_slope_s_per_bit": found.slope_s,
        "fitts_slope_low_s_per_bit": found.slope_interval_s[0],
        "fitts_slope_high_s_per_bit": found.slope_interval_s[1],
        "fitts_intercept_s": found.intercept_s,
        "fitts_r2": found.r2,
        "fitts_p": found.p_slope,
        "width_slope_s": found.width_slope_s,
        "width_r2": found.width_r2,
        "width_p": found.p_width_slope,
    }
    text = (
        "Lines are fitted over conditions, with effective target widths; the slope's interval is "
        "that of 95 %. For p, movement times are "
        "permuted over conditions."
    )
    return Findings(text, numbers, {"speed-accuracy": partial(plot_speed_accuracy, found)})


SECTION = SectionSpec(
    "speed-accuracy",
    "Speed and accuracy",
    20,
    _section,
    in_parts=True,
    reading="Each point is a condition: movement time against difficulty, and spread against "
    "speed, with lines of least squares; for the null, movement times are permuted over "
    "conditions.",
)
