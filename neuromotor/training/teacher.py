"""ILQG as a teacher: a controller learns the commands that optimal feedback control would give.

In every iteration trials are run, half of them by the teacher and half by the controller itself
(Ross, Gordon & Bagnell 2011, who call the latter DAgger). Along each, the teacher says what it
would command with the same observations, and the controller is held against that
(`closed_loop.imitation`), each difference weighted by what it costs. Afterwards the true loss can
be lowered from there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_integer, check_number
from neuromotor.closed_loop import ClosedLoop, Lesson, LoopObjective
from neuromotor.compiled.availability import announce
from neuromotor.control import ILQG, ILQGResult, Uncertainty
from neuromotor.controllers import Controller
from neuromotor.controllers.controller import WritesTape, belongs_to_trials
from neuromotor.evaluation.references import no_reference
from neuromotor.extensions import Registry
from neuromotor.optim import Objective
from neuromotor.optim.objective import KroneckerBlock, Linearization
from neuromotor.tasks import Task, Trials
from neuromotor.training.drawing import make_trials

__all__ = ["TEACHERS", "ILQGTeacher", "Taught"]


@dataclass(frozen=True)
class ILQGTeacher:
    """How ILQG teaches.

    Attributes:
        batches: How many batches of the task's trials it knows. Each is designed once, before the
            training; loads and noise are new in every lesson.
        every: Iterations between new lessons; 0 keeps the first, as deterministic methods need it.
        own: Share of lessons that the controller runs itself; the teacher runs the others.
        outliers: Loss of a trial, in medians of its lesson, from which on it counts less, in
            proportion. ILQG is linear around its own trajectory, and its advice is worth little
            where a controller has left that.
        late_onset: `Uncertainty.late_onset` of the design.
        relinearizations: `ILQG.relinearizations` of the design.

    Raises:
        ValueError: A number is out of range, or a lesson that the controller runs itself were to
            stay while the controller changes.
    """

    batches: int = 4
    every: int = 1
    own: float = 0.5
    outliers: float = 10.0
    late_onset: float = 1e-4
    relinearizations: int = 1

    def __post_init__(self) -> None:
        check_integer("batches", self.batches, minimum=1)
        check_integer("every", self.every, minimum=0)
        check_fraction("own", self.own)
        if self.own > 0 and self.every != 1:
            raise ValueError(
                "`own` must be 0 where `every` is not 1: a lesson that the controller runs itself "
                f"belongs to its present weights; got {self.own} and {self.every}."
            )
        check_number("outliers", self.outliers, minimum=1.0)
        check_fraction("late_onset", self.late_onset)
        check_integer("relinearizations", self.relinearizations, minimum=0)


TEACHERS: Registry[ILQGTeacher] = Registry(
    "teacher", {"ilqg": ILQGTeacher()}, members=("batches", "own")
)


@dataclass(frozen=True)
class _Known:
    """Trials whose starts and targets the teacher knows, and its controller for them."""

    trials: Trials
    design: ILQGResult


class Taught:
    """The mean loss of a lesson, which changes with the iterations.

    A lesson is made at the first point at which its iteration asks for anything, and stays for the
    rest of that iteration. So a training goes on from a snapshot with the same lessons.
    """

    def __init__(
        self,
        task: Task,
        controller: Controller,
        teacher: ILQGTeacher,
        seed: int,
        *,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        """Design the teacher's controllers.

        Args:
            task: What is wanted.
            controller: What is taught.
            teacher: How.
            seed: Of all draws.
            dtype: Precision of the lessons.

        Raises:
            ValueError: There is no ILQG for the task, or the controller belongs to certain trials.
        """
        if belongs_to_trials(controller):
            raise ValueError(
                f"`controller` must run any trials to be taught, got a {type(controller).__name__}."
            )
        self._task, self._controller, self._teacher = task, controller, teacher
        self._seed, self._dtype = seed, dtype
        self._loop = ClosedLoop(task, controller)
        announce(f"designing ILQG for {teacher.batches} batches of trials, which it teaches on")
        self._known = [self._designed(number) for number in range(teacher.batches)]
        self._number = 0
        self._objective: LoopObjective | None = None

    def redraw(self, iteration: int) -> bool:
        """Forget the lesson of other iterations; return whether there was one."""
        every = self._teacher.every
        number = iteration // every if every else 0
        changed = number != self._number
        if changed:
            self._number, self._objective = number, None
        return changed

    def value(self, parameters: Tensor) -> float:
        """Return the lesson's mean loss."""
        return self._at(parameters).value(parameters)

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the lesson's mean loss and its gradient, (P,)."""
        return self._at(parameters).value_and_gradient(parameters)

    def linearize(self, parameters: Tensor) -> Linearization:
        """Return the lesson at a point, with its Gauss-Newton products."""
        return self._at(parameters).linearize(parameters)

    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator
    ) -> tuple[KroneckerBlock, ...]:
        """Return the lesson's Kronecker factors; see `LoopObjective.kronecker_factors`."""
        return self._at(parameters).kronecker_factors(parameters, generator)

    def part(self, size: int, generator: torch.Generator) -> Objective:
        """Return the mean loss over some trials of the lesson.

        Raises:
            ValueError: The lesson has not begun.
        """
        if self._objective is None:
            raise ValueError("a lesson has parts only once its loss was asked for.")
        return self._objective.part(size, generator)

    @property
    def has_factors(self) -> bool:
        """Whether lessons have Kronecker factors."""
        return self._loop.has_factors

    @property
    def readout(self) -> slice | None:
        """Which parameters turn rates into commands, or None if the controller does not say."""
        return cast(WritesTape, self._controller).readout if self.has_factors else None

    @torch.no_grad()
    def lesson(self, number: int, parameters: Tensor) -> Lesson:
        """Return the lesson of a number, with what the controller does at a point, (P,)."""
        seeds = np.random.SeedSequence([self._seed, 1, number]).generate_state(2)
        known = self._known[number % len(self._known)]
        trials, design = self._new(known.trials, int(seeds[0])), known.design
        guide, tables = design.controller, design.controller.unpack(design.parameters)
        if seeds[1] / 2**32 >= self._teacher.own:
            done = ClosedLoop(self._task, guide).simulate(design.parameters, trials)
            lesson = Lesson(trials, done.observations, done.commands, design.curvature)
            return lesson.to(self._dtype)
        theta = parameters.detach().to(self._dtype)
        done = self._loop.simulate(theta, trials.to(dtype=self._dtype))
        observations, given = done.observations.double(), done.commands.double()
        wanted = guide.advice(tables, observations, given)
        kept = (observations.isfinite().all(-1) & wanted.isfinite().all(-1)).all(1)
        if not bool(kept.any()):
            raise ValueError(
                "`parameters` must keep at least one trial finite, got a controller under which "
                "all fly off; start from smaller weights, or set `teacher.own` to 0 at first."
            )
        weights = design.curvature * self._trust(given - wanted, design.curvature, kept)
        parts = (part[kept] for part in (observations, wanted, weights))
        return Lesson(trials.subset(kept.nonzero()[:, 0]), *parts).to(self._dtype)

    def _at(self, parameters: Tensor) -> LoopObjective:
        """The loss of the present lesson, which begins here unless it has begun."""
        if self._objective is None:
            self._objective = self._loop.imitation(self.lesson(self._number, parameters))
        return self._objective

    def _designed(self, number: int) -> _Known:
        own = int(np.random.SeedSequence([self._seed, 0, number]).generate_state(1)[0])
        trials = make_trials(self._task, self._controller, own)
        for reason in no_reference(["ilqg"], self._task, trials).values():
            raise ValueError(f"`teacher` must know the task, and ILQG does not: {reason}.")
        uncertainty = Uncertainty.from_trials(trials)
        uncertainty = replace(uncertainty, late_onset=self._teacher.late_onset)
        design = ILQG(relinearizations=self._teacher.relinearizations)
        return _Known(trials, design.design(self._task, trials, uncertainty))

    def _new(self, known: Trials, seed: int) -> Trials:
        """The same trials with other loads and noise."""
        drawn = make_trials(self._task, self._controller, seed)
        chance = [
            name for whom in ("plant", "senses", "units") for name in Trials.names(seen_by=whom)
        ]
        return replace(known, **{name: getattr(drawn, name) for name in chance})

    def _trust(self, missed: Tensor, weights: Tensor, kept: Tensor) -> Tensor:
        """How much each trial counts, (B, 1, 1, 1)."""
        losses = torch.einsum("bti,btij,btj->b", missed, weights, missed)
        most = self._teacher.outliers * losses[kept].median()
        return (most / losses.clamp(min=1e-300)).clamp(max=1.0)[:, None, None, None]
