"""What is done to a center-out reach in experiments: the target jumps, the hand is pushed."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_numbers
from neuromotor.plants import Plant, moving_state
from neuromotor.tasks.center_out import CenterOut
from neuromotor.tasks.chance import in_plane
from neuromotor.tasks.task import DerivedTask
from neuromotor.tasks.trials import Trials

__all__ = [
    "PulsedReach",
    "ReachExperiment",
    "TargetJump",
    "default_reach",
    "with_plant",
]

REACHES = {"center-out": CenterOut()}


def default_reach() -> CenterOut:
    """Return the reach of the experiments: 8 directions, 600 ms, 50 ms of delay (our choice)."""
    return CenterOut(directions=8, steps=60, delay_steps=5)


@dataclass(frozen=True)
class ReachExperiment(DerivedTask):
    """A center-out reach with something done to it.

    Plant, time, delay, noise, repeats and cost are those of `reach`.
    """

    reach: CenterOut = field(default_factory=default_reach, metadata={"registry": REACHES})

    @property
    def source(self) -> CenterOut:
        """The reach."""
        return self.reach

    @abstractmethod
    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return the batch, repeats of a trial in a row; `condition` counts trials without repeats.

        Args:
            generator: Source of the reach's noise, if any; None is a new one of seed 0.
            dtype: Dtype of all parts; draws are made in float64.
            device: Device of all parts.
        """

    @property
    def calm_reach(self) -> CenterOut:
        """The reach without repeats and noise: what the trials are made from."""
        return replace(self.reach, noise=0.0, sensory_noise=0.0, repeats=1, senses=None)

    def _moving(self, place: Tensor, velocity: Tensor) -> Tensor:
        """States (..., n), near the start's posture, with the hand at a place (m) and moving."""
        start = self.calm_reach.trials().initial_state[0]
        return moving_state(self.plant, place, velocity, start[self.plant.state_parts["position"]])

    def _check_states(self, trials: Trials, states: Tensor) -> None:
        """Raise unless states are those of trials with a target that moves."""
        expected = None if trials.wanted is None else tuple(trials.wanted.shape)
        if tuple(states.shape) != expected:
            raise ValueError(
                f"`states` must be those of trials of this task, of shape {expected}, got "
                f"{tuple(states.shape)}."
            )

    def _check_step(self, name: str, step: object) -> None:
        """Raise unless a step lies within the reach."""
        check_integer(name, step, minimum=0)
        if isinstance(step, int) and step >= self.steps:
            raise ValueError(
                f"`{name}` must be below the {self.steps} steps of the reach, got {step}."
            )


@dataclass(frozen=True)
class TargetJump(ReachExperiment):
    """Reaches whose target jumps along the circle on the way, with trials where it stays.

    The controller is shown the old target before the jump and the new one from then on; the
    loss counts the new one alone. Jumps to another target of the circle: Georgopoulos, Kalaska &
    Massey (1981); time and angle are ours.

    Attributes:
        reach: The reach whose target jumps.
        jumps_deg: Jumps (deg) along the circle, positive anticlockwise; every target meets each.
        jump_step: First step at which the new target is shown.

    Raises:
        ValueError: A number is out of range, or a target is out of reach.
    """

    jumps_deg: tuple[float, ...] = (-45.0, 0.0, 45.0)
    jump_step: int = 15

    def __post_init__(self) -> None:
        check_numbers("jumps_deg", self.jumps_deg, "degrees")
        self._check_step("jump_step", self.jump_step)
        self.trials()

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return one trial a target and jump, jumps fastest."""
        reach, jumps = self.calm_reach, torch.tensor(self.jumps_deg, dtype=torch.float64)
        before = reach.angles.repeat_interleave(len(jumps))
        after = before + torch.deg2rad(jumps).repeat(reach.directions)
        start = reach.trials().initial_state[:1].repeat(len(before), 1)
        shown = reach.target_at(before)[:, None].repeat(1, self.steps, 1)
        target = reach.target_at(after)
        shown[:, self.jump_step :] = target[:, None]
        trials = Trials(
            initial_state=start,
            target=target,
            shown_target=shown,
            condition=torch.arange(len(target)),
        )
        return self.reach.with_chance(trials, generator).to(dtype=dtype, device=device)


@dataclass(frozen=True)
class PulsedReach(ReachExperiment):
    """Reaches in which a short push strikes the hand from the side, with trials without a push.

    Mechanical perturbations of a reach are reviewed by Pruszynski & Scott (2012); size, time and
    length of the pulse are ours.

    Attributes:
        reach: The reach that is pushed.
        force_n: Size of the push (N); None is 1 N times the plant's `load_scale`.
        pushes: Multiples of the size, positive to the left of the reach; every target meets each.
        onset_step: First step of the push; 100 ms.
        pulse_steps: Length of the push in steps; 50 ms.

    Raises:
        ValueError: A number is out of range.
    """

    force_n: float | None = field(default=None, metadata={"in_use": "force_in_use"})
    pushes: tuple[float, ...] = (-1.0, 0.0, 1.0)
    onset_step: int = 10
    pulse_steps: int = 5

    def __post_init__(self) -> None:
        if self.force_n is not None:
            check_number("force_n", self.force_n, "N", minimum=0.0)
        check_numbers("pushes", self.pushes)
        self._check_step("onset_step", self.onset_step)
        check_integer("pulse_steps", self.pulse_steps, minimum=1)

    @property
    def force_in_use(self) -> float:
        """Size of the push (N), the plant's scale in it unless `force_n` is given."""
        return self.plant.load_scale if self.force_n is None else self.force_n

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return one trial a target and push, pushes fastest."""
        plain = self.calm_reach.trials()
        count = len(self.pushes)
        left = (self.reach.angles + math.pi / 2).repeat_interleave(count)
        size = self.force_in_use * torch.tensor(self.pushes, dtype=torch.float64)
        push = torch.stack([torch.cos(left), torch.sin(left)], dim=-1)
        push = in_plane(push * size.repeat(self.reach.directions)[:, None], self.plant.hand_size)
        force = torch.zeros(len(push), self.steps, push.shape[1], dtype=torch.float64)
        force[:, self.onset_step : self.onset_step + self.pulse_steps] = push[:, None]
        trials = Trials(
            initial_state=plain.initial_state.repeat_interleave(count, dim=0),
            target=plain.target.repeat_interleave(count, dim=0),
            hand_force=force,
            condition=torch.arange(len(push)),
        )
        return self.reach.with_chance(trials, generator).to(dtype=dtype, device=device)


def with_plant(task: Any, plant: Plant) -> Any:
    """Return a task of this package with another plant.

    Raises:
        ValueError: The plant does not suit the task.
    """
    if isinstance(task, ReachExperiment):
        return replace(task, reach=replace(task.reach, plant=plant))
    return replace(task, plant=plant)
