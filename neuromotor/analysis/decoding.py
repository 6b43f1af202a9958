"""What units say about movement, and movement about units: cross-validated ridge regression.

Whole conditions are held out (whole trials where each condition is alone, which is the same), so
that a model must carry over to conditions it has not seen; the ridge's strength is chosen within
the training part. Null: the same fits with the trials of the predicted variable exchanged at
random, which keeps both sides' time courses and breaks what ties them trial by trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor._extras import require
from neuromotor.analysis._arrays import by_sample, r_squared
from neuromotor.analysis.averages import window
from neuromotor.analysis.recording import RecordingError, check_recording

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Regression", "decode", "encode_units"]

_STRENGTHS = np.logspace(-6, 4, 11)


@dataclass(frozen=True)
class Regression:
    """Predictions on held-out trials; B trials, T times, D values predicted.

    Attributes:
        r2: Of each value on held-out trials, (D,); NaN where it does not vary. May be negative.
        null: The same with exchanged trials, (S, D).
        prediction: Held-out predictions, (B, T, D).
        truth: What was predicted, (B, T, D).
        labels: Names of the values.
    """

    r2: NDArray[np.float64]
    null: NDArray[np.float64]
    prediction: NDArray[np.float64]
    truth: NDArray[np.float64]
    labels: tuple[str, ...]


def decode(
    recording: xr.Dataset,
    variable: str = "hand_velocity",
    *,
    window_s: tuple[float, float] | None = None,
    lag_s: float = 0.0,
    folds: int = 5,
    shuffles: int = 5,
    seed: int = 0,
) -> Regression:
    """Predict a variable from the rates of all units at one time.

    Args:
        recording: Trials.
        variable: Kinematics, `command`, `load`, ...
        window_s: First and last time (s); all by default.
        lag_s: By how much rates lead the variable (s); negative if they follow.
        folds: Parts that are held out in turn.
        shuffles: Exchanges of trials for the null.
        seed: Of folds and exchanges.

    Raises:
        RecordingError: The variable is missing, or there are fewer conditions than two.
        RuntimeError: scikit-learn is not installed.
    """
    check_recording(recording, [variable])
    return _regress(recording, ["rate"], [variable], window_s, lag_s, folds, shuffles, seed)


def encode_units(
    recording: xr.Dataset,
    variables: Sequence[str] = ("hand_position", "hand_velocity", "command"),
    *,
    window_s: tuple[float, float] | None = None,
    lag_s: float = 0.0,
    folds: int = 5,
    shuffles: int = 5,
    seed: int = 0,
) -> Regression:
    """Predict each unit's rate from movement variables; `lag_s`: by how much those lead rates."""
    check_recording(recording, variables)
    return _regress(recording, variables, ["rate"], window_s, lag_s, folds, shuffles, seed)


def _regress(
    recording: xr.Dataset,
    inputs: Sequence[str],
    outputs: Sequence[str],
    window_s: tuple[float, float] | None,
    lag_s: float,
    folds: int,
    shuffles: int,
    seed: int,
) -> Regression:
    """Held-out predictions of `outputs` from `inputs` that lead them by `lag_s`."""
    part = window(recording, window_s)
    time = part["time"].values
    lag = round(lag_s / (time[1] - time[0])) if len(time) > 1 else 0
    if abs(lag) >= len(time):
        raise RecordingError(f"`lag_s` must be shorter than the recording, got {lag_s:g} s.")
    x, y = _stacked(part, inputs), _stacked(part, outputs)
    x, y = (x[:, : len(time) - lag], y[:, lag:]) if lag >= 0 else (x[:, -lag:], y[:, :lag])
    groups = np.unique(part["condition"].values, return_inverse=True)[1]
    if groups.max() + 1 < 2:
        raise RecordingError("regression needs two conditions or more, to hold one out.")
    generator = np.random.default_rng(seed)
    held_out = _folds(groups, folds, generator)
    prediction = _predicted(x, y, held_out)
    null = []
    for _ in range(shuffles):
        exchanged = y[generator.permutation(len(y))]
        null.append(r_squared(exchanged, _predicted(x, exchanged, held_out), (0, 1)))
    labels = tuple(
        f"{name} {label}"
        for name in outputs
        for label in np.atleast_1d(part[part[name].dims[2]].values)
    )
    null_array = np.array(null).reshape(len(null), y.shape[2])
    return Regression(r_squared(y, prediction, (0, 1)), null_array, prediction, y, labels)


def _stacked(recording: xr.Dataset, names: Sequence[str]) -> NDArray[np.float64]:
    """Variables side by side, (B, T, D)."""
    parts = [recording[name].values.astype(np.float64) for name in names]
    for name, part in zip(names, parts, strict=True):
        if part.ndim != 3:
            raise RecordingError(f"`{name}` must vary over trial, time and one more axis.")
    return np.concatenate(parts, axis=-1)


def _folds(
    groups: NDArray[np.int64], folds: int, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Trials held out in turn, whole conditions each."""
    conditions = generator.permutation(int(groups.max()) + 1)
    parts = np.array_split(conditions, min(folds, len(conditions)))
    return [np.flatnonzero(np.isin(groups, part)) for part in parts]


def _predicted(
    x: NDArray[np.float64], y: NDArray[np.float64], held_out: list[NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Predictions of each trial by a model that has not seen its condition."""
    linear = require("sklearn.linear_model", "analysis")
    scale = float(x.std()) or 1.0
    prediction = np.empty_like(y)
    for trials in held_out:
        rest = np.setdiff1d(np.arange(len(y)), trials)
        samples = by_sample(x[rest]) / scale
        model = linear.RidgeCV(alphas=_STRENGTHS).fit(samples, by_sample(y[rest]))
        guess = model.predict(by_sample(x[trials]) / scale)
        prediction[trials] = guess.reshape(len(trials), *y.shape[1:])
    return prediction
