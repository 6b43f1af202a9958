"""Training on problems of sequences: one controller by one optimizer, until the problem is solved.

Source of the criterion: Hochreiter & Schmidhuber (1997), section 5; Sutskever (2013), section 4.4:
solved is a problem of whose held-out sequences less than one in a hundred is classified wrongly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive, check_seed
from neuromotor.controllers import Controller
from neuromotor.optim import (
    Budget,
    Callback,
    Counts,
    HistoryPoint,
    Objective,
    Optimizer,
    Penalized,
    Progress,
    Resampled,
    Snapshot,
)
from neuromotor.problems import LOSSES, Engine, Problem, SequenceObjective, Sequences
from neuromotor.problems.objective import check_controller, misclassified, outputs_of
from neuromotor.storage.files import finite_data
from neuromotor.training.single import Keeper, initial_parameters, minimize

__all__ = ["SOLVED", "Answers", "ProblemRun", "answers", "solve"]

SOLVED = 0.01  # fraction of wrong sequences below which a problem is solved
_AT_ONCE = 1000  # sequences that are tested at a time


@dataclass(frozen=True)
class Answers:
    """How a controller does on held-out sequences.

    Attributes:
        loss: Mean loss.
        wrong: Fraction of sequences with a wrong answer; NaN where a problem has no right or wrong.
        wrong_steps: Fraction of wrong answers among all steps that decide; NaN likewise.
        sequences: How many there were.
    """

    loss: float
    wrong: float
    wrong_steps: float
    sequences: int

    @property
    def solved(self) -> bool:
        """Whether less than one sequence in a hundred is wrong."""
        return self.wrong < SOLVED


@dataclass(frozen=True)
class ProblemRun:
    """What one training came to.

    Attributes:
        controller: What was trained.
        parameters: The parameters at its end, (P,): the first that solve the problem, if it was
            solved.
        solved: Whether the problem was solved.
        answers: On held-out sequences, at the end.
        counts: Calls of each kind.
        seconds: Wall-clock time.
        reason: Why it stopped, in words.
        history: One point an iteration.
    """

    controller: Controller
    parameters: Tensor
    solved: bool
    answers: Answers
    counts: Counts
    seconds: float
    reason: str
    history: tuple[HistoryPoint, ...]

    def row(self) -> dict[str, Any]:
        """Return it as plain data, without parameters and history."""
        numbers = {"loss": self.answers.loss, "wrong": self.answers.wrong}
        numbers["wrong_steps"] = self.answers.wrong_steps
        return {
            "solved": self.solved,
            **finite_data(numbers),
            "tested": self.answers.sequences,
            **self.counts.as_dict(),
            "seconds": self.seconds,
            "reason": self.reason,
        }


def answers(
    problem: Problem, controller: Controller, parameters: Tensor, sequences: Sequences
) -> Answers:
    """Return how a controller does on sequences.

    Args:
        problem: What is wanted.
        controller: A controller of the problem's sizes.
        parameters: Its parameters, (P,).
        sequences: What it is tested on.
    """
    loss, wrong, steps, judged = 0.0, 0, 0, 0
    for start in range(0, len(sequences), _AT_ONCE):
        part = sequences.subset(slice(start, start + _AT_ONCE))
        outputs = outputs_of(controller, parameters, part)
        at_steps = LOSSES[problem.loss].wrong(outputs, part.targets) & part.judged
        values = LOSSES[problem.loss].values(outputs, part.targets)
        loss += float((part.counted * values).sum())
        wrong += int(misclassified(problem, outputs, part).sum())
        steps, judged = steps + int(at_steps.sum()), judged + int(part.judged.sum())
    count = len(sequences)
    if not judged:
        return Answers(loss / count, math.nan, math.nan, count)
    return Answers(loss / count, wrong / count, steps / judged, count)


def solve(
    problem: Problem,
    controller: Controller,
    optimizer: Optimizer,
    *,
    budget: Budget | None = None,
    seed: int = 0,
    parameters: Tensor | None = None,
    sequences: int = 1000,
    refresh: int = 1,
    held_out: int = 10_000,
    test_calls: int = 100,
    engine: Engine | None = None,
    l2: float = 0.0,
    norm_preserving: float = 0.0,
    dtype: torch.dtype = torch.float64,
    callback: Callback | None = None,
    resume: Snapshot | None = None,
    threads: int | None = 1,
    progress: bool = False,
    checkpoint: Path | str | None = None,
    checkpoint_s: float = 60.0,
) -> ProblemRun:
    """Train a controller on a problem until it is solved, or the budget is used up.

    Args:
        problem: What is wanted.
        controller: What is trained, of the problem's sizes (`neuromotor.problems.fitted`).
        optimizer: The method that trains it.
        budget: When to stop at the latest.
        seed: Seed of the initialisation and of all sequences.
        parameters: Where to start, (P,), instead of a new initialisation.
        sequences: Sequences of a batch; a problem of fewer distinct ones gives all of them.
        refresh: Iterations between new sequences; 0 keeps the first. Of a problem that gives all
            its sequences nothing is drawn anew.
        held_out: Sequences on which the answers are counted, drawn from another seed.
        test_calls: Calls between two tests whether the problem is solved.
        engine: How gradients are computed; whole backpropagation through time if None.
        l2: Weight of half the squared norm of the parameters, which is added to the loss.
        norm_preserving: Weight of the norm-preserving regularizer; see `train`.
        dtype: Precision.
        callback: Called after every iteration.
        resume: As for `train`.
        threads: As for `train`.
        progress: As for `train`.
        checkpoint: As for `train`.
        checkpoint_s: As for `train`.

    Raises:
        FileExistsError: `checkpoint` exists, and the training does not go on from anywhere.
        ValueError: The controller does not fit the problem, or a number is out of range.

    Example:
        >>> from neuromotor.controllers import Network
        >>> from neuromotor.optim import LBFGS
        >>> from neuromotor.problems import Memorization, fitted
        >>> problem = Memorization(length=1, lag=3)
        >>> network = fitted(Network(layers=(10,)), problem)
        >>> solve(problem, network, LBFGS(), budget=Budget(calls=200)).solved
        True
    """
    check_seed("seed", seed)
    check_integer("sequences", sequences, minimum=1)
    check_integer("refresh", refresh, minimum=0)
    check_integer("held_out", held_out, minimum=1)
    check_integer("test_calls", test_calls, minimum=1)
    check_positive("checkpoint_s", checkpoint_s, "seconds")
    check_number("l2", l2, minimum=0.0)
    check_number("norm_preserving", norm_preserving, minimum=0.0)
    check_controller(problem, controller)
    keeper = None if checkpoint is None else Keeper(Path(checkpoint), checkpoint_s, resume)
    if parameters is None:
        parameters = initial_parameters(controller, seed, dtype=dtype)

    def draw(number: int) -> Objective:
        generator = torch.Generator().manual_seed(_seed(seed, number))
        drawn = problem.sequences(sequences, generator, dtype)
        objective = SequenceObjective(problem, controller, drawn, engine)
        if not (l2 or norm_preserving):
            return objective
        penalty = objective.norm_change if norm_preserving else None
        return Penalized(objective, l2, penalty, norm_preserving)

    unseen = torch.Generator().manual_seed(_seed(seed, -1))
    test = _Test(problem, controller, problem.sequences(held_out, unseen, dtype), test_calls)
    given = budget or Budget()
    own = Budget(given.calls, given.seconds, lambda: test.passed or _asks(given))

    def told(at: Progress) -> None:
        test(at)
        if callback is not None:
            callback(at)

    changing = refresh and problem.distinct is None
    result = minimize(
        optimizer,
        lambda: Resampled(draw, refresh) if changing else draw(0),
        parameters,
        own,
        told,
        keeper=keeper,
        resume=resume,
        threads=threads,
        progress=progress,
    )
    found = test.found if test.passed and test.found else test.of(result.parameters)
    return ProblemRun(
        controller=controller,
        parameters=test.parameters if test.passed else result.parameters,
        solved=found.solved,
        answers=found,
        counts=result.counts,
        seconds=result.seconds,
        reason="solved" if test.passed else result.reason,
        history=tuple(result.history),
    )


class _Test:
    """Looks now and then whether a problem is solved."""

    def __init__(
        self, problem: Problem, controller: Controller, sequences: Sequences, every: int
    ) -> None:
        self._problem, self._controller = problem, controller
        self._sequences, self._every, self._next = sequences, every, 0
        self.passed = False
        self.found: Answers | None = None
        self.parameters = torch.empty(0)

    def of(self, parameters: Tensor) -> Answers:
        return answers(self._problem, self._controller, parameters, self._sequences)

    def __call__(self, at: Progress) -> None:
        if at.counts.calls < self._next or self.passed:
            return
        self._next = at.counts.calls + self._every
        self.found, self.parameters = self.of(at.parameters), at.parameters.clone()
        self.passed = self.found.solved


def _asks(budget: Budget) -> bool:
    """Whether a budget's own interruption is there."""
    return budget.interrupted is not None and bool(budget.interrupted())


def _seed(seed: int, number: int) -> int:
    """Return a seed of its own for each batch; -1 is the held-out one."""
    return int(np.random.SeedSequence([seed, number + 1]).generate_state(1)[0])
