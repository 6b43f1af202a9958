"""Averages over the trials of a condition (PSTH).

For the null of the share of variance that conditions explain, condition labels are permuted over
trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.cutting import window
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.parts import joined, pieces
from neuromotor.analysis.section import Findings, Material, SectionSpec, median, span

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["ConditionAverages", "condition_averages", "means_of", "plot_averages"]


@dataclass(frozen=True)
class ConditionAverages:
    """Averages over the trials of each condition; C conditions, T times, N units.

    Attributes:
        time_s: Times, (T,).
        conditions: Labels, (C,).
        mean: Averages, (C, T, N).
        standard_error: Standard error over trials, NaN for a condition of one trial, (C, T, N).
        counts: Trials of each condition, (C,).
        behind: Trials behind each average, fewer than `counts` where samples are missing, (C, T,
            N).
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
    behind: NDArray[np.int64]
    explained: NDArray[np.float64]
    null_explained: NDArray[np.float64]


def condition_averages(
    recording: xr.Dataset,
    variable: str = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    shuffles: int = 100,
    seed: int = 0,
    gaps: bool = False,
) -> ConditionAverages:
    """Return the averages of a variable over each condition's trials.

    Where samples are missing, each average is over the trials that have them.

    Args:
        recording: Trials; use `align` first to average around an event.
        variable: Any variable over trial, time and something.
        window_s: First and last time (s); all times by default.
        shuffles: Permutations of the labels for the null, which is NaN without any.
        seed: Random seed of the permutations.
        gaps: Whether an average may be missing (NaN) where no trial of its condition has samples.

    Raises:
        RecordingError: The variable is missing, or an average is and `gaps` does not allow it.
    """
    check_recording(recording, [variable], gaps=True)
    part = window(recording, window_s)
    if part[variable].ndim != 3:
        raise RecordingError(f"`{variable}` must vary over trial, time and one more axis.")
    conditions, member = np.unique(part["condition"].values, return_inverse=True)
    counts = np.bincount(member)
    found: list[tuple[NDArray[Any], ...]] = []
    absent: NDArray[np.bool_] | None = None  # averages without a trial, (C, T)
    for _, some in pieces(part[variable]):
        values = some.values.astype(np.float64)
        own = _averaged(values, member, counts, shuffles, seed)
        found.append(own)
        lacking = (own[2] == 0).any(axis=2)
        absent = lacking if absent is None else absent | lacking
    if absent is not None and absent.any() and not gaps:
        raise RecordingError(_no_average(part, variable, conditions, absent))
    mean, error, behind, explained, null = (joined(list(own)) for own in zip(*found, strict=True))
    return ConditionAverages(
        time_s=part["time"].values,
        conditions=conditions,
        mean=mean,
        standard_error=error,
        counts=counts,
        behind=behind,
        explained=explained,
        null_explained=null,
    )


def _averaged(
    values: NDArray[np.float64],
    member: NDArray[np.int64],
    counts: NDArray[np.int64],
    shuffles: int,
    seed: int,
) -> tuple[NDArray[Any], ...]:
    """Return averages, their errors, trials behind them, and what they explain with its null."""
    missing = np.isnan(values)
    lacking = bool(missing.any())
    known = np.where(missing, 0.0, values) if lacking else values
    spread = _Spread.of(known, ~missing if lacking else None)
    behind = spread.behind(member, counts)
    mean = spread.means(member, counts)
    deviation = np.where(missing, 0.0, known - mean[member]) if lacking else values - mean[member]
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(_sums(deviation**2, member, len(counts)) / (behind - 1) / behind)
    error[np.broadcast_to(behind <= 1, error.shape)] = np.nan
    null = np.full(values.shape[2], np.nan)
    if shuffles and (counts > 1).any():
        generator = np.random.default_rng(seed)  # the same permutations for every part
        drawn = [spread.explained(generator.permutation(member), counts) for _ in range(shuffles)]
        null = np.quantile(drawn, 0.95, axis=0)
    every = np.broadcast_to(behind, mean.shape)
    return mean, error, every, spread.explained(member, counts), null


def means_of(values: NDArray[np.float64], member: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return averages (C, T, N) of values (B, T, N) over the trials of each group, numbered."""
    counts = np.bincount(member)
    return _sums(values, member, len(counts)) / counts[:, None, None]


@dataclass(frozen=True)
class _Spread:
    """Values about their mean over trials, which permuted labels leave as it is.

    Attributes:
        values: With 0 where a sample is missing, (B, T, N).
        known: Which samples are there; None where all are.
        every: Mean over all trials, (T, N).
        total: Each unit's sum of squares about it, (N,); NaN for a unit that does not vary.
    """

    values: NDArray[np.float64]
    known: NDArray[np.bool_] | None
    every: NDArray[np.float64]
    total: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64], known: NDArray[np.bool_] | None) -> _Spread:
        if known is None:
            every = values.mean(0)
            away = values - every
        else:
            every = values.sum(0) / np.maximum(known.sum(0), 1)
            away = np.where(known, values - every, 0.0)
        total = np.einsum("btn,btn->n", away, away)
        size = np.einsum("btn,btn->n", values, values)
        varies = total > 1e-24 * np.maximum(size, 1e-300)
        return cls(values, known, every, np.where(varies, total, np.nan))

    def behind(self, member: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many trials each average is over, (C, T, N) or (C, 1, 1)."""
        if self.known is None:
            return counts[:, None, None]
        return _sums(self.known, member, len(counts)).astype(np.int64)

    def means(self, member: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the averages of each condition, (C, T, N), NaN where no trial is behind one."""
        with np.errstate(invalid="ignore"):
            return _sums(self.values, member, len(counts)) / self.behind(member, counts)

    def explained(
        self, member: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the share of variance about the mean that the averages explain, (N,)."""
        behind = self.behind(member, counts)
        away = np.where(behind > 0, self.means(member, counts) - self.every, 0.0)
        return np.asarray((behind * away**2).sum((0, 1)) / self.total, np.float64)


def _sums(values: NDArray[Any], member: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return sums over each condition's trials, (C, T, N)."""
    belongs = (np.arange(count)[:, None] == member).astype(np.float64)
    flat = belongs @ values.reshape(len(values), -1)
    return np.asarray(flat.reshape(count, *values.shape[1:]), np.float64)


def _no_average(
    part: xr.Dataset, variable: str, conditions: NDArray[Any], absent: NDArray[np.bool_]
) -> str:
    """Return a message that says which averages are missing, of (C, T)."""
    lacking = absent.any(axis=1)
    time = part["time"].values
    whole = ~absent.any(axis=0)
    text = f"no trial of condition {conditions[lacking][0]} has all samples of `{variable}`" + (
        f", nor have those of {int(lacking.sum()) - 1} others" if lacking.sum() > 1 else ""
    )
    if whole.any():
        first, last = time[np.flatnonzero(whole)[[0, -1]]]
        return f"{text}; every average is there from {first:g} to {last:g} s: use that window."
    return f"{text}; leave that condition out, or those units (`complete_units`)."


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
        "fewest_trials_behind_an_average": found.behind.min(),
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
    gaps="averages",
    in_parts=True,
    reading="Each line is the average over the trials of a condition, for the units that vary "
    "most; the null, permuted conditions, is in the table.",
)
