"""Reaches in the measures of the literature: times, speeds, straightness, end points.

A movement lasts from its onset (`movement_onset`: 10 % of peak speed) to the first time after its
peak at which it is as slow again. Measures are NaN where a trial has no movement, or where the
movement does not end. The state after the last step counts where a recording has it.

Peak / mean speed is that from rest to rest (`measures.speed_profiles`). Noise ends this early, so
smooth measured positions first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.ellipses import EndPoints, end_errors, end_points
from neuromotor.analysis.layout import RecordingError, check_in_plane, check_recording, sample_at
from neuromotor.analysis.measures.courses import left_of
from neuromotor.analysis.measures.end_point_spread import EndPointSpread, end_point_spread
from neuromotor.analysis.measures.movement_times import MovementTimes
from neuromotor.analysis.measures.paths import (
    deviation_at_peak_speed,
    largest_deviation,
    path_curvature,
)
from neuromotor.analysis.measures.speed_profiles import speed_profiles
from neuromotor.analysis.section import Findings, Material, SectionSpec, median

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Behaviour", "behaviour", "hand_course", "plot_movements"]

_BEHIND = "0.6"  # grey of a reference
_RESAMPLES = 500  # of end points, for intervals in a report
_MOST_DRAWN = 400  # trials in a figure

_SLOW = 0.1  # of peak speed: where a movement begins and ends
_OF_THE_TARGET = (
    *("end_error_m", "perpendicular_deviation_m", "deviation_at_peak_speed_m"),
    *("lateral_error_m", "along_error_m"),
)


@dataclass(frozen=True)
class Behaviour:
    """Measures of the movements of B trials, (B,) each.

    Attributes:
        reaction_time_s: Time from go signal to onset; NaN without go signal.
        movement_time_s: Time from onset to end.
        peak_speed_m_s: Peak speed of the hand.
        peak_to_mean: Peak speed over mean speed from rest to rest; NaN too where the recording
            does not cover that.
        symmetry: Time from onset to peak over movement time; 0.5 is symmetric.
        path_ratio: Length of the path over the distance of its ends; 1 is straight.
        curvature: Largest distance of the path from the straight line, over that line's length.
        end_error_m: Distance of the last hand position from the target; NaN without target.
        perpendicular_deviation_m: Largest distance from the straight line between the first hand
            position and the target, from onset to end (or to the recording's end where the movement
            does not end); positive to the left of the reach. NaN without target or movement.
        deviation_at_peak_speed_m: Distance from that line when the hand is fastest, with the same
            sign.
        lateral_error_m: Part of the last hand position's error across that line, positive to the
            left of the reach; NaN where the target lies at the start.
        along_error_m: Part of it along the line, positive beyond the target.
    """

    reaction_time_s: NDArray[np.float64]
    movement_time_s: NDArray[np.float64]
    peak_speed_m_s: NDArray[np.float64]
    peak_to_mean: NDArray[np.float64]
    symmetry: NDArray[np.float64]
    path_ratio: NDArray[np.float64]
    curvature: NDArray[np.float64]
    end_error_m: NDArray[np.float64]
    perpendicular_deviation_m: NDArray[np.float64]
    deviation_at_peak_speed_m: NDArray[np.float64]
    lateral_error_m: NDArray[np.float64]
    along_error_m: NDArray[np.float64]


def behaviour(recording: xr.Dataset) -> Behaviour:
    """Return the measures of every trial's movement.

    Raises:
        RecordingError: The recording lacks positions, velocities or onsets.
    """
    check_recording(recording, ["hand_position"])
    check_in_plane(recording)
    if recording.sizes["time"] < 3:
        raise RecordingError(
            f"a movement needs three times or more, the recording has {recording.sizes['time']}."
        )
    time, hand, velocity = hand_course(recording)
    check_recording(recording, ["movement_onset"])
    speed = np.linalg.norm(velocity, axis=-1)
    onset = recording["movement_onset"].values
    go = recording["go_time"].values if "go_time" in recording else np.full(len(onset), np.nan)
    rows = np.full((len(onset), 5), np.nan)
    for trial in np.flatnonzero(np.isfinite(onset)):
        trace = speed[trial]
        start = sample_at(time, onset[trial])
        if start is None:
            continue
        rows[trial, 4] = time[start] - time[0]
        peak = start + int(trace[start:].argmax())
        slow = np.flatnonzero(trace[peak:] <= _SLOW * trace[peak])
        rows[trial, 1] = trace[peak]
        if not slow.size:
            continue
        end = peak + int(slow[0])
        if end == start:
            continue
        path = hand[trial, start : end + 1]
        length = float(np.linalg.norm(path[-1] - path[0]))
        rows[trial, 0] = time[end] - time[start]
        rows[trial, 2] = (time[peak] - time[start]) / rows[trial, 0]
        if length > 0:
            rows[trial, 3] = np.linalg.norm(np.diff(path, axis=0), axis=1).sum() / length
    duration_s, peak_speed, symmetry, path_ratio, began = rows.T
    dt_s = float(time[1] - time[0])
    moves = MovementTimes(began, began + duration_s)
    profiles = speed_profiles(hand, dt_s, speed=speed, times=moves)
    return Behaviour(
        reaction_time_s=onset - go,
        movement_time_s=duration_s,
        peak_speed_m_s=peak_speed,
        peak_to_mean=profiles.peak_to_mean,
        symmetry=symmetry,
        path_ratio=path_ratio,
        curvature=path_curvature(hand, dt_s, moves),
        **_from_the_target(recording, hand, speed, dt_s, moves),
    )


def hand_course(
    recording: xr.Dataset,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return times (T,), hand positions and velocities (B, T, 2), the last state among them.

    The state after the last step is there in recordings of networks that were not cut before their
    end; T is then one more than the recording's times.

    Raises:
        RecordingError: The recording lacks positions or velocities.
    """
    check_recording(recording, ["hand_position", "hand_velocity"])
    time = recording["time"].values
    hand, velocity = (recording[f"hand_{name}"].values for name in ("position", "velocity"))
    final = ("final_time", "final_hand_position", "final_hand_velocity")
    if len(time) < 2 or any(name not in recording for name in final):
        return time, hand, velocity
    end, last_hand, last_velocity = (recording[name].values for name in final)
    step = time[-1] - time[-2]
    if not np.allclose(end, time[-1] + step, rtol=0, atol=1e-3 * step):
        return time, hand, velocity  # the recording was cut: its last sample is not the last state
    return (
        np.append(time, time[-1] + step),
        np.concatenate([hand, last_hand[:, None]], axis=1),
        np.concatenate([velocity, last_velocity[:, None]], axis=1),
    )


def _from_the_target(
    recording: xr.Dataset,
    hand: NDArray[np.float64],
    speed: NDArray[np.float64],
    dt_s: float,
    moves: MovementTimes,
) -> dict[str, NDArray[np.float64]]:
    """Return deviations from the line to the target, and the parts of the end error, (B,) each."""
    unknown = np.full(len(hand), np.nan)
    if "target_position" not in recording:
        return dict.fromkeys(_OF_THE_TARGET, unknown)
    target, errors = recording["target_position"].values, end_errors(recording)
    left = left_of(target - hand[:, 0])
    along = np.stack([left[:, 1], -left[:, 0]], axis=-1)
    last = dt_s * (hand.shape[1] - 1)
    ends = np.where(np.isfinite(moves.end_s), moves.end_s, last)
    open_ended = MovementTimes(moves.onset_s, np.where(np.isfinite(moves.onset_s), ends, np.nan))
    line: Any = {"targets": target, "times": open_ended}
    found = (
        np.linalg.norm(errors, axis=-1),
        largest_deviation(hand, dt_s, **line),
        deviation_at_peak_speed(hand, dt_s, **line, speed=speed),
        (errors * left).sum(-1),
        (errors * along).sum(-1),
    )
    return dict(zip(_OF_THE_TARGET, found, strict=True))


def plot_movements(
    recording: xr.Dataset, ellipses: EndPoints | None = None, behind: xr.Dataset | None = None
) -> Figure:
    """Draw hand paths (cm) and speeds (cm/s) over time, coloured by condition.

    Of more than 400 trials, as many are drawn, evenly chosen, and the figure says so.

    Args:
        recording: Trials with hand positions and velocities.
        ellipses: Ellipses of their end points, which are drawn too where they are given.
        behind: Another recording, such as a reference of the same trials, drawn in grey behind it.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Ellipse

    from neuromotor.analysis.drawing import add_condition_key, condition_colors, panels
    from neuromotor.plotting import PATHS, draw_pushes, push_key, pushes_of

    time_s, hand_m, velocity_m_s = hand_course(recording)
    time_ms, hand = 1e3 * time_s, 100 * hand_m
    speed = 100 * np.linalg.norm(velocity_m_s, axis=-1)
    labels, member = np.unique(recording["condition"].values, return_inverse=True)
    colors = condition_colors(len(labels))
    with panels(1, 2, figsize=(6.4, 2.8)) as (figure, (plane, course)):
        handles = []
        if behind is not None:
            other_s, other_m, other_m_s = hand_course(behind)
            for path, trace in zip(other_m, np.linalg.norm(other_m_s, axis=-1), strict=True):
                plane.plot(*(100 * path).T, color=_BEHIND, linewidth=0.7)
                course.plot(1e3 * other_s, 100 * trace, color=_BEHIND, linewidth=0.7)
            handles.append(Line2D([], [], color=_BEHIND, label="reference, behind"))
        shown = np.unique(np.linspace(0, len(hand) - 1, min(len(hand), _MOST_DRAWN)).astype(int))
        for path, trace, condition in zip(hand[shown], speed[shown], member[shown], strict=True):
            plane.plot(*path.T, color=colors[condition], linewidth=0.7)
            course.plot(time_ms, trace, color=colors[condition], linewidth=0.7)
        if len(shown) < len(hand):
            course.set_title(f"{len(shown)} of {len(hand)} trials")
        if "shown_target_position" in recording:
            for way in 100 * recording["shown_target_position"].values:
                plane.plot(*way.T, ".", color="black", markersize=0.7, markeredgewidth=0)
            handles.append(Line2D([], [], color="black", linestyle=":", label="target, its way"))
        if "target_position" in recording:
            goal = 100 * recording["target_position"].values
            plane.scatter(*goal.T, s=9, c=colors[member], edgecolors="black", linewidths=0.4)
            style: Any = {"markeredgecolor": "black", "color": "white", "linestyle": ""}
            handles.append(Line2D([], [], marker="o", markersize=3, label="target", **style))
        if ellipses is not None:
            colored = dict(zip(labels.tolist(), colors, strict=True))
            for place, label in enumerate(ellipses.conditions.tolist()):
                center = 100 * (ellipses.targets_m[place] + ellipses.bias_m[place])
                width, height = 200 * ellipses.axes_m[place]
                shape: Any = {"facecolor": "none", "edgecolor": "black", "zorder": 4}
                turn = float(ellipses.orientation_deg[place])
                plane.add_patch(Ellipse(center, width, height, angle=turn, linewidth=1.6, **shape))
                shape["edgecolor"] = colored[label]
                plane.add_patch(Ellipse(center, width, height, angle=turn, linewidth=0.9, **shape))
            handles.append(Line2D([], [], color="black", label="95 % of end points"))
        names = [name for name in ("load", "hand_force") if name in recording]
        load, force = (recording[n].values if n in names else None for n in ("load", "hand_force"))
        pushes = pushes_of(load, force)
        if pushes is not None:
            some = np.unique(np.linspace(0, len(hand) - 1, PATHS).astype(int))
            draw_pushes(plane, hand[some], pushes[0][some], pushes[1][some])
            handles += push_key(*pushes)
        plane.set_aspect("equal", adjustable="datalim")
        plane.set(xlabel="x (cm)", ylabel="y (cm)")
        course.set(xlabel="time (ms)", ylabel="hand speed (cm/s)")
        if handles:
            figure.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=6)
        add_condition_key(figure, labels)
    return figure


def _section(given: Material) -> Findings:
    """Hand paths, speeds and end points."""
    recording = given.recording
    found = behaviour(recording)
    count = recording.sizes["trial"]
    numbers: dict[str, Any] = {
        name: {
            "median": np.nanmedian(values),
            "lowest": np.nanmin(values),
            "highest": np.nanmax(values),
            "trials": np.isfinite(values).sum(),
        }
        for name, values in vars(found).items()
        if np.isfinite(values).any()
    }
    ended = int(np.isfinite(found.movement_time_s).sum())
    text = (
        "A minimum-jerk movement has peak / mean speed 1.875 and symmetry 0.5, where the mean is "
        f"taken from rest to rest. {ended} of {count} trials have a movement that begins and ends. "
        "`trials` says how many trials a row counts."
    )
    try:
        ellipses = end_points(recording)
    except RecordingError as error:
        text += f" There are no end-point ellipses: {error}"
        return Findings(text, numbers, {"movement": partial(plot_movements, recording)})
    with np.errstate(divide="ignore", invalid="ignore"):
        elongation = ellipses.axes_m[:, 0] / ellipses.axes_m[:, 1]
    numbers["end points"] = {
        "ellipses": len(ellipses.conditions),
        "trials_left_out": ellipses.left_out,
        "median_bias_m": median(np.linalg.norm(ellipses.bias_m, axis=-1)),
        "median_long_m": median(ellipses.axes_m[:, 0]),
        "median_short_m": median(ellipses.axes_m[:, 1]),
        "median_long_over_short": median(elongation),
        "median_turned_from_movement_deg": median(ellipses.turned_deg),
    }
    spread = _spread(recording)
    if spread is not None:
        for name in ("along_over_across", "aspect", "tilt_deg"):
            one = getattr(spread, name)
            numbers["end points"] |= {name: one.value, f"{name}_low": one.low}
            numbers["end points"] |= {f"{name}_high": one.high}
        numbers["end points"]["direction_spread_deg"] = spread.direction_spread_deg
        text += (
            " `along_over_across` is the spread of all end points along their movements over that "
            "across, about the means of their conditions, with its 95 % interval: 1 where the "
            "spread does not know the direction of movement."
        )
    for i, label in enumerate(ellipses.conditions):
        x, y = 100 * ellipses.targets_m[i]
        numbers[f"end points, condition {label}, target ({x:.2f}, {y:.2f}) cm"] = {
            "trials": ellipses.counts[i],
            "bias_x_m": ellipses.bias_m[i, 0],
            "bias_y_m": ellipses.bias_m[i, 1],
            "long_m": ellipses.axes_m[i, 0],
            "short_m": ellipses.axes_m[i, 1],
            "orientation_deg": ellipses.orientation_deg[i],
            "turned_from_movement_deg": ellipses.turned_deg[i],
        }
    text += (
        " The ellipses hold 95 % of the end points of each condition and target, if these are "
        "normally distributed; the tables give their half axes."
    )
    return Findings(text, numbers, {"movement": partial(plot_movements, recording, ellipses)})


def _spread(recording: xr.Dataset) -> EndPointSpread | None:
    """Return the spread of end points that have a direction, None where too few have one."""
    start, target = recording["hand_position"].values[:, 0], recording["target_position"].values
    away = np.linalg.norm(target - start, axis=-1) > 0
    if away.sum() < 3:
        return None
    groups = np.unique(recording["condition"].values, return_inverse=True)[1]
    ends = target + end_errors(recording)
    return end_point_spread(
        ends[away], start[away], target[away], groups=groups[away], resamples=_RESAMPLES
    )


SECTION = SectionSpec(
    "movement",
    "Movement",
    10,
    _section,
    in_parts=True,
    reading="Each line is a trial, in the colour of its condition: the hand's path to its target "
    "and its speed over time; the reference is minimum jerk, and there is no null.",
)
