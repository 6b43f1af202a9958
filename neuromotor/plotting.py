"""Figures of a comparison. This module imports matplotlib; nothing imports it early.

Lengths are drawn in cm, torques in N m, velocities in rad/s; colours are those of Okabe &
Ito (2008), which colour-blind readers can tell apart.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from neuromotor.plants.plant import Plant
from neuromotor.storage.files import atomic_path
from neuromotor.training.comparison import Comparison

__all__ = [
    "COLORS",
    "COLUMN_IN",
    "LINES",
    "NAMES",
    "PAGE_IN",
    "REFERENCE_COLOR",
    "STYLE",
    "comparison_figures",
    "draw_limb",
    "finish_plane",
    "hand_cm",
    "letter",
    "match_planes",
    "plot_convergence",
    "plot_hand_paths",
    "plot_reach",
    "save_figure",
    "save_figures",
]

COLUMN_IN, PAGE_IN = 8.5 / 2.54, 17 / 2.54  # widths that journals print
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
REFERENCE_COLOR = "0.35"
LINES = ("-", "--", ":")  # the next one where the colours begin again
SHADES = 4  # most ranges in one panel that can be told apart
PATHS = 72  # most hand paths in one panel
STYLE: Any = {  # matplotlib types its keys one by one
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text
    "svg.hashsalt": "neuromotor",
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
}


def plot_hand_paths(comparison: Comparison) -> Figure:
    """Draw the hand paths: on the limb in true scale, then each controller's against iLQR's."""
    plant = comparison.task.plant
    runs = comparison.runs
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            1,
            1 + len(runs),
            figsize=(2.3 * (1 + len(runs)), 2.6),
            squeeze=False,
            layout="constrained",
        )
        limb_axes, *method_axes = axes[0]
        reference = hand_cm(plant, comparison.reference.states)
        # No more than can be told apart, spread over the batch.
        some = np.unique(np.linspace(0, len(reference) - 1, PATHS).astype(int))
        reference = reference[some]
        targets = hand_cm(plant, comparison.trials.target)[some]
        draw_limb(limb_axes, plant, comparison.trials.initial_state[0])
        for path in reference:
            limb_axes.plot(*path.T, color=REFERENCE_COLOR, linewidth=0.6)
        name = NAMES[comparison.reference.method]
        limb_axes.set_title(f"{name}, to the scale of the limb")
        finish_plane(limb_axes)
        for color, run, ax in zip(_cycle(len(runs)), runs, method_axes, strict=True):
            for path in reference:
                ax.plot(*path.T, color="0.7", linewidth=0.8)
            for path in hand_cm(plant, run.states)[some]:
                ax.plot(*path.T, color=color, linewidth=0.6)
            ax.plot(*targets.T, "o", color="black", markersize=1.2)
            ax.set_title(f"{NAMES.get(run.method, run.method)}, {run.ratio:.4g} x iLQR")
            finish_plane(ax)
    return figure


def plot_reach(comparison: Comparison, trial: int | None = None) -> Figure:
    """Draw commands and velocities of one reach over time, every controller and iLQR.

    Args:
        comparison: What to draw.
        trial: Which trial; an eighth of the way round by default.
    """
    plant, trials = comparison.task.plant, comparison.trials
    trial = len(trials) // 8 if trial is None else trial
    half = plant.state_size // 2
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            2, half, figsize=(5.6, 3.8), sharex=True, squeeze=False, layout="constrained"
        )
        lines = [(comparison.reference, REFERENCE_COLOR, "--")]
        lines += [(run, color, "-") for run, color in zip(comparison.runs, _cycle(), strict=False)]
        for run, color, dash in lines:
            label = NAMES.get(run.method, run.method)
            commands = run.commands[trial].cpu().numpy()
            velocities = run.states[trial, :, half:].cpu().numpy()
            order = 3 if dash == "--" else 2
            for joint in range(half):
                command_ms = 1e3 * plant.dt_s * np.arange(len(commands))
                axes[0, joint].step(
                    command_ms, commands[:, joint], dash, where="post", color=color, zorder=order
                )
                state_ms = 1e3 * plant.dt_s * np.arange(len(velocities))
                axes[1, joint].plot(
                    state_ms, velocities[:, joint], dash, color=color, label=label, zorder=order
                )
        for joint in range(half):
            axes[0, joint].set_ylabel(plant.command_labels[joint])
            axes[1, joint].set_ylabel(plant.state_labels[half + joint])
            axes[1, joint].set_xlabel("time (ms)")
        handles, labels = axes[1, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(lines), fontsize=7)
        offset = hand_cm(plant, trials.target[trial]) - hand_cm(plant, trials.initial_state[trial])
        angle, distance = np.degrees(np.arctan2(offset[1], offset[0])) % 360, np.hypot(*offset)
        title = f"reach of {distance:.2f} cm towards {angle:.0f} degrees"
        figure.suptitle(title if distance else f"trial {trial}, hand to stay in place", fontsize=8)
    return figure


def plot_convergence(comparison: Comparison) -> Figure:
    """Draw loss against calls on logarithmic axes, with iLQR's level."""
    with mpl.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(3.6, 3.2), layout="constrained")
        for run, color in zip(comparison.runs, _cycle(), strict=False):
            ax.loglog(
                [point.calls for point in run.history],
                [point.value for point in run.history],
                color=color,
                label=f"{NAMES.get(run.method, run.method)} ({run.ratio:.4g} x iLQR)",
            )
        level = comparison.reference.performance.loss
        ax.axhline(level, color=REFERENCE_COLOR, linestyle="--", label=f"iLQR ({level:.3g})")
        ax.set_xlabel("calls (values + gradients + products)")
        ax.set_ylabel("mean loss")
        figure.legend(loc="outside lower center", ncols=2, fontsize=7)
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
    """Draw in memory, then write: a writer of PDF that fails half way hides the disk's reason."""
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


def draw_limb(ax: Axes, plant: Plant, state: Tensor, width: float = 9) -> None:
    """Draw the limb as thick rounded segments (points) with its joints."""
    points = 100 * plant.limb(state).cpu().numpy()
    ax.plot(*points.T, color="0.85", linewidth=width, solid_capstyle="round", zorder=0)
    ax.plot(*points[:-1].T, "o", color="0.55", markersize=4, zorder=1)


def finish_plane(ax: Axes) -> None:
    """Label a plane of positions (cm) and keep its scale equal."""
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xlabel("x (cm)")
    ax.set_ylabel("y (cm)")


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
    """Return hand positions (cm), (..., 2)."""
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


def _cycle(count: int = 100) -> list[str]:
    """Line colours, repeated as often as needed."""
    return [COLORS[i % len(COLORS)] for i in range(count)]
