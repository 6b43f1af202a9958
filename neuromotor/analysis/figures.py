"""One figure for each analysis. This module imports matplotlib; nothing imports it early."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from neuromotor._checks import check_positive
from neuromotor.analysis.averages import ConditionAverages
from neuromotor.analysis.behaviour import EndPoints, SpeedAccuracy, hand_course
from neuromotor.analysis.decoding import Regression
from neuromotor.analysis.demixing import DemixedComponents
from neuromotor.analysis.deviations import HandDeviations
from neuromotor.analysis.latencies import Latencies
from neuromotor.analysis.rotations import Rotations
from neuromotor.analysis.similarity import Similarity
from neuromotor.analysis.subspaces import Alignment, PrincipalComponents
from neuromotor.analysis.tangling import Tangling
from neuromotor.analysis.tuning import Tuning
from neuromotor.plotting import (
    COLORS,
    PATHS,
    STYLE,
    draw_pushes,
    few_log_ticks,
    nested_widths,
    push_key,
    pushes_of,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "draw_conditions",
    "draw_directions",
    "plot_alignment",
    "plot_averages",
    "plot_decoding",
    "plot_demixed_components",
    "plot_deviations",
    "plot_end_points",
    "plot_latency",
    "plot_movements",
    "plot_principal_components",
    "plot_rotations",
    "plot_similarity",
    "plot_speed_accuracy",
    "plot_tangling",
    "plot_tuning",
]

_NULL = "0.6"
_BEFORE_MS = 100.0  # of a deviation before its push
_KEYED = 9  # most conditions that a key names


def plot_movements(recording: xr.Dataset, behind: xr.Dataset | None = None) -> Figure:
    """Draw hand paths (cm) and speeds (cm/s) over time, coloured by condition.

    Args:
        recording: What is drawn.
        behind: Another recording, such as a reference of the same trials, in grey behind it.
    """
    time_s, hand_m, velocity_m_s = hand_course(recording)
    time_ms, hand = 1e3 * time_s, 100 * hand_m
    speed = 100 * np.linalg.norm(velocity_m_s, axis=-1)
    member = np.unique(recording["condition"].values, return_inverse=True)[1]
    colors = _wheel(int(member.max()) + 1)
    with mpl.rc_context(STYLE):
        figure, (plane, course) = plt.subplots(1, 2, figsize=(6.4, 2.8), layout="constrained")
        handles = []
        if behind is not None:
            other_s, other_m, other_m_s = hand_course(behind)
            for path, trace in zip(other_m, np.linalg.norm(other_m_s, axis=-1), strict=True):
                plane.plot(*(100 * path).T, color=_NULL, linewidth=0.7)
                course.plot(1e3 * other_s, 100 * trace, color=_NULL, linewidth=0.7)
            handles.append(Line2D([], [], color=_NULL, label="reference, behind"))
        for path, trace, condition in zip(hand, speed, member, strict=True):
            plane.plot(*path.T, color=colors[condition], linewidth=0.7)
            course.plot(time_ms, trace, color=colors[condition], linewidth=0.7)
        if "target_position" in recording:
            goal = 100 * recording["target_position"].values
            plane.scatter(*goal.T, s=9, c=colors[member], edgecolors="black", linewidths=0.4)
            style: Any = {"markeredgecolor": "black", "color": "white", "linestyle": ""}
            handles.append(Line2D([], [], marker="o", markersize=3, label="target", **style))
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
        _add_key(figure, np.unique(recording["condition"].values))
    return figure


def plot_end_points(found: Mapping[str, EndPoints], magnified: float = 10.0) -> Figure:
    """Draw ellipses that hold 95 % of the end points about each target, one colour a name.

    Args:
        found: End points by name, such as those of a network and of a reference.
        magnified: How much larger ellipses and their distance from the target are drawn than the
            plane of the targets.

    Raises:
        ValueError: `found` is empty, or `magnified` is not positive.
    """
    check_positive("magnified", magnified)
    if not found:
        raise ValueError("`found` must hold the end points of one recording or more, got none.")
    with mpl.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(3.4, 3.6), layout="constrained")
        for (name, points), color in zip(found.items(), cycle(COLORS), strict=False):
            middle = 100 * (points.targets_m + magnified * points.bias_m)
            for place, half, angle in zip(
                middle, 100 * magnified * points.axes_m, points.orientation_deg, strict=True
            ):
                wide, high = 2 * half
                shape = Ellipse((place[0], place[1]), wide, high, angle=angle, fill=False)
                shape.set(edgecolor=color, linewidth=1)
                ax.add_patch(shape)
            ax.plot([], [], color=color, label=plain(name))
            ax.plot(*(100 * points.targets_m).T, "+", color="black", markersize=4)
        ax.plot([], [], "+", color="black", markersize=4, label="target")
        ax.set_aspect("equal", adjustable="datalim")
        ax.margins(0.1)
        ax.autoscale_view()
        ax.set(xlabel="x (cm)", ylabel="y (cm)")
        ax.set_title(f"95 % of the end points,\nerrors {magnified:g} times as large")
        figure.legend(loc="outside upper center", ncols=3, fontsize=6)
    return figure


def plot_averages(averages: ConditionAverages, units: int = 6) -> Figure:
    """Draw the condition averages of the units that vary most."""
    chosen = np.argsort(-averages.mean.var((0, 1)))[:units]
    colors = _wheel(len(averages.mean))
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows,
            columns,
            figsize=(6.4, 1.9 * rows),
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
        for ax in axes.flat[len(chosen) :]:
            ax.set_axis_off()
        for ax, unit in zip(axes.flat, chosen, strict=False):
            for condition, color in enumerate(colors):
                trace = averages.mean[condition, :, unit]
                ax.plot(1e3 * averages.time_s, trace, color=color, linewidth=0.7)
            ax.set_title(f"unit {unit}")
        for ax in axes[:, 0]:
            ax.set_ylabel("rate")
        for ax in axes[-1]:
            ax.set_xlabel("time (ms)")
        _add_key(figure, averages.conditions)
    return figure


def plot_tuning(tunings: dict[str, Tuning]) -> Figure:
    """Draw histograms of preferred directions, one circle for each named tuning, with its axis."""
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            1,
            len(tunings),
            figsize=(2.3 * len(tunings), 2.8),
            squeeze=False,
            subplot_kw={"projection": "polar"},
            layout="constrained",
        )
        for ax, (name, tuning) in zip(axes.flat, tunings.items(), strict=True):
            axis = tuning.population
            draw_directions(ax, tuning)
            words = f"{plain(name)}\n{axis.count} of {len(tuning.tuned)} units tuned\n"
            if np.isfinite(axis.axis_deg):
                words += f"axis {round(axis.axis_deg) % 180}°, r {axis.axis_resultant:.2f}"
            ax.set_title(words)
    return figure


def draw_directions(ax: Any, tuning: Tuning) -> None:
    """Draw a histogram of the tuned units' preferred directions on polar axes, with their axis."""
    angles = np.radians(tuning.direction_deg[tuning.tuned])
    edges = np.linspace(-np.pi, np.pi, 17)
    counts, _ = np.histogram(angles, edges)
    ax.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=COLORS[0])
    if np.isfinite(tuning.population.axis_deg):
        top = 1.05 * max(int(counts.max()), 1)
        for turn in (0, 180):
            ends = [np.radians(tuning.population.axis_deg + turn)] * 2
            ax.plot(ends, [0, top], color=COLORS[1])
    ax.set_xticks(np.radians([0, 90, 180, 270]))
    ax.set_ylim(0, None if counts.any() else 1)
    ax.yaxis.set_major_locator(MaxNLocator(2, integer=True, prune="lower"))
    ax.yaxis.set_major_formatter("{x:g} units")
    near = counts + np.roll(counts, 1) + 0.5 * (np.roll(counts, -1) + np.roll(counts, 2))
    near = np.where(np.arange(len(counts)) % 4 == 0, np.inf, near)
    ax.set_rlabel_position(np.degrees(edges[np.argmin(near)]))  # off bars and axes
    ax.tick_params(labelleft=bool(counts.any()))
    for label in ax.get_yticklabels():
        label.set_bbox({"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5})


def plot_principal_components(found: PrincipalComponents) -> Figure:
    """Draw the variance of the components, and the conditions in the first two."""
    with mpl.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(6.0, 2.7), layout="constrained")
        shown = min(15, len(found.explained))
        left.plot(np.arange(1, shown + 1), np.cumsum(found.explained)[:shown], "o-", markersize=3)
        left.axhline(0.9, color=_NULL, linestyle="--")
        left.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        left.set(xlabel="components", ylabel="share of variance", ylim=(0, 1.02))
        left.set_title(f"participation ratio {found.participation_ratio:.2f}")
        second = 1 if found.scores.shape[2] > 1 else 0
        draw_conditions(right, found.scores[..., [0, second]])
        right.set(xlabel="component 1", ylabel="component 2")
        _add_key(figure, found.conditions, right)
    return figure


def plot_rotations(found: dict[str, Rotations]) -> Figure:
    """Draw the first plane of each named population, and R^2 against the nulls below it."""
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            2,
            len(found),
            figsize=(3.2 * len(found), 4.6),
            squeeze=False,
            height_ratios=(2, 1),
            layout="constrained",
        )
        for (plane, bars), (name, rotation) in zip(axes.T, found.items(), strict=True):
            draw_conditions(plane, rotation.projection)
            plane.set_title(
                f"{plain(name)}: {rotation.frequencies_hz[0]:.2f} Hz\n"
                f"{100 * rotation.plane_variance[0]:.0f} % of variance"
            )
            plane.set(xlabel="jPC 1", ylabel="jPC 2")
            rows = list(rotation.nulls.items())
            for place, (_, band) in enumerate(rows):
                for offset, values, color in (
                    (0.15, band.skew, COLORS[0]),
                    (-0.15, band.unconstrained, COLORS[1]),
                ):
                    heights = np.full(len(values), place + offset)
                    bars.plot(values, heights, "|", color=color, alpha=0.5)
            for value, color, label in (
                (rotation.r2_skew, COLORS[0], "skew-symmetric"),
                (rotation.r2_unconstrained, COLORS[1], "unconstrained"),
            ):
                bars.axvline(value, color=color, label=f"{label} {value:.2f}")
            bars.set_yticks(range(len(rows)), [f"null: {label}" for label, _ in rows])
            bars.set_ylim(-0.5, max(len(rows), 1) - 0.5)
            bars.set(xlabel="R²", xlim=(min(0.0, bars.get_xlim()[0]), 1.02))
            bars.legend(fontsize=6, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        _add_key(figure, next(iter(found.values())).conditions)
    return figure


def plot_latency(found: dict[str, Latencies]) -> Figure:
    """Draw which share of the trials that were measured has responded, over time since the load."""
    with mpl.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(3.8, 2.5), layout="constrained")
        known = [np.sort(1e3 * r.seconds[np.isfinite(r.seconds)]) for r in found.values()]
        lines = zip(found.items(), known, nested_widths(known), COLORS, strict=False)
        for (name, result), times, width, color in lines:
            share = np.arange(len(times) + 1) / max(int(result.measured.sum()), 1)
            ax.step([0, *times], share, where="post", color=color, linewidth=width, label=name)
        ax.margins(x=0.05)
        ax.set(xlabel="time since load (ms)", ylabel="share responding")
        ax.set_ylim(0, None)
        ax.legend()
    return figure


def plot_deviations(found: HandDeviations) -> Figure:
    """Draw deviations from the unperturbed reach over time since a push, and in the plane (cm)."""
    time_ms = 1e3 * found.time_s
    labels, member = np.unique(found.conditions, return_inverse=True)
    colors = _wheel(len(labels))[member]
    shown = time_ms >= -_BEFORE_MS
    with mpl.rc_context(STYLE):
        figure, (course, plane) = plt.subplots(1, 2, figsize=(6.4, 3.0), layout="constrained")
        lasts = 1e3 * np.median(found.push_s)
        if np.isfinite(lasts):
            course.axvspan(0, min(lasts, time_ms[-1]), color=COLORS[4], alpha=0.25, linewidth=0)
        distance = 100 * found.distance_m[:, shown]
        for line, path, color in zip(distance, 100 * found.deviation_m, colors, strict=True):
            course.plot(time_ms[shown], line, color=color, linewidth=0.6)
            plane.plot(*path[time_ms >= 0].T, color=color, linewidth=0.6)
        middle = [np.median(column[np.isfinite(column)]) for column in distance.T]
        course.plot(time_ms[shown], middle, color="black", linewidth=1.6)
        words = "time since the push began (ms)"
        course.set(xlabel=words, ylabel="hand off its unperturbed reach (cm)", ylim=(0, None))
        plane.plot(0, 0, "+", color="black")
        plane.set_aspect("equal", adjustable="datalim")
        plane.set(xlabel="x off the unperturbed reach (cm)", ylabel="y off it (cm)")
        handles: list[Any] = [Line2D([], [], color="black", linewidth=1.6, label="median")]
        if np.isfinite(lasts):
            handles.append(Patch(color=COLORS[4], alpha=0.25, label="while the push lasts"))
        figure.legend(handles=handles, loc="outside upper center", ncols=2, fontsize=6)
        _add_key(figure, labels)
    return figure


def plot_similarity(found: dict[tuple[str, str], Similarity]) -> Figure:
    """Draw canonical correlations and Procrustes distances of pairs of layers, and their nulls."""
    with mpl.rc_context(STYLE):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(6.4, 1.6 + 0.35 * len(found)), layout="constrained"
        )
        for place, ((own, other), result) in enumerate(found.items()):
            color = COLORS[place % len(COLORS)]
            order = np.arange(1, len(result.correlations) + 1)
            label = plain(f"{own} - {other}")
            left.plot(order, result.correlations, "o-", color=color, markersize=3, label=label)
            left.plot(order, np.median(result.null_correlations, axis=0), ":", color=color)
            null = result.null_distance_rad
            right.plot(null, np.full(len(null), place), "|", color=_NULL)
            right.plot(result.distance_rad, place, "o", color=color, markersize=4)
        left.set(xlabel="component", ylabel="canonical correlation", ylim=(0, 1.02))
        left.set_title("dotted: conditions exchanged (median)")
        right.set_yticks(range(len(found)), [plain(f"{own} - {other}") for own, other in found])
        right.set(xlabel="Procrustes distance (rad)", xlim=(0, np.pi / 2), title="ticks: null")
        right.invert_yaxis()
        figure.legend(loc="outside lower center", ncols=min(len(found), 4), fontsize=6)
    return figure


def plot_alignment(found: Alignment) -> Figure:
    """Draw the alignment index among those of random subspaces."""
    with mpl.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(3.2, 2.3), layout="constrained")
        ax.hist(found.null, bins=20, color=_NULL, label="random subspaces")
        ax.axvline(found.index, color=COLORS[1], label="recording")
        ax.set(xlabel="alignment index", ylabel="count", xlim=(0, 1.02))
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def plot_tangling(found: dict[str, Tangling]) -> Figure:
    """Draw how tangling is distributed over samples, for each variable, with its null's level."""
    with mpl.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(3.8, 2.7), layout="constrained")
        for (name, result), color in zip(found.items(), COLORS, strict=False):
            values = np.sort(result.q.ravel())
            ax.plot(values, np.linspace(0, 1, len(values)), color=color, label=name)
            if len(result.null_percentile_90):
                ax.plot(np.median(result.null_percentile_90), 0.9, "x", color=color)
        ax.set_xscale("log")
        few_log_ticks(ax.xaxis)
        ax.set(xlabel="tangling (1/s²); x: null's 90th percentile", ylabel="share of samples")
        ax.legend()
    return figure


def plot_decoding(found: dict[str, Regression]) -> Figure:
    """Draw held-out R^2 of each value, and those of exchanged trials."""
    labels = [
        plain(label.replace("_", " ")) for result in found.values() for label in result.labels
    ]
    values = np.concatenate([result.r2 for result in found.values()])
    null = np.concatenate([result.null for result in found.values()], axis=1)
    with mpl.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(5.2, 0.5 + 0.3 * len(labels)), layout="constrained")
        places = np.arange(len(labels))
        ax.barh(places, np.maximum(values, 0), color=COLORS[0], height=0.6)
        for row in null:
            ax.plot(np.maximum(row, 0), places, "|", color="black", markersize=8)
        ax.set_yticks(places, labels)
        ax.invert_yaxis()
        ax.set(
            xlabel="held-out R² (ticks: trials exchanged; below 0 drawn at 0)", xlim=(-0.02, 1.02)
        )
    return figure


def plot_demixed_components(found: DemixedComponents) -> Figure:
    """Draw the first component of what is shared and the first two of what differs, over time."""
    second = found.condition.scores.shape[2] > 1
    panels = [("shared", found.time, 0), ("condition", found.condition, 0)]
    panels += [("condition", found.condition, 1)] if second else []
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(panels), figsize=(2.2 * len(panels), 2.3), layout="constrained"
        )
        for ax, (name, part, place) in zip(axes, panels, strict=True):
            for trace, color in zip(part.scores[..., place], _wheel(len(part.scores)), strict=True):
                ax.plot(1e3 * found.time_s, trace, color=color, linewidth=0.8)
            ax.set(xlabel="time (ms)", ylabel="score")
            ax.set_title(
                f"{name} {place + 1}: {100 * part.explained[place]:.0f} % of variance,\n"
                f"{100 * part.purity[place]:.0f} % its own"
            )
        _add_key(figure, found.conditions)
    return figure


def plot_speed_accuracy(found: SpeedAccuracy) -> Figure:
    """Draw movement time against difficulty, and spread against speed, a point a condition."""
    with mpl.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(5.6, 2.5), layout="constrained")
        bits = found.difficulty_bits
        left.plot(bits, 1e3 * found.movement_time_s, "o", color=COLORS[0], markersize=3)
        ends = np.array([bits.min(), bits.max()])
        left.plot(ends, 1e3 * (found.intercept_s + found.slope_s * ends), color=_NULL)
        left.set(xlabel="difficulty (bits)", ylabel="movement time (ms)")
        left.set_title(f"{1e3 * found.slope_s:.0f} ms/bit, R² {found.r2:.2f}")
        speed = 100 * found.distance_m / found.movement_time_s
        right.plot(speed, 100 * found.width_m, "o", color=COLORS[0], markersize=3)
        right.set(xlabel="mean speed (cm/s)", ylabel="effective width (cm)")
        right.set_title(f"R² {found.width_r2:.2f}")
    return figure


def draw_conditions(ax: Axes, paths: NDArray[np.float64]) -> None:
    """Draw a path a condition in a plane, (C, T, 2), with dots where they start."""
    for path, color in zip(paths, _wheel(len(paths)), strict=True):
        ax.plot(*path.T, color=color, linewidth=0.8)
        ax.plot(*path[0], "o", color=color, markersize=2)
    ax.set_aspect("equal", adjustable="datalim")


def plain(text: str) -> str:
    """Return a text from outside as matplotlib shows it, letter by letter: no formulas."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown.strip().replace("$", r"\$").removeprefix("_")


def _wheel(count: int) -> NDArray[np.float64]:
    """Colours around a circle, one a condition, all of them dark enough for white paper.

    Hues of Oklab (Ottosson 2020), lighter on one side of the circle than on the other, so that
    colour-blind readers tell opposite ones apart.
    """
    angle = 2 * np.pi * np.arange(count) / max(count, 1)
    light = 0.6 + 0.12 * np.cos(angle - 1.9)
    lab = np.stack([light, 0.13 * np.cos(angle), 0.13 * np.sin(angle)])
    linear = _LMS_TO_RGB @ (_LAB_TO_LMS @ lab) ** 3
    linear = linear.T.clip(0, 1)
    colors: NDArray[np.float64] = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    )
    return colors


_LAB_TO_LMS = np.array(
    [
        [1, 0.3963377774, 0.2158037573],
        [1, -0.1055613458, -0.0638541728],
        [1, -0.0894841775, -1.2914855480],
    ]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def _add_key(figure: Figure, conditions: NDArray[np.generic], *axes: Axes) -> None:
    """Say below a figure, or some of its axes, which colour is which condition."""
    count = len(conditions)
    colors = ListedColormap(_wheel(count))
    shades = ScalarMappable(BoundaryNorm(np.arange(count + 1) - 0.5, max(count, 1)), colors)
    where = list(axes) or list(figure.axes)
    bar = figure.colorbar(
        shades, ax=where, location="bottom", aspect=40, shrink=0.6, fraction=0.05, drawedges=False
    )
    places = np.unique(np.linspace(0, count - 1, min(count, _KEYED)).round().astype(int))
    bar.set_ticks(places.tolist(), labels=[str(conditions[place])[:12] for place in places])
    bar.ax.tick_params(length=0, labelsize=6)
    bar.ax.minorticks_off()
    bar.set_label("condition", size=7)
    bar.outline.set_visible(False)
