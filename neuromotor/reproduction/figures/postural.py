"""Figures 6.3 and 7 show how networks hold a posture against an unannounced load."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from neuromotor.evaluation.references import reference_trajectories
from neuromotor.plotting import (
    COLORS,
    PAGE_IN,
    REFERENCE_COLOR,
    finish_plane,
    hand_cm,
    letter,
    match_planes,
)
from neuromotor.reproduction.experiments import distance_cm
from neuromotor.reproduction.figures.center_out import method_label
from neuromotor.reproduction.networks import Networks
from neuromotor.tasks import Postural, Task, Trials

__all__ = ["draw_loads", "draw_postures"]


def central_trials(task: Task) -> Trials:
    """Return the trials of the middle posture of a postural task, one trial for each load."""
    if not isinstance(task, Postural):
        raise ValueError(f"a postural task is needed, got {type(task).__name__}.")
    trials = task.trials()
    middle = len(trials) // task.directions // 2 * task.directions
    return trials.subset(slice(middle, middle + task.directions))


def draw_postures(networks: Networks, *, smoke: bool = False) -> Figure:
    """Draw the hand's paths from one posture under eight loads, and its displacement over time."""
    del smoke
    names = [f"postural/{name}" for name in ("ahf", "best", "lbfgs")]
    rows = [networks.get(name) for name in names if not networks.missing([name])]
    task = rows[0].task
    trials = central_trials(task)
    start = hand_cm(task.plant, trials.initial_state)
    figure = plt.figure(figsize=(PAGE_IN, 4.0), layout="constrained")
    grid = figure.add_gridspec(2, len(rows), height_ratios=(1.3, 1))
    planes = [figure.add_subplot(grid[0, column]) for column in range(len(rows))]
    course = figure.add_subplot(grid[1, :])
    time_ms = 1e3 * task.plant.dt_s * np.arange(task.steps + 1)
    for ax, trained, color, mark in zip(planes, rows, COLORS, "ABC", strict=False):
        run = trained.run(task, trials)
        for path in hand_cm(task.plant, run.states) - start[:, None]:
            ax.plot(*path.T, color=color, linewidth=0.8)
            ax.plot(*path[-1], "o", color="black", markersize=2.5, zorder=3)
        ax.plot(0, 0, "+", color=REFERENCE_COLOR, markersize=8, zorder=4)
        finish_plane(ax)
        ax.set(xlabel="x from posture (cm)", ylabel="y from posture (cm)")
        loss = float(task.cost.losses(run.states, run.commands, trials).mean())
        ax.set_title(f"{method_label(trained)}\nloss {loss:.2g}")
        letter(ax, mark)
        _draw_displacement(course, time_ms, task, run.states, trials, color, method_label(trained))
    match_planes(planes)
    course.axvline(1e3 * task.plant.dt_s * task.delay_steps, color="0.7", linestyle=":", zorder=0)
    course.set(xlabel="time (ms)", ylabel="displacement\nof the hand (cm)")
    course.set_ylim(0, None)
    course.legend(fontsize=6)
    letter(course, "ABCD"[len(rows)])
    return figure


def _draw_displacement(
    ax: Axes,
    time_ms: NDArray[Any],
    task: Task,
    states: Tensor,
    trials: Trials,
    color: str,
    label: str,
) -> None:
    """Draw the hand's displacement: the median over the loads as a line, the range as a band."""
    away = distance_cm(task, states, trials.target[:, None]).numpy()
    ax.plot(time_ms, np.median(away, 0), color=color, label=label)
    ax.fill_between(time_ms, away.min(0), away.max(0), color=color, alpha=0.2, linewidth=0)


# N m; the planner that takes delayed observations for the present is unstable without a limit
_LIMIT_NM = 1.0
_REFERENCES = {
    "ilqg": "optimal feedback control (ILQG)",
    "online-predictive": "online planner that knows the delay",
    "online": f"online planner, delay-blind, at most {_LIMIT_NM:g} N m",
}


def draw_loads(networks: Networks, *, smoke: bool = False) -> Figure:
    """Draw a network against optimal feedback control and online planning, under the same loads."""
    trained = networks.get("postural/best")
    task = trained.task
    trials = central_trials(task)
    if smoke:
        trials = trials.subset(slice(2))
    time_ms = 1e3 * task.plant.dt_s * np.arange(task.steps + 1)
    names = ("ilqg", "online-predictive")
    found = reference_trajectories(task, trials, names)
    found |= reference_trajectories(task, trials, ("online",), command_limit=_LIMIT_NM)
    runs = {f"network ({method_label(trained)})": trained.run(task, trials)}
    runs |= {label: found[name].trajectory for name, label in _REFERENCES.items()}
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE_IN, 3.2), layout="constrained")
    load = trials.hand_force if trials.load is None else trials.load
    for (label, run), color in zip(runs.items(), COLORS, strict=False):
        _draw_displacement(left, time_ms, task, run.states, trials, color, label)
        loss = task.cost.losses(run.states, run.commands, trials)
        count = np.arange(len(loss))
        right.semilogy(count, loss, "o", color=color, markersize=3.5)
    left.set(yscale="log", xlabel="time since the load began (ms)", ylim=(1e-3, 100))
    left.set_ylabel("displacement of the hand (cm)")
    letter(left, "A")
    if load is not None:
        angle = np.degrees(np.arctan2(load[:, -1, 1], load[:, -1, 0])) % 360
        right.set_xticks(range(len(angle)), [f"{value:.0f}" for value in angle])
    right.set(xlabel="direction of the load (deg)", ylabel="loss of the trial")
    letter(right, "B")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
