"""Center-out reaching: from one posture to targets on a circle, with little torque.

Source: Sutskever (2013), sections 6.3 and 6.7.1. What it leaves open is a named parameter here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive
from neuromotor._showing import TableInNotebooks
from neuromotor.plants import PLANTS, Plant, TwoJointArm
from neuromotor.plants.plant import check_plant
from neuromotor.tasks.chance import (
    SensoryNoise,
    check_chance,
    check_delay,
    in_plane,
    noisy_senses,
    with_chance,
)
from neuromotor.tasks.cost import QuadraticCost, check_weights, final_state_cost
from neuromotor.tasks.trials import Trials

__all__ = ["CenterOut"]


@dataclass(frozen=True)
class CenterOut(TableInNotebooks):
    """Reaches from a centre to targets on a circle around it; loss ``|x_T - x*|^2 / 2 + energy``.

    Start and targets are states at rest; the error counts joint angles (rad) and velocities
    (rad/s) at the last step (metres and m/s for a point mass).

    Attributes:
        plant: What moves.
        radius_m: Radius of the circle of targets (m). The default is calibrated: with
            `MONKEY_PUBLISHED` it gives iLQR's mean loss 8.95e-5, the figure of Sutskever (2013),
            table 6.2b, which does not state its radius. Most monkey work uses 0.06 m.
        directions: Number of targets, evenly spaced from the positive x axis; 64 in the thesis.
        center_posture_deg: Shoulder and elbow angle (deg) at the centre; None is the plant's home,
            30 and 90 degrees for an arm (our choice).
        steps: Number of steps; 40 of 10 ms in the thesis.
        delay_steps: Feedback delay in steps; none in the thesis.
        energy_weight: Weight of the time integral of the squared command (1/s); multiplied by the
            step length. 1e-2 in the thesis.
        error_weight: Weight of the squared error of the final configuration (rad or m).
        velocity_weight: Weight of the squared error of the final velocity.
        noise: Standard deviation of the signal-dependent noise, as a fraction of the command; none
            by default. With noise of either kind every batch is drawn anew.
        sensory_noise: Standard deviation of the noise on what the controller observes, one number
            for all of a state (rad and rad/s; m and m/s) or one for each; none by default.
        repeats: Trials of each target, one after the other, each with draws of its own.

    Raises:
        ValueError: A number is out of range, or a target is out of reach.

    Example:
        >>> task = CenterOut(directions=8)
        >>> len(task.trials())
        8
    """

    plant: Plant = field(default_factory=TwoJointArm, metadata={"registry": PLANTS})
    radius_m: float = 0.04463
    directions: int = 64
    center_posture_deg: tuple[float, float] | None = None
    steps: int = 40
    delay_steps: int = 0
    energy_weight: float = 1e-2
    error_weight: float = 1.0
    velocity_weight: float = 1.0
    noise: float = 0.0
    sensory_noise: SensoryNoise = 0.0
    repeats: int = 1

    def __post_init__(self) -> None:
        check_plant(self.plant)
        check_positive("radius_m", self.radius_m, "metres")
        check_integer("directions", self.directions, minimum=1)
        check_integer("steps", self.steps, minimum=1)
        check_delay(self.delay_steps, self.steps, self.plant.dt_s)
        check_chance(self.noise, self.sensory_noise, self.repeats, self.plant.state_size)
        check_weights(self)
        for angle in self.center_posture_deg or ():
            check_number("center_posture_deg", angle, "degrees")
        self.trials()  # a target out of reach is refused here, not in the middle of a run

    @property
    def cost(self) -> QuadraticCost:
        """Squared error of the final state and energy."""
        return final_state_cost(self)

    @property
    def random(self) -> bool:
        """Whether there is noise; else every batch is the same."""
        return self.noise > 0 or noisy_senses(self.sensory_noise)

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return `repeats` trials a target, `condition` counting the targets.

        Args:
            generator: Source of the noise, if there is any; None is a new one of seed 0.
            dtype: Dtype of all parts; draws are made in float64.
            device: Device of all parts.

        Raises:
            UnreachableError: A target is out of the plant's reach.
        """
        goal = self.target_at(self.angles)
        start = self.plant.rest_state(self._center())
        trials = Trials(
            initial_state=start.repeat(len(goal), 1),
            target=goal,
            condition=torch.arange(self.directions),
        )
        return self.with_chance(trials, generator).to(dtype=dtype, device=device)

    def with_chance(self, trials: Trials, generator: torch.Generator | None) -> Trials:
        """Return trials with this reach's repeats and noise; in float64 on the CPU."""
        return with_chance(
            trials,
            self.steps,
            self.plant.command_size,
            generator,
            noise=self.noise,
            sensory_noise=self.sensory_noise,
            repeats=self.repeats,
        )

    @property
    def angles(self) -> Tensor:
        """Directions (rad) of the targets from the centre, (directions,)."""
        return torch.arange(self.directions, dtype=torch.float64) * (2 * math.pi / self.directions)

    def target_at(self, angle: Tensor) -> Tensor:
        """Return the state at rest with the hand on the circle at an angle (rad), (..., n).

        The circle lies in the plane of x and y.

        Raises:
            UnreachableError: A target is out of the plant's reach.
        """
        circle = torch.stack([torch.cos(angle), torch.sin(angle)], dim=-1)
        center = self.plant.hand_position(self._center())
        goal = center + self.radius_m * in_plane(circle, self.plant.hand_size)
        return self.plant.rest_state(self.plant.configuration_at(goal))

    def _center(self) -> Tensor:
        """Configuration at the centre, (q,)."""
        posture = self.center_posture_deg
        center = self.plant.home if posture is None else self.plant.configuration(posture)
        return torch.tensor(center, dtype=torch.float64)
