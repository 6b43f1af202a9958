"""A point mass in the plane, moved by a force: the plant whose optimal control is known in full."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_number, check_positive
from neuromotor.plants import point_mass_components
from neuromotor.plants.integrators import INTEGRATORS, Euler, Integrator
from neuromotor.plants.mechanical import IntegratedPlant
from neuromotor.plants.plant import Components, check_command_limit, check_last_axis
from neuromotor.plants.signals import Signal, hand_signals

__all__ = ["PointMass"]


@dataclass(frozen=True)
class PointMass(IntegratedPlant):
    """A mass in the plane with viscous damping: ``m p'' = force + load + hand_force - b p'``.

    States are ``[x, y, x', y']`` (m, m/s), commands forces (N). Linear, so that iLQR and trained
    controllers can be held against Riccati's solution.

    Attributes:
        mass: Mass (kg); 1 kg, of the order of a human arm's mass as felt at the hand.
        damping: Viscous damping b (N s/m); none by default.
        dt_s: Step length (s).
        integrator: How a step is taken.
        command_limit: Largest force (N) of the actuators in x and y, as `TwoJointArm` has it for
            torques; None for none.

    Raises:
        ValueError: `mass`, `dt_s` or `command_limit` is not positive, or `damping` is negative.
    """

    mass: float = 1.0
    damping: float = 0.0
    dt_s: float = 0.01
    integrator: Integrator = field(default_factory=Euler, metadata={"registry": INTEGRATORS})
    command_limit: float | tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_command_limit(self.command_limit, 2, "N")
        check_positive("mass", self.mass, "kilograms")
        check_number("damping", self.damping, "N s/m", minimum=0.0)
        check_positive("dt_s", self.dt_s, "seconds")

    @property
    def state_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a state."""
        return ("x position (m)", "y position (m)", "x velocity (m/s)", "y velocity (m/s)")

    @property
    def command_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a command."""
        return ("x force (N)", "y force (N)")

    @property
    def home(self) -> tuple[float, float]:
        """The origin (m)."""
        return (0.0, 0.0)

    @property
    def usual_command(self) -> float:
        """5 N (ours)."""
        return 5.0

    @property
    def state_limits(self) -> tuple[float, ...]:
        """2 m and 20 m/s along each axis (ours)."""
        return (2.0, 2.0, 20.0, 20.0, *[math.inf] * (self.state_size - 4))

    @property
    def hand_limits(self) -> tuple[float, float]:
        """Those of the state: 2 m and 20 m/s."""
        return 2.0, 20.0

    def configuration(self, posture_deg: tuple[float, ...]) -> tuple[float, ...]:
        """Refuse: a point mass has no joints."""
        raise ValueError(
            "`posture_deg` must be left out for a point mass, which has no joints, "
            f"got {posture_deg!r}."
        )

    def configuration_at(self, hand_position: Tensor) -> Tensor:
        """Return the position itself (m), (..., 2)."""
        check_last_axis("hand_position", hand_position, 2, "x and y")
        return hand_position

    def hand_position(self, state: Tensor) -> Tensor:
        """Return the position (m), (..., 2), of states or positions."""
        return state[..., :2]

    def hand_velocity(self, state: Tensor) -> Tensor:
        """Return the velocity (m/s), (..., 2), of states (..., 4)."""
        return state[..., 2:4]

    def signals(self) -> dict[str, Signal]:
        """Return where the hand is and how fast it moves: they are numbers of the state."""
        found = hand_signals(self).items()
        places = ((0, 1), (2, 3))
        return {
            name: Signal(one.labels, one.limits, entries)
            for (name, one), entries in zip(found, places, strict=True)
        }

    def kinetic_energy(self, state: Tensor) -> Tensor:
        """Return ``m |p'|^2 / 2`` (J), (...), of states (..., 4)."""
        return 0.5 * self.mass * state[..., 2:4].square().sum(-1)

    def limb(self, state: Tensor) -> Tensor:
        """Return the mass itself as the only point (m), (..., 1, 2)."""
        return state[..., None, :2]

    def velocity_rates(self, state: Any, drag: Any) -> Any:
        """Return ``D / m`` (1/s), row by row; arguments as `TwoJointArm.velocity_rates`."""
        found: tuple[Any, ...] = point_mass_components.velocity_rates(self._numbers, state, drag)
        return found

    def derivative(
        self,
        state: Tensor,
        force: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
    ) -> Tensor:
        """Return the state's rate of change (m/s, m/s^2), (..., 4).

        Args:
            state: Position (m) and velocity (m/s), (..., 4).
            force: Commanded force (N), (..., 2).
            load: Force (N) from outside, (..., 2); none if absent.
            hand_force: The same, under the name that every plant has, (..., 2).

        Raises:
            ValueError: A last axis has the wrong size.
        """
        check_last_axis("state", state, 4, "x, y and their velocities")
        check_last_axis("force", force, 2, "x and y")
        for name, extra in (("load", load), ("hand_force", hand_force)):
            if extra is not None:
                check_last_axis(name, extra, 2, "x and y")
                force = force + extra
        velocity = state[..., 2:]
        if self.damping:
            force = force - self.damping * velocity
        return torch.cat([velocity.expand_as(force), force / self.mass], dim=-1)

    @property
    def _numbers(self) -> tuple[float, ...]:
        return self.dt_s, self.mass, self.damping

    @property
    def components(self) -> Components | None:
        """The same step on components: for Euler steps."""
        if type(self.integrator) is not Euler:
            return None
        return Components(point_mass_components, self._numbers, self.command_limit)
