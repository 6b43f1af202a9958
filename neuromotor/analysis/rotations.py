"""Rotational dynamics (jPCA) with their nulls.

Notation: X are the states of k principal components (samples, k), X' their time derivatives, and M
is the matrix of the dynamics. The derivatives are differences over a step; X are the states at the
start of each step.

    X' = X M,   M = -M^T of least squares solves (X^T X) M + M (X^T X) = X^T X' - X'^T X

(Churchland et al. 2012; the Lyapunov form of the normal equations is ours and exact). Preprocessing
as there and in Kalidindi et al. (2021): average over trials, divide each unit by its range plus a
constant (5e-4 for tanh units, 5 for spikes/s), subtract the mean over conditions, keep six
principal components. Their published R^2 take the states at the start of each step; states halfway
(`at="middle"`) raise the unconstrained R^2 by .01 to .02.

Smooth data fit well to some dynamics whatever they are, so R^2 means something only against a null.
The p comes from tensors of maximum entropy (Elsayed & Cunningham 2017; `nulls`). With fewer than
`FEWEST_CONDITIONS` conditions it rejects structureless data too often, so there is no null and no
p. The other surrogates, half of the conditions turned around their first sample (Churchland's
"invert half"), give no p: smooth noise without any structure lies beyond them in most cases. They
show how much of R^2 single smooth courses reach whose directions from the start do not fit
together; docs/analysis.md holds the measured error rates.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_continuous_lyapunov

from neuromotor._checks import check_number, lookup
from neuromotor.analysis._arrays import (
    by_sample,
    check_dimensions,
    differences,
    in_own_space,
    null_p,
    reduced,
    soft_constant,
    soft_normalised,
)
from neuromotor.analysis.averages import condition_averages
from neuromotor.analysis.cutting import align
from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.nulls import fit_maximum_entropy
from neuromotor.analysis.section import (
    Findings,
    Material,
    SectionSpec,
    by_layer,
    span,
    with_reasons,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = [
    "FEWEST_CONDITIONS",
    "NullBand",
    "RotationFit",
    "Rotations",
    "fit_rotations",
    "plot_rotations",
    "rotational_dynamics",
    "rotations_of",
]

FEWEST_CONDITIONS = 8  # with fewer, the null rejects structureless data too often
_AFTER_ONSET_S = 0.3  # Churchland et al. 2012, Kalidindi et al. 2021
_COLUMNS = {"invert": "half_inverted", "maximum entropy": "null_maximum entropy"}
_ROWS = {"invert": "not a null:\nhalf inverted", "maximum entropy": "null:\nmaximum entropy"}
_STATES = {"start": "at the start of each step", "middle": "halfway through it"}


@dataclass(frozen=True)
class NullBand:
    """R^2 of the skew-symmetric and the unconstrained fits to surrogates, (S,) each."""

    skew: NDArray[np.float64]
    unconstrained: NDArray[np.float64]


@dataclass(frozen=True)
class Rotations:
    """Linear dynamics of a population; C conditions, T times, k components.

    Attributes:
        time_s: Times, (T,).
        conditions: Labels, (C,).
        r2_skew: R^2 of the derivatives, rotations only.
        r2_unconstrained: R^2 of any linear dynamics.
        p_skew: Share of the maximum-entropy surrogates, the data among them, whose
            skew-symmetric R^2 reaches the data's; NaN without surrogates.
        frequencies_hz: Frequencies of the rotations in the planes, fastest first, (k // 2,).
        plane_variance: Share of the preprocessed variance in each plane, (k // 2,).
        kept_variance: Share of the preprocessed variance that the k components hold.
        angle_deg: Median over samples of the angle from state to derivative in the first plane;
            90 for pure rotation.
        projection: Conditions in the first plane, (C, T, 2).
        skew: M^T, so that x' = skew x, (k, k).
        soft: What was added to each unit's range.
        nulls: R^2 of surrogates by name; none where there are fewer conditions than
            `FEWEST_CONDITIONS`. `maximum entropy` is the null; `invert` holds data in which half
            of the conditions are inverted, which are no null and give no p.
    """

    time_s: NDArray[np.float64]
    conditions: NDArray[np.generic]
    r2_skew: float
    r2_unconstrained: float
    p_skew: float
    frequencies_hz: NDArray[np.float64]
    plane_variance: NDArray[np.float64]
    kept_variance: float
    angle_deg: float
    projection: NDArray[np.float64]
    skew: NDArray[np.float64]
    soft: float
    nulls: dict[str, NullBand]


def rotational_dynamics(
    recording: xr.Dataset,
    *,
    window_s: tuple[float, float] | None = None,
    components: int = 6,
    soft: float | None = None,
    at: Literal["start", "middle"] = "start",
    surrogates: int = 50,
    seed: int = 0,
) -> Rotations:
    """Return the rotations in a recording's condition averages.

    Args:
        recording: Trials; `align` them to movement or load first where onsets differ.
        window_s: First and last time (s); 300 ms from onset are usual.
        components: Principal components, even.
        soft: Added to each unit's range before it is divided by it. None goes by the unit of the
            rates: 5 for spikes/s (also Hz, 1/s), 5e-4 for rates without a unit, as of tanh units.
        at: States that the fits use: at the `start` of each step, as published, or in its `middle`.
        surrogates: Number of surrogates of each kind.
        seed: Random seed of the surrogates.

    Raises:
        RecordingError: There are too few conditions, times or units.
    """
    averages = condition_averages(recording, window_s=window_s, shuffles=0)
    return rotations_of(
        averages.mean,
        averages.time_s,
        conditions=averages.conditions,
        components=components,
        soft=soft_constant(recording, "rate", soft),
        at=at,
        surrogates=surrogates,
        seed=seed,
    )


def rotations_of(
    mean: NDArray[np.float64],
    time_s: NDArray[np.float64],
    *,
    conditions: NDArray[np.generic] | None = None,
    components: int = 6,
    soft: float,
    at: Literal["start", "middle"] = "start",
    surrogates: int = 50,
    fewest: int = FEWEST_CONDITIONS,
    seed: int = 0,
) -> Rotations:
    """Return the rotations in condition averages (C, T, N) at times (s), (T,).

    Args:
        mean: Averages.
        time_s: Even grid.
        conditions: Labels, (C,); numbers by default.
        components: Principal components, even.
        soft: Added to each unit's range: 5 for spikes/s, 5e-4 for rates of tanh units.
        at: States that the fits use, as in `rotational_dynamics`.
        surrogates: Number of surrogates of each kind.
        fewest: Conditions below which there is no null, for measuring how wrong it is there.
        seed: Random seed of the surrogates.

    Raises:
        RecordingError: There are too few conditions, times or units.
    """
    lookup("at", at, _STATES)
    check_number("soft", soft, minimum=0.0)
    count, steps, size = mean.shape
    if components < 2 or components % 2:
        raise ValueError(f"`components` must be even, 2 or more, got {components}.")
    if count < 2 or steps < 3 or size < components:
        raise RecordingError(
            f"rotational dynamics need two conditions, three times and {components} units or more, "
            f"got {count}, {steps} and {size}."
        )
    normalised = soft_normalised(mean, soft)
    centered = normalised - normalised.mean(0)
    norm = float(np.linalg.norm(normalised))
    check_dimensions(centered, norm, components, "the activity beyond its mean over conditions")
    dt = float(time_s[1] - time_s[0])
    states, share = reduced(centered, components)
    fit = fit_rotations(states, dt, at)
    values, vectors = np.linalg.eig(fit.skew)
    order = [i for i in np.argsort(-values.imag) if values[i].imag > -1e-12][: components // 2]
    planes = [_plane(vectors[:, i], states) for i in order]
    flat = by_sample(states)
    total = (centered**2).sum()
    projection = flat @ planes[0]
    middle, derivative = differences(states, dt, "middle")
    angle = np.angle(_complex(derivative @ planes[0]) * _complex(middle @ planes[0]).conj())
    # A difference over one step sees sin(w dt) for w dt, or tan(w dt / 2) for w dt / 2 with states
    # halfway; this undoes it exactly.
    turn = np.abs(values[order].imag) * dt
    turn = np.arcsin(np.minimum(turn, 1.0)) if at == "start" else 2 * np.arctan(turn / 2)
    null, p = {}, float("nan")
    if surrogates and count >= fewest:
        generator = np.random.default_rng(seed)
        own = in_own_space(centered)  # the same numbers, from fewer axes than there are units
        null["invert"] = _band(_inverted(own, surrogates, generator), components, dt, at)
        drawn = fit_maximum_entropy(own).draw(surrogates, seed)
        null["maximum entropy"] = _band(drawn, components, dt, at)
        p = null_p(fit.r2_skew, null["maximum entropy"].skew)
    return Rotations(
        time_s=time_s,
        conditions=np.arange(count) if conditions is None else conditions,
        r2_skew=fit.r2_skew,
        r2_unconstrained=fit.r2_unconstrained,
        p_skew=p,
        frequencies_hz=turn / (2 * np.pi * dt),
        plane_variance=np.array([((flat @ plane) ** 2).sum() / total for plane in planes]),
        kept_variance=share,
        angle_deg=float(np.degrees(np.median(angle))),
        projection=projection.reshape(count, steps, 2),
        skew=fit.skew,
        soft=soft,
        nulls=null,
    )


@dataclass(frozen=True)
class RotationFit:
    """R^2 of both fits, and M^T of the skew-symmetric one, (k, k)."""

    r2_skew: float
    r2_unconstrained: float
    skew: NDArray[np.float64]


def fit_rotations(
    states: NDArray[np.float64], dt: float, at: Literal["start", "middle"]
) -> RotationFit:
    """Return the fits of rotations, and of any linear dynamics, to states (C, T, k)."""
    x, derivative = differences(states, dt, at)
    gram, cross = x.T @ x, x.T @ derivative
    free = np.linalg.lstsq(gram, cross, rcond=None)[0]
    skew = np.asarray(solve_continuous_lyapunov(gram, cross - cross.T), np.float64)
    total = (derivative**2).sum()
    r2 = [1 - ((derivative - x @ m) ** 2).sum() / total for m in (skew, free)]
    return RotationFit(float(r2[0]), float(r2[1]), skew.T)


def _plane(vector: NDArray[np.complex128], states: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the orthonormal plane of a complex eigenvector, (k, 2), in which it turns left."""
    plane, _ = np.linalg.qr(np.stack([vector.real, vector.imag], axis=-1))
    start = states[:, 0] @ plane
    _, _, turn = np.linalg.svd(start - start.mean(0), full_matrices=False)
    plane = plane @ turn.T
    real = vector.real @ plane, vector.imag @ plane
    # x' = S x with eigenvalue +i w turns from -imag to real: make that counter-clockwise.
    if real[0][0] * real[1][1] - real[0][1] * real[1][0] > 0:
        plane = plane * np.array([1.0, -1.0])
    return np.asarray(plane, np.float64)


def _complex(points: NDArray[np.float64]) -> NDArray[np.complex128]:
    numbers: NDArray[np.complex128] = points[:, 0] + 1j * points[:, 1]
    return numbers


def _inverted(
    centered: NDArray[np.float64], count: int, generator: np.random.Generator
) -> Iterable[NDArray[np.float64]]:
    """Yield data in which half of the conditions are inverted about their first sample."""
    conditions = len(centered)
    for _ in range(count):
        sign = np.ones(conditions)
        sign[generator.permutation(conditions)[: conditions // 2]] = -1
        first = centered[:, :1]
        turned = first + sign[:, None, None] * (centered - first)
        yield turned - turned.mean(0)


def _band(
    tensors: Iterable[NDArray[np.float64]],
    components: int,
    dt: float,
    at: Literal["start", "middle"],
) -> NullBand:
    fits = [fit_rotations(reduced(tensor, components)[0], dt, at) for tensor in tensors]
    return NullBand(
        np.array([fit.r2_skew for fit in fits]), np.array([fit.r2_unconstrained for fit in fits])
    )


def plot_rotations(found: dict[str, Rotations]) -> Figure:
    """Draw the first plane of each named population, and R^2 among those of surrogates below it.

    Data in which half of the conditions are inverted are no null, and their row says so.
    """
    from neuromotor.analysis.drawing import add_condition_key, draw_conditions, panels, plain
    from neuromotor.plotting import COLORS

    with panels(
        2, len(found), figsize=(3.2 * len(found), 4.6), squeeze=False, height_ratios=(2, 1)
    ) as (figure, axes):
        for (plane, bars), (name, rotation) in zip(axes.T, found.items(), strict=True):
            draw_conditions(plane, rotation.projection)
            plane.set_title(
                f"{plain(name)}: {rotation.frequencies_hz[0]:.2f} Hz\n"
                f"{100 * rotation.plane_variance[0]:.0f} % of variance"
            )
            plane.set(xlabel="jPC 1", ylabel="jPC 2")
            rows = list(rotation.nulls.items())
            for place, (_, band) in enumerate(rows):
                for offset, values, color in (
                    (0.15, band.skew, COLORS[0]),
                    (-0.15, band.unconstrained, COLORS[1]),
                ):
                    heights = np.full(len(values), place + offset)
                    bars.plot(values, heights, "|", color=color, alpha=0.5)
            for value, color, label in (
                (rotation.r2_skew, COLORS[0], "skew-symmetric"),
                (rotation.r2_unconstrained, COLORS[1], "unconstrained"),
            ):
                bars.axvline(value, color=color, label=f"{label} {value:.2f}")
            bars.set_yticks(range(len(rows)), [_ROWS[label] for label, _ in rows])
            bars.set_ylim(-0.5, max(len(rows), 1) - 0.5)
            bars.set(xlabel="R²", xlim=(min(0.0, bars.get_xlim()[0]), 1.02))
            bars.legend(fontsize=6, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        add_condition_key(figure, next(iter(found.values())).conditions)
    return figure


def _section(given: Material) -> Findings:
    """Rotations of each layer, in the window that was given or after movement onset."""
    recording = given.activity
    times = f"{span(recording)}, as given"
    if given.window_s is None:
        times = f"{span(recording)}, the whole recording"
        with contextlib.suppress(RecordingError):
            aligned = align(recording, "movement_onset", 0.0, _AFTER_ONSET_S)
            times = (
                f"{span(aligned)}, in {aligned.sizes['trial']} of {recording.sizes['trial']} trials"
            )
            recording = aligned
    found, reasons = by_layer(
        recording,
        lambda part: rotational_dynamics(
            part, soft=given.soft, surrogates=given.surrogates, seed=given.seed
        ),
    )
    numbers = {}
    for layer, result in found.items():
        row = {
            "r2_skew": result.r2_skew,
            "r2_unconstrained": result.r2_unconstrained,
            "p_skew": result.p_skew,
            "angle_deg": result.angle_deg,
            "first_plane_variance": result.plane_variance[0],
            "kept_variance": result.kept_variance,
        }
        row |= {f"frequency_{i + 1}_hz": hz for i, hz in enumerate(result.frequencies_hz)}
        for name, band in result.nulls.items():
            row[f"{_COLUMNS[name]}_median_r2_skew"] = np.median(band.skew)
            row[f"{_COLUMNS[name]}_median_r2_unconstrained"] = np.median(band.unconstrained)
        numbers[layer] = row
    first = next(iter(found.values()))
    unit = str(recording["rate"].attrs.get("units", "1"))
    text = (
        f"jPCA of {times}, with six components. Each unit is divided by its range plus "
        f"{first.soft:g} ({'rates without a unit' if unit == '1' else unit}). "
    )
    if first.nulls:
        text += (
            "p compares the skew-symmetric fit with fits of maximum-entropy tensors that have the "
            "same covariances. Data in which half of the conditions are inverted are no null and "
            "give no p: most smooth noise without structure lies beyond them."
        )
    else:
        text += (
            f"No p: {len(first.conditions)} conditions are fewer than {FEWEST_CONDITIONS}, with "
            "which the null rejects structureless data too often."
        )
    return Findings(
        with_reasons(text, reasons), numbers, {"rotations": partial(plot_rotations, found)}
    )


SECTION = SectionSpec(
    "rotations",
    "Rotational dynamics",
    70,
    _section,
    ("changing rates",),
    lambda given: 0.3 + 0.1 * given.million_surrogate_rates,
    gaps="averages",
    in_parts=True,
    reading="Lines that turn the same way are rotations, and the panel below shows whether their "
    "R² lies beyond the ticks of maximum-entropy surrogates, which are the null.",
)
