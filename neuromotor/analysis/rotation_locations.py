"""Rotations at frequencies that all conditions share, in planes that differ by condition.

Notation: X_c are the states of condition c about its mean over time (T, k), z_c is that mean, its
location in state space; B holds time courses that all conditions share (T, m).

    X_c = B L_c,   B from the singular vectors of [X_1 ... X_C]

(Sabatini & Kaufman 2024: temporal basis functions that conditions share, with a loading matrix of
each condition, which says in which plane its rotations lie, with what phase and size.) The courses
obey linear dynamics of their own, b_t+1 = b_t A + a, whose eigenvalues give the frequencies. Four
models are compared by the share of the variance of all X_c that they explain:

* planes by condition: every L_c is free;
* one plane: for each frequency one plane for all conditions, phase and size free in each;
* planes by location: L_c is linear in z_c, fitted to the other conditions;
* the mean of the L_c of the other conditions, whatever the location.

For the null of the third, locations are exchanged between conditions. Our choices: location is the
mean over time, which needs no slow course beside the fast ones; L_c is predicted by least squares
from the first two principal components of the locations.

Take windows of one period or more. In 300 ms with a little noise, a planted rotation of 1.2 Hz is
not told from a drift, and one of 2.5 Hz comes out as 2.4 Hz; in 600 ms both are right. What the
models explain does not depend on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_seed
from neuromotor.analysis._arrays import by_sample, null_p, rank_above_rounding, reduced
from neuromotor.analysis.layout import RecordingError
from neuromotor.analysis.rotation_fits import centred, signals_of
from neuromotor.analysis.section import (
    Findings,
    Material,
    SectionSpec,
    by_layer,
    median,
    span,
    with_reasons,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["LocationPlanes", "location_planes", "location_planes_of", "plot_location_planes"]

_STATES = 10  # principal components in which planes lie
_FEWEST = 6  # conditions: fewer leave nothing to predict a plane from
_PLACES = 2  # components of the locations


@dataclass(frozen=True)
class LocationPlanes:
    """Rotations in planes that differ by condition; C conditions, T times, k states, m courses.

    Attributes:
        time_s: Times, (T,).
        conditions: Labels, (C,).
        frequencies_hz: Frequencies of the shared rotations, fastest first.
        time_constants_s: How long each takes to decay to 1/e; negative where it grows.
        r2_by_condition: Share of the variance about the locations that rotations in planes of each
            condition's own explain.
        r2_one_plane: The same with one plane a frequency for all conditions.
        r2_by_location: The same with planes predicted from the location of a condition that the
            prediction was not fitted to; NaN with fewer than six conditions.
        r2_mean: The same with the mean planes, phases and sizes of the other conditions.
        null_by_location: `r2_by_location` with exchanged locations, (S,).
        p_by_location: Share of these, the data among them, that reach it.
        courses: Shared courses, (T, m).
        loadings: What each condition makes of them, (C, m, k).
        locations: Means over time, (C, k).
        kept_variance: Share of the variance about the locations that the k states hold.
    """

    time_s: NDArray[np.float64]
    conditions: NDArray[np.generic]
    frequencies_hz: NDArray[np.float64]
    time_constants_s: NDArray[np.float64]
    r2_by_condition: float
    r2_one_plane: float
    r2_by_location: float
    r2_mean: float
    null_by_location: NDArray[np.float64]
    p_by_location: float
    courses: NDArray[np.float64]
    loadings: NDArray[np.float64]
    locations: NDArray[np.float64]
    kept_variance: float


def location_planes(
    recording: xr.Dataset,
    variable: str | Sequence[str] = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    rotations: int = 3,
    soft: float | None = None,
    shuffles: int = 99,
    seed: int = 0,
) -> LocationPlanes:
    """Return rotations whose planes may differ by condition, and whether location says how.

    Args:
        recording: Trials; aligned as for `rotational_dynamics`.
        variable: Variable, or several side by side.
        window_s: First and last time (s).
        rotations: Rotations that all conditions share; the paper finds three or four.
        soft: Added to each signal's range; see `rotational_dynamics`.
        shuffles: Exchanges of locations for the null.
        seed: Random seed of the exchanges.

    Raises:
        RecordingError: There are too few conditions, times or signals.
    """
    found = signals_of(recording, variable, window_s=window_s, components=2, soft=soft)
    return location_planes_of(
        found.mean,
        found.time_s,
        conditions=found.conditions,
        rotations=rotations,
        soft=found.soft,
        shuffles=shuffles,
        seed=seed,
    )


def location_planes_of(
    mean: NDArray[np.float64],
    time_s: NDArray[np.float64],
    *,
    conditions: NDArray[np.generic] | None = None,
    rotations: int = 3,
    soft: float,
    shuffles: int = 99,
    seed: int = 0,
) -> LocationPlanes:
    """Return `location_planes` of condition averages (C, T, N) at times (s), (T,)."""
    check_integer("rotations", rotations, minimum=1)
    check_integer("shuffles", shuffles, minimum=0)
    check_seed("seed", seed)
    data = centred(mean, 2, soft, "starts")
    count, steps, size = data.shape
    wanted = 2 * rotations
    if steps < 2 * wanted + 2:
        raise RecordingError(
            f"{rotations} shared rotations need {2 * wanted + 2} times or more, got {steps}; use "
            "fewer `rotations`, a longer window or shorter steps."
        )
    about = data - data.mean(1, keepdims=True)
    states, _ = reduced(data, min(_STATES, size))
    place = states.mean(1)
    x = states - place[:, None]
    wide = x.transpose(1, 0, 2).reshape(steps, -1)  # (T, C k)
    if rank_above_rounding(wide, float(np.linalg.norm(states))) < wanted:
        raise RecordingError(
            f"the activity varies along fewer than {wanted} time courses; use fewer `rotations`."
        )
    kept = float((x**2).sum() / (about**2).sum())
    dt = float(time_s[1] - time_s[0])
    courses, frequencies, constants = _shared_courses(wide, wanted, dt)
    loadings = np.linalg.lstsq(courses, wide, rcond=None)[0]
    loadings = loadings.reshape(courses.shape[1], count, -1).transpose(1, 0, 2)
    total = float((about**2).sum())
    explained = partial(_explained, x, total)
    by_location, average = float("nan"), float("nan")
    null: list[float] = []
    if count >= _FEWEST:
        by_location = explained(courses @ _predicted(loadings, _principal(place)))
        average = explained(courses @ _predicted(loadings, np.zeros((count, 0))))
        generator = np.random.default_rng(seed)
        for _ in range(shuffles):
            other = _principal(place)[generator.permutation(count)]
            null.append(explained(courses @ _predicted(loadings, other)))
    return LocationPlanes(
        time_s=time_s,
        conditions=np.arange(count) if conditions is None else conditions,
        frequencies_hz=frequencies,
        time_constants_s=constants,
        r2_by_condition=explained(courses @ loadings),
        r2_one_plane=explained(_one_plane(courses, loadings, x, len(frequencies))),
        r2_by_location=by_location,
        r2_mean=average,
        null_by_location=np.array(null),
        p_by_location=null_p(by_location, null) if null else float("nan"),
        courses=courses,
        loadings=loadings,
        locations=place,
        kept_variance=kept,
    )


def _shared_courses(
    wide: NDArray[np.float64], wanted: int, dt_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return courses of zero mean, oscillations first, with frequencies (Hz) and constants (s)."""
    left = np.linalg.svd(wide, full_matrices=False)[0][:, :wanted]
    before = np.concatenate([left[:-1], np.ones((len(left) - 1, 1))], axis=1)
    step = np.linalg.lstsq(before, left[1:], rcond=None)[0][:wanted]
    values, vectors = np.linalg.eig(step)
    turning = [i for i in np.argsort(-values.imag) if values[i].imag > 1e-9]
    still = [i for i, value in enumerate(values) if abs(value.imag) <= 1e-9]
    # b_t+1 = b_t A: the combination b_t v of an eigenvector v turns by its eigenvalue.
    parts = [
        part for i in turning for part in ((left @ vectors[:, i]).real, (left @ vectors[:, i]).imag)
    ]
    parts += [(left @ vectors[:, i]).real for i in still]
    courses = np.stack(parts, axis=1)
    with np.errstate(divide="ignore"):
        constants = -dt_s / np.log(np.abs(values[turning]))
    return courses, np.angle(values[turning]) / (2 * np.pi * dt_s), constants


def _explained(x: NDArray[np.float64], total: float, predicted: NDArray[np.float64]) -> float:
    """Return the share of the total variance that is explained, all in k states."""
    return float(((x**2).sum() - ((x - predicted) ** 2).sum()) / total)


def _principal(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return locations on their first principal components, (C, 2)."""
    about = place - place.mean(0)
    return reduced(about, min(_PLACES, about.shape[1]))[0]


def _predicted(loadings: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each condition's loadings as the others' regression on location predicts them."""
    count = len(loadings)
    flat = loadings.reshape(count, -1)
    design = np.concatenate([np.ones((count, 1)), place], axis=1)
    hat = design @ np.linalg.pinv(design)
    own = np.diag(hat)
    # Leaving one out of a linear regression: the residual over 1 - h (Allen 1974).
    left = (flat - hat @ flat) / np.maximum(1 - own, 1e-12)[:, None]
    return np.asarray((flat - left).reshape(loadings.shape), np.float64)


def _one_plane(
    courses: NDArray[np.float64],
    loadings: NDArray[np.float64],
    x: NDArray[np.float64],
    turning: int,
) -> NDArray[np.float64]:
    """Return the best fit with one plane a frequency, and one line for what does not turn.

    Planes are the principal ones of the loadings; phases and sizes are fitted anew in each
    condition, all frequencies at once.
    """
    groups = [(2 * i, 2 * i + 2) for i in range(turning)]
    groups += [(i, i + 1) for i in range(2 * turning, courses.shape[1])]
    columns = []
    for first, last in groups:
        sizes = np.linalg.norm(courses[:, first:last], axis=0)
        own = by_sample(loadings[:, first:last] * sizes[:, None])
        plane = np.linalg.svd(own, full_matrices=False)[2][: last - first]  # (1 or 2, k)
        columns += [
            np.outer(courses[:, i], axis).ravel() for i in range(first, last) for axis in plane
        ]
    design = np.stack(columns, axis=1)  # (T k, unknowns of a condition)
    flat = x.reshape(len(x), -1).T
    found = np.linalg.lstsq(design, flat, rcond=None)[0]
    return np.asarray((design @ found).T.reshape(x.shape), np.float64)


def plot_location_planes(found: dict[str, LocationPlanes]) -> Figure:
    """Draw how much each model explains, and rotations against the locations of conditions."""
    from neuromotor.analysis.drawing import (
        NULL_COLOR,
        add_condition_key,
        condition_colors,
        panels,
        plain,
    )
    from neuromotor.plotting import COLORS

    bars = ("r2_by_condition", "r2_one_plane", "r2_by_location", "r2_mean")
    words = ("planes by\ncondition", "one\nplane", "planes by\nlocation", "mean of\nothers")
    with panels(2, len(found), figsize=(3.2 * len(found), 4.8), squeeze=False) as (figure, axes):
        for (top, low), (name, own) in zip(axes.T, found.items(), strict=True):
            values = [getattr(own, bar) for bar in bars]
            top.bar(range(len(bars)), np.maximum(values, 0.0), color=COLORS[0])
            null = own.null_by_location
            top.plot(np.full(len(null), 2), np.maximum(null, 0), "_", color=NULL_COLOR)
            top.set_xticks(range(len(bars)), words, fontsize=6)
            hz = ", ".join(f"{value:.1f}" for value in own.frequencies_hz)
            top.set(ylabel="share of variance", ylim=(0, 1.02))
            top.set_title(f"{plain(name)}: {hz} Hz\ngrey: locations exchanged")
            axis = np.linalg.svd(own.locations - own.locations.mean(0), full_matrices=False)[2]
            across = own.locations @ axis[0]
            paths = own.courses[:, :2] @ own.loadings[:, :2]
            for path, where, color in zip(paths, across, condition_colors(len(paths)), strict=True):
                low.plot(where + path @ axis[0], path @ axis[1], color=color, linewidth=0.8)
                low.plot(where, 0.0, "+", color=color, markersize=4)
            low.set(xlabel="first axis of the locations", ylabel="second axis")
            low.set_title("fastest rotation, +: location")
        add_condition_key(figure, next(iter(found.values())).conditions, *axes[1])
    return figure


def _section(given: Material) -> Findings:
    """Planes that differ by condition, for each layer."""
    recording = given.activity
    found, reasons = by_layer(
        recording,
        partial(location_planes, soft=given.soft, shuffles=given.surrogates, seed=given.seed),
    )
    numbers = {}
    for layer, own in found.items():
        row = {
            "r2_by_condition": own.r2_by_condition,
            "r2_one_plane": own.r2_one_plane,
            "r2_by_location": own.r2_by_location,
            "r2_mean_of_the_others": own.r2_mean,
            "null_median_r2_by_location": median(own.null_by_location),
            "p_by_location": own.p_by_location,
        }
        row |= {f"frequency_{i + 1}_hz": hz for i, hz in enumerate(own.frequencies_hz)}
        numbers[layer] = row
    text = (
        f"Three rotations that all conditions share, {span(recording)}. R² is the share of the "
        "variance about each condition's mean over time: with a plane of each condition's own, "
        "with one plane for all, with planes predicted from the location (the mean over time) of a "
        "condition that the prediction was not fitted to, and with the mean of the other "
        "conditions. For the null, locations are exchanged between conditions."
    )
    return Findings(
        with_reasons(text, reasons), numbers, {"locations": partial(plot_location_planes, found)}
    )


SECTION = SectionSpec(
    "locations",
    "Rotations in planes by location",
    75,
    _section,
    ("changing rates",),
    lambda given: 0.3 + 0.02 * given.million_surrogate_rates,
    reading="A bar of planes by location above the grey marks shows that the location tells the "
    "plane, and the grey marks are the null of exchanged locations.",
    gaps="averages",
)
