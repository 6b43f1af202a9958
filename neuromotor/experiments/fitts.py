"""Fitts's law: how long reaches take over several distances to targets of several widths.

Who moves in its own time is asked with free time; its movement time is the time after which the
hand stays between the edges of the target. Who needs to be told a time is given several, and of
these the shortest is taken at which nearly all movements would end inside, as people do who are
asked to be as fast as they can without errors. Neither knows how wide the target is.

Source: Fitts (1954), reciprocal tapping, whose distances (to 20 cm) and widths are taken; slope and
correlation of its data as in MacKenzie (1992). For the shortest time that is accurate enough:
Tanaka, Krakauer & Qian (2006). For free time: Qian et al. (2013).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import check_integer, check_numbers, check_positive
from neuromotor.analysis.measures import StaysInTarget, fitts_law, movement_times
from neuromotor.experiments.experiment import EXPERIMENTS, Experiment
from neuromotor.experiments.findings import Findings, Nature
from neuromotor.experiments.session import Session
from neuromotor.experiments.timed_reaches import over_repeats, reaches_over

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Fitts", "shortest_times"]

_INSIDE = 1.96  # deviations to either side that a target must hold: 95 % of normal end points


@dataclass(frozen=True)
class Fitts(Experiment):
    """Reaches away from the body, over each distance to targets of each width.

    Attributes:
        distances_m: Of the targets (m).
        widths_m: Of the targets along the movement (m).
        given_s: Times (s) that are given to who needs one, short to long.
        dwell_s: How long the hand stays inside in one's own time (s).
        repeats: Trials of each distance and time.
    """

    distances_m: tuple[float, ...] = (0.051, 0.102, 0.203)
    widths_m: tuple[float, ...] = (0.0127, 0.0254, 0.0508)
    given_s: tuple[float, ...] = (0.15, 0.2, 0.27, 0.35, 0.5, 0.7, 0.9)
    dwell_s: float = 0.1
    repeats: int = 40

    title: ClassVar[str] = "Fitts's law"
    question: ClassVar[str] = (
        "Reaches go over several distances to targets of several widths, as fast as possible. How "
        "does movement time grow with the difficulty log2(2 D / W)?"
    )
    nature: ClassVar[tuple[Nature, ...]] = (
        Nature(
            "slope", "movement time over difficulty", "ms/bit", 70, 200, 0, "people",
            "Fitts 1954; MacKenzie 1992", about=True,
        ),
        Nature(
            "correlation", "correlation of time and difficulty", "", 0.95, 1, 0, "people",
            "Fitts 1954; MacKenzie 1992", about=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("distances_m", "widths_m", "given_s"):
            check_numbers(name, getattr(self, name))
            for one in getattr(self, name):
                check_positive(name, one)
            if len(set(getattr(self, name))) < 2:
                raise ValueError(
                    f"`{name}` must have two different values or more, got {getattr(self, name)}."
                )
        if list(self.given_s) != sorted(self.given_s):
            raise ValueError(f"`given_s` must rise from short to long, got {self.given_s}.")
        check_positive("dwell_s", self.dwell_s, "seconds")
        check_integer("repeats", self.repeats, minimum=4)

    def quick(self) -> Self:
        """Return the same with fewer repeats and times."""
        return replace(self, repeats=12, given_s=(0.15, 0.25, 0.4, 0.7))

    def conduct(self, session: Session) -> Findings:
        """Reach in one's own time, or in given ones; see `Experiment.conduct`."""
        own = session.subject.own_time
        table = self._own(session) if own else self._given(session)  # (R, D W) or a spread

        def law(which: NDArray[np.int64]) -> tuple[float, float]:
            line = self._law(self._times(table, which, own))
            return (float("nan"),) * 2 if line is None else line

        slope, correlation = over_repeats(law, self.repeats)
        times = self._times(table, np.arange(self.repeats), own)
        remarks = []
        missing = int(np.isnan(times).sum())
        if missing:
            remarks.append(f"{missing} of {times.size} targets were not reached in any time.")
        if not own:
            fastest = int((times <= self.given_s[0]).sum())
            if fastest:
                remarks.append(
                    f"{fastest} of {times.size} targets were hit in the shortest time that was "
                    f"given, {1000 * self.given_s[0]:.0f} ms."
                )
        return Findings(
            measures={"slope": slope, "correlation": correlation},
            data={"difficulty_bits": self._difficulty(), "time_s": times.ravel()},
            remarks=tuple(remarks),
        )

    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw movement time over difficulty, a colour for each distance."""
        ax = figure.subplots()
        bits = found.data["difficulty_bits"].reshape(len(self.distances_m), -1)
        times = 1000 * found.data["time_s"].reshape(bits.shape)
        for far, across, up in zip(self.distances_m, bits, times, strict=True):
            ax.plot(across, up, "o", label=f"{100 * far:.0f} cm")
        line = self._law(times / 1000)
        if line is not None:
            known = np.isfinite(times)
            center, middle = bits[known].mean(), times[known].mean()
            ends = np.array([bits.min(), bits.max()])
            ax.plot(ends, middle + line[0] * (ends - center), color="0.5", lw=0.8)
        ax.set_ylim(bottom=0)
        ax.set_xlabel("difficulty log2(2 D / W) (bits)")
        ax.set_ylabel("movement time (ms)")
        ax.legend(frameon=False)

    def _own(self, session: Session) -> NDArray[np.float64]:
        """Times (s) after which the hand stays inside in free time, (D, W, R)."""
        done = reaches_over(session, self.distances_m, None, self.repeats)
        dt_s, rows = session.world.plant.dt_s, []
        for beyond in done.along_m:
            zero = np.zeros((len(beyond), 1))
            rows.append(
                [
                    movement_times(
                        beyond[..., None],
                        dt_s,
                        targets=zero,
                        end=StaysInTarget(w / 2, self.dwell_s),
                    ).end_s
                    for w in self.widths_m
                ]
            )
        return np.array(rows)

    def _given(self, session: Session) -> NDArray[np.float64]:
        """End points along the movement (m) in each given time, (D, S, R)."""
        ends = []
        for place, given in enumerate(self.given_s):
            session.say(f"fitts: {1000 * given:.0f} ms")
            done = reaches_over(session, self.distances_m, given, self.repeats, stream=place)
            ends.append(done.at_arrival_m)
        return np.stack(ends, axis=1)

    def _times(
        self, table: NDArray[np.float64], which: NDArray[np.int64], own: bool
    ) -> NDArray[np.float64]:
        """Movement times (s), (D, W), of some of the repeats; NaN where a target is not hit."""
        chosen = table[..., which]
        if own:
            late = np.isnan(chosen).mean(-1) > 0.5
            usual = np.nanmedian(np.where(late[..., None], 0, chosen), -1)
            return np.asarray(np.where(late, np.nan, usual), np.float64)
        return shortest_times(chosen, np.array(self.given_s), np.array(self.widths_m))

    def _difficulty(self) -> NDArray[np.float64]:
        """log2(2 D / W) of each target (bits), (D W,)."""
        bits = np.log2(2 * np.divide.outer(self.distances_m, self.widths_m)).ravel()
        return np.asarray(bits, np.float64)

    def _law(self, times: NDArray[np.float64]) -> tuple[float, float] | None:
        """Slope (ms/bit) and correlation; None where fewer than three targets are reached."""
        known = np.isfinite(times.ravel())
        if known.sum() < 3:
            return None
        far, wide = (
            a.ravel()[known] for a in np.meshgrid(self.distances_m, self.widths_m, indexing="ij")
        )
        line = fitts_law(far, wide, times.ravel()[known])
        if np.isnan(line.r2):  # times do not vary
            return 0.0, 0.0
        return 1000 * line.slope, float(np.sign(line.slope) * np.sqrt(max(line.r2, 0.0)))


def shortest_times(
    ends_m: NDArray[np.float64], given_s: NDArray[np.float64], widths_m: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the shortest times in which 95 % of end points would lie inside, (D, W).

    That is where the distance of the mean from the middle and 1.96 standard deviations are half the
    width. Between given times it is interpolated; NaN where no time is enough.

    Args:
        ends_m: End points along the movement, from the middle of the target (m), (D, S, R).
        given_s: Times (s), short to long, (S,).
        widths_m: (m), (W,).
    """
    needed = 2 * (np.abs(ends_m.mean(-1)) + _INSIDE * ends_m.std(-1, ddof=1))  # (D, S)
    needed = np.minimum.accumulate(needed, axis=1)  # who may take longer need not
    found = np.full((len(needed), len(widths_m)), np.nan)
    for row, widths in enumerate(needed):
        for column, wide in enumerate(widths_m):
            enough = np.flatnonzero(widths <= wide)
            if not len(enough):
                continue
            at = enough[0]
            if at == 0:
                found[row, column] = given_s[0]
            else:
                share = np.log(widths[at - 1] / wide) / np.log(widths[at - 1] / widths[at])
                found[row, column] = given_s[at - 1] + share * (given_s[at] - given_s[at - 1])
    return found


EXPERIMENTS["fitts"] = Fitts()
