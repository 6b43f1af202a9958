"""How long a movement should take: the duration whose expected loss and cost of time are least.

Source: Shadmehr, Orban de Xivry, Xu-Wilson & Shih (2010) for a cost of time in the choice of a
movement's duration; Rigoux & Guigon (2012) and Berret & Jean (2016) for reaching. Time costs the
same at every moment here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number
from neuromotor.control.ilqg import ILQG, ILQGResult
from neuromotor.control.ilqr import ILQR, ILQRResult
from neuromotor.control.uncertainty import Uncertainty
from neuromotor.optim.result import Stopwatch
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["DurationResult", "Lasting", "TimedDesign", "lasting", "optimal_duration"]

Lasting = Callable[[int], tuple[Task, Trials]]


@dataclass(frozen=True)
class TimedDesign:
    """What was designed for the trials that share one best duration.

    Attributes:
        steps: The duration in steps.
        index: Which of the B trials, (k,).
        task: The task of that duration.
        trials: These trials, k of them.
        result: The design, with its controller (`ILQG`) or commands (`ILQR`).
    """

    steps: int
    index: Tensor
    task: Task
    trials: Trials
    result: ILQGResult | ILQRResult


@dataclass(frozen=True)
class DurationResult:
    """The best durations of B trials.

    Attributes:
        steps: Best duration of each trial in steps, (B,).
        durations_s: The same in seconds, (B,).
        losses: Expected loss of each trial at its best duration, (B,).
        costs: The same with the cost of time, (B,).
        tried: Costs of each trial by duration in steps, (B,); NaN where a trial was not tried.
        at_edge: Whether a trial's best is the shortest or longest that was allowed, (B,).
        designs: One for each best duration, in rising order.
        seconds: Wall-clock time.
    """

    steps: Tensor
    durations_s: Tensor
    losses: Tensor
    costs: Tensor
    tried: dict[int, Tensor]
    at_edge: Tensor
    designs: tuple[TimedDesign, ...]
    seconds: float


def lasting(task: Any) -> Lasting:
    """Return a function that gives a task and its trials another number of steps.

    Args:
        task: A frozen dataclass with a field `steps`, such as `CenterOut`.
    """

    def changed(steps: int) -> tuple[Task, Trials]:
        other = replace(task, steps=steps)
        return other, other.trials()

    return changed


def optimal_duration(
    movement: Lasting,
    time_weight: float,
    shortest: int,
    longest: int,
    *,
    solver: ILQG | ILQR | None = None,
    uncertainty: Uncertainty | None = None,
    grid: int = 8,
    callback: Callable[[int, int], None] | None = None,
) -> DurationResult:
    """Return the number of steps that minimises expected loss and cost of time, trial by trial.

    A coarse grid over all durations finds where the least cost lies, which is then bracketed ever
    more closely, with durations half as far apart each time. So it finds the least of a cost that
    falls and then rises; of several valleys it finds that of the best point of the grid.

    Args:
        movement: Gives the task that lasts so many steps, and its B trials, in the same order for
            each duration; `lasting(task)` for a task with a field `steps`.
        time_weight: Cost of a second.
        shortest: Fewest steps.
        longest: Most steps.
        solver: `ILQG`, whose expected losses count, or `ILQR`, whose losses do. None is `ILQG`.
        uncertainty: What `ILQG` knows of noise and loads; None is what the trials have.
        grid: Largest number of intervals of the grid.
        callback: Called before each design with its duration in steps and its number of trials.

    Raises:
        ValueError: A number is out of range, or trials differ in number between durations.

    Example:
        >>> from neuromotor.tasks import CenterOut
        >>> reach = CenterOut(directions=1)
        >>> found = optimal_duration(lasting(reach), 1e-3, 10, 80, solver=ILQR())
        >>> found.steps.tolist(), found.at_edge.tolist()
        ([40], [False])
    """
    check_number("time_weight", time_weight, minimum=0.0)
    check_integer("shortest", shortest, minimum=1)
    check_integer("longest", longest, minimum=shortest)
    check_integer("grid", grid, minimum=1)
    watch = Stopwatch()
    solver = solver or ILQG()
    tried: dict[int, Tensor] = {}
    count = len(movement(shortest)[1])

    def design(steps: int, index: Tensor) -> TimedDesign:
        task, trials = movement(steps)
        if len(trials) != count:
            raise ValueError(
                f"`movement` must give as many trials for every duration, got {len(trials)} for "
                f"{steps} steps and {count} for {shortest}."
            )
        if callback is not None:
            callback(steps, len(index))
        trials = trials.subset(index)
        if isinstance(solver, ILQG):
            return TimedDesign(steps, index, task, trials, solver.design(task, trials, uncertainty))
        return TimedDesign(steps, index, task, trials, solver.solve(task, trials.undisturbed()))

    def price(steps: int, wanted: Tensor) -> None:
        """Find what a duration costs the wanted trials, (B,)."""
        known = tried.setdefault(steps, torch.full((count,), torch.nan, dtype=torch.float64))
        index = (wanted & known.isnan()).nonzero().squeeze(-1)
        if len(index):
            done = design(steps, index)
            time = time_weight * steps * done.task.plant.dt_s
            known[index] = _losses(done).double() + time

    gap = 1
    while (longest - shortest) / gap > grid:
        gap *= 2
    everyone = torch.ones(count, dtype=torch.bool)
    for steps in {*range(shortest, longest + 1, gap), longest}:
        price(steps, everyone)
    best = _best(tried)
    while gap > 1:
        gap //= 2
        for way in (-gap, gap):
            beside = (best + way).clamp(shortest, longest)
            for steps in sorted(set(beside.tolist())):
                price(steps, beside == steps)
        best = _best(tried)
    designs = tuple(
        design(k, (best == k).nonzero().squeeze(-1)) for k in sorted(set(best.tolist()))
    )
    losses = torch.zeros(count, dtype=torch.float64)
    for one in designs:
        losses[one.index] = _losses(one).double()
    dt_s = designs[0].task.plant.dt_s
    return DurationResult(
        steps=best,
        durations_s=dt_s * best,
        losses=losses,
        costs=losses + time_weight * dt_s * best,
        tried=dict(sorted(tried.items())),
        at_edge=(best == shortest) | (best == longest),
        designs=designs,
        seconds=watch.seconds,
    )


def _losses(done: TimedDesign) -> Tensor:
    """Expected losses of a design's trials, (k,)."""
    if isinstance(done.result, ILQGResult):
        return done.result.predicted_losses
    return done.result.losses


def _best(tried: dict[int, Tensor]) -> Tensor:
    """The cheapest duration that was tried, trial by trial, (B,)."""
    steps = torch.tensor(list(tried))
    costs = torch.stack(list(tried.values())).nan_to_num(nan=torch.inf)
    return steps[costs.argmin(dim=0)]
