"""Preferred directions that turn: within trials, or from the first trials to the last.

Notation: r is a rate of trial b in window w, x = (cos phi, sin phi) of its direction, u a unit
vector, and g_w a gain of 0 or more.

    constant direction  r = a_w + g_w u . x        turning  r = a_w + c_w . x

So a unit whose tuning only becomes deeper or flatter does not turn. The statistic is what the
turning fit explains beyond the other, over what it leaves, (SS_c - SS_t) / SS_t, as in an F test.
For its null, what the fit of a constant direction leaves of each trial goes to another trial, all
windows together, and both are fitted again (after Freedman & Lane 1983), so that noise may go on
from window to window. Cosine tuning itself is that of `tuning` (Georgopoulos et al. 1982).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_seed, lookup
from neuromotor.analysis.corrections import false_discoveries
from neuromotor.analysis.cutting import window
from neuromotor.analysis.layout import RecordingError, check_recording
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
from neuromotor.analysis.tuning import trial_directions

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["DriftingTuning", "drifting_tuning", "plot_drifting_tuning"]

_OVER = {"time": 0, "trials": 1}
_WINDOWS = 5
_LEVEL = 0.05
_FEWEST_SHUFFLES = 199  # in a report: with fewer, no p can stand after correction
_LEAST_SPREAD = 0.12  # variance of directions in a row of trials; 0.5 where they are even
_EXACT = 1e-20  # of a sum of squares: what is left of it is rounding


@dataclass(frozen=True)
class DriftingTuning:
    """Cosine tuning in windows; W windows, N units. NaN for a unit whose rate is constant.

    Attributes:
        over: `time` or `trials`.
        centers: Middle of each window, in s or in numbers of trials, (W,).
        direction_deg: Preferred direction in each window, -180 to 180, (W, N).
        depth: Amplitude of the cosine in each window, (W, N).
        turn_deg: How far the preferred direction goes from the first window to the last, by a
            straight line through all of them weighted by depth, counter-clockwise, (N,).
        statistic: (SS_c - SS_t) / SS_t, (N,).
        p: Share of exchanges, the data among them, that reach it, (N,).
        drifts: Units with p below 0.05 after Benjamini & Hochberg's correction, (N,).
    """

    over: str
    centers: NDArray[np.float64]
    direction_deg: NDArray[np.float64]
    depth: NDArray[np.float64]
    turn_deg: NDArray[np.float64]
    statistic: NDArray[np.float64]
    p: NDArray[np.float64]
    drifts: NDArray[np.bool_]


def drifting_tuning(
    recording: xr.Dataset,
    space: str = "hand",
    *,
    over: Literal["time", "trials"] = "time",
    windows: int = _WINDOWS,
    window_s: tuple[float, float] | None = None,
    shuffles: int = 500,
    seed: int = 0,
) -> DriftingTuning:
    """Return whether and how far preferred directions turn.

    Args:
        recording: Trials, in the order in which they were recorded where `over` is `trials`.
        space: What gives a trial's direction, as in `preferred_directions`: `hand` or `torque`.
        over: `time` for equal parts of the time within trials, `trials` for equal parts of the
            row of trials.
        windows: Number of parts.
        window_s: First and last time (s); all times by default.
        shuffles: Exchanges of trials for p, which is at least 1 / (shuffles + 1).
        seed: Random seed of the exchanges.

    Raises:
        RecordingError: Positions or commands are missing, there are fewer times or trials than are
            needed, or the directions of a window do not span the plane, or the order of trials is
            tied to their directions.
        ValueError: `space` or `over` is none of these.
    """
    lookup("over", over, _OVER)
    lookup("space", space, {"hand": 0, "torque": 1})
    check_integer("windows", windows, minimum=2)
    check_integer("shuffles", shuffles, minimum=1)
    check_seed("seed", seed)
    check_recording(recording, ["rate"])
    part = window(recording, window_s)
    angle, moved = trial_directions(recording, part, space)
    time = part["time"].values
    count = len(time) if over == "time" else int(moved.sum())
    if count < windows:
        kind = "times" if over == "time" else "trials that have a direction"
        raise RecordingError(f"{windows} `windows` need as many {kind}, got {count}.")
    edges = np.linspace(0, count, windows + 1).astype(int)
    design = np.stack([np.cos(angle), np.sin(angle)], axis=-1)  # (B, 2)
    if over == "time":
        sizes = np.diff(edges)[:, None]
        means = [
            np.add.reduceat(some.values[moved].astype(np.float64), edges[:-1], axis=1) / sizes
            for _, some in pieces(part["rate"])
        ]
        rate = joined(means)  # (B, W, N)
        inside = np.ones((len(angle), windows), dtype=bool)
        centers = np.array([time[a:b].mean() for a, b in itertools.pairwise(edges)])
    else:
        whole = joined([s.values[moved].mean(1, dtype=np.float64) for _, s in pieces(part["rate"])])
        place = np.searchsorted(edges, np.arange(count), side="right") - 1
        inside = place[:, None] == np.arange(windows)
        rate = whole[:, None] * inside[:, :, None]
        rows = np.flatnonzero(moved)
        centers = np.array([rows[place == w].mean() for w in range(windows)])
    fits = _Fits.of(design, inside, _LEAST_SPREAD if over == "trials" else 0.0)
    coefficients = fits.turning(rate)  # (W, 2, N)
    statistic, left, fitted = fits.compared(rate)
    generator = np.random.default_rng(seed)
    reached = np.zeros(rate.shape[2])
    for _ in range(shuffles):
        drawn = left[generator.permutation(len(left))]
        if over == "trials":  # one rate a trial, wherever its window is
            drawn = drawn.sum(1, keepdims=True) * inside[:, :, None]
        reached += fits.compared(fitted + drawn)[0] >= statistic
    p = (1 + reached) / (1 + shuffles)
    constant = np.isnan(statistic)
    p[constant] = np.nan
    depth = np.hypot(coefficients[:, 0], coefficients[:, 1])
    direction = np.arctan2(coefficients[:, 1], coefficients[:, 0])
    direction[:, constant] = np.nan
    return DriftingTuning(
        over=over,
        centers=centers,
        direction_deg=np.degrees(direction),
        depth=depth,
        turn_deg=_turn_deg(centers, direction, depth),
        statistic=statistic,
        p=p,
        drifts=false_discoveries(p, _LEVEL),
    )


@dataclass(frozen=True)
class _Fits:
    """Both fits of rates (B, W, N), of which only some windows count.

    Attributes:
        inside: Which windows of a trial count, (B, W).
        centered: Directions about their mean in each window, 0 outside, (B, W, 2).
        inverse: Inverse of their scatter in each window, (W, 2, 2).
        scatter: That scatter along each of `_ANGLES`, (W, G).
    """

    inside: NDArray[np.bool_]
    centered: NDArray[np.float64]
    inverse: NDArray[np.float64]
    scatter: NDArray[np.float64]

    @classmethod
    def of(
        cls, design: NDArray[np.float64], inside: NDArray[np.bool_], least_spread: float
    ) -> _Fits:
        counts = inside.sum(0)
        x = design[:, None] * inside[:, :, None]
        centered = (x - x.sum(0) / np.maximum(counts, 1)[:, None]) * inside[:, :, None]
        scatter = np.einsum("bwi,bwj->wij", centered, centered)
        least = np.linalg.eigvalsh(scatter)[:, 0]
        if (counts < 4).any() or (least < 1e-6 * np.maximum(counts, 1)).any():
            raise RecordingError(
                "every window needs four trials or more with directions that span the plane; use "
                "fewer `windows`."
            )
        if (least < least_spread * counts).any():
            raise RecordingError(
                "the trials of a window lie to one side, so that the order of trials is tied to "
                "their directions and says nothing about time; the order must be mixed, as in an "
                "experiment, or use fewer `windows`."
            )
        along = np.einsum("gi,wij,gj->wg", _ways(_ANGLES), scatter, _ways(_ANGLES))
        return cls(inside, centered, np.linalg.inv(scatter), along)

    def turning(self, rate: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return c_w, (W, 2, N)."""
        cross = np.einsum("bwj,bwn->wjn", self.centered, rate, optimize=True)
        return np.asarray(np.einsum("wij,wjn->win", self.inverse, cross), np.float64)

    def compared(
        self, rate: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the statistic, (N,), and of the constant fit what is left and what is fitted."""
        counts = self.inside.sum(0)
        mean = (rate.sum(0) / counts[:, None]) * self.inside[:, :, None]
        cross = np.einsum("bwi,bwn->win", self.centered, rate, optimize=True)  # (W, 2, N)
        shared, constant = self._constant(cross)
        fitted = mean + np.einsum("bwi,win->bwn", self.centered, constant, optimize=True)
        left = rate - fitted
        about = rate - mean
        total = np.einsum("bwn,bwn->n", about, about)
        gained = np.einsum("win,wij,wjn->n", cross, self.inverse, cross, optimize=True)
        rest = total - gained
        size = np.einsum("bwn,bwn->n", rate, rate)
        varies = total > _EXACT * np.maximum(size, 1e-300)
        rest = np.maximum(rest, 1e-9 * total)  # rates without noise
        statistic = np.where(varies, (gained - shared) / np.where(varies, rest, 1.0), np.nan)
        return statistic, left, fitted

    def _constant(
        self, cross: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what one direction explains, (N,), and its g_w u, (W, 2, N).

        `cross` are scalar products of directions and rates, (W, 2, N). All angles are tried, and a
        parabola through the best and its neighbours gives the angle between them.
        """
        along = np.maximum(np.einsum("gi,win->wgn", _ways(_ANGLES), cross), 0.0)
        explained = (along**2 / self.scatter[:, :, None]).sum(0)  # (G, N)
        best = explained.argmax(0)
        units = np.arange(explained.shape[1])
        before, at, after = (
            explained[(best + shift) % len(_ANGLES), units] for shift in (-1, 0, 1)
        )
        bend = before - 2 * at + after
        shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
        way = _ways(_ANGLES[best] + shift * _ANGLES[1])  # (N, 2)
        spread = np.linalg.inv(self.inverse)
        size = np.einsum("ni,wij,nj->wn", way, spread, way, optimize=True)
        gain = np.maximum(np.einsum("ni,win->wn", way, cross), 0.0) / size
        return (gain**2 * size).sum(0), gain[:, None] * way.T


_ANGLES = np.radians(np.arange(0.0, 360.0, 2.0))


def _ways(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return unit vectors, (., 2)."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _turn_deg(
    centers: NDArray[np.float64], direction: NDArray[np.float64], depth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far directions (rad), (W, N), go on a line through them, in degrees, (N,)."""
    unwrapped = np.unwrap(direction, axis=0)
    weight = depth**2 / np.maximum((depth**2).sum(0), 1e-300)
    x = centers[:, None] - (weight * centers[:, None]).sum(0)
    y = unwrapped - (weight * unwrapped).sum(0)
    slope = (weight * x * y).sum(0) / np.maximum((weight * x**2).sum(0), 1e-300)
    return np.asarray(np.degrees(slope * (centers[-1] - centers[0])), np.float64)


def plot_drifting_tuning(found: dict[str, DriftingTuning]) -> Figure:
    """Draw how far preferred directions have turned in each window, of units that drift in blue."""
    from neuromotor.analysis.drawing import panels, plain
    from neuromotor.plotting import COLORS

    with panels(1, len(found), figsize=(2.6 * len(found), 2.4), squeeze=False) as (figure, axes):
        for ax, (name, result) in zip(axes.flat, found.items(), strict=True):
            turned = np.degrees(np.unwrap(np.radians(result.direction_deg), axis=0))
            turned = turned - turned[0]
            x = 1e3 * result.centers if result.over == "time" else result.centers
            for unit in np.argsort(result.drifts, kind="stable"):
                if np.isfinite(result.p[unit]):
                    drifts = result.drifts[unit]
                    color = COLORS[0] if drifts else "0.85"
                    ax.plot(x, turned[:, unit], color=color, linewidth=0.8 if drifts else 0.5)
            ax.axhline(0, color="black", linewidth=0.5)
            ax.set(xlabel="time (ms)" if result.over == "time" else "trial", ylabel="turned (deg)")
            known = int(np.isfinite(result.p).sum())
            ax.set_title(f"{plain(name)}\n{int(result.drifts.sum())} of {known} units turn")
    return figure


def _section(given: Material) -> Findings:
    """Drift of each layer within trials, and over the row of trials."""
    recording = given.activity
    found: dict[str, DriftingTuning] = {}
    reasons: list[str] = []
    for over in _OVER:
        compute = partial(
            drifting_tuning,
            over=over,  # type: ignore[arg-type]
            shuffles=max(given.surrogates, _FEWEST_SHUFFLES),
            seed=given.seed,
        )
        try:
            own, left = by_layer(recording, compute)
        except RecordingError as error:
            own, left = {}, [str(error)]
        found |= {f"{layer}, over {over}": result for layer, result in own.items()}
        reasons += [f"over {over}: {reason}" for reason in left]
    if not found:
        raise RecordingError(" ".join(reasons))
    numbers = {
        name: {
            "units": int(np.isfinite(result.p).sum()),
            "units_that_turn": int(result.drifts.sum()),
            "median_absolute_turn_of_these_deg": median(np.abs(result.turn_deg[result.drifts])),
            "least_p": float(np.nanmin(result.p)) if np.isfinite(result.p).any() else np.nan,
        }
        for name, result in found.items()
    }
    text = (
        f"Cosines are fitted in {_WINDOWS} parts of the time within trials, {span(recording)}, and "
        f"in {_WINDOWS} parts of the row of trials; the figure shows how far each unit's preferred "
        "direction has turned since the first part, in blue for units that turn; tuning that only "
        "grows or fades does not turn. For the null, what cosines of one direction leave of a "
        "trial are given to another one; units are said to turn after Benjamini and Hochberg's "
        "correction (5 % false discoveries)."
    )
    return Findings(
        with_reasons(text, reasons),
        numbers,
        {"drifting-tuning": partial(plot_drifting_tuning, found)},
    )


SECTION = SectionSpec(
    "drifting-tuning",
    "Preferred directions that turn",
    45,
    _section,
    ("changing rates",),
    lambda given: 0.3 + 0.3 * given.million_rates,
    in_parts=True,
    reading="Lines in blue are units whose preferred direction turns; for the null, residuals of "
    "one direction are exchanged between trials.",
)
