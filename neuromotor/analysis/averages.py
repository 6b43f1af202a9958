"""Averages over the trials of a condition (PSTH).

For the null of the share of variance that conditions explain, condition labels are permuted over
trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis._arrays import r_squared
from neuromotor.analysis.cutting import window
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.section import Findings, Material, SectionSpec, median, span

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["ConditionAverages", "condition_averages", "plot_averages"]


@dataclass(frozen=True)
class ConditionAverages:
    """Averages over the trials of each condition; C conditions, T times, N units.

    Attributes:
        time_s: Times, (T,).
        conditions: Labels, (C,).
        mean: Averages, (C, T, N).
        standard_error: Standard error over trials, NaN for a condition of one trial, (C, T, N).
        counts: Trials of each condition, (C,).
        explained: Each unit's share of variance, over trials and time, that condition averages
            explain beyond the mean over conditions, (N,); NaN for a unit that does not vary.
        null_explained: The same with permuted labels: 95th percentile, (N,); NaN where each
            condition has one trial, so that permutation changes nothing.
    """

    time_s: NDArray[np.float64]
    conditions: NDArray[np.generic]
    mean: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    counts: NDArray[np.int64]
    explained: NDArray[np.float64]
    null_explained: NDArray[np.float64]


def condition_averages(
    recording: xr.Dataset,
    variable: str = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    shuffles: int = 100,
    seed: int = 0,
) -> ConditionAverages:
    """Return the averages of a variable over each condition's trials.

    Args:
        recording: Trials; use `align` first to average around an event.
        variable: Any variable over trial, time and something.
        window_s: First and last time (s); all times by default.
        shuffles: Permutations of the labels for the null, which is NaN without any.
        seed: Random seed of the permutations.
    """
    check_recording(recording, [variable])
    part = window(recording, window_s)
    values = part[variable].values.astype(np.float64)
    if values.ndim != 3:
        raise RecordingError(f"`{variable}` must vary over trial, time and one more axis.")
    conditions, member = np.unique(part["condition"].values, return_inverse=True)
    counts = np.bincount(member)
    mean, explained = _explained(values, member, counts)
    deviation = values - mean[member]
    with np.errstate(invalid="ignore", divide="ignore"):
        square = _sums(deviation**2, member, counts) / (counts - 1)[:, None, None]
        error = np.sqrt(square / counts[:, None, None])
    error[counts == 1] = np.nan
    null = np.full(values.shape[2], np.nan)
    if shuffles and (counts > 1).any():
        generator = np.random.default_rng(seed)
        drawn = [
            _explained(values, generator.permutation(member), counts)[1] for _ in range(shuffles)
        ]
        null = np.quantile(drawn, 0.95, axis=0)
    return ConditionAverages(
        time_s=part["time"].values,
        conditions=conditions,
        mean=mean,
        standard_error=error,
        counts=counts,
        explained=explained,
        null_explained=null,
    )


def _sums(
    values: NDArray[np.float64], member: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return sums over each condition's trials, (C, T, N)."""
    sums = np.zeros((len(counts), *values.shape[1:]))
    np.add.at(sums, member, values)
    return sums


def _explained(
    values: NDArray[np.float64], member: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return condition averages, and the share of variance about the mean that they explain."""
    mean = _sums(values, member, counts) / counts[:, None, None]
    return mean, r_squared(values, mean[member], (0, 1), baseline=values.mean(0))


def plot_averages(averages: ConditionAverages, units: int = 6) -> Figure:
    """Draw the condition averages of the units that vary most."""
    from neuromotor.analysis.drawing import add_condition_key, condition_colors, panels

    chosen = np.argsort(-averages.mean.var((0, 1)))[:units]
    colors = condition_colors(len(averages.mean))
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    with panels(rows, columns, figsize=(6.4, 1.9 * rows), sharex=True, squeeze=False) as (
        figure,
        axes,
    ):
        for ax in axes.flat[len(chosen) :]:
            ax.set_axis_off()
        for ax, unit in zip(axes.flat, chosen, strict=False):
            for condition, color in enumerate(colors):
                trace = averages.mean[condition, :, unit]
                ax.plot(1e3 * averages.time_s, trace, color=color, linewidth=0.7)
            ax.set_title(f"unit {unit}")
        for ax in axes[:, 0]:
            ax.set_ylabel("rate")
        for ax in axes[-1]:
            ax.set_xlabel("time (ms)")
        add_condition_key(figure, averages.conditions)
    return figure


def _section(given: Material) -> Findings:
    """Condition averages and what conditions explain."""
    recording = given.activity
    found = condition_averages(recording, shuffles=20, seed=given.seed)
    known = found.explained[np.isfinite(found.explained)]
    numbers = {
        "conditions": len(found.conditions),
        "fewest_trials": found.counts.min(),
        "units": recording.sizes["unit"],
        "constant_units": recording.sizes["unit"] - len(known),
        "median_variance_explained": np.median(known) if known.size else np.nan,
        "median_null_95": median(found.null_explained),
    }
    text = (
        "The figure shows the units that vary most, averaged over the trials of each condition, "
        f"{span(recording)}. For the null, condition labels are permuted; there is no null where "
        "each condition has one trial."
    )
    return Findings(text, numbers, {"averages": partial(plot_averages, found)})


SECTION = SectionSpec(
    "averages",
    "Condition averages",
    30,
    _section,
    ("changing rates",),
    lambda given: 0.2 + given.million_rates,
)
