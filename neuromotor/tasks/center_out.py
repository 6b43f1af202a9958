"""Center-out reaching: from one posture to targets on a circle or a sphere, with little torque.

Source: Sutskever (2013), sections 6.3 and 6.7.1. What it leaves open is a named parameter here.
Reaches to a sphere follow Georgopoulos, Schwartz & Kettner (1986), with other directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive
from neuromotor._showing import TableInNotebooks
from neuromotor.plants import PLANTS, Plant, TwoJointArm
from neuromotor.plants.plant import check_plant, configuration_near
from neuromotor.tasks.chance import (
    SensoryNoise,
    check_chance,
    check_delay,
    in_plane,
    with_chance,
)
from neuromotor.tasks.cost import QuadraticCost, check_weights, final_state_cost
from neuromotor.tasks.penalties import PENALTIES_FIELD, Penalties, check_penalties
from neuromotor.tasks.senses import SENSES, Senses, SensesInUse, check_senses
from neuromotor.tasks.trials import Trials

__all__ = ["CenterOut"]


@dataclass(frozen=True)
class CenterOut(TableInNotebooks):
    """Reaches from a centre to targets around it; loss ``|x_T - x*|^2 / 2 + energy``.

    Start and targets are states at rest; the error counts joint angles (rad) and velocities
    (rad/s) at the last step (metres and m/s for a point mass). Where many joint angles put the hand
    at a target, as those of `SpatialArm` do, the target has those that differ least from the start.

    Attributes:
        plant: What moves.
        radius_m: Radius of the circle or sphere of targets (m). The default is calibrated: with
            `MONKEY_PUBLISHED` it gives iLQR's mean loss 8.95e-5, the figure of Sutskever (2013),
            table 6.2b, which does not state its radius. Most monkey work uses 0.06 m.
        directions: Number of targets, evenly spread; 64 in the thesis. The first one on a circle is
            on the positive x axis.
        center_posture_deg: Joint angles (deg) at the centre; None is the plant's home, shoulder 30
            and elbow 90 degrees for an arm in the plane (our choice).
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
        senses: Channels that the controller senses, each with its own delay and noise
            (`tasks.senses`); None is the plant's state after `delay_steps`, with `sensory_noise`.
            Channels without a delay of their own have that of `delay_steps`.
        targets: Where they lie: ``circle``, in the plane of x and y, or ``sphere``, for a plant
            whose hand moves in space.
        penalties: What a training pays for beside the movement (`tasks.penalties`): rates, weights,
            muscles and more; None is nothing.

    Raises:
        ValueError: A setting is out of range, or a target is out of reach.

    Example:
        >>> task = CenterOut(directions=8)
        >>> len(task.trials())
        8
    """

    plant: Plant = field(default_factory=TwoJointArm, metadata={"registry": PLANTS})
    radius_m: float = 0.04463
    directions: int = 64
    center_posture_deg: tuple[float, ...] | None = None
    steps: int = 40
    delay_steps: int = 0
    energy_weight: float = 1e-2
    error_weight: float = 1.0
    velocity_weight: float = 1.0
    noise: float = 0.0
    sensory_noise: SensoryNoise = 0.0
    repeats: int = 1
    senses: Senses | None = field(default=None, metadata={"registry": SENSES, "left_out": True})
    targets: str = "circle"
    penalties: Penalties | None = field(default=None, metadata=PENALTIES_FIELD)

    def __post_init__(self) -> None:
        check_plant(self.plant)
        if self.targets not in ("circle", "sphere"):
            raise ValueError(f"`targets` must be circle or sphere, got {self.targets!r}.")
        if self.targets == "sphere" and self.plant.hand_size != 3:
            raise ValueError(
                "`targets` must be circle for a plant whose hand does not move in space, got "
                f"{self.targets!r} and a {type(self.plant).__name__}; use `SpatialArm`, on the "
                "command line `--plant human-spatial`."
            )
        check_positive("radius_m", self.radius_m, "metres")
        check_integer("directions", self.directions, minimum=1)
        check_integer("steps", self.steps, minimum=1)
        check_delay(self.delay_steps, self.steps, self.plant.dt_s)
        check_chance(self.noise, self.sensory_noise, self.repeats, self.plant.state_size)
        check_senses(self)
        check_penalties(self)
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
        return self.noise > 0 or SensesInUse.of(self).noisy

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
        sphere = self.targets == "sphere"
        goal = self._target(on_sphere(self.directions) if sphere else self._on_circle(self.angles))
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
            senses=SensesInUse.of(self),
            repeats=self.repeats,
        )

    @property
    def angles(self) -> Tensor:
        """Directions (rad) of the targets from the centre, (directions,).

        Raises:
            ValueError: The targets lie on a sphere.
        """
        self._check_circle()
        return torch.arange(self.directions, dtype=torch.float64) * (2 * math.pi / self.directions)

    def target_at(self, angle: Tensor) -> Tensor:
        """Return the state at rest with the hand on the circle at an angle (rad), (..., n).

        The circle lies in the plane of x and y.

        Raises:
            UnreachableError: A target is out of the plant's reach.
            ValueError: The targets lie on a sphere.
        """
        self._check_circle()
        return self._target(self._on_circle(angle))

    def _check_circle(self) -> None:
        """Raise unless a direction is an angle."""
        if self.targets != "circle":
            raise ValueError(
                f"`reach.targets` must be circle where a direction is an angle, got "
                f"{self.targets!r}."
            )

    def _on_circle(self, angle: Tensor) -> Tensor:
        """Directions (..., d) at angles (rad) in the plane of x and y."""
        circle = torch.stack([torch.cos(angle), torch.sin(angle)], dim=-1)
        return in_plane(circle, self.plant.hand_size)

    def _target(self, direction: Tensor) -> Tensor:
        """States at rest (..., n) with the hand so far from the centre in these directions."""
        center = self._center()
        goal = self.plant.hand_position(center) + self.radius_m * direction
        return self.plant.rest_state(configuration_near(self.plant, goal, center))

    def _center(self) -> Tensor:
        """Configuration at the centre, (q,)."""
        posture = self.center_posture_deg
        center = self.plant.home if posture is None else self.plant.configuration(posture)
        return torch.tensor(center, dtype=torch.float64)


def on_sphere(count: int) -> Tensor:
    """Return directions that are evenly spread in space, (count, 3).

    They lie on a spiral from near the top to near the bottom, each turned by the golden angle from
    the one before, so that each has the same share of the sphere (González 2010, Mathematical
    Geosciences 42, equation 1, with the points moved by half a step).
    """
    index = torch.arange(count, dtype=torch.float64)
    height = 1 - (2 * index + 1) / count
    angle = math.pi * (3 - math.sqrt(5)) * index
    across = (1 - height.square()).sqrt()
    return torch.stack([across * angle.cos(), across * angle.sin(), height], dim=-1)
