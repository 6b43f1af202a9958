"""At which lag rates tell most about a movement: decoding at several lags, with one test for all.

All lags predict the same samples, so that their R^2 compare. The best of many lags is large by
chance, so that the p of each lag is the share of exchanges of trials whose best lag reaches it
(Nichols & Holmes 2002): with probability 0.05 is any lag of structureless data called significant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_number
from neuromotor.analysis._arrays import null_p
from neuromotor.analysis.decoding import decode
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.section import Findings, Material, SectionSpec, span

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["LagDecoding", "decode_lags", "plot_lags"]

_DECODED = ("hand_velocity", "joint_velocity", "hand_position", "joint_position", "command")


@dataclass(frozen=True)
class LagDecoding:
    """Decoding at several lags; L lags, D values, S exchanges.

    Attributes:
        variable: What was decoded.
        lags_s: Time by which rates lead the movement (s), (L,); negative where they follow.
        r2: Held-out R^2, (L, D).
        mean_r2: Mean over the values, (L,).
        p: Share of exchanges whose best lag has a mean R^2 at least as large, (L,).
        null_best: Mean R^2 of the best lag in each exchange, (S,).
        best_s: Lag with the largest mean R^2 (s).
        labels: Names of the values.
    """

    variable: str
    lags_s: NDArray[np.float64]
    r2: NDArray[np.float64]
    mean_r2: NDArray[np.float64]
    p: NDArray[np.float64]
    null_best: NDArray[np.float64]
    best_s: float
    labels: tuple[str, ...]


def decode_lags(
    recording: xr.Dataset,
    lags_s: Sequence[float],
    variable: str = "hand_velocity",
    *,
    folds: int = 5,
    shuffles: int = 19,
    seed: int = 0,
) -> LagDecoding:
    """Decode a variable from rates that lead it by each of several lags.

    Args:
        recording: Trials, all of whose samples are there.
        lags_s: Lags (s); they are rounded to samples, and none may occur twice.
        variable: Kinematics, `command`, ...
        folds: Parts that are held out in turn; see `decode`.
        shuffles: Exchanges of trials for p, which is at least 1 / (shuffles + 1).
        seed: Random seed of folds and exchanges.

    Raises:
        RecordingError: The recording is too short for the lags, or nothing varies.
    """
    check_recording(recording, ["rate", variable])
    time = recording["time"].values
    if len(time) < 2:
        raise RecordingError("lags need two times or more.")
    step = float(time[1] - time[0])
    for lag in lags_s:
        check_number("lags_s", float(lag), "seconds")
    steps = [round(float(lag) / step) for lag in lags_s]
    if not steps or len(set(steps)) < len(steps):
        raise RecordingError(
            f"`lags_s` must be lags that differ by a step of {step:g} s or more, got "
            f"{list(lags_s)}."
        )
    before, after = max(0, *steps), max(0, *(-s for s in steps))
    if before + after + 2 > len(time):
        raise RecordingError(
            f"the recording of {len(time)} samples is too short for lags that take "
            f"{before + after} of them."
        )
    last = len(time) - 1
    found = []
    for lag in steps:
        low = before - max(lag, 0)
        high = last - after + max(-lag, 0)
        part = recording.isel(time=slice(low, high + 1))
        found.append(
            decode(part, variable, lag_s=lag * step, folds=folds, shuffles=shuffles, seed=seed)
        )
    r2 = np.array([one.r2 for one in found])
    if np.isnan(r2).all():
        raise RecordingError(f"`{variable}` does not vary.")
    varies = np.isfinite(r2).all(0)
    mean = r2[:, varies].mean(1)
    null = np.array([one.null[:, varies].mean(1) for one in found]).max(0)
    return LagDecoding(
        variable=variable,
        lags_s=step * np.array(steps, np.float64),
        r2=r2,
        mean_r2=mean,
        p=np.array([null_p(float(value), null) for value in mean]),
        null_best=null,
        best_s=step * steps[int(mean.argmax())],
        labels=found[0].labels,
    )


def plot_lags(found: LagDecoding) -> Figure:
    """Draw R^2 over the lags, with the level of the best lag of exchanged trials."""
    from neuromotor.analysis.drawing import NULL_COLOR, panels, plain

    order = np.argsort(found.lags_s)
    with panels(figsize=(3.6, 2.6)) as (figure, ax):
        for label, values in zip(found.labels, found.r2.T, strict=True):
            words = plain(label.replace("_", " "))
            ax.plot(1e3 * found.lags_s[order], values[order], "o-", markersize=3, label=words)
        if len(found.null_best):
            level = float(np.quantile(found.null_best, 0.95))
            ax.axhline(level, color=NULL_COLOR, linestyle=":", label="best lag by chance, 95 %")
        ax.axvline(0, color="black", linewidth=0.5)
        ax.set(xlabel="rates lead by (ms)", ylabel="held-out R²")
        figure.legend(loc="outside lower center", ncols=2, fontsize=6)
    return figure


def _section(given: Material) -> Findings:
    """Hand velocity, or whatever else moves, decoded at the lags that were asked for."""
    recording = given.activity
    present = [name for name in _DECODED if name in recording]
    if not present:
        raise RecordingError("there is no movement to decode at lags.")
    shuffles = max(19, min(given.surrogates, 99))
    found = decode_lags(recording, given.lags_s, present[0], shuffles=shuffles, seed=given.seed)
    numbers: dict[str, object] = {"best_lag_s": found.best_s}
    for lag, values, mean, p in zip(found.lags_s, found.r2, found.mean_r2, found.p, strict=True):
        row = {f"r2_{label}": value for label, value in zip(found.labels, values, strict=True)}
        numbers[f"{1e3 * lag:g} ms"] = {**row, "mean_r2": mean, "p": p}
    text = (
        f"Ridge regression predicts {found.variable.replace('_', ' ')} from rates that lead it by "
        f"each lag, {span(recording)}; whole conditions are held out, and all lags predict the "
        "same samples. p is corrected for the number of lags: it is the share of exchanges of "
        "trials whose best lag does as well."
    )
    return Findings(text, numbers, {"lags": partial(plot_lags, found)})


SECTION = SectionSpec(
    "lags",
    "Decoding at lags",
    105,
    _section,
    ("changing rates", "lags"),
    lambda given: 0.3 + 5 * len(given.lags_s) * given.million_rates / 10,
    reading="The lag with the highest R² is where rates tell most about the movement; the dotted "
    "line is the best lag of exchanged trials, the null.",
)
