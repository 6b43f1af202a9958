"""Practice by a schedule: trials in order, each subject with a field and a target of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neuromotor.adaptation.learner import Learner
from neuromotor.adaptation.practice import Outcome, Practice
from neuromotor.adaptation.schedule import Kind, Order, Schedule
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.plants.field import field_force

__all__ = ["Course", "practise"]


@dataclass(frozen=True)
class Course:
    """What R subjects did in N trials of T steps.

    Attributes:
        schedule: The blocks.
        order: Kind, strength and target of each trial.
        hand_m: Where the hand was (m), (N, R, T + 1, 2), in single precision.
        side_m: How far to the left of the straight line, (N, R, T + 1).
        speed_m_s: The hand's speed, (N, R, T + 1).
        deviation_m: `side_m` less the plan's, when the plan's speed is highest, (N, R).
        pressed_n: Force of the hand on its channel (N), positive to the left, (N, R, T); NaN where
            there is none.
        ideal_n: The force that would cancel the schedule's first field of strength 1, at the hand's
            own velocity, (N, R, T); NaN likewise.
        dt_s: Step length (s).
    """

    schedule: Schedule
    order: Order
    hand_m: Tensor
    side_m: Tensor
    speed_m_s: Tensor
    deviation_m: Tensor
    pressed_n: Tensor
    ideal_n: Tensor
    dt_s: float

    @property
    def adaptation(self) -> Tensor:
        """What part of the field each channel trial's force would cancel, (N, R); NaN elsewhere.

        The slope of the force on the walls on the ideal one: 0 before learning, 1 where it is
        complete (Smith, Ghazizadeh & Shadmehr 2006).
        """
        return (self.pressed_n * self.ideal_n).sum(-1) / self.ideal_n.square().sum(-1)

    def of(self, block: str, values: Tensor, kind: Kind | None = None) -> Tensor:
        """Return values of a block's trials, (trials, R); NaN where trials are of another kind."""
        where = self.schedule.places(block)
        values = values[where]
        if kind is None:
            return values
        return torch.where(self.order.kind[where] == kind, values, torch.nan)


@torch_threads()
def practise(
    practice: Practice,
    schedule: Schedule,
    learner: Learner,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Course:
    """Return what subjects do trial by trial while they learn.

    Args:
        practice: Controller, conditions and targets.
        schedule: Which trials follow each other.
        learner: What changes from trial to trial.
        seed: Of order and noise.
        progress: Called after each trial with their number so far, and that of all.

    Raises:
        ValueError: The learner cannot learn here, or the hand flies off.
    """
    generator = torch.Generator().manual_seed(seed)
    order = schedule.draw(len(practice.trials), practice.subjects, generator)
    kept = _Kept(practice, schedule)
    state = learner.begin(practice)
    for number in range(len(order)):
        target, kind = order.target[number], order.kind[number]
        block = schedule.blocks[int(order.block[number])]
        field = practice.start.new_zeros(len(target), 2, 5)
        if block.field is not None:
            on = order.strength[number] * (kind == Kind.FIELD)
            field = on[:, None, None] * practice.field(block.field)[target]
        addition = learner.before(practice, state, target)
        outcome = practice.attempt(target, field, kind == Kind.CHANNEL, addition, generator)
        if not bool(torch.isfinite(outcome.trajectory.states).all()):
            raise ValueError(
                f"trial {number + 1} (block {block.name!r}) is unstable: the hand flies off."
            )
        kept.add(outcome)
        state = learner.after(practice, state, outcome)
        if progress is not None:
            progress(number + 1, len(order))
    return kept.course(order)


class _Kept:
    """What is kept of each trial."""

    def __init__(self, practice: Practice, schedule: Schedule) -> None:
        self.practice, self.schedule = practice, schedule
        self.ideal = None if schedule.field is None else practice.field(schedule.field)
        every = torch.arange(len(practice.trials))
        self.planned = practice.side(practice.plan.states, every)
        self.fastest = practice.planned_velocity.norm(dim=-1).argmax(dim=1)
        self.parts: dict[str, list[Any]] = {}

    def add(self, outcome: Outcome) -> None:
        plant, states = self.practice.task.plant, outcome.trajectory.states
        speed = plant.hand_velocity(states).norm(dim=-1)
        fastest = self.fastest[outcome.target][:, None]
        away = outcome.path_m - self.planned[outcome.target]
        pressed = states.new_full((len(states), states.shape[1] - 1), torch.nan)
        ideal, walls = pressed.clone(), outcome.trials.channel
        if walls is not None:
            where = outcome.clamped
            pressed[where] = self.practice.pressing(outcome)[where]
            if self.ideal is not None:
                force = field_force(plant, states[:, :-1], self.ideal[outcome.target][:, None])
                ideal[where] = -(force * walls[:, None, 1:]).sum(-1)[where]
        found = {
            "hand_m": plant.hand_position(states).float(),
            "side_m": outcome.path_m,
            "speed_m_s": speed,
            "deviation_m": away.gather(1, fastest).squeeze(1),
            "pressed_n": pressed,
            "ideal_n": ideal,
        }
        for name, value in found.items():
            self.parts.setdefault(name, []).append(value)

    def course(self, order: Order) -> Course:
        made = {name: torch.stack(values) for name, values in self.parts.items()}
        return Course(self.schedule, order, **made, dt_s=self.practice.task.plant.dt_s)
