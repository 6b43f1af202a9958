"""Figures of run folders: one comparison over several seeds, and several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from neuromotor.plotting import (
    COLORS,
    LINES,
    NAMES,
    SHADES,
    STYLE,
    few_log_ticks,
    line_colors,
    nested_widths,
)
from neuromotor.runs.over_seeds import best_ratio_at
from neuromotor.runs.records import MethodRecord, RunRecord

__all__ = ["plot_runs", "plot_seeds", "plot_solved", "plot_learning"]


def plot_seeds(seeds: Sequence[Sequence[MethodRecord]]) -> Figure:
    """Draw the excess over iLQR against calls and seconds: median and range over the seeds.

    Of many methods the ranges are left out.
    """
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.4), sharey=True, layout="constrained")
        for ax, axis in zip(axes, ("calls", "seconds"), strict=True):
            curves = best_ratio_at(seeds, axis)
            ranges = len(curves) <= SHADES
            widths = nested_widths([np.median(ratios, axis=0) for _, ratios in curves.values()])
            for number, (method, (positions, ratios)) in enumerate(curves.items()):
                turn, place = divmod(number, len(COLORS))
                color, line = COLORS[place], LINES[turn % len(LINES)]
                excess = np.maximum(ratios - 1, 1e-9)
                label = NAMES.get(method, method)
                style: Any = {"color": color, "linewidth": widths[number], "label": label}
                ax.loglog(positions, np.median(excess, axis=0), line, **style)
                if ranges:
                    ax.fill_between(
                        positions, excess.min(0), excess.max(0), color=color, alpha=0.2, linewidth=0
                    )
        axes[0].set_xlabel("calls (values + gradients + products)")
        axes[1].set_xlabel("time (s)")
        axes[0].set_ylabel("loss / iLQR's loss - 1")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=7)
        shown = "median and range" if ranges else "median"
        count = len(seeds)
        figure.suptitle(f"{shown} over {count} seed{'s' if count > 1 else ''}", fontsize=8)
    return figure


def plot_runs(records: Sequence[RunRecord]) -> Figure:
    """Draw the loss of every method of several runs against calls, a colour a run."""
    with mpl.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(4.4, 3.6), layout="constrained")
        histories = [[p.value for p in found.history] for r in records for found in r.methods]
        widths = iter(nested_widths(histories))
        for color, record in zip(line_colors(len(records)), records, strict=True):
            methods = list(dict.fromkeys(found.method for found in record.methods))
            named = set()
            for found in record.methods:
                name = NAMES.get(found.method, found.method)
                run = record.path.name.replace("$", r"\$")  # no formulas
                ax.loglog(
                    [point.calls for point in found.history],
                    [point.value for point in found.history],
                    LINES[methods.index(found.method) % len(LINES)],
                    color=color,
                    linewidth=next(widths),
                    # one label for all seeds of a method; an underscore keeps it out of the legend
                    label=f"{'_' if name in named else ''}{run}: {name}",
                )
                named.add(name)
        ax.set_xlabel("calls (values + gradients + products)")
        ax.set_ylabel("mean loss")
        if ax.lines:
            figure.legend(loc="outside lower center", ncols=2, fontsize=7)
    return figure


def plot_learning(rows: Sequence[dict[str, Any]], reference: str) -> Figure:
    """Draw the loss in ratio to a reference over the steps, a line for each seed.

    Args:
        rows: A row for each training, with its curve, as `neuromotor rl` keeps them.
        reference: The name of the reference.
    """
    algorithms = list(dict.fromkeys(row["algorithm"] for row in rows))
    with mpl.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(4.4, 3.0), layout="constrained")
        for number, algorithm in enumerate(algorithms):
            turn, place = divmod(number, len(COLORS))
            style: Any = {"color": COLORS[place], "linestyle": LINES[turn % len(LINES)]}
            for row in rows:
                if row["algorithm"] == algorithm:
                    steps = [point["steps"] / 1e6 for point in row["curve"]]
                    ax.plot(steps, [point["ratio"] for point in row["curve"]], **style)
            ax.plot([], [], label=algorithm, **style)
        ax.axhline(1.0, color="0.5", linewidth=0.8)
        ax.set_yscale("log")
        ax.set_xlabel("steps of all arms (millions)")
        ax.set_ylabel(f"loss / {NAMES.get(reference, reference)}'s loss")
        ax.legend()
    return figure


def plot_solved(rows: Sequence[dict[str, Any]]) -> Figure:
    """Draw, over a problem's length, the calls that solved it and the share of failed seeds.

    In the form of figure 4.1 of Sutskever (2013): mean and range above, failures below.

    Args:
        rows: A row for each training, as in the summary of `neuromotor solve`.
    """
    lags = sorted({row["lag"] for row in rows})
    groups = list(dict.fromkeys((row["cell"], row["optimizer"]) for row in rows))
    with mpl.rc_context(STYLE):
        figure, (above, below) = plt.subplots(
            2, 1, figsize=(4.4, 4.2), sharex=True, layout="constrained", height_ratios=(3, 1)
        )
        for number, (cell, optimizer) in enumerate(groups):
            own = [row for row in rows if (row["cell"], row["optimizer"]) == (cell, optimizer)]
            turn, place = divmod(number, len(COLORS))
            style: Any = {"color": COLORS[place], "linestyle": LINES[turn % len(LINES)]}
            style |= {"marker": "o", "markersize": 4}
            shift = 0.08 * (number - (len(groups) - 1) / 2) / max(len(groups) - 1, 1)
            places, means, ranges, failed = [], [], [], []
            for position, lag in enumerate(lags):
                at = [row for row in own if row["lag"] == lag]
                calls = [row["calls"] for row in at if row["solved"]]
                failed.append(1 - len(calls) / len(at) if at else np.nan)
                if calls:
                    mean = float(np.mean(calls))
                    places.append(position + shift)
                    means.append(mean)
                    ranges.append((mean - min(calls), max(calls) - mean))
            label = f"{cell}, {NAMES.get(optimizer, optimizer)}"
            above.errorbar(
                places, means, np.array(ranges).reshape(-1, 2).T, label=label, capsize=2, **style
            )
            below.plot(np.arange(len(lags)) + shift, failed, **style)
        above.set_yscale("log")
        above.set_ylabel("calls until solved")
        few_log_ticks(above.yaxis)
        below.set_ylim(-0.08, 1.08)
        below.set_ylabel("not solved")
        below.set_xlabel("length T (steps)")
        below.set_xticks(range(len(lags)), [str(lag) for lag in lags])
        figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        figure.suptitle("mean and range over the seeds that solved it", fontsize=8)
    return figure
