"""A swing: the hand is at a place at a given time, and moves there with a given velocity."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from neuromotor._checks import check_number, check_numbers
from neuromotor.tasks.chance import in_plane
from neuromotor.tasks.reach_experiments import ReachExperiment
from neuromotor.tasks.trials import Trials

__all__ = ["Swing"]


@dataclass(frozen=True)
class Swing(ReachExperiment):
    """Reaches that end in full motion, as a bat meets a ball.

    At the last step the hand is to be on the circle with a velocity whose size is `speed_m_s`. The
    loss is that of the reach, with the target's velocity in the place of rest: the controller is
    told the state to be in, joint velocities included.

    Speed and angles are ours.

    Attributes:
        reach: The reach that ends in a swing.
        speed_m_s: Speed of the hand at the end (m/s).
        turns_deg: Directions (deg) of that velocity, from straight on, positive to the left; every
            target meets each.

    Raises:
        ValueError: A number is out of range, or a target is out of reach.

    Example:
        >>> task = Swing(turns_deg=(0.0,))
        >>> speed = task.plant.hand_velocity(task.trials().target).norm(dim=-1)
        >>> [round(float(v), 6) for v in speed[:2]]
        [0.4, 0.4]
    """

    speed_m_s: float = 0.4
    turns_deg: tuple[float, ...] = (-45.0, 0.0, 45.0)

    def __post_init__(self) -> None:
        check_number("speed_m_s", self.speed_m_s, "m/s", minimum=0.0)
        check_numbers("turns_deg", self.turns_deg, "degrees")
        self.trials()

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return one trial a target and turn, turns fastest."""
        plain, count = self.calm_reach.trials(), len(self.turns_deg)
        turns = torch.deg2rad(torch.tensor(self.turns_deg, dtype=torch.float64))
        angle = self.reach.angles.repeat_interleave(count) + turns.repeat(self.reach.directions)
        velocity = self.speed_m_s * torch.stack([torch.cos(angle), torch.sin(angle)], dim=-1)
        place = self.plant.hand_position(plain.target).repeat_interleave(count, dim=0)
        trials = Trials(
            initial_state=plain.initial_state.repeat_interleave(count, dim=0),
            target=self._moving(place, in_plane(velocity, self.plant.hand_size)),
            condition=torch.arange(len(place)),
        )
        return self.reach.with_chance(trials, generator).to(dtype=dtype, device=device)
