"""Reaches over several distances in given times, or in one's own time, away from the body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor.evaluation.bootstrap import Interval, percentile_interval
from neuromotor.experiments.perturbed import HOLD_S
from neuromotor.experiments.session import Run, Session

__all__ = ["TimedReaches", "over_repeats", "reaches_over"]


@dataclass(frozen=True)
class TimedReaches:
    """Reaches over K distances, R times each.

    Attributes:
        run: What happened: K R trials, the repeats of a distance in a row.
        distances_m: (m), (K,).
        arrival_s: Time that was given (s); None was free time.
    """

    run: Run
    distances_m: tuple[float, ...]
    arrival_s: float | None

    @cached_property
    def along_m(self) -> NDArray[np.float64]:
        """How far the hand is beyond the target along the movement (m), (K, R, T + 1)."""
        target = self.run.trials.target[:, None, self.run.task.plant.state_parts["target"]]
        beyond = (self.run.hand - target)[..., 1]
        return beyond.reshape(len(self.distances_m), -1, beyond.shape[-1]).numpy()

    @property
    def at_arrival_m(self) -> NDArray[np.float64]:
        """The same at the time that was given, (K, R)."""
        if self.arrival_s is None:
            raise ValueError(
                "`arrival_s` must be given where reaches are measured at their arrival."
            )
        return self.along_m[..., round(self.arrival_s / self.run.task.plant.dt_s)]


def reaches_over(
    session: Session,
    distances_m: Sequence[float],
    arrival_s: float | None,
    repeats: int,
    *,
    free_s: float = 1.5,
    stream: int = 0,
) -> TimedReaches:
    """Run reaches straight away from the body, each with home in its middle.

    Args:
        session: Who reaches.
        distances_m: How far (m).
        arrival_s: In which time (s), after which they hold for `HOLD_S`; None is free time.
        repeats: Trials of each distance, with draws of noise of their own.
        free_s: How long a trial lasts whose time is free (s).
        stream: Which draws.

    Raises:
        CannotBeAskedError: As `Session.run`.
    """
    dt_s = session.world.plant.dt_s
    lasting = free_s if arrival_s is None else arrival_s + HOLD_S
    task = replace(session.world, steps=round(lasting / dt_s))
    half = torch.tensor([[0.0, far / 2] for far in distances_m], dtype=torch.float64)
    calm = task.reaches(task.home + half, start=task.home - half, arrival_s=arrival_s)
    run = session.run(task, task.with_noise(calm, session.generator(stream), repeats))
    return TimedReaches(run, tuple(distances_m), arrival_s)


def over_repeats(
    measure: Callable[[NDArray[np.int64]], Sequence[float]],
    repeats: int,
    *,
    resamples: int = 400,
    seed: int = 0,
) -> list[Interval]:
    """Return measures of all repeats, with bootstrap intervals over repeats.

    Args:
        measure: Gives the numbers of those repeats that it is told, (R,).
        repeats: R.
        resamples: Number of bootstrap samples.
        seed: Of them.
    """
    draws = np.random.default_rng(seed).integers(0, repeats, (resamples, repeats))
    values = measure(np.arange(repeats))
    again = np.array([measure(draw) for draw in draws], np.float64)
    return [
        _interval(value, column[np.isfinite(column)])
        for value, column in zip(values, again.T, strict=True)
    ]


def _interval(value: float, resampled: NDArray[np.float64]) -> Interval:
    """The interval, or none where nothing could be measured."""
    if not np.isfinite(value) or not len(resampled):
        return Interval(None, None, None)
    return percentile_interval(value, resampled)
