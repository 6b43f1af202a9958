"""Figure 4.1: calls that solve each problem of memory, and failures, by length and method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from neuromotor.plotting import COLORS, few_log_ticks

__all__ = ["draw_solved"]


def draw_solved(rows: Sequence[dict[str, Any]]) -> Figure:
    """Draw mean and range of the calls above, and the share of seeds that failed below.

    Args:
        rows: A row for each training, as `reproduction.memory_runs.rows_of` returns them.
    """
    rows = [row for row in rows if row["problem"] != "balls"]
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    widths = [len({row["lag"] for row in rows if row["problem"] == name}) + 1 for name in problems]
    figure, axes = plt.subplots(
        2,
        len(problems),
        figsize=(7.4, 3.4),
        sharey="row",
        squeeze=False,
        layout="constrained",
        width_ratios=widths,
        height_ratios=(3, 1),
    )
    for (above, below), name in zip(axes.T, problems, strict=True):
        own = [row for row in rows if row["problem"] == name]
        lags = sorted({row["lag"] for row in own})
        for number, method in enumerate(methods):
            shift = 0.18 * (number - (len(methods) - 1) / 2)
            at = [[r for r in own if (r["lag"], r["method"]) == (lag, method)] for lag in lags]
            calls = [[r["calls"] for r in part if r["solved"]] for part in at]
            there = [i for i, part in enumerate(calls) if part]
            mean = np.array([np.mean(calls[i]) for i in there])
            low = mean - [min(calls[i]) for i in there]
            high = [max(calls[i]) for i in there] - mean
            style: Any = {"color": COLORS[number], "marker": "o", "markersize": 4}
            places = np.array(there) + shift
            above.errorbar(places, mean, [low, high], label=method, capsize=2, **style)
            tried = [i for i, part in enumerate(at) if part]
            failed = [1 - len(calls[i]) / len(at[i]) for i in tried]
            below.plot(np.array(tried) + shift, failed, **style)
        above.set_yscale("log")
        short = name.replace("multiplication", "product").replace("memory-", "memory\n")
        above.set_title(short, fontsize=8)
        for ax in (above, below):
            ax.set_xlim(-0.6, len(lags) - 0.4)
            ax.set_xticks(range(len(lags)), [str(lag) for lag in lags])
        above.tick_params(labelbottom=False)
        below.set_ylim(-0.1, 1.1)
    few_log_ticks(axes[0, 0].yaxis)
    axes[0, 0].set_ylabel("calls until solved (1)")
    axes[1, 0].set_ylabel("not solved (1)")
    figure.supxlabel("length T (steps)", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=8)
    return figure
