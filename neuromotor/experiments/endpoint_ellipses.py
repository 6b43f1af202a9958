"""Ellipses of end points: long along the movement, longer for small ones, one spread of direction.

Source: Gordon, Ghilardi & Ghez (1994): the long axes lay along the movement, ellipses were more
elongated for small movements than for large, and the spread of direction was the same in degrees
for all distances. They give no numbers in their summary, so the ranges are ours. Their cursor was
blank during the movement; here it is not, so corrections by sight are the better the longer a
movement lasts. End points are those of the first movement, when its speed falls to 10 % of its
peak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_positive
from neuromotor.analysis.measures import end_point_spread, movement_errors, movement_times
from neuromotor.evaluation.bootstrap import Interval, bootstrap_interval
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.reaching import hand_and_speed, targets_about
from neuromotor.experiments.session import Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EndpointEllipses"]

_Z = 1.96  # of a normal distribution: 95 %


@dataclass(frozen=True)
class EndpointEllipses(Experiment):
    """Reaches from home in even directions over a short and a long distance, in one's own time.

    Attributes:
        directions: Number of directions.
        short_m: The short distance (m).
        long_m: The long distance (m).
        duration_s: How long a trial lasts (s).
        repeats: Trials of each direction and distance.
    """

    directions: int = 8
    short_m: float = 0.04
    long_m: float = 0.16
    duration_s: float = 1.0
    repeats: int = 25

    title: ClassVar[str] = "End-point ellipses"
    question: ClassVar[str] = (
        "Reaches in eight directions over two distances. Does the ellipse of end points lie along "
        "the movement, more so for small ones, and is the spread of direction the same in degrees?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "elongation", "spread along the movement over that across", "", 1.2, 3, 1, "people",
            "Gordon, Ghilardi & Ghez 1994", about=True,
        ),
        Nature(
            "small over large", "that ratio for small over that for large movements", "", 1.1, 2.5,
            1, "people", "Gordon, Ghilardi & Ghez 1994", about=True,
        ),
        Nature(
            "direction", "spread of direction of large over that of small", "", 0.7, 1.4, 0.25,
            "people", "Gordon, Ghilardi & Ghez 1994", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_integer("directions", self.directions, minimum=1)
        check_positive("short_m", self.short_m, "m")
        check_positive("duration_s", self.duration_s, "seconds")
        if not self.long_m > self.short_m:
            raise ValueError(
                f"`long_m` must be longer than `short_m`, {self.short_m:g} m, got {self.long_m!r}."
            )
        check_integer("repeats", self.repeats, minimum=4)

    def quick(self) -> Self:
        """Return the same with four directions and ten repeats."""
        return replace(self, directions=4, repeats=10)

    def conduct(self, session: Session) -> Findings:
        """Run both distances; see `Experiment.conduct`."""
        dt_s = session.world.plant.dt_s
        task = replace(session.world, steps=round(self.duration_s / dt_s))
        targets = targets_about(task.home, [self.short_m, self.long_m], self.directions)
        trials = task.with_noise(task.reaches(targets), session.generator(), self.repeats)
        hand, speed = hand_and_speed(session.run(task, trials))
        return self.measured(_first_ends(hand, speed, dt_s), np.asarray(task.home))

    def measured(self, ends: NDArray[np.float64], start: NDArray[np.float64]) -> Findings:
        """Return what end points show.

        Args:
            ends: End points (m), (B, 2): distances slowest, then directions, then repeats; NaN
                where a movement did not end.
            start: Where all movements began (m), (2,).
        """
        targets = np.asarray(
            targets_about(
                torch.from_numpy(start), [self.short_m, self.long_m], self.directions
            ).repeat_interleave(self.repeats, dim=0)
        )
        starts = np.broadcast_to(start, targets.shape)
        group = np.repeat(np.arange(2 * self.directions), self.repeats)
        known = np.isfinite(ends).all(1)
        short = np.arange(len(ends)) < len(ends) // 2
        data = {"ends_m": ends, "targets_m": targets, "start_m": start}
        if min((known & short).sum(), (known & ~short).sum()) <= 2 * self.directions:
            nothing = Interval(None, None, None)
            names = (one.measure for one in self.nature)
            return Findings(
                dict.fromkeys(names, nothing), data, ("Half of its movements do not end.",)
            )
        every, small, large = (
            end_point_spread(ends[own], starts[own], targets[own], groups=group[own])
            for own in (known, known & short, known & ~short)
        )
        return Findings(
            measures={
                "elongation": every.along_over_across,
                "small over large": _quotient(small.along_over_across, large.along_over_across),
                "direction": _direction_ratio(ends, starts, targets, group),
            },
            data=data,
            remarks=(
                f"Standard deviations along and across the movement: {1e3 * small.along_m:.2f} and "
                f"{1e3 * small.across_m:.2f} mm at {100 * self.short_m:g} cm, "
                f"{1e3 * large.along_m:.2f} and {1e3 * large.across_m:.2f} mm at "
                f"{100 * self.long_m:g} cm.",
            ),
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw end points and their ellipses, errors five times as large as the plane."""
        from matplotlib.patches import Ellipse

        ax = figure.subplots()
        data, larger = found.data, 5.0
        targets = data["targets_m"].reshape(-1, self.repeats, 2)
        for target, ends in zip(targets, data["ends_m"].reshape(targets.shape), strict=True):
            ends = ends[np.isfinite(ends).all(1)]
            at = 100 * target[0]
            ax.plot(*at, "+", color="0.5", ms=5)
            shown = at + larger * (100 * ends - at)
            ax.plot(*shown.T, ".", color="C0", ms=1.5)
            if len(ends) < 3:
                continue
            values, vectors = np.linalg.eigh(np.cov((100 * ends).T))
            wide, high = 2 * larger * np.sqrt(-2 * math.log(0.05) * np.maximum(values[::-1], 0))
            turn = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
            center = shown.mean(0)
            ax.add_patch(Ellipse((center[0], center[1]), wide, high, angle=turn, fill=False))
        ax.plot(*(100 * data["start_m"]), "o", color="black", ms=3)
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_xlabel("x (cm), errors five times as large")
        ax.set_ylabel("y (cm)")


def _first_ends(
    hand: NDArray[np.float64], speed: NDArray[np.float64], dt_s: float
) -> NDArray[np.float64]:
    """Return where each first movement ends (m), (B, 2); NaN where it does not."""
    end_s = movement_times(hand, dt_s, speed=speed).end_s
    ended = np.isfinite(end_s)
    sample = np.where(ended, np.rint(np.nan_to_num(end_s) / dt_s), 0).astype(np.int64)
    return np.where(ended[:, None], hand[np.arange(len(hand)), sample], np.nan)


def _quotient(above: Interval, below: Interval) -> Interval:
    """Return the quotient of two independent ratios, with its interval by their logarithms."""
    parts = [above.value, above.low, above.high, below.value, below.low, below.high]
    if any(x is None or x <= 0 for x in parts):
        return Interval(None, None, None)
    a, a0, a1, b, b0, b1 = (math.log(x) for x in parts if x is not None)
    wide = _Z * math.hypot((a1 - a0) / (2 * _Z), (b1 - b0) / (2 * _Z))
    return Interval(math.exp(a - b), math.exp(a - b - wide), math.exp(a - b + wide))


def _direction_ratio(
    ends: NDArray[np.float64],
    starts: NDArray[np.float64],
    targets: NDArray[np.float64],
    group: NDArray[np.int64],
) -> Interval:
    """Return the spread of direction of long movements over that of short ones."""
    errors = movement_errors(np.nan_to_num(ends), starts, targets)
    far = np.linalg.norm(targets - starts, axis=-1)
    angle = np.where(np.isfinite(ends).all(1), np.arctan2(errors[:, 1], far + errors[:, 0]), np.nan)
    square = np.full(len(ends), np.nan)
    for one in np.unique(group):
        own = (group == one) & np.isfinite(angle)
        square[own] = (angle[own] - angle[own].mean()) ** 2 if own.any() else np.nan
    small, large = np.split(square, 2)
    both = np.isfinite(small) & np.isfinite(large)
    found = bootstrap_interval(
        torch.from_numpy(large[both]), divide_by=torch.from_numpy(small[both])
    )
    return Interval(*(None if x is None else math.sqrt(x) for x in vars(found).values()))


EXPERIMENTS["endpoint-ellipses"] = EndpointEllipses()
