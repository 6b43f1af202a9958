"""An arm of two segments in space, moved by torques at a shoulder of three axes and at the elbow.

The equations of motion are in `spatial_arm_components.py`. Axes: x to the right and y to the front
of a right arm, z up; the shoulder is at the origin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from neuromotor._checks import check_number, check_positive
from neuromotor.plants import spatial_arm_components
from neuromotor.plants.arm import UnreachableError, elbow_at
from neuromotor.plants.integrators import INTEGRATORS, Euler, Integrator
from neuromotor.plants.mechanical import IntegratedPlant
from neuromotor.plants.parameters import ARM_PRESETS, HUMAN, ArmParameters, usual_torque
from neuromotor.plants.plant import (
    Components,
    check_command_limit,
    check_last_axis,
    outer_components,
)

__all__ = ["SpatialArm"]

_STATE = "four joint angles, four joint velocities"
_TORQUES = "torques of azimuth, elevation, twist and elbow"
_STEEPEST = math.radians(85)  # of the upper arm; azimuth and twist are one axis at 90; ours
_SWIVELS = 72  # places of the elbow that are tried for one of the hand, before the best is refined
_REFINEMENTS = 40  # each makes the interval 0.618 times as long: to 1e-9 of its length


@dataclass(frozen=True)
class SpatialArm(IntegratedPlant):
    """An arm of four joint angles in space, with gravity, loads and optional joint friction.

    States are ``[azimuth, elevation, twist, elbow, and their velocities]`` (rad, rad/s), commands
    and loads are torques (N m) at these angles. The shoulder turns about three axes in this order:
    azimuth about the vertical axis, elevation of the upper arm above the horizontal plane, twist
    about the upper arm (Euler angles z, -y', x''). These are the shoulder's angles that Wu et al.
    (2005) recommend, with elevation counted from the horizontal plane. At zero angles the arm lies
    straight along x. With elevation and twist zero, azimuth and elbow are the two angles of
    `TwoJointArm`. A positive twist lifts the forearm.

    Where the upper arm points straight up or down, azimuth and twist are the same axis: velocities
    of these angles grow without bound, and the equations have no solution. Postures and targets
    with an upper arm steeper than 85 degrees are refused, and environments end a trial there. A
    step from such a state is computed; it is not to be trusted.

    Attributes:
        parameters: Geometry and inertia. The inertias are about every axis across a segment.
        dt_s: Step length (s).
        integrator: How a step is taken.
        gravity: Acceleration (m/s^2) downwards; 0 for none.
        axial_radii: Radii of gyration of upper arm and forearm with hand about their long axes, as
            fractions of their lengths. The upper arm's is that of de Leva (1996), table 4, males;
            the forearm's combines that table's forearm and hand, with the hand stretched. They are
            used for monkeys too, for which we know of no measurement.
        viscosity: Joint friction (N m s/rad) of shoulder and elbow, or None for none. At the
            shoulder it acts against the upper arm's angular velocity, whatever its axis.
        command_limit: Largest torque (N m) that commands can ask for, one number or one an angle,
            as `TwoJointArm` has it; None for none.
        tonic: Whether the actuators give, in addition to what is commanded, the constant torques
            that hold the arm at `home`. Commands and what they cost are then about movement; the
            split of muscle activity into a tonic and a phasic part is that of Flanders & Herrmann
            (1992). Where commands have to hold the arm as well, the cheapest reach lets it fall and
            swing like a pendulum, through the hanging posture, where the equations end.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> arm = SpatialArm()
        >>> rest = arm.rest_state(torch.tensor(arm.home, dtype=torch.float64))
        >>> after = arm.step(rest, arm.holding_command(rest))
        >>> bool((after - rest).abs().max() < 1e-12)
        True
    """

    parameters: ArmParameters = field(default=HUMAN, metadata={"registry": ARM_PRESETS})
    dt_s: float = 0.01
    integrator: Integrator = field(default_factory=Euler, metadata={"registry": INTEGRATORS})
    gravity: float = 9.81
    axial_radii: tuple[float, float] = (0.158, 0.093)
    viscosity: tuple[float, float] | None = None
    command_limit: float | tuple[float, float, float, float] | None = None
    tonic: bool = True

    def __post_init__(self) -> None:
        check_positive("dt_s", self.dt_s, "seconds")
        check_number("gravity", self.gravity, "m/s^2", minimum=0.0)
        for radius in self.axial_radii:
            check_positive("axial_radii", radius)
        for friction in self.viscosity or ():
            check_number("viscosity", friction, "N m s/rad", minimum=0.0)
        check_command_limit(self.command_limit, 4, "N m")
        if not isinstance(self.tonic, bool):
            raise TypeError(f"`tonic` must be True or False, got {self.tonic!r}.")

    # ---- what it says of itself ----

    @property
    def state_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a state."""
        names = ("shoulder azimuth", "shoulder elevation", "shoulder twist", "elbow")
        return (*(f"{x} angle (rad)" for x in names), *(f"{x} velocity (rad/s)" for x in names))

    @property
    def command_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a command."""
        return (
            "shoulder azimuth torque (N m)",
            "shoulder elevation torque (N m)",
            "shoulder twist torque (N m)",
            "elbow torque (N m)",
        )

    @property
    def hand_size(self) -> int:
        """Three: the hand moves in space."""
        return 3

    @property
    def home(self) -> tuple[float, float, float, float]:
        """Upper arm 45 degrees to the front and 45 down, elbow at 90, forearm level (rad; ours)."""
        return (math.pi / 4, -math.pi / 4, 0.0, math.pi / 2)

    @property
    def load_scale(self) -> float:
        """How large the loads of an experiment are that suit it; `ArmParameters.load_scale`."""
        return self.parameters.load_scale

    @property
    def usual_command(self) -> float | None:
        """A preset's torque (N m) in the plane; without `tonic` also what holds it stretched."""
        in_plane = usual_torque(self.parameters)
        if in_plane is None or self.tonic:
            return in_plane
        return in_plane - sum(self._numbers[8:10])

    @property
    def state_limits(self) -> tuple[float, ...]:
        """A full turn and 50 rad/s of each joint (ours), but 85 degrees of elevation."""
        azimuth, _, *others = super().state_limits
        return (azimuth, _STEEPEST, *others)

    def configuration(self, posture_deg: tuple[float, ...]) -> tuple[float, ...]:
        """Return joint angles (rad) of a posture in degrees.

        Raises:
            ValueError: There are not four angles, or the upper arm is steeper than 85 degrees.
        """
        angles = super().configuration(posture_deg)
        if abs(angles[1]) > _STEEPEST:
            raise ValueError(
                "`posture_deg` must have an elevation (its second angle) between -85 and 85 "
                "degrees, since azimuth and twist are the same axis where the upper arm points "
                f"straight up or down, got {posture_deg!r}."
            )
        return angles

    # ---- mechanics ----

    @cached_property
    def _numbers(self) -> tuple[float, ...]:
        p, (upper_arm, forearm) = self.parameters, self.axial_radii
        axial = p.mass_1 * (upper_arm * p.length_1) ** 2, p.mass_2 * (forearm * p.length_2) ** 2
        return spatial_arm_components.numbers(
            p, self.dt_s, axial, self.gravity, self.viscosity or (0.0, 0.0)
        )

    @property
    def components(self) -> Components | None:
        """The same step on components: for Euler steps."""
        if type(self.integrator) is not Euler:
            return None
        numbers = (*self._numbers[:-4], *self._tonic)
        return Components(spatial_arm_components, numbers, self.command_limit)

    @cached_property
    def _tonic(self) -> tuple[float, ...]:
        """Torques (N m) beside commands."""
        home = torch.tensor(self.home, dtype=torch.float64)
        return tuple(self.holding_torque(home).tolist()) if self.tonic else (0.0,) * 4

    def actuated(self, command: Tensor) -> Tensor:
        """Return what the actuators give (N m), (..., 4), with `tonic` torques beside the limit."""
        check_last_axis("command", command, 4, _TORQUES)
        return super().actuated(command) + command.new_tensor(self._tonic)

    def acceleration(
        self,
        state: Tensor,
        torque: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
    ) -> Tensor:
        """Return joint accelerations (rad/s^2), (..., 4).

        Args:
            state: Joint angles (rad) and velocities (rad/s), (..., 8).
            torque: Torques (N m) at the joint angles, (..., 4).
            load: The same from outside, (..., 4); none if absent.
            hand_force: Force (N) on the hand, (..., 3); none if absent.

        Raises:
            ValueError: A last axis has the wrong size.
        """
        check_last_axis("state", state, 8, _STATE)
        check_last_axis("torque", torque, 4, _TORQUES)
        load_parts = outer_components("load", load, 4, _TORQUES)
        force_parts = outer_components("hand_force", hand_force, 3, "x, y and z")
        rates = spatial_arm_components.accelerations(
            self._numbers, state.unbind(-1), torque.unbind(-1), load_parts, force_parts
        )
        return torch.stack(torch.broadcast_tensors(*rates), dim=-1)  # type: ignore[no-untyped-call]

    def derivative(
        self,
        state: Tensor,
        torque: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
    ) -> Tensor:
        """Return the rate of change (rad/s, rad/s^2), (..., 8); arguments as `acceleration`."""
        acceleration = self.acceleration(state, torque, load, hand_force)
        return torch.cat([state[..., 4:].expand_as(acceleration), acceleration], dim=-1)

    def holding_torque(self, state: Tensor) -> Tensor:
        """Return torques (N m), (..., 4), that hold the arm still, of states or joint angles."""
        upper_arm, forearm = (-weight for weight in self._numbers[8:10])
        s2, s3, s4 = (torch.sin(state[..., i]) for i in (1, 2, 3))
        c2, c3, c4 = (torch.cos(state[..., i]) for i in (1, 2, 3))
        slopes = (  # of the potential energy
            torch.zeros_like(s2),
            upper_arm * c2 + forearm * (c2 * c4 - s2 * s3 * s4),
            forearm * c2 * c3 * s4,
            forearm * (c2 * s3 * c4 - s2 * s4),
        )
        return torch.stack(slopes, dim=-1)

    def holding_command(self, state: Tensor) -> Tensor:
        """Return the commands (N m), (..., 4), that hold the arm still, of states or joint angles.

        Actuators whose limit is too low for that are asked for .99 of it.
        """
        torque = self.holding_torque(state)
        torque = torque - torque.new_tensor(self._tonic)
        if self.command_limit is None:
            return torque
        limit = torch.as_tensor(self.command_limit).to(torque)
        return limit * torch.atanh((torque / limit).clamp(-0.99, 0.99))

    def kinetic_energy(self, state: Tensor) -> Tensor:
        """Return the kinetic energy (J), (...), of states (..., 8)."""
        check_last_axis("state", state, 8, _STATE)
        twice = spatial_arm_components.twice_kinetic_energy(self._numbers, state.unbind(-1))
        energy: Tensor = 0.5 * twice
        return energy

    def potential_energy(self, state: Tensor) -> Tensor:
        """Return the energy (J), (...), of gravity; zero where the whole arm is level."""
        upper_arm, forearm = (-weight for weight in self._numbers[8:10])
        s2, s3, s4 = (torch.sin(state[..., i]) for i in (1, 2, 3))
        c2, c4 = torch.cos(state[..., 1]), torch.cos(state[..., 3])
        return upper_arm * s2 + forearm * (s2 * c4 + c2 * s3 * s4)

    # ---- the hand ----

    def limb(self, state: Tensor) -> Tensor:
        """Return shoulder, elbow and hand (m), (..., 3, 3), of states or joint angles."""
        elbow, hand = spatial_arm_components.places(self._numbers, state.unbind(-1))
        elbow, hand = torch.stack(elbow, dim=-1), torch.stack(hand, dim=-1)
        return torch.stack([torch.zeros_like(elbow), elbow, hand], dim=-2)

    def hand_velocity(self, state: Tensor) -> Tensor:
        """Return the hand's velocity (m/s), (..., 3), of states (..., 8)."""
        check_last_axis("state", state, 8, _STATE)
        return torch.stack(spatial_arm_components.hand(self._numbers, state.unbind(-1))[3:], dim=-1)

    def configuration_at(self, hand_position: Tensor) -> Tensor:
        """Return `configuration_near` the home posture (rad), (..., 4)."""
        return self.configuration_near(hand_position, hand_position.new_tensor(self.home))

    def configuration_near(self, hand_position: Tensor, configuration: Tensor) -> Tensor:
        """Return the joint angles with the hand at a point that differ least from others.

        A point of the hand fixes the elbow's angle and leaves the elbow free to swivel about the
        line from shoulder to hand. Of all joint angles with the hand there, with the elbow between
        0 and 180 degrees and the upper arm no steeper than 85 degrees, these have the smallest sum
        of squared differences from the configuration.

        Args:
            hand_position: (m), (..., 3).
            configuration: Joint angles (rad), (..., 4).

        Returns:
            Joint angles (rad), (..., 4); azimuth and twist from -pi to pi.

        Raises:
            UnreachableError: A point lies too near the shoulder, too far from it, or is not finite,
                or only an upper arm steeper than 85 degrees reaches it.
        """
        check_last_axis("hand_position", hand_position, 3, "x, y and z")
        check_last_axis("configuration", configuration, 4, "joint angles")
        elbow = elbow_at(self.parameters, hand_position)

        def change(swivel: Tensor) -> Tensor:
            """Sum of squared differences; infinite for an upper arm that is too steep."""
            angles = self._swivelled(hand_position, elbow, swivel)
            difference = angles - configuration
            turns = torch.atan2(torch.sin(difference), torch.cos(difference))
            return torch.where(
                angles[..., 1].abs() > _STEEPEST, math.inf, turns.square().sum(dim=-1)
            )

        width = 2 * math.pi / _SWIVELS
        tried = torch.stack([change(elbow * 0 + i * width) for i in range(_SWIVELS)], dim=-1)
        best, place = tried.min(dim=-1)
        if bool(best.isinf().any()):
            point = ", ".join(f"{x:.4g}" for x in hand_position[best.isinf()][0].tolist())
            raise UnreachableError(
                "`hand_position` must be in reach of an upper arm no steeper than 85 degrees, got "
                f"({point}) m; use a smaller radius or another centre."
            )
        swivel = place.to(elbow) * width
        low, high = swivel - width, swivel + width
        ratio = (math.sqrt(5) - 1) / 2  # golden section
        for _ in range(_REFINEMENTS):
            left, right = high - ratio * (high - low), low + ratio * (high - low)
            lower = change(left) < change(right)
            low, high = torch.where(lower, low, left), torch.where(lower, right, high)
        middle = 0.5 * (low + high)
        swivel = torch.where(change(middle) <= best, middle, swivel)
        return self._swivelled(hand_position, elbow, swivel)

    def _swivelled(self, hand_position: Tensor, elbow: Tensor, swivel: Tensor) -> Tensor:
        """Joint angles (..., 4) with the elbow turned about the line from shoulder to hand."""
        p = self.parameters
        # the shoulder's angle of the triangle of shoulder, elbow and hand
        at_shoulder = torch.atan2(
            p.length_2 * torch.sin(elbow), p.length_1 + p.length_2 * torch.cos(elbow)
        )
        sine, cosine = torch.sin(at_shoulder).unsqueeze(-1), torch.cos(at_shoulder).unsqueeze(-1)
        to_hand = torch.nn.functional.normalize(hand_position, dim=-1)
        # two directions across that line: any that is not along it serves to make the first
        axis = torch.nn.functional.one_hot(to_hand.abs().argmin(dim=-1), 3).to(to_hand)
        first = torch.nn.functional.normalize(torch.linalg.cross(axis, to_hand), dim=-1)
        second = torch.linalg.cross(to_hand, first)
        s, c = torch.sin(swivel).unsqueeze(-1), torch.cos(swivel).unsqueeze(-1)
        upper_arm = cosine * to_hand + sine * (c * first + s * second)
        elbow_axis = s * first - c * second  # of upper arm x forearm
        x, y, z = upper_arm.unbind(-1)
        across = torch.linalg.cross(elbow_axis, upper_arm)
        return torch.stack(
            [
                torch.atan2(y, x),
                torch.asin(z.clamp(-1.0, 1.0)),
                torch.atan2(across[..., 2], elbow_axis[..., 2]),
                elbow,
            ],
            dim=-1,
        )
