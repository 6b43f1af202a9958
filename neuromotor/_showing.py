"""What all rooms share to show things: the style of figures, and tables and plots in notebooks."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLORS", "PATHS", "STYLE", "TableInNotebooks", "plot_trials", "table"]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
PATHS = 72  # most hand paths in one panel
STYLE: Any = {  # matplotlib types its keys one by one
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "savefig.dpi": 200,
    "text.usetex": False,  # LaTeX may not be installed, and reads % and ² as something else
    "pdf.fonttype": 42,  # text stays text
    "svg.hashsalt": "neuromotor",
}
_LONGEST = 80  # signs of a value in a table


class TableInNotebooks:
    """A base of dataclasses that show themselves in notebooks as a table of their fields."""

    def _repr_html_(self) -> str:
        """Return a short table: names of the fields and what is in them."""
        fields: Any = dataclasses.fields(self) if dataclasses.is_dataclass(self) else ()
        rows = {field.name: getattr(self, field.name) for field in fields if field.repr}
        return table(type(self).__name__, rows)


def table(title: str, rows: Mapping[str, object]) -> str:
    """Return a table in HTML, with every text escaped and long values cut."""
    body = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(_words(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table><caption>{html.escape(title)}</caption>{body}</table>"


def _words(value: object) -> str:
    """A value in one short line."""
    if isinstance(value, Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        return f"{kind} tensor of shape {tuple(value.shape)}"
    if isinstance(value, tuple) and value and isinstance(value[0], Tensor):
        return "; ".join(_words(one) for one in value)
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else repr(value)
    if len(text) <= _LONGEST:
        return text
    if isinstance(value, tuple):
        return f"{len(value)} entries"
    if dataclasses.is_dataclass(value):
        return type(value).__name__
    return f"{text[: _LONGEST - 3]}..."


def plot_trials(
    hand_m: NDArray[Any] | None,
    speed_m_s: NDArray[Any] | None,
    commands: NDArray[Any],
    labels: Sequence[str],
    dt_s: float,
    axes: Sequence[Axes] | None = None,
) -> NDArray[Any]:
    """Draw hand paths, the hand's speed and the commands of trials, and return the three axes.

    Args:
        hand_m: Positions in the plane (m), (B, T, 2); None where there is no plane.
        speed_m_s: Speed of the hand (m/s), (B, T); None for none.
        commands: (B, T, m).
        labels: Name and unit of each command.
        dt_s: Time (s) between two samples.
        axes: Three axes to draw on, or None for a new figure.

    Raises:
        ValueError: `axes` are not three.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    with mpl.rc_context(STYLE):
        if axes is None:
            _, axes = plt.subplots(1, 3, figsize=(8.5, 2.6), layout="constrained")
        three = np.ravel(np.asarray(axes, dtype=object))
        if len(three) != 3:
            raise ValueError(f"`axes` must be three, got {len(three)}.")
        place, speeds, drives = three
        count = len(commands)
        some = np.unique(np.linspace(0, count - 1, min(count, PATHS)).round().astype(int))
        if hand_m is not None:
            for path in 100 * hand_m[some]:
                place.plot(*path.T, color=COLORS[0], linewidth=0.7)
            place.set(xlabel="hand x (cm)", ylabel="hand y (cm)", aspect="equal")
        else:
            place.set_axis_off()
        if speed_m_s is not None:
            times = dt_s * np.arange(speed_m_s.shape[1])
            speeds.plot(times, 100 * speed_m_s[some].T, color=COLORS[0], linewidth=0.7)
            speeds.set(xlabel="time (s)", ylabel="speed of the hand (cm/s)")
        else:
            speeds.set_axis_off()
        times = dt_s * np.arange(commands.shape[1])
        for i, label in enumerate(labels):
            lines = drives.plot(
                times, commands[some, :, i].T, color=COLORS[i % len(COLORS)], linewidth=0.7
            )
            lines[0].set_label(label)
        drives.set(xlabel="time (s)", ylabel="command")
        drives.legend(fontsize=6)
    return three
