"""Figures 6.4 and 6.5 show reaching under delay, disturbance and noise."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from neuromotor.control import ILQR
from neuromotor.plotting import COLORS, PAGE_IN, finish_plane, hand_cm, letter, match_planes
from neuromotor.reproduction.experiments import (
    Disturbed,
    distance_cm,
    disturbed,
    reaching_task,
    robust_trials,
)
from neuromotor.reproduction.figures.center_out import method_label
from neuromotor.reproduction.networks import Networks
from neuromotor.tasks import DDN

__all__ = ["draw_ddn_reaches", "draw_robustness"]

OFF, ON = COLORS[0], COLORS[1]  # blue without the disturbance, red with it, as in the thesis
_PATHS = 10
_SHOWN = 4  # every fourth path of center-out
_EXPECTED_MS = (70, 90)


def draw_robustness(networks: Networks, *, smoke: bool = False) -> Figure:
    """Draw reaches, end errors and corrections of networks trained with and without disturbances.

    All run the same held-out trials with delay and disturbance, without noise. AHF's network was
    trained on the whole task, with disturbances and noise.
    """
    robust, plain = networks.get("ddn-robust/best"), networks.get("ddn-delay/best")
    task, trials = robust_trials(robust, 40 if smoke else 1000)
    runs = {
        "trained with disturbances": disturbed(robust, task, trials),
        "AHF, with disturbances": disturbed(networks.get("ddn/ahf"), task, trials),
        "trained without": disturbed(plain, task, trials),
    }
    figure = plt.figure(figsize=(PAGE_IN, 4.3), layout="constrained")
    grid = figure.add_gridspec(2, 6)
    planes = [figure.add_subplot(grid[0, 2 * k : 2 * k + 2]) for k in range(3)]
    colors = dict(zip(runs, (COLORS[2], "black", COLORS[3]), strict=True))  # of titles, D and E
    for ax, (name, run), mark in zip(planes, runs.items(), "ABC", strict=True):
        _draw_disturbed(ax, task, run, run)
        ax.set_title(name, color=colors[name], fontweight="bold", fontsize=7)
        letter(ax, mark)
    match_planes(planes)
    handles = [
        Line2D([], [], color=OFF, label="disturbance off"),
        Line2D([], [], color=ON, label="disturbance on"),
        Line2D([], [], color="0.65", label="the same, no disturbance"),
        Line2D([], [], color="black", marker="o", ms=2.5, ls="", label="target"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, fontsize=7)
    errors, course = figure.add_subplot(grid[1, :3]), figure.add_subplot(grid[1, 3:])
    for name, run in runs.items():
        for values, line in ((run.error_cm, "-"), (run.calm_error_cm, ":")):
            known = np.sort(values.numpy())
            share = np.arange(1, len(known) + 1) / len(known)
            errors.plot(known, share, line, color=colors[name])
        _draw_correction(course, task, run, colors[name])
    errors.set(xscale="log", xlabel="hand's distance from target at the end (cm)", ylim=(0, 1))
    errors.set(ylabel="share of trials", title="dotted: no disturbance")
    letter(errors, "D")
    course.axvspan(*_EXPECTED_MS, color="0.9", zorder=0)
    course.axhline(1, color="0.6", linewidth=0.6)
    late = next(iter(runs.values())).latency_ms
    late = late[torch.isfinite(late)]
    course.set(xlabel="time since the disturbance began (ms)", xlim=(0, 300))
    course.set_ylim(0, min(course.get_ylim()[1], 3))
    words = f"correction starts at {late.median():.0f} ms" if len(late) else "no correction"
    course.set(ylabel="change of torque / disturbance", title=words)
    letter(course, "E")
    return figure


def _draw_disturbed(ax: Axes, task: DDN, run: Disturbed, reference: Disturbed) -> None:
    """Draw the first trials' hand paths over the undisturbed ones, coloured by what is on."""
    for trial in range(min(_PATHS, len(run.trials))):
        calm = hand_cm(task.plant, reference.calm.states[trial])
        ax.plot(*calm.T, color="0.65", linewidth=1.6, solid_capstyle="butt")
        path = hand_cm(task.plant, run.run.states[trial])
        on = int(run.onsets[trial])
        ax.plot(*path[: on + 1].T, color=OFF, linewidth=0.9)
        ax.plot(*path[on:].T, color=ON, linewidth=0.9)
        ax.plot(*hand_cm(task.plant, run.trials.target[trial]), "o", color="black", markersize=2.5)
    finish_plane(ax)


def _draw_correction(ax: Axes, task: DDN, run: Disturbed, color: str) -> None:
    """Draw how far the torque that answers the disturbance has come, since that began."""
    if run.trials.load is None:
        return
    size = run.trials.load.norm(dim=-1).amax(-1)
    change = (run.run.commands - run.calm.commands).norm(dim=-1) / size[:, None]
    last = task.steps // 2  # all trials last so long after it
    index = run.onsets[:, None] + torch.arange(last)
    aligned = change.gather(1, index).numpy()
    time_ms = 1e3 * task.plant.dt_s * np.arange(last)
    low, middle, high = np.quantile(aligned, (0.1, 0.5, 0.9), axis=0)
    ax.step(time_ms, middle, where="post", color=color)
    ax.fill_between(time_ms, low, high, step="post", color=color, alpha=0.2, linewidth=0)


def draw_ddn_reaches(networks: Networks, *, smoke: bool = False) -> Figure:
    """Draw center-out reaches of the networks that were trained on the whole DDN task."""
    del smoke
    rows = [networks.get(f"ddn/{name}") for name in ("ahf", "best", "lbfgs")]
    own = rows[0].task
    if not isinstance(own, DDN):
        raise ValueError(f"ddn/ahf must have been trained on a DDN task, got {own}.")
    task = reaching_task(own)
    trials = task.trials()
    best = ILQR().solve(task, trials)
    center = hand_cm(task.plant, best.states[0, 0])
    figure = plt.figure(figsize=(PAGE_IN, 4.8), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(1.7, 1))
    planes = [figure.add_subplot(grid[0, column]) for column in range(3)]
    course = figure.add_subplot(grid[1, :])
    time_ms = 1e3 * task.plant.dt_s * np.arange(task.steps + 1)
    for ax, trained, color, mark in zip(planes, rows, COLORS, "ABC", strict=False):
        run = trained.run(task, trials)
        for states, shade, width in ((best.states, "0.75", 1.2), (run.states, color, 0.6)):
            for path in hand_cm(task.plant, states)[::_SHOWN]:
                ax.plot(*(path - center).T, color=shade, linewidth=width)
        error = distance_cm(task, run.states[:, -1], trials.target)
        ax.plot(
            *(hand_cm(task.plant, trials.target)[::_SHOWN] - center).T, "o", color="black", ms=1.5
        )
        ax.set_title(f"{method_label(trained)}\nend error {error.mean():.2g} cm")
        finish_plane(ax)
        ax.set(xlabel="x from centre (cm)", ylabel="y from centre (cm)")
        letter(ax, mark)
        away = distance_cm(task, run.states, best.states).numpy()
        course.plot(time_ms, np.median(away, 0), color=color, label=method_label(trained))
        course.fill_between(time_ms, away.min(0), away.max(0), color=color, alpha=0.2, lw=0)
    match_planes(planes)
    course.set(xlabel="time (ms)", ylabel="hand's distance\nfrom iLQR's (cm)")
    course.legend(fontsize=6, loc="upper right")
    letter(course, "D")
    return figure
