"""Draws the figures of a comparison, in the style that all figures share.

This module imports matplotlib, so that no other module imports it before a figure is drawn.

Lengths are drawn in cm, torques in N m, velocities in rad/s; colours are those of Okabe &
Ito (2008), which colour-blind readers can tell apart.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2
from torch import Tensor

from neuromotor._showing import COLORS, PATHS, STYLE
from neuromotor.control.inverse import Inference
from neuromotor.evaluation.explain import Explanation
from neuromotor.plants.plant import Plant, View, muscles_of, views_of
from neuromotor.storage.files import atomic_path
from neuromotor.training.comparison import Comparison, MethodRun

__all__ = [
    "COLORS",
    "COLUMN_IN",
    "LINES",
    "NAMES",
    "PAGE_IN",
    "PATHS",
    "REFERENCE_COLOR",
    "SHADES",
    "STYLE",
    "comparison_figures",
    "draw_limb",
    "draw_pushes",
    "few_log_ticks",
    "finish_plane",
    "hand_cm",
    "letter",
    "line_colors",
    "match_planes",
    "nested_widths",
    "plot_convergence",
    "plot_explanation",
    "plot_hand_paths",
    "plot_inference",
    "plot_reach",
    "push_key",
    "pushes_of",
    "save_figure",
    "save_figures",
    "with_unit",
]

COLUMN_IN, PAGE_IN = 8.5 / 2.54, 17 / 2.54  # widths that journals print
REFERENCE_COLOR = "0.35"
LINES = ("-", "--", ":")  # the next one where the colours begin again
_NARROW = 6  # most panels that stand in two columns, to be read on a telephone
SHADES = 4  # most ranges in one panel that can be told apart
_UNITS = {  # by the end of a name, longer ends first
    "_s_per_bit": "s/bit",
    "_cm_s": "cm/s",
    "_m_s": "m/s",
    "_1_s": "1/s",
    "_percent": "%",
    "_bits": "bits",
    "_m2": "m²",
    "_nm": "N m",
    "_rad": "rad",
    "_deg": "deg",
    "_ms": "ms",
    "_cm": "cm",
    "_hz": "Hz",
    "_s": "s",
    "_m": "m",
    "_n": "N",
}
NAMES = {
    "ilqr": "iLQR",
    "clairvoyant": "clairvoyant iLQR",
    "lbfgs": "L-BFGS",
    "gd": "gradient descent",
    "momentum": "momentum",
    "nag": "Nesterov (NAG)",
    "adam": "Adam",
    "cg": "nonlinear CG",
    "pcg": "preconditioned nonlinear CG",
    "hf": "Hessian-free",
    "ahf": "augmented Hessian-free",
    "ksd": "Krylov subspace descent",
    "krylov": "Krylov search",
    "newton": "truncated Newton",
    "kron-lbfgs": "Kronecker L-BFGS",
    "kron-descent": "Kronecker descent",
    "kron-adam": "Kronecker Adam",
    "kron-hf": "Kronecker Hessian-free",
}


def plot_hand_paths(comparison: Comparison) -> Figure:
    """Draw the hand paths: on the limb in true scale, then each controller's against iLQR's.

    Those of a hand in space are drawn in two projections, one under the other.
    """
    plant, runs, trials = comparison.task.plant, comparison.runs, comparison.trials
    views = views_of(plant, "hand paths")
    with mpl.rc_context(STYLE):
        panels = 1 + len(runs)
        across = min(panels, 2 if panels <= _NARROW else 3)
        down = -(-panels // across)
        figure, grid = plt.subplots(
            len(views) * down,
            across,
            figsize=(2.3 * across, 0.2 + 2.4 * len(views) * down),
            squeeze=False,
            layout="constrained",
        )
        rows = grid.reshape(len(views), down * across)
        for ax in rows[:, panels:].flat:
            ax.remove()
        on, force = trials.acting(), trials.hand_force
        pushes = pushes_of(
            None if on is None else on[..., None].cpu().numpy(),
            None if force is None else force.cpu().numpy(),
        )
        for view, axes in zip(views, rows[:, :panels], strict=True):
            _draw_paths(comparison, view, axes, pushes, titled=view is views[0])
        if runs:
            name = NAMES[comparison.reference.method]
            handles = [Line2D([], [], color="0.7", label=f"{name}'s paths")]
            words = "target" if trials.wanted is None else "target; dotted: its way"
            handles += [Line2D([], [], color="black", marker="o", ms=2.5, ls="", label=words)]
            handles += [] if pushes is None else push_key(*pushes)
            columns = 4 if across > 2 else 2
            figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=7)
    return figure


def _draw_paths(
    comparison: Comparison,
    view: View,
    axes: NDArray[Any],
    pushes: tuple[NDArray[np.bool_], NDArray[np.float64]] | None,
    *,
    titled: bool,
) -> None:
    """Draw one projection of the limb with iLQR's paths, and of each controller's paths."""
    plant, runs, trials = comparison.task.plant, comparison.runs, comparison.trials
    limb_axes, *method_axes = axes
    shown = list(view.axes)
    reference = hand_cm(plant, comparison.reference.states)[..., shown]
    # No more than can be told apart, spread over the batch.
    some = np.unique(np.linspace(0, len(reference) - 1, PATHS).astype(int))
    reference = reference[some]
    targets = hand_cm(plant, trials.target)[some][..., shown]
    goals = None if trials.wanted is None else hand_cm(plant, trials.wanted)[some][..., shown]
    draw_limb(limb_axes, plant, trials.initial_state[0], view=view)
    for path in reference:
        limb_axes.plot(*path.T, color=REFERENCE_COLOR, linewidth=0.6)
    if titled:
        name = NAMES[comparison.reference.method]
        limb_axes.set_title(f"{name},\nto the scale of the limb")
    finish_plane(limb_axes, view)
    for color, run, ax in zip(line_colors(len(runs)), runs, method_axes, strict=True):
        for path in reference:
            ax.plot(*path.T, color="0.7", linewidth=0.8)
        paths = hand_cm(plant, run.states)[some][..., shown]
        for path in paths:
            ax.plot(*path.T, color=color, linewidth=0.6)
        if pushes is not None:
            draw_pushes(ax, paths, pushes[0][some], pushes[1][some][..., shown])
        for goal in () if goals is None else goals:
            ax.plot(*goal.T, ".", color="black", markersize=0.7, markeredgewidth=0)
        ax.plot(*targets.T, "o", color="black", markersize=1.2)
        if titled:
            ax.set_title(_named(run, "{}\n{:.4g} x iLQR"))
        finish_plane(ax, view)


_PUSHED: Any = {"color": COLORS[4], "alpha": 0.6, "linewidth": 3, "solid_capstyle": "butt"}
_ARROW = 0.1  # length of an arrow, as a fraction of the largest distance between targets and paths


def pushes_of(
    load: NDArray[Any] | None, hand_force: NDArray[Any] | None
) -> tuple[NDArray[np.bool_], NDArray[np.float64]] | None:
    """Return when something acts on the limb, (B, T), and forces on the hand (N), (B, T, d).

    If nothing ever does, this is None.

    Args:
        load: Torques, or whatever is not zero where something acts, (B, T, m).
        hand_force: Forces (N), (B, T, d).
    """
    parts = [part for part in (load, hand_force) if part is not None]
    on = np.any([part.any(-1) for part in parts], axis=0) if parts else np.zeros((0, 0), bool)
    if not on.any():
        return None
    none = np.zeros((*on.shape, 3))  # in the plane or in space
    force = none if hand_force is None else np.asarray(hand_force, np.float64)
    return on, force


def draw_pushes(
    ax: Axes, paths: NDArray[np.float64], on: NDArray[np.bool_], force: NDArray[np.float64]
) -> None:
    """Mark hand paths where the hand is pushed, with an arrow where a push begins.

    Args:
        ax: A plane.
        paths: (B, T, 2) or (B, T + 1, 2).
        on: Whether something acts at a step, (B, T).
        force: Force on the hand (N), (B, T, 2).
    """
    extent = np.ptp(paths.reshape(-1, 2), axis=0).max()
    largest = max(np.linalg.norm(force, axis=-1).max(), 1e-12)
    look = {"arrowstyle": "->,head_width=0.15,head_length=0.2", "lw": 0.5}
    look |= {"shrinkA": 0, "shrinkB": 0}
    for path, pushed, forces in zip(paths, on, force, strict=True):
        if not on.all():
            during = np.append(False, pushed) | np.append(pushed, False)
            shown = np.where(during[: len(path), None], path, np.nan)
            ax.plot(*shown.T, **_PUSHED, zorder=1)
        acts = forces.any(-1)
        for step in np.flatnonzero(acts & ~np.append(False, acts[:-1])):
            tip = path[step] + _ARROW * extent * forces[step] / largest
            ax.annotate("", tip, path[step], arrowprops=look)


def push_key(on: NDArray[np.bool_], force: NDArray[np.float64]) -> list[Line2D]:
    """Return a legend's handles for what `draw_pushes` draws."""
    always = bool(on.all())
    style: Any = {"linestyle": ""} if always else _PUSHED
    words = "loaded all the time" if always else "while loaded"
    handles = [Line2D([], [], **style, label=words)]
    if force.any():
        arrow: Any = {"color": "black", "marker": "$\u2192$", "linestyle": ""}
        handles.append(Line2D([], [], **arrow, label="push, where it begins"))
    return handles


def plot_reach(comparison: Comparison, trial: int | None = None) -> Figure:
    """Draw commands and velocities of one reach over time, every controller and iLQR.

    Args:
        comparison: What to draw.
        trial: Number of the trial; by default the one at an eighth of the batch.
    """
    plant, trials = comparison.task.plant, comparison.trials
    trial = len(trials) // 8 if trial is None else trial
    moving = range(plant.state_size)[plant.state_parts["velocity"]]
    columns = max(plant.command_size, len(moving))
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            *(2, columns),
            figsize=(2.4 * columns, 3.8),
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
        for ax in (*axes[0, plant.command_size :], *axes[1, len(moving) :]):
            ax.set_axis_off()
        lines = [(comparison.reference, REFERENCE_COLOR, "--")]
        colors = line_colors(len(comparison.runs))
        lines += [(run, color, "-") for run, color in zip(comparison.runs, colors, strict=True)]
        widths = nested_widths([run.states[trial].cpu().numpy().ravel() for run, _, _ in lines])
        for (run, color, dash), width in zip(lines, widths, strict=True):
            label = NAMES.get(run.method, run.method)
            style: Any = {"color": color, "zorder": 3 if dash == "--" else 2}
            style["linewidth"] = 1.2 if dash == "--" else width
            commands = run.commands[trial].cpu().numpy()
            states = run.states[trial].cpu().numpy()
            command_ms = 1e3 * plant.dt_s * np.arange(len(commands))
            state_ms = 1e3 * plant.dt_s * np.arange(len(states))
            for ax, command in zip(axes[0], commands.T, strict=False):
                ax.step(command_ms, command, dash, where="post", **style)
            for ax, number in zip(axes[1], moving, strict=False):
                ax.plot(state_ms, states[:, number], dash, label=label, **style)
        for ax, words in zip(axes[0], plant.command_labels, strict=False):
            ax.set_ylabel(_in_lines(words))
        for ax, number in zip(axes[1], moving, strict=False):
            ax.set_ylabel(_in_lines(plant.state_labels[number]))
            ax.set_xlabel("time (ms)")
        handles, labels = axes[1, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(lines), fontsize=7)
        offset = hand_cm(plant, trials.target[trial]) - hand_cm(plant, trials.initial_state[trial])
        angle, distance = np.degrees(np.arctan2(offset[1], offset[0])), np.linalg.norm(offset)
        title = f"reach of {distance:.2f} cm"
        if plant.hand_size == 2:
            title += f" towards {round(angle) % 360} degrees"
        figure.suptitle(title if distance else f"trial {trial}, hand to stay in place", fontsize=8)
    return figure


def _in_lines(label: str) -> str:
    """Return a label in lines that are short enough for the side of a panel, its unit unbroken."""
    words, _, unit = label.partition(" (")
    return textwrap.fill(f"{words} ({unit.replace(' ', chr(0xA0))}" if unit else words, 26)


def _named(run: MethodRun, form: str) -> str:
    """Return a method's name with its ratio to iLQR; the name alone if iLQR's loss is zero."""
    name = NAMES.get(run.method, run.method)
    return name if math.isnan(run.ratio) else form.format(name, run.ratio)


def plot_convergence(comparison: Comparison) -> Figure:
    """Draw loss against calls on logarithmic axes, with a line at iLQR's loss."""
    with mpl.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(3.6, 3.2), layout="constrained")
        runs = comparison.runs
        widths = nested_widths([[point.value for point in run.history] for run in runs])
        for run, color, width in zip(runs, line_colors(len(runs)), widths, strict=True):
            ax.loglog(
                [point.calls for point in run.history],
                [point.value for point in run.history],
                color=color,
                linewidth=width,
                label=_named(run, "{} ({:.4g} x iLQR)"),
            )
        level = comparison.reference.performance.loss
        ax.axhline(level, color=REFERENCE_COLOR, linestyle="--", label=f"iLQR ({level:.3g})")
        ax.set_xlabel("calls (values + gradients + products)")
        ax.set_ylabel("mean loss")
        figure.legend(loc="outside lower center", ncols=2, fontsize=7)
    return figure


def nested_widths(curves: Sequence[ArrayLike]) -> list[float]:
    """Return a line width (points) for each curve, in the order of drawing.

    A curve that later ones would hide, because they are the same as far as both go, is drawn wider:
    it shows on both sides of them.
    """
    arrays = [np.asarray(curve, np.float64) for curve in curves]
    widths = []
    for place, own in enumerate(arrays):
        hidden = 0
        for later in arrays[place + 1 :]:
            both = min(len(own), len(later))
            size = np.abs(own[:both][np.isfinite(own[:both])]).max(initial=0.0)
            close = np.isclose(own[:both], later[:both], 1e-2, 1e-3 * size, equal_nan=True)
            hidden += bool(both and close.all())
        widths.append(1.2 + 2.0 * min(hidden, 4))
    return widths


def plot_explanation(found: Explanation, unit: str) -> Figure:
    """Draw what makes up the excess of a controller's loss over ILQG's.

    Args:
        found: What `evaluation.explain.explain` returned.
        unit: Of the commands, such as ``N m``.
    """
    with plt.rc_context(STYLE):
        rows = 3 if found.departure.gain is None else 4
        figure, axes = plt.subplots(
            rows, 1, figsize=(COLUMN_IN, 1.9 * rows), layout="constrained", squeeze=False
        )
        causes, when, commands, *readout = axes[:, 0]
        names = list(found.excess)
        left = np.arange(len(names))
        for shift, kind, color in zip((-0.2, 0.2), ("error", "energy"), COLORS, strict=False):
            sizes = [found.excess[name][kind] for name in names]
            causes.bar(left + shift, sizes, 0.38, color=color, label=kind)
        causes.axhline(0, color="0.5", lw=0.6)
        causes.set_xticks(left, names)
        causes.set_ylabel("excess over ILQG")
        causes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        causes.legend()
        when.plot(np.array(found.handover_s) * 1e3, found.handover_loss, "o-", color=COLORS[0])
        when.set_yscale("log")
        when.set(xlabel="ILQG takes over (ms)", ylabel="median loss")
        times = np.array(found.departure.times_s) * 1e3
        lines = {"all": found.departure.total}
        if found.departure.gain is not None and found.departure.estimate is not None:
            lines |= {"estimate": found.departure.estimate, "gain": found.departure.gain}
        for (name, line), color in zip(lines.items(), COLORS, strict=False):
            commands.plot(times, line, color=color, label=name)
        commands.set(xlabel="time (ms)", ylabel=f"departure ({unit})", ylim=(0, None))
        commands.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        for axis in readout:
            unread = found.departure.unread
            labels = ["units" if name == "units" else f"+ {name}" for name in unread]
            axis.bar(labels, list(unread.values()), 0.6, color=COLORS[2])
            axis.set_ylabel(f"unread ({unit})")
        for letter_, axis in zip("abcd", axes[:, 0], strict=False):
            letter(axis, letter_)
    return figure


def plot_inference(found: Inference, began: Mapping[str, float]) -> Figure:
    """Draw the profile of each inferred setting's log-likelihood, and its interval.

    Args:
        found: What `control.infer` returned, with profiles.
        began: The task's own value of each setting, which is marked.

    Raises:
        ValueError: There are no profiles.
    """
    if found.profiles is None:
        raise ValueError("`found` must have profiles to be drawn; give `infer` `profile_points`.")
    fall = 0.5 * float(chi2.ppf(found.level, 1))
    with plt.rc_context(STYLE):
        count = len(found.profiles)
        figure, axes = plt.subplots(
            count, 1, figsize=(COLUMN_IN, 1.7 * count), layout="constrained", squeeze=False
        )
        for axis, (name, profile) in zip(axes[:, 0], found.profiles.items(), strict=True):
            drop = np.array(profile.log_likelihoods) - found.log_likelihood
            interval = found.intervals[name]
            if interval is not None:
                axis.axvspan(*interval, color="0.88", lw=0, label=f"{found.level:.0%} interval")
            axis.plot(profile.values, drop, "o-", color=COLORS[0], label="profile")
            axis.axhline(-fall, color="0.5", lw=0.6, ls="--")
            axis.axvline(found.values[name], color=COLORS[1], lw=1, label="likeliest")
            low, high = profile.values[0], profile.values[-1]
            if low <= began[name] <= high:
                axis.axvline(began[name], color="k", lw=1, ls=":", label="of the task")
            axis.set(xscale="log", xlabel=name.replace("_", " "), ylabel="log-likelihood")
            axis.xaxis.set_major_locator(MaxNLocator(4))
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
        axes[0, 0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        for letter_, axis in zip("abcdefgh", axes[:, 0], strict=False):
            letter(axis, letter_)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write one figure in the format of the file's name, whole or not at all."""
    _write(figure, path)
    plt.close(figure)


def save_figures(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write each figure as PNG and PDF into `folder`; return the paths."""
    paths = []
    for name, figure in figures.items():
        for suffix in (".png", ".pdf"):
            path = folder / f"{name}{suffix}"
            _write(figure, path)
            paths.append(path)
        plt.close(figure)
    return paths


def _write(figure: Figure, path: Path) -> None:
    """Draw in memory, then write: if the disk fails, its own reason is told, not matplotlib's."""
    picture = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(picture, format=path.suffix[1:] or None)
    with atomic_path(path) as temporary:
        temporary.write_bytes(picture.getvalue())


def comparison_figures(comparison: Comparison) -> dict[str, Figure]:
    """Return the figures that a run folder gets, by file name."""
    figures = {"hand_paths": plot_hand_paths(comparison), "reach": plot_reach(comparison)}
    if comparison.runs:
        figures["convergence"] = plot_convergence(comparison)
    return figures


_PLANE = View("", (0, 1))


def draw_limb(ax: Axes, plant: Plant, state: Tensor, width: float = 9, view: View = _PLANE) -> None:
    """Draw the limb as thick rounded segments (points) with its joints, and muscles if it has any.

    Muscles are the redder the more active they are.
    """
    points = 100 * plant.limb(state).cpu().numpy()[:, list(view.axes)]
    ax.plot(*points.T, color="0.85", linewidth=width, solid_capstyle="round", zorder=0)
    ax.plot(*points[:-1].T, "o", color="0.55", markersize=4, zorder=1)
    muscles = muscles_of(plant)
    if muscles is None:
        return
    activity = state[plant.state_parts["activation"]].clamp(0, 1).cpu().numpy()
    shades = mpl.colormaps["Reds"](0.15 + 0.75 * activity)
    lines = 100 * muscles.muscle_lines(state).cpu().numpy()
    for line, shade in zip(lines, shades, strict=True):
        ax.plot(
            *line[:, list(view.axes)].T,
            color=shade,
            linewidth=0.25 * width,
            solid_capstyle="round",
            zorder=1,
        )


def finish_plane(ax: Axes, view: View = _PLANE) -> None:
    """Label a plane of positions (cm) and keep its scale equal."""
    ax.set_aspect("equal", adjustable="datalim")
    right, up = ("xyz"[axis] for axis in view.axes)
    ax.set_xlabel(f"{right} (cm), {view.title}" if view.title else f"{right} (cm)")
    ax.set_ylabel(f"{up} (cm)")


def few_log_ticks(axis: Axis) -> None:
    """Label a logarithmic axis where there is room: at powers of ten, or 1, 2 and 5 times them."""
    low, high = axis.get_view_interval()
    ratio = high / low
    if ratio < 4:
        axis.set_major_locator(MaxNLocator(4))
    else:
        axis.set_major_locator(LogLocator(subs=(1.0,) if ratio > 300 else (1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def match_planes(axes: Sequence[Axes]) -> None:
    """Give planes that `finish_plane` finished the same limits, those that all of them need."""
    limits = [np.array([ax.dataLim.intervalx, ax.dataLim.intervaly]) for ax in axes]
    low = np.min(limits, axis=0)[:, 0]
    high = np.max(limits, axis=0)[:, 1]
    margin = 0.05 * (high - low).max()
    for ax in axes:
        ax.set_aspect("equal", adjustable="box")
        ax.set_xlim(low[0] - margin, high[0] + margin)
        ax.set_ylim(low[1] - margin, high[1] + margin)


def hand_cm(plant: Plant, states: Tensor) -> NDArray[np.float64]:
    """Return hand positions (cm), (..., d)."""
    positions: NDArray[np.float64] = 100 * plant.hand_position(states).double().cpu().numpy()
    return positions


def letter(ax: Axes, text: str) -> None:
    """Put a panel's letter above its left edge, clear of the title."""
    ax.annotate(
        text,
        (0, 1),
        (-4, 4),
        "axes fraction",
        "offset points",
        ha="right",
        fontweight="bold",
        fontsize=9,
    )


def with_unit(name: str) -> str:
    """Return a name with its unit in brackets, where it ends in one.

    Example:
        >>> with_unit("peak_speed_m_s"), with_unit("task.radius_m"), with_unit("budget")
        ('peak_speed (m/s)', 'task.radius (m)', 'budget')
    """
    for end, unit in _UNITS.items():
        if name.endswith(end) and name != end:
            return f"{name.removesuffix(end)} ({unit})"
    return name


def line_colors(count: int) -> list[str]:
    """Return as many line colours as are needed, in turn."""
    return [COLORS[i % len(COLORS)] for i in range(count)]
