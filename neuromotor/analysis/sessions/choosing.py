"""Which trials of a session count, and where each of them lies on the grid of a recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuromotor.analysis.layout import EVENTS, RecordingError
from neuromotor.analysis.sessions.courses import onset_of
from neuromotor.analysis.sessions.expressions import chosen
from neuromotor.analysis.sessions.options import KNOWN_EVENTS, ImportOptions
from neuromotor.analysis.sessions.placing import Placement
from neuromotor.analysis.sessions.session import ENDS, Course, Session, column, numbers

__all__ = ["Cut", "placed"]

_SLACK = 1e-6  # of a step
_MOST_TIMES = 100_000  # of a trial: beyond it the options are surely not what was meant


@dataclass(frozen=True)
class Cut:
    """The trials that were chosen, and where they lie.

    Attributes:
        rows: Numbers of the trials in the session, (B,).
        events: Moments on the session's clock (s) of every event of a recording, (B,).
        placement: How trials lie on the grid.
        covered: Which samples lie in their trial, (B, T); all where a window was given.
    """

    rows: NDArray[np.int64]
    events: dict[str, NDArray[np.float64]]
    placement: Placement
    covered: NDArray[np.bool_]


def placed(session: Session, options: ImportOptions, hand: Course | None, notes: list[str]) -> Cut:
    """Return the trials that count, placed on the grid."""
    for name in ENDS:
        if name not in session.trials:
            raise RecordingError(
                f"the trials of {session.source} lack `{name}`; known columns: "
                f"{', '.join(session.trials)}."
            )
    table = session.trials
    start, stop = (np.asarray(table[name], np.float64) for name in ENDS)
    stays = chosen(options.select, table, len(start), "select")
    if not stays.all():
        notes.append(f"{int((~stays).sum())} of {len(stays)} trials do not fit `select`.")
    whole = np.isfinite(start) & np.isfinite(stop) & (stop > start)
    stays = _leave_out(stays, ~whole, "have no start, no end, or end before they start", notes)
    events = _events(session, options, hand, stays, notes)
    wanted = options.warp or (options.align,)
    knots = np.stack([_event(session, events, name, options) for name in wanted], axis=1)
    lacking = np.asarray(np.isnan(knots).any(axis=1))
    stays = _leave_out(stays, lacking, f"lack {' or '.join(wanted)}", notes)
    if len(wanted) > 1:
        backwards = np.asarray(~lacking & (np.diff(knots, axis=1) <= 0).any(axis=1))
        stays = _leave_out(stays, backwards, f"have {', '.join(wanted)} in another order", notes)
    rows = np.flatnonzero(stays)
    if not rows.size:
        raise RecordingError(
            f"no trial of {session.source} is left: " + (" ".join(notes) or "it has none.")
        )
    half = 0.0 if session.sampled or session.spikes is None else 0.5
    placement, covered = _grid(knots[rows], start[rows], stop[rows], half, options, notes)
    own = {name: moments[rows] for name, moments in events.items()}
    return Cut(rows, own, placement, covered)


def _leave_out(
    stays: NDArray[np.bool_], out: NDArray[np.bool_], why: str, notes: list[str]
) -> NDArray[np.bool_]:
    """Return which trials stay when some are left out, and note how many those were."""
    count = int((stays & out).sum())
    if count:
        notes.append(f"{count} of {len(stays)} trials {why}; they were left out.")
    return stays & ~out


def _events(
    session: Session,
    options: ImportOptions,
    hand: Course | None,
    stays: NDArray[np.bool_],
    notes: list[str],
) -> dict[str, NDArray[np.float64]]:
    """Return the moments of the events of a recording on the session's clock (s), (B,)."""
    events: dict[str, NDArray[np.float64]] = {}
    for name in EVENTS:
        if name in options.events:
            own = options.events[name]
            values = column(session.trials, own, f"events.{name}", "trials")
            events[name] = numbers(values, own)
            continue
        for own in KNOWN_EVENTS[name]:
            if own in session.trials:
                events[name] = numbers(session.trials[own], own)
                if own != name:
                    notes.append(f"The column {own} is taken for {name}.")
                break
    if hand is not None and options.find_onset and "movement_onset" not in events:
        events["movement_onset"] = onset_of(session, options, hand, events, stays)
        count = int(np.isfinite(events["movement_onset"][stays]).sum())
        notes.append(
            f"The onset of movement was found from the hand's speed in {count} of "
            f"{int(stays.sum())} trials."
        )
    return events


def _event(
    session: Session,
    events: dict[str, NDArray[np.float64]],
    name: str,
    options: ImportOptions,
) -> NDArray[np.float64]:
    """Return the moments (s) of an event by the name of an event or of a column, (B,)."""
    if name in events:
        return events[name]
    if name == "movement_onset" and name not in session.trials:
        raise RecordingError(
            f"{session.source} has no column for `movement_onset`, and no hand to find it from; "
            "name one of them, as in `events.movement_onset = COLUMN` or `behaviour.hand_position "
            "= SERIES`."
        )
    return numbers(
        column(session.trials, name, "warp" if options.warp else "align", "trials"), name
    )


def _grid(
    knots: NDArray[np.float64],
    start: NDArray[np.float64],
    stop: NDArray[np.float64],
    half: float,
    options: ImportOptions,
    notes: list[str],
) -> tuple[Placement, NDArray[np.bool_]]:
    """Return how trials lie on the grid, and which samples lie in their trial, (B, T).

    `half` is how much of a bin before and after a sample its trial must cover, in bins.
    """
    step = options.bin_s
    if options.warp:
        parts = np.median(np.diff(knots, axis=1), axis=0)
        common = np.concatenate([[0.0], np.cumsum(parts)])
        _check_count(common[-1] / step)
        grid = np.float64(step) * np.arange(int(np.floor(common[-1] / step + _SLACK)) + 1)
        placement = Placement(knots, common, grid, step)
        stretch = parts / np.diff(knots, axis=1)
        notes.append(
            f"Time was stretched between {', '.join(options.warp)}, by factors from "
            f"{stretch.min():.2f} to {stretch.max():.2f}; rates are those of the unstretched time."
        )
        return placement, np.ones((len(knots), len(grid)), dtype=bool)
    zero = np.zeros(1)
    if options.window_s is not None:
        first, last = (round(edge / step) for edge in options.window_s)
        _check_count(last - first)
        grid = np.float64(step) * np.arange(first, last + 1)
        reach = (grid[0] - half * step, grid[-1] + half * step)
        _note_beyond(reach, start - knots[:, 0], stop - knots[:, 0], notes)
        return Placement(knots, zero, grid, step), np.ones((len(knots), len(grid)), dtype=bool)
    low = np.ceil((start - knots[:, 0]) / step + half - _SLACK).astype(np.int64)
    high = np.floor((stop - knots[:, 0]) / step - half + _SLACK).astype(np.int64)
    if options.lengths == "shortest":
        first, last = int(low.max()), int(high.min())
        if last < first:
            raise RecordingError(
                "no time lies in all trials; give a `window_s`, use `lengths = mask`, or stretch "
                "them by `warp`."
            )
        notes.append(f"All trials were cut to {last - first + 1} samples that all of them have.")
    else:
        first, last = int(low.min()), int(high.max())
    if last < first:
        raise RecordingError(f"every trial is shorter than one step of `bin_s`, {step:g} s.")
    _check_count(last - first)
    places = np.arange(first, last + 1)
    covered = (places >= low[:, None]) & (places <= high[:, None])
    lengths = covered.sum(axis=1)
    if not covered.all():
        notes.append(
            f"Trials have {lengths.min()} to {lengths.max()} samples; what lies outside of a trial "
            "is missing."
        )
    return Placement(knots, zero, np.float64(step) * places, step), covered


def _note_beyond(
    window_s: tuple[float, float],
    start_s: NDArray[np.float64],
    stop_s: NDArray[np.float64],
    notes: list[str],
) -> None:
    """Note how many trials begin or end within the window, and raise where it misses them all.

    All times count from the event of each trial.
    """
    slack = 1e-6  # s
    if ((window_s[1] < start_s - slack) | (window_s[0] > stop_s + slack)).all():
        raise RecordingError(
            f"`window_s` must overlap the trials, which go from {float(np.median(start_s)):.3g} to "
            f"{float(np.median(stop_s)):.3g} s about the event (medians), got {window_s[0]:.3g} to "
            f"{window_s[1]:.3g} s."
        )
    beyond = (window_s[0] < start_s - slack) | (window_s[1] > stop_s + slack)
    if beyond.any():
        notes.append(
            f"The window reaches beyond {int(beyond.sum())} of {len(start_s)} trials; there it "
            "holds what was recorded between trials, and is missing where nothing was recorded."
        )


def _check_count(times: float) -> None:
    """Raise where trials would have more samples than anybody wants."""
    if times > _MOST_TIMES:
        raise RecordingError(
            f"trials would have {times:.0f} samples, of which {_MOST_TIMES} are allowed; give a "
            "`window_s` or a larger `bin_s`."
        )
