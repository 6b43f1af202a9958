"""Decoding of movement from units, and encoding of units, by cross-validated ridge regression.

Whole conditions are held out (whole trials where each condition is alone, which is the same), so
that a model must carry over to conditions it has not seen; `hold_out="trials"` holds out trials of
every condition instead. The ridge's strength is chosen within
the training part. The null is the same fits with the trials of the predicted variable exchanged at
random, which keeps both sides' time courses and breaks what ties them trial by trial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import lookup
from neuromotor.analysis._arrays import by_sample, r_squared, stacked, unique
from neuromotor.analysis.cutting import window
from neuromotor.analysis.layout import RecordingError, check_recording
from neuromotor.analysis.section import Findings, Material, SectionSpec, span

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = [
    "Regression",
    "RegressionOptions",
    "decode",
    "decode_each",
    "encode_units",
    "plot_decoding",
]

_DECODED = (  # in the report
    *("hand_position", "hand_velocity", "joint_position", "joint_velocity"),
    *("command", "load"),
)
_STRENGTHS = np.logspace(-6, 4, 11)


@dataclass(frozen=True)
class Regression:
    """Predictions on held-out trials; B trials, T times, D values predicted.

    Attributes:
        r2: R^2 of each value on held-out trials, (D,), which may be negative; NaN where the value
            does not vary.
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


class RegressionOptions(TypedDict, total=False):
    """How a model is fitted and held out; what is left out has its default.

    Attributes:
        window_s: First and last time (s); all times by default.
        lag_s: Time by which what predicts leads what is predicted (s), 0 by default; negative if it
            follows.
        folds: Parts that are held out in turn, 5 by default.
        hold_out: What a part consists of: whole `conditions` (default), so that a model must reach
            beyond those it saw; or `trials` of every condition.
        shuffles: Exchanges of trials for the null, 5 by default.
        seed: Random seed of folds and exchanges, 0 by default.
        progress: Called after each part that was held out, with its number and how many there are.
            Each part takes about the same time, and nearly all of the time goes into them.
    """

    window_s: tuple[float, float] | None
    lag_s: float
    folds: int
    hold_out: Literal["conditions", "trials"]
    shuffles: int
    seed: int
    progress: Callable[[int, int], None] | None


def decode(
    recording: xr.Dataset, variable: str = "hand_velocity", **options: Unpack[RegressionOptions]
) -> Regression:
    """Predict a variable from the rates of all units at one time.

    Args:
        recording: Trials.
        variable: Kinematics, `command`, `load`, ...
        **options: Of the regression; see `RegressionOptions`.

    Raises:
        RecordingError: The variable is missing, or there are fewer conditions than two.
    """
    return decode_each(recording, [variable], **options)[variable]


def decode_each(
    recording: xr.Dataset, variables: Sequence[str], **options: Unpack[RegressionOptions]
) -> dict[str, Regression]:
    """Return what `decode` returns for each of several variables, in the time of one."""
    check_recording(recording, ["rate", *variables])
    found = _regress(recording, ["rate"], [[name] for name in variables], **options)
    return dict(zip(variables, found, strict=True))


def encode_units(
    recording: xr.Dataset,
    variables: Sequence[str] = ("hand_position", "hand_velocity", "command"),
    **options: Unpack[RegressionOptions],
) -> Regression:
    """Predict each unit's rate from movement variables, with the same options as `decode`."""
    check_recording(recording, ["rate", *variables])
    return _regress(recording, variables, [["rate"]], **options)[0]


def _regress(
    recording: xr.Dataset,
    inputs: Sequence[str],
    outputs: Sequence[Sequence[str]],
    *,
    window_s: tuple[float, float] | None = None,
    lag_s: float = 0.0,
    folds: int = 5,
    hold_out: Literal["conditions", "trials"] = "conditions",
    shuffles: int = 5,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Regression]:
    """Return held-out predictions of each of `outputs` from `inputs` that lead them by `lag_s`."""
    part = window(recording, window_s)
    time = part["time"].values
    lag = round(lag_s / (time[1] - time[0])) if len(time) > 1 else 0
    if abs(lag) >= len(time):
        raise RecordingError(f"`lag_s` must be shorter than the recording, got {lag_s:g} s.")
    x = stacked(part, inputs)
    x = x[:, : len(time) - lag] if lag >= 0 else x[:, -lag:]
    lookup("hold_out", hold_out, {"conditions": 0, "trials": 1})
    groups = np.unique(part["condition"].values, return_inverse=True)[1]
    if hold_out == "trials":
        groups = np.arange(len(groups))
    if groups.max() + 1 < 2:
        raise RecordingError(f"regression needs two {hold_out} or more, to hold one out.")
    generator = np.random.default_rng(seed)
    x = x / (float(x.std()) or 1.0)
    held_out = _folds(groups, folds, generator)
    orders = [generator.permutation(len(x)) for _ in range(shuffles)]
    parts = []
    for fold in _decomposed(x, held_out):
        parts.append(fold)
        if progress is not None:
            progress(len(parts), len(held_out))
    found = []
    for names in outputs:
        y = stacked(part, names)
        y = y[:, lag:] if lag >= 0 else y[:, :lag]
        prediction = _predicted(y, parts)
        null = [r_squared(y[order], _predicted(y[order], parts), (0, 1)) for order in orders]
        labels = unique(
            f"{name} {label}"
            for name in names
            for label in np.atleast_1d(part[part[name].dims[2]].values)
        )
        null_array = np.array(null).reshape(len(null), y.shape[2])
        r2 = r_squared(y, prediction, (0, 1))
        found.append(Regression(r2, null_array, prediction, y, tuple(labels)))
    return found


def _folds(
    groups: NDArray[np.int64], folds: int, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Return the trials that are held out in turn, whole conditions each."""
    conditions = generator.permutation(int(groups.max()) + 1)
    parts = np.array_split(conditions, min(folds, len(conditions)))
    return [np.flatnonzero(np.isin(groups, part)) for part in parts]


@dataclass(frozen=True)
class _Fold:
    """One part that is held out; the rest is decomposed once for all that is predicted.

    Notation: X (n, p) holds the samples of the rest, centred, Z (k, p) those held out, and a is the
    strength. Where p <= n, X'X = V diag(w) V' and C = V; where p > n, X X' = U diag(w) U' and
    C = X'U diag(w)^-1/2. In both cases U = X C diag(w)^-1/2, and the prediction is
    mean + Z C diag(w^1/2 / (w + a)) U'y.
    """

    trials: NDArray[np.int64]
    rest: NDArray[np.int64]
    samples: NDArray[np.float64]
    held: NDArray[np.float64]
    variances: NDArray[np.float64]
    vectors: NDArray[np.float64]

    def predict(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return predictions of the trials held out, at the strength that is best within the rest.

        The best strength is that of generalised cross-validation (Golub, Heath & Wahba 1979): the
        least squared residual, of all values, over the squared degrees of freedom that are left.
        """
        known = by_sample(y[self.rest])
        mean = known.mean(0)
        away = known - mean
        root = np.sqrt(self.variances)
        if len(self.vectors) == self.samples.shape[1]:
            # Not centred here, which makes no difference: the columns of `away` are.
            scores = (self.vectors.T @ (self.samples.T @ away)) / root[:, None]
        else:
            scores = self.vectors.T @ away
        squares = (scores**2).sum(1)
        beyond = max(float((away**2).sum() - squares.sum()), 0.0)  # what no model reaches
        left = _STRENGTHS[:, None] / (self.variances + _STRENGTHS[:, None])
        freedom = len(known) - 1 - len(root) + left.sum(1)
        errors = (beyond + left**2 @ squares) / np.maximum(freedom, 1e-300) ** 2
        strength = _STRENGTHS[int(errors.argmin())]
        if len(self.vectors) == self.samples.shape[1]:
            weights = self.vectors @ (scores * (root / (self.variances + strength))[:, None])
        else:
            weights = self.samples.T @ (
                self.vectors @ (scores / (self.variances + strength)[:, None])
            )
        guess: NDArray[np.float64] = mean + self.held @ weights
        return guess.reshape(len(self.trials), *y.shape[1:])


def _decomposed(x: NDArray[np.float64], held_out: Sequence[NDArray[np.int64]]) -> Iterator[_Fold]:
    """Yield the fold of each part of (B, T, D) that is held out; all share the products."""
    x = x - x.mean((0, 1))
    size = x.shape[2]
    products = by_sample(x).T @ by_sample(x) if size <= len(by_sample(x)) else None
    for trials in held_out:
        rest = np.setdiff1d(np.arange(len(x)), trials)
        samples, held = by_sample(x[rest]), by_sample(x[trials])
        mean = samples.mean(0)
        if products is not None and size <= len(samples):
            own = products - held.T @ held - np.outer(len(samples) * mean, mean)
        else:
            samples = samples - mean
            own = samples @ samples.T
        variances, vectors = np.linalg.eigh(own)
        there = variances > 1e-13 * max(float(variances[-1]), 1e-300)
        yield _Fold(trials, rest, samples, held - mean, variances[there], vectors[:, there])


def _predicted(y: NDArray[np.float64], folds: Sequence[_Fold]) -> NDArray[np.float64]:
    """Return predictions of each trial by a model that has not seen its condition."""
    prediction = np.empty_like(y)
    for fold in folds:
        prediction[fold.trials] = fold.predict(y)
    return prediction


def plot_decoding(found: dict[str, Regression]) -> Figure:
    """Draw held-out R^2 of each value, and those of exchanged trials."""
    from neuromotor.analysis.drawing import panels, plain
    from neuromotor.plotting import COLORS

    labels = [
        plain(label.replace("_", " ")) for result in found.values() for label in result.labels
    ]
    values = np.concatenate([result.r2 for result in found.values()])
    null = np.concatenate([result.null for result in found.values()], axis=1)
    with panels(figsize=(5.2, 0.5 + 0.3 * len(labels))) as (figure, ax):
        places = np.arange(len(labels))
        ax.barh(places, np.maximum(values, 0), color=COLORS[0], height=0.6)
        for row in null:
            ax.plot(np.maximum(row, 0), places, "|", color="black", markersize=8)
        ax.set_yticks(places, labels)
        ax.invert_yaxis()
        ax.set(
            xlabel="held-out R² (ticks: trials exchanged; below 0 drawn at 0)", xlim=(-0.02, 1.02)
        )
    return figure


def _section(given: Material) -> Findings:
    """Kinematics, torques and loads from rates."""
    recording = given.activity
    present = [n for n in _DECODED if n in recording and np.ptp(recording[n].values) > 0]
    if not present:
        raise RecordingError("there is nothing to decode: no kinematics, torques or loads.")
    found = decode_each(recording, present, shuffles=2, seed=given.seed)
    numbers = {
        label: {"r2": result.r2[i], "null": np.median(result.null[:, i])}
        for result in found.values()
        for i, label in enumerate(result.labels)
    }
    text = (
        "Ridge regression predicts each value from all rates at the same time, "
        f"{span(recording)}. Whole conditions are held out."
    )
    return Findings(text, numbers, {"decoding": partial(plot_decoding, found)})


SECTION = SectionSpec(
    "decoding",
    "Decoding",
    100,
    _section,
    ("changing rates",),
    lambda given: 0.05 + 0.25 * given.million_rates,
    reading="The longer a bar, the better rates of trials that were not fitted tell the variable; "
    "black ticks are exchanged trials, which are the null.",
)
