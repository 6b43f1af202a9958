"""Learning by processes of several rates: fast ones that forget, slow ones that keep.

Notation: x is what is compensated, as a share of the field, f the field's strength, e the error; A
and B are retention and learning of each process::

    e = f - x in a field,  0 where the error is clamped,     x_i <- A_i x_i + B_i e,     x = sum x_i

Source: Smith, Ghazizadeh & Shadmehr (2006), equations 1 to 3 and the two-state model's parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from neuromotor._checks import check_number
from neuromotor.adaptation.practice import Addition, Outcome, Practice
from neuromotor.tasks.fields import FIELDS, CurlField, HandField

__all__ = ["TwoRate", "TwoRateState"]


@dataclass(frozen=True)
class TwoRateState:
    """What a `TwoRate` learner knows.

    Attributes:
        processes: Of each subject, (R, processes).
        commands: What holds the plan in the field of strength 1, (K, T, m).
        course_m: How far that field pushes the hand aside where nothing is learnt, (K, T + 1).
    """

    processes: Tensor
    commands: Tensor
    course_m: Tensor

    @property
    def adapted(self) -> Tensor:
        """Share of the field that is compensated, (R,)."""
        return self.processes.sum(-1)


@dataclass(frozen=True)
class TwoRate:
    """A share of a known field is compensated; fast and slow processes learn it from the error.

    The error is read from the hand's path: how far it is from the plan, as a share of how far the
    unlearnt field pushes it (least squares over the trial). It is the strength that was not
    compensated where the limb is linear, and zero in a channel.

    Attributes:
        field: What is learnt; a state of 1 compensates it.
        retention: A of each process.
        learning: B of each process.

    Raises:
        ValueError: There is no process, their numbers differ, or one is out of range.

    Example:
        >>> learner = TwoRate()
        >>> course = learner.course([1.0] * 200)
        >>> 0.7 < course[-1] < 0.9
        True
    """

    field: HandField = field(default_factory=CurlField, metadata={"registry": FIELDS})
    retention: tuple[float, ...] = (0.59, 0.992)
    learning: tuple[float, ...] = (0.21, 0.02)

    def __post_init__(self) -> None:
        if not self.retention or len(self.retention) != len(self.learning):
            raise ValueError(
                "`learning` must have as many numbers as `retention`, one a process, got "
                f"{len(self.learning)} and {len(self.retention)}."
            )
        for name in ("retention", "learning"):
            for number in getattr(self, name):
                check_number(name, number, minimum=0.0)
                if number > 1:
                    raise ValueError(f"`{name}` must be at most 1, got {number!r}.")

    def next(self, processes: Tensor, error: Tensor) -> Tensor:
        """Return the processes (..., p) after a trial with an error (...)."""
        keep, learn = (processes.new_tensor(one) for one in (self.retention, self.learning))
        return keep * processes + learn * error.unsqueeze(-1)

    def course(self, strength: list[float | None]) -> list[float]:
        """Return x before each trial, by the equations alone.

        Args:
            strength: f of each trial; None is a trial whose error is clamped.
        """
        processes, found = torch.zeros(len(self.retention), dtype=torch.float64), []
        for f in strength:
            found.append(float(processes.sum()))
            error = processes.new_tensor(0.0 if f is None else f - found[-1])
            processes = self.next(processes, error)
        return found

    def begin(self, practice: Practice) -> TwoRateState:
        """Return the state before the first trial; see `Learner.begin`."""
        unit = practice.field(self.field)
        course = practice.course(unit)
        if not bool(torch.isfinite(course).all()):
            raise ValueError(
                "`field` must be weaker: the hand flies off in it where nothing is learnt."
            )
        processes = course.new_zeros(practice.subjects, len(self.retention))
        return TwoRateState(processes, practice.holding(unit), course)

    def before(self, practice: Practice, state: TwoRateState, target: Tensor) -> Addition:
        """Add the share that is learnt; see `Learner.before`."""
        return Addition(state.adapted[:, None, None] * state.commands[target])

    def after(self, practice: Practice, state: TwoRateState, outcome: Outcome) -> TwoRateState:
        """Learn from the path; see `Learner.after`."""
        return replace(
            state, processes=self.next(state.processes, self.error(practice, state, outcome))
        )

    def error(self, practice: Practice, state: TwoRateState, outcome: Outcome) -> Tensor:
        """Return the strength that was not compensated, as the path shows it, (R,)."""
        unit = state.course_m[outcome.target]
        planned = practice.side(practice.plan.states, torch.arange(len(practice.trials)))
        away = outcome.path_m - planned[outcome.target]
        size = unit.square().sum(-1)
        moved = size > 1e-8 * unit.shape[1]  # a field along the path pushes nothing aside
        error = torch.where(moved, (away * unit).sum(-1) / torch.where(moved, size, 1.0), 0.0)
        return torch.where(outcome.clamped, 0.0, error)
