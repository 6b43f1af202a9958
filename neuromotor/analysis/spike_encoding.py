"""What spikes say of a movement or a load: Poisson regression of counts, at several lags at once.

Notation: n is a count in a step, x_l are the movement's numbers at lag l, and D is the Poisson
deviance.

    log E n = b + sum_l w_l . x_l        pseudo-R^2 = 1 - D(n, prediction) / D(n, mean)

(pseudo-R^2 of the deviance: Cameron & Windmeijer 1997). It is of trials that were held out, so it
may be negative. For its null, movements are exchanged between trials that were held out together,
while the fit stays: that keeps the time course that all trials share, and breaks what ties spikes
to the movement of their own trial. scikit-learn fits by Newton's method, with a ridge.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from neuromotor._checks import check_integer, check_number, check_seed, lookup
from neuromotor._extras import require
from neuromotor.analysis._arrays import by_sample, unique
from neuromotor.analysis.corrections import false_discoveries
from neuromotor.analysis.cutting import window
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.section import Findings, Material, SectionSpec, median, span

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["SpikeEncoding", "encode_spikes", "plot_spike_encoding"]

_WHOLE = 1e-3  # how far a count may be from a whole number
_LEVEL = 0.05
_REPORT_LAGS_S = (0.0, 0.1)
_LARGEST = 30.0  # of a linear predictor beyond its range in the fit: e^30 spikes are none


@dataclass(frozen=True)
class SpikeEncoding:
    """Poisson regressions; N units, L lags, D numbers of the movement, S exchanges.

    Attributes:
        lags_s: Time by which spikes lead the movement (s), (L,); negative where they follow.
        labels: Names of the movement's numbers, (D,).
        pseudo_r2: Of held-out trials, (N,); NaN for a unit without spikes.
        null: The same with exchanged movements, (S, N).
        p: Share of exchanges, the data among them, that reach it, (N,).
        encodes: Units with p below 0.05 after Benjamini & Hochberg's correction, (N,).
        weights: w_l, per unit of the movement's numbers, fitted to all trials, (L, D, N).
        baseline: b, (N,): exp(b) spikes a step where the movement's numbers are 0.
    """

    lags_s: NDArray[np.float64]
    labels: tuple[str, ...]
    pseudo_r2: NDArray[np.float64]
    null: NDArray[np.float64]
    p: NDArray[np.float64]
    encodes: NDArray[np.bool_]
    weights: NDArray[np.float64]
    baseline: NDArray[np.float64]


def encode_spikes(
    recording: xr.Dataset,
    variables: Sequence[str] = ("hand_velocity",),
    lags_s: Sequence[float] = (0.0,),
    *,
    window_s: tuple[float, float] | None = None,
    hold_out: Literal["trials", "conditions"] = "trials",
    folds: int = 5,
    ridge: float = 1e-3,
    exchanges: int = 199,
    seed: int = 0,
) -> SpikeEncoding:
    """Predict each unit's spike counts from movement variables at several lags.

    Args:
        recording: Trials whose rates are counts of spikes over the step, in spikes/s, as an import
            without smoothing gives them.
        variables: Kinematics, `command`, `load`, ...
        lags_s: Lags (s), positive where spikes lead; they are rounded to samples.
        window_s: First and last time (s); all times by default.
        hold_out: What is held out in turn: `trials`, or whole `conditions`.
        folds: Parts that are held out in turn.
        ridge: Penalty on squared weights, of movements in units of their standard deviation.
        exchanges: Exchanges of held-out movements, for p, which is at least 1 / (exchanges + 1).
        seed: Random seed of folds and exchanges.

    Raises:
        RecordingError: Rates are no counts, a variable is missing or does not vary, or the
            recording is too short.
        RuntimeError: scikit-learn is not installed.
    """
    check_integer("folds", folds, minimum=2)
    check_integer("exchanges", exchanges, minimum=1)
    check_number("ridge", ridge, minimum=0.0)
    check_seed("seed", seed)
    lookup("hold_out", hold_out, {"trials": 0, "conditions": 1})
    check_recording(recording, ["rate", *variables])
    part = window(recording, window_s)
    time = part["time"].values
    step = float(time[1] - time[0]) if len(time) > 1 else 1.0
    counts = _counts(part, step)
    shifts = _shifts(lags_s, step, len(time))
    inputs, labels = _inputs(part, variables, shifts)
    before, after = max(0, *(-s for s in shifts)), max(0, *shifts)
    counts = counts[:, before : len(time) - after]
    groups = np.arange(len(counts))
    if hold_out == "conditions":
        groups = np.unique(part["condition"].values, return_inverse=True)[1]
    if groups.max() + 1 < 2:
        raise RecordingError(f"encoding needs two {hold_out} or more, to hold one out.")
    generator = np.random.default_rng(seed)
    order = generator.permutation(int(groups.max()) + 1)
    parts = np.array_split(order, min(folds, len(order)))
    observed, drawn = np.zeros(counts.shape[2]), np.zeros((exchanges, counts.shape[2]))
    for own in parts:
        held = np.isin(groups, own)
        weights, baseline = _fit(inputs[~held], counts[~held], ridge)
        predictor = inputs[held] @ weights + baseline  # (b, t, N)
        seen = by_sample(inputs[~held] @ weights + baseline)
        predictor = np.clip(predictor, seen.min(0) - _LARGEST, seen.max(0) + _LARGEST)
        rates, known = np.exp(predictor), counts[held]
        observed += _deviance(known, rates)
        for place in range(exchanges):
            drawn[place] += _deviance(known, rates[generator.permutation(len(rates))])
    flat = by_sample(counts)
    total = _deviance(counts, np.broadcast_to(flat.mean(0), counts.shape))
    fires = total > 0
    whole = np.where(fires, total, 1.0)
    pseudo = np.where(fires, 1 - observed / whole, np.nan)
    null = np.where(fires, 1 - drawn / whole, np.nan)
    p = np.where(fires, (1 + (null >= pseudo).sum(0)) / (1 + exchanges), np.nan)
    weights, baseline = _fit(inputs, counts, ridge)
    return SpikeEncoding(
        lags_s=step * np.asarray(shifts, np.float64),
        labels=labels,
        pseudo_r2=pseudo,
        null=null,
        p=p,
        encodes=false_discoveries(p, _LEVEL),
        weights=np.where(fires, weights, np.nan).reshape(len(shifts), len(labels), -1),
        baseline=np.where(fires, baseline, np.nan),
    )


def _counts(part: xr.Dataset, step: float) -> NDArray[np.float64]:
    """Return counts of spikes, (B, T, N)."""
    unit = str(part["rate"].attrs.get("units", "1"))
    counts = part["rate"].values.astype(np.float64) * step
    whole = np.round(counts)
    if unit != "spikes/s" or (np.abs(counts - whole) > _WHOLE).any() or (whole < 0).any():
        raise RecordingError(
            f"the rates (in {unit!r}) are no counts of spikes over the step of {step:g} s; import "
            "without `smooth`, `normalise` and `warp`, or draw spikes from them (`draw_spikes`)."
        )
    return np.asarray(whole, np.float64)


def _shifts(lags_s: Sequence[float], step: float, times: int) -> list[int]:
    """Return lags in samples."""
    for lag in lags_s:
        check_number("lags_s", float(lag), "seconds")
    shifts = [round(float(lag) / step) for lag in lags_s]
    if not shifts or len(set(shifts)) < len(shifts):
        raise RecordingError(
            f"`lags_s` must be lags that differ by a step of {step:g} s or more, got "
            f"{list(lags_s)}."
        )
    lost = max(0, *(-s for s in shifts)) + max(0, *shifts)
    if lost + 2 > times:
        raise RecordingError(
            f"the recording of {times} samples is too short for lags that take {lost} of them."
        )
    return shifts


def _inputs(
    part: xr.Dataset, variables: Sequence[str], shifts: list[int]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the movement at all lags of each sample, (B, t, L D), and names of its numbers."""
    columns, labels = [], []
    for name in variables:
        values = part[name]
        if values.ndim != 3:
            raise RecordingError(f"`{name}` must vary over trial, time and one more axis.")
        columns.append(values.values.astype(np.float64))
        labels += [f"{name} {label}" for label in np.atleast_1d(part[values.dims[2]].values)]
    movement = np.concatenate(columns, axis=2)
    if (np.ptp(movement, axis=(0, 1)) == 0).all():
        raise RecordingError(f"{' and '.join(variables)} never change, so nothing is encoded.")
    before, after = max(0, *(-s for s in shifts)), max(0, *shifts)
    times = movement.shape[1]
    parts = [movement[:, before + s : times - after + s] for s in shifts]
    return np.concatenate(parts, axis=2), tuple(unique(labels))


def _fit(
    inputs: NDArray[np.float64], counts: NDArray[np.float64], ridge: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights, (P, N), and baselines, (N,), of every unit."""
    model: Any = require("sklearn.linear_model", "analysis").PoissonRegressor
    x, y = by_sample(inputs), by_sample(counts)
    mean, size = x.mean(0), x.std(0)
    scaled = (x - mean) / np.where(size > 0, size, 1.0)
    weights, baseline = np.zeros((x.shape[1], y.shape[1])), np.full(y.shape[1], -_LARGEST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a last step that could not go further down
        for unit in range(y.shape[1]):
            if y[:, unit].any():
                fit = model(alpha=ridge, solver="newton-cholesky", tol=1e-6, max_iter=100)
                fit.fit(scaled, y[:, unit])
                weights[:, unit] = fit.coef_ / np.where(size > 0, size, 1.0)
                baseline[unit] = fit.intercept_ - mean @ weights[:, unit]
    return weights, baseline


def _deviance(counts: NDArray[np.float64], rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Poisson deviance of each unit, (N,)."""
    parts = xlogy(counts, counts) - xlogy(counts, rates) - counts + rates
    return np.asarray(2 * parts.sum((0, 1)), np.float64)


def plot_spike_encoding(found: SpikeEncoding) -> Figure:
    """Draw pseudo-R^2 of all units beside that of exchanged movements."""
    from neuromotor.analysis.drawing import NULL_COLOR, panels
    from neuromotor.plotting import COLORS

    with panels(figsize=(3.4, 2.4)) as (figure, ax):
        known = found.pseudo_r2[np.isfinite(found.pseudo_r2)]
        null = found.null[:, np.isfinite(found.pseudo_r2)].ravel()
        low, high = np.quantile(np.concatenate([known, null]), [0.005, 1.0])
        bins = np.linspace(low, max(high, low + 1e-9), 31)
        share = np.full(len(null), len(known) / max(len(null), 1))
        ax.hist(null, bins=bins, weights=share, color=NULL_COLOR, label="movements exchanged")
        ax.hist(known, bins=bins, histtype="step", color=COLORS[0], label="data")
        ax.set(xlabel="pseudo-R² of held-out trials", ylabel="units")
        figure.legend(loc="outside lower center", ncols=2, fontsize=6)
    return figure


def _section(given: Material) -> Findings:
    """Encoding of the variables that were asked for."""
    lags = given.lags_s or _REPORT_LAGS_S
    found = encode_spikes(
        given.activity,
        given.encoded,
        lags,
        exchanges=max(199, given.surrogates),
        seed=given.seed,
    )
    numbers: dict[str, Any] = {
        "units": int(np.isfinite(found.p).sum()),
        "units_that_encode": int(found.encodes.sum()),
        "median_pseudo_r2": median(found.pseudo_r2),
        "highest_pseudo_r2": float(np.nanmax(found.pseudo_r2)),
        "median_null_pseudo_r2": median(found.null),
        "least_p": float(np.nanmin(found.p)),
    }
    for lag, weights in zip(found.lags_s, found.weights, strict=True):
        sizes = np.abs(weights)
        numbers[f"{1e3 * lag:g} ms"] = {
            f"median_weight_{label}": median(own)
            for label, own in zip(found.labels, sizes, strict=True)
        }
    text = (
        f"Poisson regression predicts each unit's spike counts from {', '.join(given.encoded)} at "
        f"lags of {', '.join(f'{1e3 * lag:g}' for lag in found.lags_s)} ms (positive: spikes "
        f"lead), {span(given.activity)}. Pseudo-R² is the share of the deviance of held-out "
        "trials that is predicted. For the null, movements are exchanged between held-out trials; "
        "units are said to encode after Benjamini and Hochberg's correction (5 % false "
        "discoveries). Weights are medians over units of their size."
    )
    return Findings(text, numbers, {"encoding": partial(plot_spike_encoding, found)})


SECTION = SectionSpec(
    "encoding",
    "Encoding by spikes",
    106,
    _section,
    ("changing rates", "encoded variables"),
    lambda given: 0.5 + 5 * given.million_rates,
    reading="Units to the right of the grey bars encode the movement; grey are movements "
    "exchanged between held-out trials, which are the null.",
)
