"""What the drawings of several analyses share. Importing this module imports matplotlib.

Each analysis imports this module inside its drawing functions, so that computing needs no
matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from neuromotor.plotting import STYLE

__all__ = [
    "NULL_COLOR",
    "add_condition_key",
    "condition_colors",
    "draw_conditions",
    "draw_unit_circle",
    "panels",
    "plain",
]

NULL_COLOR = "0.6"
_KEYED = 9  # most conditions that a key names


@contextmanager
def panels(rows: int = 1, columns: int = 1, **options: Any) -> Iterator[tuple[Figure, Any]]:
    """Yield a new figure and its axes, in the style of all figures while the block runs.

    Args:
        rows: Rows of axes.
        columns: Columns of axes.
        options: Further arguments of `matplotlib.pyplot.subplots`.
    """
    with mpl.rc_context(STYLE):
        yield plt.subplots(rows, columns, layout="constrained", **options)


def draw_conditions(ax: Axes, paths: NDArray[np.float64]) -> None:
    """Draw one path for each condition in a plane, (C, T, 2), with dots where they start."""
    for path, color in zip(paths, condition_colors(len(paths)), strict=True):
        ax.plot(*path.T, color=color, linewidth=0.8)
        ax.plot(*path[0], "o", color=color, markersize=2)
    ax.set_aspect("equal", adjustable="datalim")


def draw_unit_circle(ax: Axes) -> None:
    """Draw the unit circle in the complex plane."""
    angle = np.linspace(0, 2 * np.pi, 200)
    ax.plot(np.cos(angle), np.sin(angle), color=NULL_COLOR)
    ax.set_aspect("equal")
    ax.set(xlabel="real", ylabel="imaginary")


def plain(text: str) -> str:
    """Return a text from outside so that matplotlib shows it letter by letter, not as a formula."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown.strip().replace("$", r"\$").removeprefix("_")


def condition_colors(count: int) -> NDArray[np.float64]:
    """Return one colour for each condition, all of them dark enough for white paper.

    They are hues of Oklab (Ottosson 2020) around a circle. One side of the circle is lighter than
    the other, so that colour-blind readers can tell opposite hues apart.
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


def add_condition_key(figure: Figure, conditions: NDArray[np.generic], *axes: Axes) -> None:
    """Add a key below a figure, or some of its axes, to the colours of the conditions."""
    count = len(conditions)
    colors = ListedColormap(condition_colors(count))
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
