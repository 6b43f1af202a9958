"""What an actor learns from a teacher before it learns from rewards.

The teacher is ILQG, or any saved controller. In a first part of the lessons it runs the trials, and
in the rest the actor runs every other one (Ross, Gordon & Bagnell 2011). What the actor misses
counts by what it costs where ILQG teaches (`training.teacher`), and with a saved controller in
ratio to the mean square of its commands at that step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from neuromotor.closed_loop import ClosedLoop, Lesson
from neuromotor.closed_loop.imitation import AutogradImitation
from neuromotor.controllers import PolicyNetwork
from neuromotor.storage.components import SettingsError
from neuromotor.tasks import Task, Trials
from neuromotor.training.teacher import ILQGTeacher, Taught
from neuromotor.zoo.saved_controller import SavedController, load_controller

__all__ = ["learn_from"]

ILQG = "ilqg"
_WATCHED = 0.6  # share of the lessons in which the teacher alone runs
_TRIALS = 100  # of a lesson, at most
_OUTLIERS = 10.0  # a trial whose loss is larger than so many medians counts less


class _Teacher(Protocol):
    """What a lesson comes from."""

    def lesson(self, number: int, parameters: Tensor, own: bool) -> Lesson:
        """Return a lesson; `own` is whether the actor runs the trials."""


def learn_from(
    teacher: str,
    task: Task,
    actor: PolicyNetwork,
    parameters: Tensor,
    *,
    lessons: int,
    learning_rate: float,
    seed: int,
    heard: Callable[[int, float], None] = lambda number, loss: None,
) -> Tensor:
    """Return an actor's parameters after lessons, each a step of Adam, (P,) in float64.

    Args:
        teacher: `ilqg`, a name of the zoo, or the file of a saved controller.
        task: What is wanted.
        actor: What learns.
        parameters: Where it begins, (P,).
        lessons: How many.
        learning_rate: Of Adam; it falls to nothing by half a cosine.
        seed: Of all trials.
        heard: Called after each lesson with its number and its mean loss.

    Raises:
        CheckpointError: There is no such file.
        SettingsError: The teacher does not fit the task.
        ValueError: There is no ILQG for the task.
    """
    loop = ClosedLoop(task, actor)
    source: _Teacher = (
        _ILQG(task, actor, seed) if teacher == ILQG else _Saved(teacher, task, loop, seed)
    )
    theta = parameters.float().clone().requires_grad_(True)
    adam = torch.optim.Adam([theta], lr=learning_rate)
    for number in range(lessons):
        share = number / lessons
        adam.param_groups[0]["lr"] = 0.5 * learning_rate * (1 + np.cos(np.pi * share))
        lesson = source.lesson(number, theta.detach(), share >= _WATCHED and number % 2 == 1)
        loss, theta.grad = loop.imitation(lesson).value_and_gradient(theta.detach())
        adam.step()
        heard(number, loss)
    return theta.detach().double()


class _ILQG:
    """Lessons of `training.teacher`, which says itself who runs them."""

    def __init__(self, task: Task, actor: PolicyNetwork, seed: int) -> None:
        self._taught = Taught(task, actor, ILQGTeacher(batches=1), seed, dtype=torch.float32)

    def lesson(self, number: int, parameters: Tensor, own: bool) -> Lesson:
        del own
        return self._taught.lesson(number, parameters)


class _Saved:
    """Lessons of a saved controller."""

    def __init__(self, name: str, task: Task, loop: ClosedLoop, seed: int) -> None:
        saved: SavedController = load_controller(name, dtype=torch.float32)
        differences = None if saved.task is None else saved.differences(task)
        if differences:
            raise SettingsError(
                f"`teacher` must have been trained on this task, got {name!r}, for which "
                f"{', '.join(differences)} differ."
            )
        self._task, self._loop, self._saved, self._seed = task, loop, saved, seed
        self._guide = ClosedLoop(task, saved.controller)
        usual = self._guide.simulate(saved.parameters, self._trials(-1)).commands.square()
        size = usual.mean(dim=(0, 2)).clamp(min=1e-12)
        eye = torch.eye(task.plant.command_size)
        self._weights = eye / (task.steps * size[:, None, None])

    @torch.no_grad()
    def lesson(self, number: int, parameters: Tensor, own: bool) -> Lesson:
        trials = self._trials(number)
        taught = self._saved.parameters
        if not own:
            done = self._guide.simulate(taught, trials)
            return self._of(trials, done.observations, done.commands)
        done = self._loop.simulate(parameters, trials)
        kept = done.observations.isfinite().all(-1).all(1).nonzero()[:, 0]
        if not len(kept):
            return self.lesson(number, parameters, False)
        seen, given = done.observations[kept], done.commands[kept]
        nothing = self._of(trials.subset(kept), seen, torch.zeros_like(given))
        along = AutogradImitation(self._task, self._saved.controller, nothing).run(taught)
        wanted = along.trajectory.commands
        missed = given - wanted
        losses = torch.einsum("bti,tij,btj->b", missed, self._weights, missed)
        trust = (_OUTLIERS * losses.median() / losses.clamp(min=1e-30)).clamp(max=1.0)
        return self._of(trials.subset(kept), seen, wanted, trust)

    def _trials(self, number: int) -> Trials:
        seed = int(np.random.SeedSequence([self._seed, number + 1]).generate_state(1)[0])
        generator = torch.Generator().manual_seed(seed)
        drawn = self._task.trials(generator, dtype=torch.float32)
        return drawn.sample(_TRIALS, generator) if len(drawn) > _TRIALS else drawn

    def _of(
        self, trials: Trials, seen: Tensor, wanted: Tensor, trust: Tensor | None = None
    ) -> Lesson:
        weights = self._weights.expand(len(trials), -1, -1, -1)
        if trust is not None:
            weights = weights * trust[:, None, None, None]
        return Lesson(trials, seen, wanted, weights)
