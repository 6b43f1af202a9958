"""Tracking: the hand stays with a target that moves along a path."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from neuromotor._checks import check_integer, lookup
from neuromotor.tasks.center_out import CenterOut
from neuromotor.tasks.chance import in_plane
from neuromotor.tasks.cost import QuadraticCost, at_every_step
from neuromotor.tasks.reach_experiments import REACHES, ReachExperiment
from neuromotor.tasks.trials import Trials

__all__ = ["Tracking", "figure_eight"]


def _default_reach(directions: int = 15, steps: int = 100) -> CenterOut:
    """15 directions, 5 cm (Kalidindi et al. 2021); 50 ms of delay, 1 s, positions alone (ours)."""
    return CenterOut(
        directions=directions, radius_m=0.05, steps=steps, delay_steps=5, velocity_weight=0.0
    )


@dataclass(frozen=True)
class Tracking(ReachExperiment):
    """A target moves from the centre of a reach, and the hand moves with it.

    The target rests at the centre at first, then moves for `move_steps`, then rests again. Its
    `path` is either of two. ``radial``: straight to the circle at constant speed, as in the
    tracking task of Kalidindi et al. (2021), which has 15 targets and 5 cm; times are ours.
    ``eight``: once around a figure eight with its long axis in the target's direction, which
    reaches the circle on both sides and ends at the centre: ``r (sin s, sin 2s / 2)`` with s from 0
    to 2 pi (the lemniscate of Gerono). Its speed varies between 0.7 and 1.5 times the mean.

    The controller sees where the target is now and how it moves, as a state, without delay. The
    error of the state counts at every step, with the reach's weights, and energy. Velocities do not
    count by default: the target's jumps when it moves off, and no limb can follow that.

    Attributes:
        reach: The reach whose targets move; its directions are those of the paths.
        path: `radial` or `eight`.
        hold_steps: Steps before the target moves off.
        move_steps: Steps for which it moves.

    Raises:
        ValueError: A number is out of range, the path is unknown, or it leaves the reach of the
            limb.

    Example:
        >>> task = Tracking()
        >>> len(task.trials()), round(task.mean_speed_m_s, 6)
        (15, 0.1)
    """

    reach: CenterOut = field(default_factory=_default_reach, metadata={"registry": REACHES})
    path: Literal["radial", "eight"] = "radial"
    hold_steps: int = 20
    move_steps: int = 50

    def __post_init__(self) -> None:
        lookup("path", self.path, _PATHS)
        check_integer("hold_steps", self.hold_steps, minimum=0)
        check_integer("move_steps", self.move_steps, minimum=1)
        if self.hold_steps + self.move_steps > self.steps:
            raise ValueError(
                f"`reach.steps` must be {self.hold_steps + self.move_steps} or more for "
                f"`hold_steps` and `move_steps` together, got {self.steps}."
            )
        self.trials()

    @property
    def cost(self) -> QuadraticCost:
        """Squared error of the state at every step, and energy."""
        return at_every_step(self.reach)

    @property
    def mean_speed_m_s(self) -> float:
        """The target's speed (m/s) while it moves: of a radial path, the mean of a figure eight."""
        place, _ = _PATHS[self.path](torch.linspace(0, 1, 10_001, dtype=torch.float64))
        length = float((place[1:] - place[:-1]).norm(dim=-1).sum())
        return self.reach.radius_m * length / (self.plant.dt_s * self.move_steps)

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return one trial a direction."""
        plain = self.calm_reach.trials()
        step = torch.arange(self.steps + 1, dtype=torch.float64) - self.hold_steps
        place, rate = _PATHS[self.path]((step / self.move_steps).clamp(0, 1))  # (T + 1, 2)
        moves = (step >= 0) & (step < self.move_steps)
        rate = rate * moves[:, None] / (self.plant.dt_s * self.move_steps)
        cos, sin = torch.cos(self.reach.angles), torch.sin(self.reach.angles)
        turn = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], dim=-2)
        place, velocity = (
            in_plane(self.reach.radius_m * (part @ turn), self.plant.hand_size)
            for part in (place, rate)
        )
        center = self.plant.hand_position(plain.initial_state[0])
        wanted = self._moving(center + place, velocity)
        trials = Trials(
            initial_state=plain.initial_state,
            target=wanted[:, -1],
            shown_target=wanted[:, :-1],
            wanted=wanted,
            condition=torch.arange(len(wanted)),
        )
        return self.reach.with_chance(trials, generator).to(dtype=dtype, device=device)

    def tracking_error_m(self, trials: Trials, states: Tensor) -> Tensor:
        """Return the root mean squared distance (m) of hand and target while it moves, (B,).

        Args:
            trials: Of this task.
            states: What became of them, (B, T + 1, n).

        Raises:
            ValueError: The trials are not this task's.
        """
        self._check_states(trials, states)
        during = slice(self.hold_steps, self.hold_steps + self.move_steps + 1)
        place, goal = (self.plant.hand_position(part) for part in (states, trials.goal))
        return (place - goal)[:, during].square().sum(-1).mean(1).sqrt()


def _radial(share: Tensor) -> tuple[Tensor, Tensor]:
    """Place and its derivative by the share of the path, (..., 2), on a circle of radius 1."""
    zero = torch.zeros_like(share)
    return torch.stack([share, zero], -1), torch.stack([zero + 1, zero], -1)


def _eight(share: Tensor) -> tuple[Tensor, Tensor]:
    """The same of a figure eight."""
    s = 2 * math.pi * share
    place = torch.stack([torch.sin(s), torch.sin(2 * s) / 2], -1)
    return place, 2 * math.pi * torch.stack([torch.cos(s), torch.cos(2 * s)], -1)


_PATHS = {"radial": _radial, "eight": _eight}


def figure_eight() -> Tracking:
    """Return the tracking of a figure eight: 8 directions, 2 s around, 2.3 s in all (ours)."""
    return Tracking(_default_reach(8, 230), path="eight", move_steps=200)
