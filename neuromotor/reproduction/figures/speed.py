"""Figure 9 compares the speed with other toolkits, from files of `neuromotor bench --json`."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuromotor.plotting import COLORS, PAGE_IN, letter
from neuromotor.reproduction.data import DATA, load_data
from neuromotor.reproduction.networks import Networks

__all__ = ["ENVIRONMENTS_FILE", "OPERATIONS_FILE", "draw_speed"]

OPERATIONS_FILE = DATA / "speed.json"
ENVIRONMENTS_FILE = DATA / "environments.json"
_IMPLEMENTATIONS = {
    "products": ("matrix products alone", "0.55", "|"),
    "fast": ("neuromotor", COLORS[0], "o"),
    "jax": ("jax", COLORS[1], "s"),
    "autograd": ("torch's autograd", COLORS[2], "^"),
    "motornet": ("MotorNet", COLORS[3], "D"),
}
_ENVS = ("neuromotor/CenterOut-v0", "Reacher-v5", "RandomTargetReach")
_OPERATIONS = {"value": "value", "gradient": "gradient", "gauss_newton": "Gauss-Newton product"}


def draw_speed(networks: Networks, *, smoke: bool = False) -> Figure:
    """Draw how long values, gradients and products take, and how fast environments step."""
    del networks, smoke
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(PAGE_IN, 3.4), width_ratios=(1.5, 1), layout="constrained"
    )
    _draw_operations(left, load_data(OPERATIONS_FILE)["rows"])
    letter(left, "A")
    _draw_environments(right, load_data(ENVIRONMENTS_FILE)["rows"])
    letter(right, "B")
    return figure


def _draw_operations(ax: Axes, rows: list[dict[str, Any]]) -> None:
    """Draw each implementation's time divided by ours; each operation and size is one row."""
    rows = [row for row in rows if row["threads"] == 1]
    keys = list(dict.fromkeys((r["operation"], r["batch"], r["steps"], r["dtype"]) for r in rows))
    keys.sort(key=lambda key: (list(_OPERATIONS).index(key[0]), key[1:]))
    own = {
        (row["implementation"], (row["operation"], row["batch"], row["steps"], row["dtype"])): row
        for row in rows
    }
    for name, (label, color, marker) in _IMPLEMENTATIONS.items():
        places = [place for place, key in enumerate(keys) if (name, key) in own]
        ratios = [own[name, keys[k]]["ms"] / own["fast", keys[k]]["ms"] for k in places]
        ax.plot(ratios, places, marker, color=color, markersize=4, label=label)
    ax.axvline(1, color=COLORS[0], linewidth=0.6, zorder=0)
    words = [f"{_OPERATIONS[k[0]]}, {k[1]} x {k[2]}, {k[3]}" for k in keys]
    ax.set_yticks(range(len(keys)), words, fontsize=6)
    ax.invert_yaxis()
    ax.set(xscale="log", xlabel="time / neuromotor's, one thread")
    ax.set_xlim(None, 4 * ax.get_xlim()[1])  # room for the legend
    ax.legend(fontsize=6, loc="upper right")


def _draw_environments(ax: Axes, rows: list[dict[str, Any]]) -> None:
    """Draw the steps per second over the number of arms that step together."""
    styles = {
        "single": ("neuromotor, one arm", COLORS[4], "v"),
        "vector": ("neuromotor, vector", COLORS[0], "o"),
        "mujoco": ("MuJoCo Reacher-v5", COLORS[1], "s"),
        "motornet": ("MotorNet", COLORS[3], "D"),
    }
    for name, (label, color, marker) in styles.items():
        own = [row for row in rows if row["implementation"] == name and row["env"] in _ENVS]
        arms = [row["num_envs"] for row in own]
        if own:
            speed = [row["steps_per_second"] for row in own]
            ax.loglog(arms, speed, marker, linestyle="-", color=color, ms=4, lw=0.8, label=label)
    ax.set(xlabel="arms stepped at once", ylabel="steps a second, one thread")
    ax.legend(fontsize=6, loc="upper left")
