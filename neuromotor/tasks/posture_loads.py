"""Loads on an arm that holds its posture, with the cost that networks like cortex are trained on.

Source: Kalidindi et al. (2021), methods and published code for the posture task.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number
from neuromotor._showing import TableInNotebooks
from neuromotor.plants import PLANTS, MuscleArm, Plant
from neuromotor.plants.plant import by_part, check_plant
from neuromotor.tasks.chance import check_chance, check_delay, in_plane, with_chance
from neuromotor.tasks.cost import QuadraticCost, check_weights
from neuromotor.tasks.penalties import (
    PENALTIES_FIELD,
    Penalties,
    Penalty,
    check_penalties,
    with_muscles,
)
from neuromotor.tasks.senses import SENSES, Channel, Senses, SensesInUse, check_senses
from neuromotor.tasks.trials import Trials

__all__ = ["PostureLoads", "cortical_senses"]

# The published loss sums its terms over both joints and doubles the sum. Muscles and rates are in
# the terms of both joints, so that they count twice. Ours are halves of squares, integrated over
# seconds: 4 times the published coefficient of a mean over one second, and 8 times for muscles.
_PENALTIES = Penalties(
    (
        Penalty("muscles", 0.08, end_s=1.0),  # 1e-2 before the load
        Penalty("muscles", 8e-5, start_s=1.0, end_s=2.0),  # 1e-5 in the second after it
        Penalty("rates", 8e-5 / 3),  # 1e-5, a mean over 3 s
        Penalty("weights", 1e-8),  # their weight decay
    )
)


def cortical_senses() -> Senses:
    """Return the twelve inputs of Kalidindi et al. (2021), with the task's own delay."""
    return Senses(
        channels=(
            Channel("joint_position", scale=2.0, relative=True),
            Channel("joint_velocity", scale=0.5),
            Channel("muscle_activity"),
        ),
        target=(Channel("joint_position", relative=True),),
    )


def _default_plant() -> MuscleArm:
    """Muscles without a bound, and the posture of the study as home."""
    return MuscleArm(bounded=False, home_deg=(math.degrees(0.4368), math.degrees(1.4464)))


@dataclass(frozen=True)
class PostureLoads(TableInNotebooks):
    """A posture held against constant joint torques, one a direction, and one trial without.

    Errors count before the load, and again from `return_step` on: between them the arm may move as
    it likes. Muscle activity and rates are paid for by `penalties`.

    Attributes:
        plant: What is pushed; its home is the posture.
        load_nm: Size of the torque (N m), evenly spaced in the plane of shoulder and elbow torque.
        directions: Number of loads.
        onset_step: Step from which the load acts, to the end.
        return_step: Step from which errors count again.
        steps: Number of steps.
        delay_steps: Delay of those channels that have none of their own.
        error_weight: Weight (1/s) of the time integral of half the squared error of the posture.
        velocity_weight: The same of the velocity.
        energy_weight: Weight of the time integral of the squared command (1/s).
        noise: Standard deviation of the signal-dependent noise, as a fraction of the command. The
            study adds noise in proportion to the square of a muscle's activity.
        repeats: Trials of each load, with draws of their own.
        senses: Channels that the controller senses; None is the plant's state.
        penalties: What a training pays for beside the movement (`tasks.penalties`).

    Raises:
        ValueError: A number is out of range, or a channel or penalty does not suit the plant.

    Example:
        >>> len(PostureLoads().trials())
        9
    """

    plant: Plant = field(default_factory=_default_plant, metadata={"registry": PLANTS})
    load_nm: float = 0.2
    directions: int = 8
    onset_step: int = 100
    return_step: int = 200
    steps: int = 300
    delay_steps: int = 5
    error_weight: float = 2.0
    velocity_weight: float = 1.0
    energy_weight: float = 0.0
    noise: float = 0.03
    repeats: int = 1
    senses: Senses | None = field(
        default_factory=cortical_senses, metadata={"registry": SENSES, "left_out": True}
    )
    penalties: Penalties | None = field(default=_PENALTIES, metadata=PENALTIES_FIELD)

    def __post_init__(self) -> None:
        check_plant(self.plant)
        check_number("load_nm", self.load_nm, "N m", minimum=0.0)
        check_integer("directions", self.directions, minimum=1)
        check_integer("onset_step", self.onset_step, minimum=0)
        check_integer("return_step", self.return_step, minimum=self.onset_step)
        check_integer("steps", self.steps, minimum=self.return_step + 1)
        check_delay(self.delay_steps, self.steps, self.plant.dt_s)
        check_chance(self.noise, 0.0, self.repeats, self.plant.state_size)
        check_senses(self)
        check_penalties(self)
        check_weights(self)

    @property
    def cost(self) -> QuadraticCost:
        """Squared errors of posture and velocity, except while it returns, and muscle activity."""
        weights = torch.zeros(self.steps + 1, self.plant.state_size, dtype=torch.float64)
        dt_s = self.plant.dt_s
        every = by_part(
            self.plant, position=dt_s * self.error_weight, velocity=dt_s * self.velocity_weight
        )
        weights[: self.onset_step] = every
        weights[self.return_step :] = every
        return with_muscles(QuadraticCost(weights, dt_s * self.energy_weight), self)

    @property
    def random(self) -> bool:
        """Whether there is noise; else every batch is the same."""
        return self.noise > 0 or SensesInUse.of(self).noisy

    @property
    def angles(self) -> Tensor:
        """Directions (rad) of the loads, in the plane of both torques, (directions,)."""
        return torch.arange(self.directions, dtype=torch.float64) * (2 * math.pi / self.directions)

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return `repeats` trials a load, the one without load last; `condition` counts loads.

        Args:
            generator: Source of the noise; None is a new one of seed 0.
            dtype: Dtype of all parts.
            device: Device of all parts.
        """
        push = torch.stack([torch.cos(self.angles), torch.sin(self.angles)], dim=-1)
        push = torch.cat([push, torch.zeros(1, 2, dtype=torch.float64)])
        on = (torch.arange(self.steps) >= self.onset_step)[None, :, None]
        load = on * in_plane(self.load_nm * push, self.plant.load_size)[:, None]
        home = torch.tensor(self.plant.home, dtype=torch.float64)
        rest = self.plant.rest_state(home).repeat(len(push), 1)
        trials = Trials(
            initial_state=rest, target=rest, load=load, condition=torch.arange(len(push))
        )
        return with_chance(
            trials,
            self.steps,
            self.plant.command_size,
            generator,
            noise=self.noise,
            senses=SensesInUse.of(self),
            repeats=self.repeats,
        ).to(dtype=dtype, device=device)
