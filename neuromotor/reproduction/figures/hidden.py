"""Figure 8 shows trained networks' hidden dynamics, analysed like a neural recording."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from neuromotor.analysis import (
    FixedPoints,
    network_fixed_points,
    preferred_directions,
    record,
    rotational_dynamics,
)
from neuromotor.analysis.drawing import draw_conditions
from neuromotor.analysis.fixed_points import draw_eigenvalues
from neuromotor.analysis.tuning import draw_directions
from neuromotor.plotting import COLORS, PAGE_IN, letter
from neuromotor.reproduction.figures.postural import central_trials
from neuromotor.reproduction.networks import Networks, Trained
from neuromotor.tasks import Postural

__all__ = ["NEEDS", "draw_hidden"]

_ROWS = (
    ("center-out/brain-like", "reaching"),
    ("postural/brain-like", "holding against\na load"),
    ("postural/best", "the same, without\npenalties or muscles"),
)
NEEDS = tuple(name for name, _ in _ROWS)
_CONDITIONS = 16  # of center-out, and at most as many inputs whose fixed points are sought


def draw_hidden(networks: Networks, *, smoke: bool = False) -> Figure:
    """Draw rotations, preferred directions, fixed points and their modes, of three networks.

    Two were trained with penalties and muscles. The last one rings, as nothing kept it simple.
    """
    figure = plt.figure(figsize=(PAGE_IN, 2.05 * len(_ROWS)), layout="constrained")
    grid = figure.add_gridspec(len(_ROWS), 4)
    marks = iter("ABCDEFGHIJKL")
    for row, (name, title) in enumerate(_ROWS):
        axes = [
            figure.add_subplot(grid[row, place], projection="polar" if place == 1 else None)
            for place in range(4)
        ]
        _draw_network(axes, networks.get(name), smoke=smoke)
        axes[0].set_ylabel(f"{title}\n\njPC 2")
        for ax in axes:
            letter(ax, next(marks))
    return figure


def _draw_network(axes: list[Axes], trained: Trained, *, smoke: bool) -> None:
    """Draw the four panels of one network; those of a layer are of its last one."""
    task = trained.task
    posture = isinstance(task, Postural)
    trials = central_trials(task) if posture else task.trials()
    if not posture:
        trials = trials.subset(slice(None, None, max(1, len(trials) // _CONDITIONS)))
    recording = record(task, trained.controller, trained.parameters, trials)
    last = recording["layer"].values == recording["layer"].values[-1]
    output = recording.isel(unit=np.flatnonzero(last))

    # The first news of a load comes with the delay; 300 ms from there, as is usual for reaches.
    start = task.plant.dt_s * task.delay_steps
    window = (start, start + 0.3)
    rotation = rotational_dynamics(output, window_s=window, surrogates=5 if smoke else 50)
    draw_conditions(axes[0], rotation.projection)
    null = ""
    if rotation.nulls:  # none with few conditions
        null = f" (null {np.median(rotation.nulls['maximum entropy'].skew):.2f})"
    axes[0].set_xlabel("jPC 1")
    axes[0].set_title(f"R² {rotation.r2_skew:.2f}{null}\n{rotation.frequencies_hz[0]:.2g} Hz")

    space = "hand"
    if posture:  # torques have directions, excitations of muscles have none
        space = "torque" if task.plant.command_size == 2 else "force"
    tuning = preferred_directions(output, space, shuffles=50 if smoke else 500, bootstraps=0)
    draw_directions(axes[1], tuning)
    population = tuning.population
    axes[1].set_title(
        f"{'movement' if space == 'hand' else space}: {population.count} units\n"
        f"axis {population.axis_deg:.0f}°, r {population.axis_resultant:.2f}"
    )
    axes[1].tick_params(labelsize=5, pad=-4)
    axes[1].set_yticks([])

    found = [
        network_fixed_points(
            trained.controller, trained.parameters, recording, trial=trial, starts=2 if smoke else 3
        )
        for trial in range(0, len(trials), max(1, len(trials) // (2 if smoke else 8)))
    ]
    _draw_points(axes[2], recording["activation"].values[:, task.delay_steps :], found)
    draw_eigenvalues(axes[3], found[0].eigenvalues[0])
    axes[3].set_box_aspect(1)
    axes[3].set_title(_slowest(found[0]))


def _draw_points(ax: Axes, values: NDArray[np.float64], found: list[FixedPoints]) -> None:
    """Draw activations (C, T, N) and the fixed points of trials' last inputs, in two PCs."""
    mean = values.mean((0, 1))
    axes = np.linalg.svd((values - mean).reshape(-1, values.shape[2]), full_matrices=False)[2][:2]
    draw_conditions(ax, (values - mean) @ axes.T)
    for stable, marker in ((True, "o"), (False, "X")):
        points: NDArray[np.float64] = np.concatenate(
            [one.points[one.converged & (one.stable == stable)] for one in found]
        )
        if len(points):
            label = "stable" if stable else "unstable"
            style: dict[str, Any] = {
                "color": COLORS[1],
                "markersize": 4,
                "markeredgecolor": "white",
            }
            ax.plot(*((points - mean) @ axes.T).T, marker, label=label, zorder=4, **style)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=6, loc="best", handletextpad=0.1, borderaxespad=0)
    ax.locator_params(nbins=3, steps=[1, 2, 4, 5, 10])  # labels of small numbers are long
    ax.set(xlabel="PC 1", ylabel="PC 2", title="fixed points")


def _slowest(found: FixedPoints) -> str:
    """Return the longest time constant among the decaying modes of a point."""
    decays = np.abs(found.eigenvalues[0]) < 1
    if not decays.any():
        return "no mode decays"
    place = int(np.argmax(np.where(decays, found.time_constants_s[0], -np.inf)))
    slowest = float(found.time_constants_s[0][place])
    return f"slowest: {slowest:.2g} s" if slowest >= 1 else f"slowest: {1e3 * slowest:.3g} ms"
