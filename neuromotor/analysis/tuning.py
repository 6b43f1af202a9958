"""Preferred directions by cosine fits, of movements, torques and loads, and their bimodality.

Notation: r is the mean rate of a trial, phi its direction, b are the coefficients, and R is the
mean resultant length.

    r = b0 + b1 cos phi + b2 sin phi;   preferred direction atan2(b2, b1), depth |(b1, b2)|

(Georgopoulos et al. 1982). Nulls: directions permuted over trials, for each unit's R^2; uniform
angles, for the population (Rayleigh test; on doubled angles it tests for an axis, as in Scott et
al. 2001). A linear limb gives an axis too, so bimodality alone shows nothing about mechanics.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from neuromotor._checks import lookup
from neuromotor.analysis._arrays import r_squared
from neuromotor.analysis.corrections import false_discoveries
from neuromotor.analysis.cutting import window
from neuromotor.analysis.layout import RecordingError, check_in_plane, check_recording
from neuromotor.analysis.parts import joined, pieces
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

# What gives a trial's direction in each space.
_SPACES = {"hand": "target_position", "torque": "command", "load": "load", "force": "hand_force"}

__all__ = [
    "CircularSummary",
    "Tuning",
    "circular_summary",
    "cosine_tuning",
    "draw_directions",
    "plot_tuning",
    "preferred_directions",
    "trial_directions",
]


@dataclass(frozen=True)
class CircularSummary:
    """Summary of angles, as directions and as axes.

    Attributes:
        count: Number of angles.
        mean_deg: Circular mean.
        resultant: Mean resultant length R, from 0 to 1.
        p_direction: Rayleigh's p that the angles are uniform against one preferred direction.
        axis_deg: Mean axis, from 0 to 180: half the circular mean of the doubled angles.
        axis_interval_deg: Half width of its 95 % interval; NaN where the axis may be any.
        axis_resultant: R of the doubled angles.
        p_axis: Rayleigh's p on doubled angles: uniform against two opposite directions.
    """

    count: int
    mean_deg: float
    resultant: float
    p_direction: float
    axis_deg: float
    axis_interval_deg: float
    axis_resultant: float
    p_axis: float


@dataclass(frozen=True)
class Tuning:
    """Cosine tuning of N units; NaN for a unit whose rate is constant.

    Attributes:
        direction_deg: Preferred directions, -180 to 180, (N,).
        interval_deg: Half width of the bootstrap's 95 % interval around each, (N,).
        depth: Amplitude of the cosine, (N,).
        baseline: Mean of the cosine, (N,).
        r2: Share of variance over trials explained, (N,).
        p: Share of permutations with an R^2 at least as large, (N,).
        tuned: Units with p below 0.05, (N,).
        population: Circular statistics of the tuned units' preferred directions.
    """

    direction_deg: NDArray[np.float64]
    interval_deg: NDArray[np.float64]
    depth: NDArray[np.float64]
    baseline: NDArray[np.float64]
    r2: NDArray[np.float64]
    p: NDArray[np.float64]
    tuned: NDArray[np.bool_]
    population: CircularSummary


def preferred_directions(
    recording: xr.Dataset,
    space: str = "hand",
    variable: str = "rate",
    *,
    window_s: tuple[float, float] | None = None,
    bootstraps: int = 500,
    shuffles: int = 500,
    seed: int = 0,
) -> Tuning:
    """Return each unit's, or muscle's, preferred direction of hand movement, joint torque or load.

    A trial's rate is its mean over the window; for loads, over that part of the window which comes
    after the load. Its direction is, in `hand` space, that from the hand's position at the
    recording's start to the target (or to its last position where there is no target); in `torque`
    space, that of the mean command, with the first actuator's torque along 0 and the second's along
    90 degrees; in `load` space, that of the load on the joints, with the same axes (Cabel et al.
    2001); in `force` space, that of the force on the hand. Trials without a direction are left out.

    Args:
        recording: Trials.
        space: `hand`, `torque`, `load` or `force`.
        variable: What is tuned: `rate`, `command`, `actuator_activation` or any other over trial,
            time and something.
        window_s: First and last time (s); all times by default.
        bootstraps: Resamplings of trials for the intervals.
        shuffles: Permutations of directions for p.
        seed: Random seed of both.

    Raises:
        RecordingError: Positions, commands or loads are missing, or directions do not span the
            plane.
        ValueError: `space` is none of these.
    """
    lookup("space", space, _SPACES)
    part = window(recording, window_s)
    vector, moved = _vectors(recording, part, space, variable)
    counted = np.ones(part[variable].shape[:2], bool)
    if space in ("load", "force"):
        loaded = (recording[_SPACES[space]].values != 0).any(-1)
        first = recording["time"].values[loaded.argmax(1)]
        counted = part["time"].values >= first[:, None]
        moved &= counted.any(1)
    weights = counted[moved] / counted[moved].sum(1)[:, None]
    rate = joined(
        [
            np.einsum("btn,bt->bn", some.values[moved].astype(np.float64), weights)
            for _, some in pieces(part[variable])
        ]
    )
    angle = np.arctan2(vector[moved, 1], vector[moved, 0])
    return cosine_tuning(angle, rate, bootstraps=bootstraps, shuffles=shuffles, seed=seed)


def trial_directions(
    recording: xr.Dataset, part: xr.Dataset, space: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the directions (rad) of the trials that have one, and which these are, (B,).

    Args:
        recording: The whole recording.
        part: Its window.
        space: `hand`, `torque`, `load` or `force`, as in `preferred_directions`.
    """
    vector, moved = _vectors(recording, part, space)
    return np.arctan2(vector[moved, 1], vector[moved, 0]), moved


def _vectors(
    recording: xr.Dataset, part: xr.Dataset, space: str, variable: str = "rate"
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return what gives each trial its direction, (B, 2), and which trials have one, (B,)."""
    if space == "hand":
        check_recording(recording, [variable, "hand_position"])
        check_in_plane(recording)
        hand = recording["hand_position"].values
        goal = (
            recording["target_position"].values if "target_position" in recording else hand[:, -1]
        )
        vector = goal - hand[:, 0]
    else:
        name = _SPACES[space]
        check_recording(recording, [variable, name])
        if recording[name].shape[2] != 2:
            raise RecordingError(f"{space} space needs two values of `{name}`.")
        vector = (part if space == "torque" else recording)[name].values.mean(1)
        if not vector.any():
            raise RecordingError(_nothing(recording, space))
    length = np.linalg.norm(vector, axis=-1)
    moved = length > 1e-6 * max(float(length.max()), 1e-300)
    return vector, moved


def _nothing(recording: xr.Dataset, space: str) -> str:
    """What to do where no trial has anything in a space."""
    others = [
        repr(other)
        for other, name in _SPACES.items()
        if other in ("load", "force") and name in recording and recording[name].values.any()
    ]
    hint = f"; this recording has what `space` {' or '.join(others)} is about" if others else ""
    return f"`{_SPACES[space]}` is zero in every trial, so there are no directions{hint}."


def cosine_tuning(
    angle: NDArray[np.float64],
    rate: NDArray[np.float64],
    *,
    bootstraps: int = 500,
    shuffles: int = 500,
    seed: int = 0,
) -> Tuning:
    """Fit cosines to the rates (B, N) of trials with directions (rad), (B,).

    Raises:
        RecordingError: There are fewer than four trials, or the directions do not span the plane.
    """
    design = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], axis=-1)
    if len(angle) < 4 or np.linalg.svd(design, compute_uv=False)[-1] < 1e-6 * len(angle) ** 0.5:
        raise RecordingError(
            "cosine tuning needs four trials or more with directions that span the plane, "
            f"got {len(angle)} trials in {len(np.unique(angle.round(6)))} directions."
        )
    generator = np.random.default_rng(seed)
    b, r2 = _fit(design, rate)
    preferred = np.arctan2(b[2], b[1])
    constant = np.isnan(r2)
    deviations = []
    for _ in range(bootstraps):
        drawn = generator.integers(len(angle), size=len(angle))
        if np.linalg.svd(design[drawn], compute_uv=False)[-1] > 1e-3:
            again, _ = _fit(design[drawn], rate[drawn])
            deviations.append(np.angle(np.exp(1j * (np.arctan2(again[2], again[1]) - preferred))))
    interval = np.full(rate.shape[1], np.nan)
    if deviations:
        interval = np.degrees(np.quantile(np.abs(deviations), 0.95, axis=0))
    reached = np.zeros(rate.shape[1])
    for _ in range(shuffles):
        reached += _fit(design[generator.permutation(len(angle))], rate)[1] >= r2
    p = (reached + 1) / (shuffles + 1)
    tuned = ~constant & (p < 0.05)

    def known(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(constant, np.nan, values)

    return Tuning(
        direction_deg=known(np.degrees(preferred)),
        interval_deg=known(interval),
        depth=known(np.hypot(b[1], b[2])),
        baseline=b[0],
        r2=r2,
        p=known(p),
        tuned=tuned,
        population=circular_summary(preferred[tuned]),
    )


def circular_summary(angle: NDArray[np.float64]) -> CircularSummary:
    """Return means, resultants and Rayleigh tests of angles (rad), (N,), and of their axis.

    p by the approximation of Zar (Biostatistical Analysis, 1999, equation 27.4), good to three
    digits for ten angles or more. The axis's interval is that of the mean of the doubled angles
    for large samples (Fisher, Statistical Analysis of Circular Data, 1993, section 4.4.4). Without
    angles everything is NaN.
    """
    if not len(angle):
        return CircularSummary(0, *[float("nan")] * 7)
    one, two = np.exp(1j * angle).mean(), np.exp(2j * angle).mean()
    return CircularSummary(
        count=len(angle),
        mean_deg=float(np.degrees(np.angle(one))),
        resultant=float(abs(one)),
        p_direction=_rayleigh(float(abs(one)), len(angle)),
        axis_deg=float(np.degrees(np.angle(two)) / 2 % 180),
        axis_interval_deg=_axis_interval(angle),
        axis_resultant=float(abs(two)),
        p_axis=_rayleigh(float(abs(two)), len(angle)),
    )


def _axis_interval(angle: NDArray[np.float64]) -> float:
    """Return the half width of the mean axis's 95 % interval (deg)."""
    turned = 2 * angle - np.angle(np.exp(2j * angle).mean())
    first, second = np.cos(turned).mean(), np.cos(2 * turned).mean()
    if first <= 0:
        return float("nan")
    wide = float(norm.ppf(0.975) * np.sqrt((1 - second) / (2 * first**2) / len(angle)))
    return float(np.degrees(np.arcsin(wide)) / 2) if wide <= 1 else float("nan")


def _rayleigh(resultant: float, n: int) -> float:
    """Return Rayleigh's p of a mean resultant length."""
    total = n * resultant
    return float(min(1.0, np.exp(np.sqrt(1 + 4 * n + 4 * (n**2 - total**2)) - (1 + 2 * n))))


def _fit(
    design: NDArray[np.float64], rate: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coefficients (3, N) and R^2 (N,), which is NaN where the rate is constant."""
    b = np.asarray(np.linalg.lstsq(design, rate, rcond=None)[0], np.float64)
    return b, r_squared(rate, design @ b, (0,))


def plot_tuning(tunings: dict[str, Tuning]) -> Figure:
    """Draw histograms of preferred directions, one circle for each named tuning, with its axis."""
    from neuromotor.analysis.drawing import panels, plain

    with panels(
        1,
        len(tunings),
        figsize=(2.3 * len(tunings), 2.8),
        squeeze=False,
        subplot_kw={"projection": "polar"},
    ) as (figure, axes):
        for ax, (name, tuning) in zip(axes.flat, tunings.items(), strict=True):
            axis = tuning.population
            draw_directions(ax, tuning)
            words = f"{plain(name)}\n{axis.count} of {len(tuning.tuned)} units tuned\n"
            if np.isfinite(axis.axis_deg):
                words += f"axis {round(axis.axis_deg) % 180}°, r {axis.axis_resultant:.2f}"
            ax.set_title(words)
    return figure


def draw_directions(ax: Any, tuning: Tuning) -> None:
    """Draw a histogram of the tuned units' preferred directions on polar axes, with their axis."""
    from matplotlib.ticker import MaxNLocator

    from neuromotor.plotting import COLORS

    angles = np.radians(tuning.direction_deg[tuning.tuned])
    edges = np.linspace(-np.pi, np.pi, 17)
    counts, _ = np.histogram(angles, edges)
    ax.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=COLORS[0])
    if np.isfinite(tuning.population.axis_deg):
        top = 1.05 * max(int(counts.max()), 1)
        for turn in (0, 180):
            ends = [np.radians(tuning.population.axis_deg + turn)] * 2
            ax.plot(ends, [0, top], color=COLORS[1])
    ax.set_xticks(np.radians([0, 90, 180, 270]))
    ax.set_ylim(0, None if counts.any() else 1)
    ax.yaxis.set_major_locator(MaxNLocator(2, integer=True, prune="lower"))
    ax.yaxis.set_major_formatter("{x:g} units")
    near = counts + np.roll(counts, 1) + 0.5 * (np.roll(counts, -1) + np.roll(counts, 2))
    near = np.where(np.arange(len(counts)) % 4 == 0, np.inf, near)
    ax.set_rlabel_position(np.degrees(edges[np.argmin(near)]))  # off bars and axes
    ax.tick_params(labelleft=bool(counts.any()))
    for label in ax.get_yticklabels():
        label.set_bbox({"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5})


def _section(given: Material) -> Findings:
    """Preferred directions of each layer in all spaces that the recording has."""
    recording = given.activity
    tunings: dict[str, Tuning] = {}
    reasons = []
    for space, variable in _SPACES.items():
        if space != "hand" and not (variable in recording and recording[variable].values.any()):
            continue
        compute = partial(
            preferred_directions,
            space=space,
            bootstraps=given.surrogates,
            shuffles=4 * given.surrogates,
            seed=given.seed,
        )
        try:
            found, left = by_layer(recording, compute)
        except RecordingError as error:
            left, found = [str(error)], {}
        tunings |= {f"{layer}, {space}": tuning for layer, tuning in found.items()}
        reasons += [f"{space}: {reason}" for reason in left]
    if not tunings:
        raise RecordingError(" ".join(reasons))
    numbers = {
        name: {
            "tuned": tuning.population.count,
            "tuned_after_correction": false_discoveries(tuning.p).sum(),
            "median_r2": median(tuning.r2),
            "median_interval_deg": median(tuning.interval_deg[tuning.tuned]),
            "axis_deg": tuning.population.axis_deg,
            "axis_interval_deg": tuning.population.axis_interval_deg,
            "axis_resultant": tuning.population.axis_resultant,
            "p_axis": tuning.population.p_axis,
            "mean_deg": tuning.population.mean_deg,
            "resultant": tuning.population.resultant,
            "p_direction": tuning.population.p_direction,
        }
        for name, tuning in tunings.items()
    }
    text = (
        f"Cosines are fitted to mean rates, {span(recording)} (for loads and forces, from their "
        "onset on). `tuned` counts units with p below 0.05, of which one in twenty untuned ones is "
        "one by chance; `tuned_after_correction` those that stand when at most 5 % of them may be "
        "false (Benjamini and Hochberg). The figure shows the preferred directions of tuned units "
        "with their axis; p is Rayleigh's. A linear limb gives an axis too."
    )
    return Findings(with_reasons(text, reasons), numbers, {"tuning": partial(plot_tuning, tunings)})


SECTION = SectionSpec(
    "tuning",
    "Preferred directions",
    40,
    _section,
    ("changing rates",),
    lambda given: 0.2 + 0.5 * given.million_rates,
    in_parts=True,
    reading="Each bar counts the tuned units that prefer a direction, and the line is their axis; "
    "the null of a unit is permuted directions, that of the population uniform angles "
    "(Rayleigh).",
)
