"""Subjects at practice in force fields: what experiments on adaptation share."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from neuromotor.adaptation import Course, Learner, Practice, Schedule, practise
from neuromotor.experiments.findings import CannotBeAskedError
from neuromotor.experiments.session import Session
from neuromotor.tasks import CursorReach, Trials

__all__ = ["course_of", "mean_of_trials", "practice_of", "reaches_around"]


def reaches_around(
    session: Session, directions_deg: tuple[float, ...], distance_m: float, arrival_s: float
) -> tuple[CursorReach, Trials]:
    """Return reaches from home, one a direction (deg), and the conditions for their time."""
    world = session.world
    hold = round(0.1 / world.plant.dt_s)  # the time for the last news to arrive
    task = replace(world, steps=round(arrival_s / world.plant.dt_s) + hold)
    angle = torch.deg2rad(torch.tensor(directions_deg, dtype=torch.float64))
    away = distance_m * torch.stack([angle.cos(), angle.sin()], dim=-1)
    return task, task.reaches(task.home + away, arrival_s=arrival_s)


def practice_of(session: Session, task: CursorReach, trials: Trials, subjects: int) -> Practice:
    """Return the subject of a session at practice, several times over, with draws of their own.

    Raises:
        CannotBeAskedError: It cannot do the reaches.
    """
    controller, parameters = session.subject.controller(task, trials)
    return Practice(task, controller, parameters, trials, subjects, task.with_noise)


def course_of(session: Session, practice: Practice, schedule: Schedule, learner: Learner) -> Course:
    """Let a subject practise by a schedule.

    Raises:
        CannotBeAskedError: It cannot learn this way, or the hand flies off.
    """
    name = session.subject.name

    def progress(number: int, count: int) -> None:
        if number % 50 == 0:
            session.say(f"{name}: trial {number} of {count}")

    try:
        return practise(practice, schedule, learner, session.seed, progress)
    except ValueError as error:
        raise CannotBeAskedError(str(error)) from error


def mean_of_trials(values: Tensor) -> Tensor:
    """Return the mean over trials of each subject, (R,), of values (N, R) with NaN for none."""
    return torch.nanmean(values, dim=0)
