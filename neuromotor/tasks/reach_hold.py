"""Reaches from a held posture, with the cost that networks like cortex are trained on.

Source: Kalidindi et al. (2021), methods and published code for the reach task.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from neuromotor._checks import check_integer, check_numbers, check_positive
from neuromotor.plants import PLANTS, MuscleArm, Plant
from neuromotor.plants.plant import by_part, configuration_near
from neuromotor.tasks.chance import in_plane
from neuromotor.tasks.cortical import CorticalTask, cortical_senses
from neuromotor.tasks.cost import QuadraticCost
from neuromotor.tasks.penalties import PENALTIES_FIELD, Penalties, Penalty, with_muscles
from neuromotor.tasks.senses import SENSES, Senses
from neuromotor.tasks.trials import Trials

__all__ = ["ReachHold"]

# See `posture_loads` on the factors; the published means are over the whole trial.
_PENALTIES = Penalties(
    (
        Penalty("muscles", 8e-2 / 1.5, end_s=0.5),  # 1e-2 while the target is home
        Penalty("muscles", 8e-4 / 1.5, start_s=0.5),  # 1e-4 afterwards
        Penalty("rates", 8e-5 / 1.5),  # 1e-5
        Penalty("weights", 1e-8),  # their weight decay
    )
)


def _default_plant() -> MuscleArm:
    """Muscles without a bound, and the start of the study as home."""
    return MuscleArm(bounded=False, home_deg=(32.6, 84.2))


@dataclass(frozen=True)
class ReachHold(CorticalTask):
    """Hold at home, reach for a target when it is shown, and stay there; one trial stays home.

    Until the target is shown the velocity counts. Then the hand has `reach_steps`, and after these
    errors of position and velocity count to the end.

    Attributes:
        plant: What moves; its home is where reaches start.
        radii_m: Distances (m) of the targets.
        directions: Number of targets at each distance, evenly spread; the first is on the positive
            x axis.
        hold_steps: Step at which the target is shown.
        reach_steps: Steps from there until errors count.
        steps: Number of steps.
        delay_steps: Delay of those channels that have none of their own. That of the news of the
            target is none, unless its channel has one.
        error_weight: Weight (1/s) of the time integral of half the squared error of the
            configuration.
        velocity_weight: The same of the velocity.
        energy_weight: Weight of the time integral of the squared command (1/s).
        noise: Standard deviation of the signal-dependent noise, as a fraction of the command.
        repeats: Trials of each target, with draws of their own.
        senses: Channels that the controller senses; None is the plant's state.
        penalties: What a training pays for beside the movement (`tasks.penalties`).

    Raises:
        ValueError: A number is out of range, a target is out of reach, or a channel or penalty does
            not suit the plant.

    Example:
        >>> len(ReachHold().trials())
        33
    """

    plant: Plant = field(default_factory=_default_plant, metadata={"registry": PLANTS})
    radii_m: tuple[float, ...] = (0.05, 0.02)
    directions: int = 16
    hold_steps: int = 50
    reach_steps: int = 50
    steps: int = 150
    delay_steps: int = 5
    error_weight: float = 4.0
    velocity_weight: float = 4.0
    energy_weight: float = 0.0
    noise: float = 0.03
    repeats: int = 1
    senses: Senses | None = field(
        default_factory=cortical_senses, metadata={"registry": SENSES, "left_out": True}
    )
    penalties: Penalties | None = field(default=_PENALTIES, metadata=PENALTIES_FIELD)

    def __post_init__(self) -> None:
        check_numbers("radii_m", self.radii_m, "metres")
        for radius in self.radii_m:
            check_positive("radii_m", radius, "metres")
        check_integer("hold_steps", self.hold_steps, minimum=0)
        check_integer("reach_steps", self.reach_steps, minimum=1)
        check_integer("steps", self.steps, minimum=self.hold_steps + self.reach_steps + 1)
        self._check()
        self.trials()  # a target out of reach is refused here, not in the middle of a run

    @property
    def cost(self) -> QuadraticCost:
        """Squared velocity while home is held, squared errors after the reach, muscle activity."""
        weights = torch.zeros(self.steps + 1, self.plant.state_size, dtype=torch.float64)
        dt_s = self.plant.dt_s
        still = by_part(self.plant, velocity=dt_s * self.velocity_weight)
        weights[: self.hold_steps] = still
        there = by_part(self.plant, position=dt_s * self.error_weight)
        weights[self.hold_steps + self.reach_steps :] = still + there
        return with_muscles(QuadraticCost(weights, dt_s * self.energy_weight), self)

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return `repeats` trials a target, directions fastest, that which stays home last.

        Args:
            generator: Source of the noise; None is a new one of seed 0.
            dtype: Dtype of all parts.
            device: Device of all parts.

        Raises:
            UnreachableError: A target is out of the plant's reach.
        """
        home = torch.tensor(self.plant.home, dtype=torch.float64)
        start = self.plant.rest_state(home)
        unit = self._in_directions()
        places = torch.cat([radius * unit for radius in self.radii_m])
        goal = self.plant.hand_position(home) + in_plane(places, self.plant.hand_size)
        target = self.plant.rest_state(configuration_near(self.plant, goal, home))
        target = torch.cat([target, start[None]])
        shown = target[:, None].repeat(1, self.steps, 1)
        shown[:, : self.hold_steps] = start
        trials = Trials(
            initial_state=start.repeat(len(target), 1),
            target=target,
            shown_target=shown,
            condition=torch.arange(len(target)),
        )
        return self._with_noise(trials, generator).to(dtype=dtype, device=device)
