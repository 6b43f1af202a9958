"""Loss against what was swept. This module imports matplotlib; nothing imports it early."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuromotor.plotting import COLORS, STYLE, save_figures, with_unit
from neuromotor.sweep.plan import Sweep

__all__ = ["draw", "plot_sweep"]

_UNITS = {"budget": "calls", "seconds": "s"}  # where the name does not say it
_MOST_LINES = len(COLORS)
_MOST_TICKS = 6  # one at each value


def draw(sweep: Sweep, table: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write the figure to the sweep's folder, and return its files."""
    return save_figures({"loss": plot_sweep(sweep, table)}, sweep.out / "figures")


def plot_sweep(sweep: Sweep, table: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the loss against each swept setting: median and range over seeds.

    A panel a setting; a line for each combination of the others, in grey where there are more than
    colours.

    Args:
        sweep: What was swept.
        table: Its rows; those without a loss are left out.
    """
    found = [row for row in table if row["loss"] is not None]
    keys = [key for key in sweep.keys if key != "seed"]
    varied = [key for key in keys if len({_text(row[key]) for row in table}) > 1] or ["seed"]
    with mpl.rc_context(STYLE):
        figure, panels = plt.subplots(
            1, len(varied), figsize=(0.6 + 3.0 * len(varied), 2.6), squeeze=False, sharey=True
        )
        for axes, key in zip(panels[0], varied, strict=True):
            _panel(axes, found, key, [other for other in varied if other != key])
        panels[0, 0].set_ylabel("mean loss")
        panels[0, 0].set_yscale("log")
        figure.tight_layout()
    return figure


def _panel(axes: Axes, found: Sequence[Mapping[str, Any]], key: str, others: Sequence[str]) -> None:
    """Loss against one setting."""
    values = list({_text(row[key]): row[key] for row in found}.values())
    numeric = all(type(value) in (int, float) for value in values)
    if numeric:
        values.sort()
    places = {_text(value): value if numeric else i for i, value in enumerate(values)}
    lines: dict[str, dict[str, list[float]]] = {}
    for row in found:
        label = ", ".join(f"{_last(other)} {_text(row[other])}" for other in others)
        lines.setdefault(label, {}).setdefault(_text(row[key]), []).append(row["loss"])
    crowded = len(lines) > _MOST_LINES
    for i, (label, losses) in enumerate(lines.items()):
        names = [name for name in places if name in losses]
        aside = 0.0 if numeric else 0.1 * (i - (len(lines) - 1) / 2)  # so that ranges are seen
        x = [places[name] + aside for name in names]
        middle = [statistics.median(losses[name]) for name in names]
        low = [m - min(losses[name]) for m, name in zip(middle, names, strict=True)]
        high = [max(losses[name]) - m for m, name in zip(middle, names, strict=True)]
        color = "0.5" if crowded else COLORS[i]
        style = "o-" if numeric else "o"
        axes.errorbar(
            x, middle, [low, high], fmt=style, color=color, markersize=3, capsize=2, label=label
        )
    if numeric and min(values) > 0 and max(values) >= 20 * min(values):
        axes.set_xscale("log")
    if not numeric or len(values) <= _MOST_TICKS:
        axes.set_xticks(list(places.values()), list(places))
        axes.minorticks_off()
    if not numeric:
        axes.margins(x=0.2)
    unit = _UNITS.get(_last(key))
    axes.set_xlabel(f"{key} ({unit})" if unit else with_unit(key))
    if not crowded and any(lines):
        axes.legend(fontsize=6)
    seeds = max(len(at) for line in lines.values() for at in line.values())
    if seeds > 1:
        axes.set_title(f"median and range over {seeds} seeds")


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _text(value: Any) -> str:
    """A value in few letters."""
    if isinstance(value, str):
        return value
    return "default" if value is None else json.dumps(value)
