"""The tasks: where the hand starts and goes, and what is done to it.

    python figures/tasks.py
    python figures/tasks.py --smoke --out /tmp/figures

Writes tasks.png beside itself, or into `--out`. Paths are solved by iLQR, which knows what comes;
those of the force field replay commands that were solved without the field, or in it.
"""

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes

import neuromotor as nm
from neuromotor.plotting import COLORS, STYLE

GREY = "0.6"


def hand(task, states) -> np.ndarray:
    """Hand positions (cm)."""
    return 100 * task.plant.hand_position(states).numpy()


def solve(task) -> torch.Tensor:
    """Commands that are best for every trial of a task."""
    return nm.ILQR().solve(task, task.trials()).commands


def replay(task, commands) -> np.ndarray:
    """Hand paths (cm) of given commands."""
    table = nm.CommandTable(trials=len(commands), steps=task.steps)
    states = nm.ClosedLoop(task, table).simulate(commands.flatten(), task.trials()).states
    return hand(task, states)


def draw_limb(ax: Axes, task, state) -> None:
    """The arm at a posture."""
    points = 100 * task.plant.limb(state).numpy()
    ax.plot(*points.T, color="0.88", linewidth=9, solid_capstyle="round", zorder=0)
    ax.plot(*points[:-1].T, "o", color="0.6", markersize=4, zorder=1)


def draw_postural(ax: Axes) -> None:
    """Nine postures and the loads at each."""
    task = nm.Postural()
    trials = task.trials()
    at, force = hand(task, trials.initial_state), trials.hand_force[:, -1].numpy()
    draw_limb(ax, task, trials.initial_state[len(trials) // 2])
    arrows = ax.quiver(
        *at.T, *force.T, angles="xy", scale_units="xy", scale=0.35, width=0.004, color=COLORS[1]
    )
    ax.quiverkey(arrows, 0.75, 0.55, 0.7, "0.7 N", labelpos="E", fontproperties={"size": 6})
    ax.plot(*at.T, "o", color="black", markersize=2.5)
    ax.set_title("postural: 9 postures x 8 constant loads")


def draw_ddn(ax: Axes, pairs: int) -> None:
    """Random starts and targets in the workspace."""
    task = nm.DDN(pairs=pairs)
    trials = task.trials(torch.Generator().manual_seed(0))
    (low_1, high_1), (low_2, high_2) = task.shoulder_deg, task.elbow_deg
    line = torch.linspace(0, 1, 50)
    border = [
        (low_1 + (high_1 - low_1) * a, low_2 + (high_2 - low_2) * b)
        for a, b in (
            *((x, 0) for x in line),
            *((1, x) for x in line),
            *((x, 1) for x in line.flip(0)),
            *((0, x) for x in line.flip(0)),
        )
    ]
    outline = hand(task, torch.deg2rad(torch.tensor(border)))
    start, target = hand(task, trials.initial_state), hand(task, trials.target)
    draw_limb(ax, task, trials.initial_state[0])
    ax.fill(*outline.T, color=COLORS[5], alpha=0.15, linewidth=0)
    for a, b in zip(start, target, strict=True):
        ax.plot(*np.stack([a, b]).T, color=GREY, linewidth=0.5)
    ax.plot(*start.T, "o", color="black", markersize=2, label="start")
    ax.plot(*target.T, "o", color=COLORS[1], markersize=2, label="target")
    ax.legend(loc="upper right", fontsize=6, handletextpad=0.1)
    ax.set_title(f"DDN: workspace and {pairs} of 400 pairs")


def draw_disturbance(ax: Axes) -> None:
    """When disturbances start and how large they are."""
    task = nm.DDN(pairs=8)
    load = task.trials(torch.Generator().manual_seed(0)).load[..., 0].numpy()
    time = 1e3 * task.plant.dt_s * np.arange(task.steps)
    for trial, color in zip(load, COLORS * 2, strict=False):
        ax.step(time, trial, where="post", color=color)
    half = 1e3 * task.plant.dt_s * task.steps / 2
    ax.axvline(half, color=GREY, linestyle=":")
    ax.text(half + 8, ax.get_ylim()[1], "half time", color="0.4", fontsize=6, va="top")
    ax.set_xlabel("time (ms)")
    ax.set_ylabel("shoulder disturbance (N m)")
    ax.set_title("DDN: disturbances of 8 trials")


def draw_jump(ax: Axes) -> None:
    """A target that jumps."""
    task = nm.TargetJump()
    trials = task.trials()
    paths = hand(task, nm.ILQR().solve(task, trials).states)
    jumps = len(task.jumps_deg)
    chosen = slice(2 * jumps, 3 * jumps)  # the target straight ahead
    first = hand(task, trials.shown_target[2 * jumps, 0])
    targets = hand(task, trials.target)
    ax.plot(*targets[::jumps].T, "o", color="0.85", markersize=7)
    for path, jump, color in zip(paths[chosen], task.jumps_deg, COLORS, strict=False):
        ax.plot(*path.T, color=color, label=f"{jump:+.0f} deg" if jump else "no jump")
        ax.plot(*path[task.jump_step], "o", color=color, markersize=2.5)
    for goal in targets[chosen]:
        if np.hypot(*(goal - first)) > 1e-6:
            style = {"arrowstyle": "->", "color": "0.3", "shrinkA": 4, "shrinkB": 4}
            ax.annotate("", xy=goal, xytext=first, arrowprops=style)
    ax.legend(loc="center", bbox_to_anchor=(0.5, 0.3), fontsize=6)
    ax.set_title(f"target jump, shown from {10 * task.jump_step} ms (dots)")


def draw_push(ax: Axes) -> None:
    """A push on the way, corrected and not."""
    task = nm.PulsedReach(nm.CenterOut(directions=4, steps=60), pushes=(-1.0, 1.0))
    trials = task.trials()
    ax.plot(*hand(task, trials.target).T, "o", color="0.85", markersize=7)
    plain = nm.ILQR().solve(task, trials.without_loads())
    quiet, moved = hand(task, plain.states), replay(task, plain.commands)
    best = hand(task, nm.ILQR().solve(task, trials).states)
    for paths, color, label in (
        (quiet, GREY, "no push"),
        (moved, COLORS[1], "push, same commands"),
        (best, COLORS[0], "push, known ahead"),
    ):
        for path in paths:
            ax.plot(*path.T, color=color, label=label, linewidth=0.9)
            label = None
    at, push = quiet[:, task.onset_step], trials.hand_force[:, task.onset_step].numpy()
    style = {"angles": "xy", "scale_units": "xy", "scale": 0.9, "width": 0.006, "zorder": 3}
    ax.quiver(*at.T, *push.T, **style)
    ax.update_datalim([(0, 23.5)])  # room for the legend
    ax.autoscale_view()
    ax.legend(loc="lower right", fontsize=6)
    ax.set_title(f"push of {task.force_in_use:g} N for {10 * task.pulse_steps} ms")


def draw_field(ax: Axes, directions: int) -> None:
    """A curl field before and after learning, by replayed commands."""
    reach = nm.CenterOut(directions=directions, steps=60)
    off, on = (nm.ForceField(reach, kinds=(kind,)) for kind in ("catch", "field"))
    ax.plot(*hand(on, on.trials().target).T, "o", color="0.85", markersize=7)
    learnt = solve(on)
    for paths, color, label in (
        (replay(on, solve(off)), COLORS[1], "field, first met"),
        (replay(on, learnt), COLORS[0], "field, commands for it"),
        (replay(off, learnt), COLORS[2], "catch trial"),
    ):
        for path in paths:
            ax.plot(*path.T, color=color, label=label, linewidth=0.9)
            label = None
    ax.legend(loc="lower right", fontsize=6)
    ax.set_title(f"curl field of {on.strength_in_use:g} N s/m")


def main() -> None:
    """Draw all panels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--smoke", action="store_true", help="fewer trials")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(2, 3, figsize=(8.0, 5.6), layout="constrained")
        draw_postural(axes[0, 0])
        draw_ddn(axes[0, 1], pairs=10 if arguments.smoke else 60)
        draw_disturbance(axes[0, 2])
        draw_jump(axes[1, 0])
        draw_push(axes[1, 1])
        draw_field(axes[1, 2], directions=2 if arguments.smoke else 8)
        for ax in axes.flat:
            if ax is not axes[0, 2]:
                ax.set_aspect("equal", adjustable="datalim")
                ax.set_xlabel("x (cm)")
                ax.set_ylabel("y (cm)")
        figure.savefig(arguments.out / "tasks.png")


if __name__ == "__main__":
    main()
