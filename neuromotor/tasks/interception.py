"""Interception: the hand meets a moving target within a window of time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_numbers, check_positive
from neuromotor.tasks.chance import in_plane
from neuromotor.tasks.cost import QuadraticCost, at_every_step
from neuromotor.tasks.reach_experiments import ReachExperiment
from neuromotor.tasks.trials import Trials

__all__ = ["Interception"]


@dataclass(frozen=True)
class Interception(ReachExperiment):
    """A target crosses the circle of a reach; the hand must be with it within a window.

    The target moves at `speed_m_s` along a straight line through its place on the circle, where it
    would be when the window opens. At `change_step` its speed is multiplied by a factor, so that it
    is elsewhere by then. The controller sees where the target is now and how it moves, as a state,
    without delay; nothing tells it that the speed will change. The error of the state counts at
    every step of the window, with the reach's weights, and energy throughout. So the hand moves
    along with the target. With ``reach.velocity_weight=0`` and a window of one step, it hits the
    target in passing.

    Source: review by Merchant & Georgopoulos (2006); numbers are ours.

    Attributes:
        reach: The reach whose targets move.
        speed_m_s: Speed of the target (m/s).
        approach_deg: Direction (deg) in which the target moves, from straight on as seen from the
            start, positive to the left: 90 crosses from right to left, 180 comes head-on.
        speed_factors: Factors on the speed from `change_step` on; every target meets each. 1 is no
            change, 0 a stop.
        change_step: First state after which the new speed holds.
        window_steps: First and last step after which the hand must be with the target.

    Raises:
        ValueError: A number is out of range, or a target gets out of reach.

    Example:
        >>> trials = Interception().trials()
        >>> trials.wanted.shape, trials.shown_target.shape
        (torch.Size([24, 61, 4]), torch.Size([24, 60, 4]))
    """

    speed_m_s: float = 0.1
    approach_deg: float = 90.0
    speed_factors: tuple[float, ...] = (0.5, 1.0, 1.5)
    change_step: int = 25
    window_steps: tuple[int, int] = (50, 60)

    def __post_init__(self) -> None:
        check_positive("speed_m_s", self.speed_m_s, "m/s")
        check_number("approach_deg", self.approach_deg, "degrees")
        check_numbers("speed_factors", self.speed_factors)
        self._check_step("change_step", self.change_step)
        first, last = self.window_steps
        check_integer("window_steps", first, minimum=1)
        check_integer("window_steps", last, minimum=first)
        if last > self.steps:
            raise ValueError(
                f"`window_steps` must end by the last of the {self.steps} steps of the reach, got "
                f"{self.window_steps}."
            )
        self.trials()

    @property
    def cost(self) -> QuadraticCost:
        """Squared error of the state at every step, where the trials count it, and energy."""
        return at_every_step(self.reach)

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return one trial a target and factor, factors fastest."""
        plain, count = self.calm_reach.trials(), len(self.speed_factors)
        heading = self.reach.angles + math.radians(self.approach_deg)
        velocity = self.speed_m_s * torch.stack([torch.cos(heading), torch.sin(heading)], dim=-1)
        velocity = in_plane(velocity, self.plant.hand_size)[:, None, None]  # (targets, 1, 1, d)
        first, last = self.window_steps
        step = torch.arange(self.steps + 1, dtype=torch.float64)
        factors = torch.tensor(self.speed_factors, dtype=torch.float64)[:, None]  # (factors, 1)
        gone = step.clamp(max=self.change_step) + factors * (step - self.change_step).clamp(min=0)
        place = self.plant.hand_position(plain.target)[:, None, None]
        place = place + self.plant.dt_s * (gone - first)[..., None] * velocity
        speed = torch.where(step < self.change_step, 1.0, factors)[..., None] * velocity
        wanted = self._moving(place.flatten(0, 1), speed.flatten(0, 1))
        counted = ((step >= first) & (step <= last)).to(wanted)[None, :, None]
        trials = Trials(
            initial_state=plain.initial_state.repeat_interleave(count, dim=0),
            target=wanted[:, -1],
            shown_target=wanted[:, :-1],
            wanted=wanted,
            counted=counted.expand_as(wanted).contiguous(),
            condition=torch.arange(len(wanted)),
        )
        return self.reach.with_chance(trials, generator).to(dtype=dtype, device=device)

    def meeting_time_s(self, trials: Trials, states: Tensor, *, within_m: float = 0.005) -> Tensor:
        """Return when the hand is first with the target within the window (s), (B,); NaN if never.

        Args:
            trials: Of this task.
            states: What became of them, (B, T + 1, n).
            within_m: Distance (m) of hand and target that counts as a meeting; ours.

        Raises:
            ValueError: The trials are not this task's, or `within_m` is not positive.
        """
        check_positive("within_m", within_m, "metres")
        self._check_states(trials, states)
        place, goal = (self.plant.hand_position(part) for part in (states, trials.goal))
        first, last = self.window_steps
        met = ((place - goal).norm(dim=-1) <= within_m)[:, first : last + 1]
        time = self.plant.dt_s * (first + met.int().argmax(dim=1)).to(states)
        return torch.where(met.any(dim=1), time, torch.nan)
