"""The part of a plant that follows from mechanics alone, for plants to inherit."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from neuromotor._showing import TableInNotebooks
from neuromotor.plants.integrators import Integrator
from neuromotor.plants.plant import Bounds, CommandLimit, saturated, within_bounds

__all__ = ["IntegratedPlant", "MechanicalPlant"]

_LARGEST = {"position": 2 * math.pi, "velocity": 50.0}  # a full turn (rad), a speed of no limb


class MechanicalPlant(TableInNotebooks, ABC):
    """A `Plant` whose state is ``[configuration, velocity]``, then whatever its actuators need.

    A plant defines `dt_s` and what is abstract here. All else suits a limb in the plane with one
    command and one load for each joint and no bounds on commands, and is overridden where that is
    not so. Numbers of a state beyond configuration and velocity are one part, `activation`, unless
    `state_parts` says something else.

    Attributes:
        dt_s: Step length (s).

    Example:
        >>> from neuromotor.plants import TwoJointArm
        >>> TwoJointArm().state_parts
        {'position': slice(0, 2, None), 'velocity': slice(2, 4, None)}
        >>> TwoJointArm().rest_state(torch.tensor([0.5, 1.5]))
        tensor([0.5000, 1.5000, 0.0000, 0.0000])
    """

    dt_s: float

    @property
    @abstractmethod
    def home(self) -> tuple[float, ...]:
        """A configuration in the middle of the workspace (rad or m), q numbers."""

    @property
    @abstractmethod
    def state_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a state."""

    @property
    @abstractmethod
    def command_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a command."""

    @abstractmethod
    def configuration_at(self, hand_position: Tensor) -> Tensor:
        """Return the configuration (..., q) that puts the hand at a position (m), (..., d)."""

    @abstractmethod
    def limb(self, state: Tensor) -> Tensor:
        """Return the points (m) that a drawing of the limb connects, (..., points, d)."""

    @abstractmethod
    def step(
        self,
        state: Tensor,
        command: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
        /,
    ) -> Tensor:
        """Return the state one step later, (..., n); arguments as `Plant.step`."""

    # ---- sizes and parts ----

    @property
    def state_size(self) -> int:
        """As many as there are labels."""
        return len(self.state_labels)

    @property
    def command_size(self) -> int:
        """As many as there are labels."""
        return len(self.command_labels)

    @property
    def load_size(self) -> int:
        """As many as there are labels."""
        return len(self.load_labels)

    @property
    def load_labels(self) -> tuple[str, ...]:
        """Those of the commands, which loads add to."""
        return self.command_labels

    @property
    def hand_size(self) -> int:
        """Two: the hand moves in a plane."""
        return 2

    @property
    def state_parts(self) -> Mapping[str, slice]:
        """Configuration, velocity, and `activation` where there is something more."""
        joints, size = len(self.home), self.state_size
        parts = {"position": slice(0, joints), "velocity": slice(joints, 2 * joints)}
        return parts if size == 2 * joints else {**parts, "activation": slice(2 * joints, size)}

    @property
    def feedback(self) -> tuple[int, ...]:
        """All of the state."""
        return tuple(range(self.state_size))

    # ---- limits ----

    @property
    def command_bounds(self) -> Bounds | None:
        """None: any command is followed."""
        return None

    @property
    def usual_command(self) -> float | None:
        """None: nobody knows."""
        return None

    @property
    def state_limits(self) -> tuple[float, ...]:
        """A full turn and 50 rad/s of each joint (ours); nothing bounds the actuators."""
        limits = [math.inf] * self.state_size
        for name, largest in _LARGEST.items():
            for i in range(self.state_size)[self.state_parts[name]]:
                limits[i] = largest
        return tuple(limits)

    @property
    def hand_limits(self) -> tuple[float, float]:
        """The stretched limb's length (m), and its speed (m/s) with every joint at its limit."""
        points = self.limb(torch.tensor(self.home, dtype=torch.float64))
        reach = float((points[1:] - points[:-1]).norm(dim=-1).sum())
        return reach, reach * sum(self.state_limits[self.state_parts["velocity"]])

    def actuated(self, command: Tensor) -> Tensor:
        """Return what the actuators give for commands, (..., m): at most what the bounds allow."""
        return within_bounds(self, command)

    # ---- configurations and the hand ----

    @property
    def load_scale(self) -> float:
        """One: loads as for `MONKEY_PUBLISHED`."""
        return 1.0

    def configuration(self, posture_deg: tuple[float, ...]) -> tuple[float, ...]:
        """Return joint angles (rad) of a posture in degrees.

        Raises:
            ValueError: The posture has another number of angles than the plant has joints.
        """
        if len(posture_deg) != len(self.home):
            raise ValueError(
                f"`posture_deg` must have {len(self.home)} angles, one for each joint of a "
                f"{type(self).__name__}, got {posture_deg!r}."
            )
        return tuple(math.radians(angle) for angle in posture_deg)

    def rest_state(self, configuration: Tensor) -> Tensor:
        """Return the configuration with zeros for all else, (..., n)."""
        part = self.state_parts["position"]
        rest = configuration.new_zeros(*configuration.shape[:-1], self.state_size)
        rest[..., part] = configuration
        return rest

    def hand_position(self, state: Tensor) -> Tensor:
        """Return the last point of the limb (m), (..., d), of states or configurations."""
        return self.limb(state)[..., -1, :]

    def hand_velocity(self, state: Tensor) -> Tensor:
        """Return how the hand's position changes with the configuration's velocity (m/s)."""
        place, speed = (state[..., self.state_parts[name]] for name in ("position", "velocity"))
        moves = [
            torch.func.grad(lambda q, axis=axis: self.hand_position(q)[..., axis].sum())(place)
            for axis in range(self.hand_size)
        ]
        return torch.stack([(row * speed).sum(-1) for row in moves], dim=-1)


class IntegratedPlant(MechanicalPlant):
    """A plant that an integrator steps, with actuators that give what is commanded up to a limit.

    Attributes:
        dt_s: Step length (s).
        integrator: How a step is taken.
        command_limit: Largest torque (N m) or force (N) of the actuators; None for none.
    """

    integrator: Integrator
    command_limit: CommandLimit

    @abstractmethod
    def derivative(
        self,
        state: Tensor,
        command: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
        /,
    ) -> Tensor:
        """Return a state's rate of change, (..., n), with what the actuators give, (..., m)."""

    def actuated(self, command: Tensor) -> Tensor:
        """Return what the actuators give for commands (N m or N), (..., m)."""
        if self.command_limit is None:
            return command
        return torch.stack(saturated(command.unbind(-1), self.command_limit), dim=-1)

    def step(
        self,
        state: Tensor,
        command: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
    ) -> Tensor:
        """Return the state one step of `dt_s` later, (..., n); arguments as `Plant.step`."""
        given = self.actuated(command)
        return self.integrator.step(
            lambda x: self.derivative(x, given, load, hand_force), state, self.dt_s
        )
