"""Figures 6.1 and 6.2 show center-out reaching."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from neuromotor.control import ILQR, ILQRResult
from neuromotor.plants import Plant
from neuromotor.plotting import (
    COLORS,
    LINES,
    NAMES,
    PAGE_IN,
    REFERENCE_COLOR,
    draw_limb,
    finish_plane,
    hand_cm,
    letter,
)
from neuromotor.reproduction.convergence import load_convergence
from neuromotor.reproduction.experiments import distance_cm
from neuromotor.reproduction.networks import Networks, Trained
from neuromotor.tasks import Task

__all__ = ["draw_convergence", "draw_reaches", "method_label"]

JOINTS = (("shoulder", COLORS[0]), ("elbow", "black"))  # the thesis's colours
_SHOWN = 4  # every fourth path
_SMALLEST = 1e-6  # excess that is drawn


def draw_reaches(networks: Networks, *, smoke: bool = False) -> Figure:
    """Draw limb, hand paths, torques and velocities of AHF's network and L-BFGS's, with iLQR's."""
    del smoke
    rows = {"ahf": networks.get("center-out/ahf"), "lbfgs": networks.get("center-out/lbfgs")}
    lines = {**rows, "best": networks.get("center-out/best")}
    task = rows["ahf"].task
    trials = task.trials()
    plant = task.plant
    best = ILQR().solve(task, trials)
    marked = len(trials) // 8
    figure = plt.figure(figsize=(PAGE_IN, 4.1), layout="constrained")
    grid = figure.add_gridspec(2, 4, width_ratios=(1.15, 1, 1, 1))
    limb = figure.add_subplot(grid[0, 0])
    draw_limb(limb, plant, trials.initial_state[0], width=6)
    for path in hand_cm(plant, best.states)[::_SHOWN]:
        limb.plot(*path.T, color=REFERENCE_COLOR, linewidth=0.5)
    finish_plane(limb)
    letter(limb, "A")
    limb.set_title("limb and iLQR's paths")
    away = figure.add_subplot(grid[1, 0])
    _draw_distance(away, task, best, lines)
    letter(away, "B")
    letters = iter("CDEFGH")
    for row, trained in enumerate(rows.values()):
        axes = [figure.add_subplot(grid[row, column]) for column in (1, 2, 3)]
        run = trained.run(task, trials)
        ratio = float(task.cost.losses(run.states, run.commands, trials).mean()) / best.value
        _draw_paths(axes[0], plant, best.states, run.states, marked)
        axes[0].set_title(method_label(trained))
        axes[1].set_title(f"{ratio:.5g} x iLQR")
        part = plant.state_parts["velocity"]
        velocity = run.states[marked, :, part], best.states[marked, :, part]
        _draw_course(axes[1], plant.dt_s, run.commands[marked], best.commands[marked], step=True)
        _draw_course(axes[2], plant.dt_s, *velocity)
        torque = float(best.commands[marked].abs().max())
        axes[1].set_ylim(-1.3 * torque, 1.3 * torque)
        axes[1].set_ylabel("joint torque (N m)")
        axes[2].set_ylabel("joint velocity (rad/s)")
        for ax in axes:
            letter(ax, next(letters))
        if row == 0:
            axes[1].legend(fontsize=6, handlelength=1.4, loc="lower right", borderaxespad=0)
    return figure


def method_label(trained: Trained) -> str:
    """Return the name of a network's method that fits into a panel."""
    short = {"ahf": "AHF"}
    return short.get(trained.method, NAMES.get(trained.method, trained.method))


def _draw_distance(ax: Axes, task: Task, best: ILQRResult, lines: dict[str, Trained]) -> None:
    """Draw how far each network's hand is from iLQR's, over time."""
    time_ms = 1e3 * task.plant.dt_s * np.arange(task.steps + 1)
    for trained, color in zip(lines.values(), COLORS, strict=False):
        run = trained.run(task, task.trials())
        away = 10 * distance_cm(task, run.states, best.states).numpy()[:, 2:]
        ax.semilogy(time_ms[2:], np.median(away, 0), color=color, label=method_label(trained))
        ax.fill_between(time_ms[2:], away.min(0), away.max(0), color=color, alpha=0.15, lw=0)
    ax.set(xlabel="time (ms)", ylabel="hand's distance\nfrom iLQR's (mm)")
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, 1e-5), 30 * high)
    ax.legend(fontsize=6, handlelength=1.2, loc="upper left", borderaxespad=0.1, labelspacing=0.2)


def _draw_paths(ax: Axes, plant: Plant, best: Tensor, states: Tensor, marked: int) -> None:
    """Draw hand paths over iLQR's, one of them marked."""
    center = hand_cm(plant, best[0, 0])
    for own, color, width in ((best, "0.7", 1.6), (states, COLORS[0], 0.6)):
        for path in hand_cm(plant, own)[::_SHOWN]:
            ax.plot(*(path - center).T, color=color, linewidth=width, solid_capstyle="butt")
    ax.plot(*(hand_cm(plant, states[marked]) - center).T, color=COLORS[1], linewidth=1.2)
    targets = hand_cm(plant, best[::_SHOWN, -1]) - center
    ax.plot(*targets.T, "o", color="black", markersize=1.5)
    finish_plane(ax)
    ax.set(xlabel="x from centre (cm)", ylabel="y from centre (cm)")
    ax.locator_params(nbins=5)


def _draw_course(ax: Axes, dt_s: float, own: Tensor, best: Tensor, *, step: bool = False) -> None:
    """Draw one reach over time, by the joints of the network and of iLQR."""
    where: dict[str, Any] = {"drawstyle": "steps-post"} if step else {}
    time_ms = 1e3 * dt_s * np.arange(len(own))
    for joint, (name, color) in enumerate(JOINTS):
        ax.plot(time_ms, own[:, joint], color=color, label=name, **where)
        label = "iLQR" if joint else None
        ax.plot(time_ms, best[:, joint], "--", color=COLORS[4], lw=0.9, label=label, **where)
    ax.set_xlabel("time (ms)")


def draw_convergence(networks: Networks, *, smoke: bool = False) -> Figure:
    """Draw loss against calls of every optimizer, and what each came to; iLQR's loss dashed."""
    del smoke
    data = load_convergence()
    level = data["reference"]
    final = {
        name: np.array([curve[-1] for curve in found["loss"]]) / level - 1
        for name, found in data["methods"].items()
    }
    order = sorted(final, key=lambda name: float(np.median(final[name])))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(PAGE_IN, 3.6), width_ratios=(1.7, 1), layout="constrained"
    )
    across = right.get_yaxis_transform()
    for place, (name, found) in enumerate(data["methods"].items()):
        turn, number = divmod(place, len(COLORS))
        color, line = COLORS[number], LINES[turn % len(LINES)]
        median = np.median(found["loss"], axis=0)
        left.loglog(found["calls"], median, line, color=color, linewidth=1)
        row = order.index(name)
        right.plot([0.02, 0.16], [row, row], line, color=color, lw=1.2, transform=across)
        shown = np.maximum(final[name], _SMALLEST)
        right.plot(shown, np.full(len(shown), row), "o", color=color, markersize=3)
    for name, color in (("center-out/ahf", "black"), ("center-out/best", "0.55")):
        if not networks.missing((name,)):
            trained = networks.get(name)
            best = np.minimum.accumulate(trained.history["loss"])
            label = f"{method_label(trained)}, shipped network"
            left.loglog(trained.history["calls"], best, color=color, lw=1.8, alpha=0.8, label=label)
            left.legend(fontsize=6, loc="lower left", bbox_to_anchor=(0, 0.07), borderaxespad=0)
    left.axhline(level, color=REFERENCE_COLOR, linestyle="--", linewidth=1)
    left.text(1.2, level * 1.06, "iLQR", fontsize=6, va="bottom")
    left.set(xlabel="calls (values + gradients + products)", ylabel="mean loss", xlim=(1, None))
    letter(left, "A")
    right.set_yticks(range(len(order)), [NAMES.get(name, name) for name in order])
    right.invert_yaxis()
    right.set(xscale="log", xlabel="loss / iLQR's loss - 1")
    right.set_xlim(_SMALLEST / 100, 3 * max(values.max() for values in final.values()))
    letter(right, "B")
    return figure
