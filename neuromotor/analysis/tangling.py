"""Trajectory tangling: do like states move differently?

Notation: x is the state, x' its derivative, and eps a tenth of the states' mean squared distance
from their mean.

    Q(t) = max over t' of |x'_t - x'_t'|^2 / (|x_t - x_t'|^2 + eps)

(Russo et al. 2018; there eps is 0.1 times the total variance.) Motor cortex keeps Q low where
muscles do not; the muscles' or torques' Q is the comparison. The null is surrogates of maximum
entropy (`nulls`) with the network's own covariances.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis._arrays import (
    differences,
    in_own_space,
    rank_above_rounding,
    reduced,
    soft_constant,
    soft_normalised,
)
from neuromotor.analysis.averages import condition_averages
from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.nulls import fit_maximum_entropy
from neuromotor.analysis.section import Findings, Material, SectionSpec, median, span

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Tangling", "plot_tangling", "tangling", "tangling_of"]


@dataclass(frozen=True)
class Tangling:
    """Tangling of condition averages; C conditions, T - 1 times.

    Attributes:
        q: Tangling (1/s^2) between samples, (C, T - 1).
        percentile_90: Its 90th percentile.
        null_percentile_90: The same of each surrogate, (S,).
    """

    q: NDArray[np.float64]
    percentile_90: float
    null_percentile_90: NDArray[np.float64]


def tangling(
    recording: xr.Dataset,
    variable: str = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    components: int = 8,
    soft: float | None = None,
    surrogates: int = 10,
    seed: int = 0,
) -> Tangling:
    """Return the tangling of a variable's condition averages.

    Args:
        recording: Trials.
        variable: `rate`, `command`, ...; each unit is divided by its range plus `soft`.
        window_s: First and last time (s); all times by default.
        components: Principal components kept, where there are more axes.
        soft: Added to each range; see `rotational_dynamics`.
        surrogates: Surrogates of the null.
        seed: Random seed of the surrogates.

    Raises:
        RecordingError: There are fewer than three times, or nothing varies.
    """
    averages = condition_averages(recording, variable, window_s=window_s, shuffles=0)
    mean, dt = averages.mean, np.diff(averages.time_s)
    if len(dt) < 2:
        raise RecordingError("tangling needs three times or more.")
    scaled = soft_normalised(mean, soft_constant(recording, variable, soft))
    norm = float(np.linalg.norm(scaled))
    scaled = scaled - scaled.mean((0, 1))
    if not rank_above_rounding(scaled, norm):
        raise RecordingError(f"`{variable}` must vary to have tangling.")
    scaled = in_own_space(scaled)  # the same numbers, from fewer axes than there are units
    q = tangling_of(reduced(scaled, components)[0], float(dt[0]))
    null: list[float] = []
    shared = scaled.mean(0)
    if surrogates and rank_above_rounding(scaled - shared, norm):
        drawn = fit_maximum_entropy(scaled - shared).draw(surrogates, seed)
        null = [
            float(np.quantile(tangling_of(reduced(shared + d, components)[0], float(dt[0])), 0.9))
            for d in drawn
        ]
    return Tangling(q, float(np.quantile(q, 0.9)), np.array(null))


def tangling_of(states: NDArray[np.float64], dt_s: float) -> NDArray[np.float64]:
    """Return Q (1/s^2), (C, T - 1), of trajectories (C, T, k) sampled every `dt_s`."""
    middle, speed = differences(states, dt_s)
    eps = 0.1 * float(((middle - middle.mean(0)) ** 2).sum(1).mean())
    q = np.empty(len(middle))
    for start in range(0, len(middle), 512):  # so that the table of pairs stays small
        part = slice(start, start + 512)
        q[part] = (_squares(speed[part], speed) / (_squares(middle[part], middle) + eps)).max(1)
    return q.reshape(states.shape[0], -1)


def _squares(one: NDArray[np.float64], all_: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return squared distances of all pairs."""
    squared = (one**2).sum(1)[:, None] + (all_**2).sum(1) - 2 * one @ all_.T
    return np.asarray(np.maximum(squared, 0.0), np.float64)


def plot_tangling(found: dict[str, Tangling]) -> Figure:
    """Draw how tangling is distributed over samples, for each variable, with its null's level."""
    from neuromotor.analysis.drawing import panels
    from neuromotor.plotting import COLORS, few_log_ticks

    with panels(figsize=(3.8, 2.7)) as (figure, ax):
        for (name, result), color in zip(found.items(), COLORS, strict=False):
            values = np.sort(result.q.ravel())
            ax.plot(values, np.linspace(0, 1, len(values)), color=color, label=name)
            if len(result.null_percentile_90):
                ax.plot(np.median(result.null_percentile_90), 0.9, "x", color=color)
        ax.set_xscale("log")
        few_log_ticks(ax.xaxis)
        ax.set(xlabel="tangling (1/s²); x: null's 90th percentile", ylabel="share of samples")
        ax.legend()
    return figure


def _section(given: Material) -> Findings:
    """Tangling of rates and of commands."""
    recording = given.activity
    found = {"rate": tangling(recording, soft=given.soft, seed=given.seed)}
    if "command" in recording and np.ptp(recording["command"].values) > 0:
        found["command"] = tangling(recording, "command", surrogates=0)
    numbers = {
        name: {"percentile_90": result.percentile_90, "null": median(result.null_percentile_90)}
        for name, result in found.items()
    }
    text = (
        f"Tangling is large where like states move differently, {span(recording)}. The null is "
        "maximum-entropy tensors with the same covariances."
    )
    return Findings(text, numbers, {"tangling": partial(plot_tangling, found)})


SECTION = SectionSpec(
    "tangling",
    "Trajectory tangling",
    90,
    _section,
    ("changing rates",),
    lambda given: 0.3 + 0.05 * given.million_surrogate_rates,
    gaps="averages",
    in_parts=True,
    reading="The further left a curve, the better the state at a moment tells what comes next; "
    "the cross, 90 % of surrogates with the same covariances, is the null of the rates.",
)
