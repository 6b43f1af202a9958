"""Small trainings that put to the test what the thesis says in words and gives no number for.

Source: Sutskever (2013), section 6.1 (augmented Hessian-free fails less often than Hessian-free),
section 6.7.3 (a disturbance hardly shows where feedback is not delayed) and section 6.8
(Hessian-free on a sequence of commands finds iLQR's trajectories).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQR
from neuromotor.controllers import CommandTable, ContinuousTimeRNN
from neuromotor.evaluation.performance import held_out
from neuromotor.evaluation.references import reference_trajectories
from neuromotor.optim import (
    LBFGS,
    AugmentedHessianFree,
    Budget,
    HessianFree,
    KroneckerAdam,
    Optimizer,
)
from neuromotor.plants import MONKEY, TwoJointArm
from neuromotor.reproduction.data import DATA, load_data
from neuromotor.reproduction.experiments import distance_cm, strongest_effect_cm
from neuromotor.reproduction.rows import Measurement, collect
from neuromotor.tasks import DDN, CenterOut
from neuromotor.training.single import train

__all__ = [
    "FILE",
    "failure_row",
    "feedback_row",
    "load_evidence",
    "long_row",
    "run_evidence",
    "table_row",
]

FILE = DATA / "evidence.json"
STRUCTURAL = 1 / 30  # mu of Martens & Sutskever (2011)
DELAYS = (0, 7)  # steps
ARMS = {
    "published": CenterOut(directions=8),
    "light": CenterOut(plant=TwoJointArm(MONKEY), radius_m=0.06, directions=8),
}
METHODS: dict[str, Optimizer] = {
    "hf": HessianFree(structural=STRUCTURAL),
    "ahf": AugmentedHessianFree(),
}
_SMALL = (20, 20)  # units, of the many trainings that are counted


def run_evidence(
    file: Path,
    seeds: int,
    *,
    calls: int = 6000,
    long: int = 40_000,
    progress: Callable[[str], None] = lambda words: None,
) -> dict[str, Any]:
    """Measure everything into a JSON file; what it holds already is kept.

    Args:
        file: Written after every row, so that a later call goes on.
        seeds: Number of seeds of the trainings whose failures are counted.
        calls: Calls of each of these, and of the trainings with and without delay a quarter.
        long: Calls of L-BFGS on center-out, as many as the zoo's AHF had, from the same weights.
        progress: Told about every row.
    """

    def measurements() -> Iterator[Measurement]:
        yield Measurement({"about": "command table"}, table_row, _words)
        for delay in DELAYS:
            key = {"about": "feedback", "delay": delay, "budget": calls // 4}
            yield Measurement(key, partial(feedback_row, delay, calls // 4), _words)
        for seed in range(seeds):
            for arm in ARMS:
                for method in METHODS:
                    key = {"about": "failures", "arm": arm, "method": method}
                    key |= {"budget": calls, "seed": seed}
                    yield Measurement(key, partial(failure_row, arm, method, calls, seed), _words)
        key = {"about": "long", "method": "lbfgs", "budget": long, "seed": 1}
        yield Measurement(key, partial(long_row, long, 1), _words)

    return collect(file, measurements(), progress)


def table_row(directions: int = 16, calls: int = 5000) -> dict[str, Any]:
    """Return how far Hessian-free on a table of commands comes from iLQR's loss and hand paths.

    Args:
        directions: Number of reaches.
        calls: Budget; the run ends before it where the gradient is zero.
    """
    task = CenterOut(directions=directions)
    trials = task.trials()
    solution = ILQR().solve(task, trials)
    table = CommandTable(trials=len(trials), steps=task.steps)
    start = torch.zeros(table.parameter_count, dtype=torch.float64)
    result = train(task, table, HessianFree(), budget=Budget(calls=calls), parameters=start)
    run = ClosedLoop(task, table).simulate(result.parameters, trials)
    away = distance_cm(task, run.states, solution.states)
    return {
        "excess": result.value / solution.value - 1,
        "away_cm": float(away.max()),
        "calls": result.counts.calls,
        "reason": result.reason,
    }


def feedback_row(delay: int, calls: int, *, pairs: int = 100, count: int = 400) -> dict[str, Any]:
    """Return how far a disturbance pushes the hand of a network and of ILQG, with one delay.

    Args:
        delay: Of the feedback, in steps.
        calls: Of the network's training, on fresh batches.
        pairs: Trials of a batch.
        count: Held-out trials.
    """
    task = DDN(noise=0.0, delay_steps=delay, pairs=pairs)
    controller = ContinuousTimeRNN()
    optimizer = KroneckerAdam()
    result = train(task, controller, optimizer, budget=Budget(calls=calls), refresh=1)
    trials = held_out(task, controller, count)
    calm = trials.without_loads()
    loop = ClosedLoop(task, controller)
    pushed = loop.simulate(result.parameters, trials)
    free = loop.simulate(result.parameters, calm)
    best, best_free = (
        reference_trajectories(task, one, ["ilqg"])["ilqg"].trajectory for one in (trials, calm)
    )
    return {
        "network_cm": strongest_effect_cm(task, pushed.states, free.states),
        "ilqg_cm": strongest_effect_cm(task, best.states, best_free.states),
        "loss": float(task.cost.losses(pushed.states, pushed.commands, trials).mean()),
        "calls": result.counts.calls,
        "seconds": result.seconds,
    }


def failure_row(arm: str, method: str, calls: int, seed: int) -> dict[str, Any]:
    """Return what one training of a small network came to, divided by iLQR's loss.

    Weights with which the arm flies off at once cannot be trained: `ratio` is None then.

    Args:
        arm: Of `ARMS`.
        method: Of `METHODS`.
        calls: Its budget.
        seed: Of the initial weights.
    """
    task = ARMS[arm]
    controller = ContinuousTimeRNN(layers=_SMALL)
    try:
        result = train(task, controller, METHODS[method], budget=Budget(calls=calls), seed=seed)
    except ValueError as error:
        return {"ratio": None, "calls": 0, "reason": str(error), "seconds": 0.0}
    return {
        "ratio": result.value / ILQR().solve(task, task.trials()).value,
        "calls": result.counts.calls,
        "reason": result.reason,
        "seconds": result.seconds,
    }


def long_row(calls: int, seed: int, *, layers: tuple[int, ...] = (100, 100)) -> dict[str, Any]:
    """Return what L-BFGS comes to on center-out after a quarter of its calls and at its end.

    Args:
        calls: Its budget.
        seed: Of the initial weights.
        layers: Units of each layer.
    """
    task = CenterOut()
    optimizer, budget = LBFGS(), Budget(calls=calls)
    result = train(task, ContinuousTimeRNN(layers=layers), optimizer, budget=budget, seed=seed)
    floor = ILQR().solve(task, task.trials()).value
    early = min(point.value for point in result.history if point.calls <= calls / 4)
    return {
        "ratio": result.value / floor,
        "early": early / floor,
        "calls": result.counts.calls,
        "reason": result.reason,
        "seconds": result.seconds,
    }


def load_evidence() -> dict[str, Any]:
    """Return the results that come with the package."""
    return load_data(FILE)


def _words(row: dict[str, Any]) -> str:
    names = ("excess", "away_cm", "network_cm", "ilqg_cm", "ratio", "reason")
    found = [f"{name} {row[name]:.4g}" for name in names[:-1] if row.get(name) is not None]
    found = found or [row["reason"]]
    which = [str(row[name]) for name in ("arm", "method", "delay", "seed") if name in row]
    return f"{row['about']} {' '.join(which)}: {', '.join(found)}"
