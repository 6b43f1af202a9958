"""Rotational dynamics (jPCA) with their nulls.

Preprocessing as in Churchland et al. (2012) and Kalidindi et al. (2021): average over trials,
divide each signal by its range plus a constant (5e-4 for tanh units, 5 for spikes/s, 0 for
kinematics and muscles), subtract the mean over conditions, keep six principal components (four of
muscles, two of kinematics). `rotation_fits` has the fits. The published R^2 take the states at the
start of each step; states halfway (`difference="midpoints"`) raise the unconstrained R^2 by .01 to
.02.

Smooth data fit well to some dynamics whatever they are, so R^2 means something only against a null.
The p comes from tensors of maximum entropy (Elsayed & Cunningham 2017; `nulls`). With fewer than
`FEWEST_CONDITIONS` conditions it rejects structureless data too often, so there is no null and no
p. The other surrogates, half of the conditions turned around their first sample (Churchland's
"invert half"), give no p: smooth noise without any structure lies beyond them in most cases. They
show how much of R^2 single smooth courses reach whose directions from the start do not fit
together; docs/analysis.md holds the measured error rates. `rotation_nulls` and
`rotation_validation` have further tests, `rotation_locations` planes that differ by condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis._arrays import (
    Difference,
    by_sample,
    differences,
    in_own_space,
    null_p,
    reduced,
)
from neuromotor.analysis.nulls import fit_maximum_entropy
from neuromotor.analysis.rotation_fits import (
    NullBand,
    band_of,
    centred,
    fit_rotations,
    signals_of,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = [
    "FEWEST_CONDITIONS",
    "FEWEST_SIGNALS",
    "Rotations",
    "plot_rotations",
    "rotational_dynamics",
    "rotations_of",
]

FEWEST_CONDITIONS = 8  # with fewer, the null rejects structureless data too often
FEWEST_SIGNALS = 30  # below about so many that null is unreliable (Kalidindi et al. 2021)
_ROWS = {"invert": "not a null:\nhalf inverted", "maximum entropy": "null:\nmaximum entropy"}


@dataclass(frozen=True)
class Rotations:
    """Linear dynamics of a population, or of other signals; C conditions, T times, k components.

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
        projections: Conditions in each plane, (k // 2, C, T, 2).
        skew: M^T, so that x' = skew x, (k, k).
        soft: What was added to each signal's range.
        difference: Which state a difference over a step belongs to: `starts` or `midpoints`.
        signals: How many signals there are, N. With fewer than `FEWEST_SIGNALS`, compare with as
            many neurons (`downsampled_rotations`) and do not lean on p.
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
    projections: NDArray[np.float64]
    skew: NDArray[np.float64]
    soft: float
    difference: Difference
    signals: int
    nulls: dict[str, NullBand]

    @property
    def projection(self) -> NDArray[np.float64]:
        """Conditions in the first plane, (C, T, 2)."""
        return np.asarray(self.projections[0], np.float64)


def rotational_dynamics(
    recording: xr.Dataset,
    variable: str | Sequence[str] = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    components: int | None = None,
    soft: float | None = None,
    difference: Difference = "starts",
    surrogates: int = 50,
    seed: int = 0,
) -> Rotations:
    """Return the rotations in the condition averages of units, muscles, kinematics or commands.

    Args:
        recording: Trials; `align` them to movement or load first where onsets differ.
        variable: `rate`, `command`, `actuator_activation`, ... or several variables side by side,
            such as `("joint_position", "joint_velocity")`.
        window_s: First and last time (s); 300 ms from onset are usual.
        components: Principal components, even. By default six of units, four of muscles and
            commands, two of kinematics (Kalidindi et al. 2021).
        soft: Added to each signal's range before it is divided by it. None goes by kind and unit: 5
            for rates in spikes/s (also Hz, 1/s), 5e-4 for rates without a unit, as of tanh units, 0
            for all else.
        difference: States that the fits use: at the `starts` of steps, as published, or at their
            `midpoints`.
        surrogates: Number of surrogates of each kind.
        seed: Random seed of the surrogates.

    Raises:
        RecordingError: There are too few conditions, times or signals.
    """
    found = signals_of(recording, variable, window_s=window_s, components=components, soft=soft)
    return rotations_of(
        found.mean,
        found.time_s,
        conditions=found.conditions,
        components=found.components,
        soft=found.soft,
        difference=difference,
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
    difference: Difference = "starts",
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
        soft: Added to each signal's range: 5 for spikes/s, 5e-4 for rates of tanh units, 0 for
            kinematics and muscles.
        difference: States that the fits use, as in `rotational_dynamics`.
        surrogates: Number of surrogates of each kind.
        fewest: Conditions below which there is no null, for measuring how wrong it is there.
        seed: Random seed of the surrogates.

    Raises:
        RecordingError: There are too few conditions, times or signals.
    """
    centered = centred(mean, components, soft, difference)
    count, steps, size = mean.shape
    dt = float(time_s[1] - time_s[0])
    states, share = reduced(centered, components)
    fit = fit_rotations(states, dt, difference)
    values, vectors = np.linalg.eig(fit.skew)
    order = [i for i in np.argsort(-values.imag) if values[i].imag > -1e-12][: components // 2]
    planes = [_plane(vectors[:, i], states) for i in order]
    flat = by_sample(states)
    total = (centered**2).sum()
    middle, derivative = differences(states, dt, "midpoints")
    angle = np.angle(_complex(derivative @ planes[0]) * _complex(middle @ planes[0]).conj())
    # A difference over one step sees sin(w dt) for w dt, or tan(w dt / 2) for w dt / 2 with states
    # halfway; this undoes it exactly.
    turn = np.abs(values[order].imag) * dt
    turn = np.arcsin(np.minimum(turn, 1.0)) if difference == "starts" else 2 * np.arctan(turn / 2)
    null, p = {}, float("nan")
    if surrogates and count >= fewest:
        generator = np.random.default_rng(seed)
        own = in_own_space(centered)  # the same numbers, from fewer axes than there are units
        null["invert"] = band_of(_inverted(own, surrogates, generator), components, dt, difference)
        drawn = fit_maximum_entropy(own).draw(surrogates, seed)
        null["maximum entropy"] = band_of(drawn, components, dt, difference)
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
        projections=np.stack([(flat @ plane).reshape(count, steps, 2) for plane in planes]),
        skew=fit.skew,
        soft=soft,
        difference=difference,
        signals=size,
        nulls=null,
    )


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
