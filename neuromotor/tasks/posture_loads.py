"""Loads on an arm that holds its posture, with the cost that networks like cortex are trained on.

Source: Kalidindi et al. (2021), methods and published code for the posture task.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from neuromotor._checks import check_integer, check_number
from neuromotor.plants import PLANTS, MuscleArm, Plant
from neuromotor.plants.plant import by_part
from neuromotor.tasks.chance import in_plane
from neuromotor.tasks.cortical import CorticalTask, cortical_senses
from neuromotor.tasks.cost import QuadraticCost
from neuromotor.tasks.penalties import PENALTIES_FIELD, Penalties, Penalty, with_muscles
from neuromotor.tasks.senses import SENSES, Senses
from neuromotor.tasks.trials import Trials

__all__ = ["PostureLoads"]

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


def _default_plant() -> MuscleArm:
    """Muscles without a bound, and the posture of the study as home."""
    return MuscleArm(bounded=False, home_deg=(math.degrees(0.4368), math.degrees(1.4464)))


@dataclass(frozen=True)
class PostureLoads(CorticalTask):
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
        check_number("load_nm", self.load_nm, "N m", minimum=0.0)
        check_integer("onset_step", self.onset_step, minimum=0)
        check_integer("return_step", self.return_step, minimum=self.onset_step)
        check_integer("steps", self.steps, minimum=self.return_step + 1)
        self._check()

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
        push = torch.cat([self._in_directions(), torch.zeros(1, 2, dtype=torch.float64)])
        on = (torch.arange(self.steps) >= self.onset_step)[None, :, None]
        load = on * in_plane(self.load_nm * push, self.plant.load_size)[:, None]
        home = torch.tensor(self.plant.home, dtype=torch.float64)
        rest = self.plant.rest_state(home).repeat(len(push), 1)
        trials = Trials(
            initial_state=rest, target=rest, load=load, condition=torch.arange(len(push))
        )
        return self._with_noise(trials, generator).to(dtype=dtype, device=device)
