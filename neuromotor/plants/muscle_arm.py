"""The two-joint arm under six lumped muscles that only pull; equations in its components' file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive
from neuromotor.plants import muscle_arm_components
from neuromotor.plants.arm import TwoJointArm
from neuromotor.plants.mechanical import MechanicalPlant
from neuromotor.plants.muscles import MONKEY_MUSCLES, MUSCLE_PRESETS, MUSCLES, MuscleParameters
from neuromotor.plants.parameters import (
    ARM_PRESETS,
    MONKEY_PUBLISHED,
    ArmParameters,
    Viscosity,
)
from neuromotor.plants.plant import Bounds, Components, check_last_axis, outer_components
from neuromotor.plants.signals import Signal, hand_signals, part_signal

__all__ = ["MuscleArm"]

# Where drawings show each muscle: from and to which share of upper arm and forearm, and whether it
# crosses the elbow; at which distance from the bones, as a share of the upper arm. All ours.
_TWO_JOINT = (0.0, 0.3)
_DRAWN = (
    *((-0.15, 0.6, False),) * 2,
    *((0.45, 0.22, True),) * 2,
    *((*_TWO_JOINT, True),) * 2,
)
_NEAR, _FAR = 0.09, 0.2
_UNBOUNDED = 10.0  # full activations that count as flown off; ours


@dataclass(frozen=True)
class MuscleArm(MechanicalPlant):
    """A two-joint arm with six muscles that only pull, driven by excitations.

    States are two joint angles (rad), two velocities (rad/s), six activations; commands are six
    excitations; loads are joint torques (N m). Muscles: shoulder flexor and extensor, elbow flexor
    and extensor, two-joint flexor and extensor. An Euler step takes the torques of the activations
    before it. Activations a follow excitations e with a first-order lag, ``a <- a + (dt / tau) (e -
    a)``, with one time constant while they rise and one while they fall.

    The defaults are the arm of Kalidindi et al. (2021), except that excitations are bounded. Their
    published code computes both force factors, but of a joint state that it never updates, so that
    in effect it ran without; that is the default here. With `force_velocity`, muscles are dampers,
    stiff ones where they are strong: `HUMAN_MUSCLES` fully active need steps of 2 ms or less.

    Attributes:
        parameters: Geometry and inertia of the arm.
        muscles: Strength and geometry of the muscles.
        dt_s: Step length (s).
        viscosity: Joint viscosity (N m s/rad), 2 x 2, or None for none.
        activation_s: Time constant (s) of a rising activation.
        deactivation_s: Time constant (s) of a falling one.
        force_length: Whether force depends on length (Brown et al. 1999).
        force_velocity: Whether it depends on velocity (Brown et al. 1999).
        bounded: Whether excitations lie in [0, 1]; else they have no upper bound. What lies beyond
            a bound acts as at the bound.
        gravity: Acceleration (m/s^2) against y; 0 is the horizontal plane, 9.81 a vertical one.
        feedback: Which numbers of a state a controller is given.
        home_deg: Shoulder and elbow angle (deg) at home; None is 30 and 90.

    Raises:
        ValueError: `dt_s` is not positive, a time constant is shorter than it, `gravity` is
            negative, or `feedback` names no number, one twice, or one that a state has not.

    Example:
        >>> arm = MuscleArm()
        >>> rest = arm.rest_state(torch.tensor(arm.home, dtype=torch.float64))
        >>> after = arm.step(rest, torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=torch.float64))
        >>> [round(a, 2) for a in after[4:].tolist()]
        [0.2, 0.0, 0.0, 0.0, 0.0, 0.0]
    """

    parameters: ArmParameters = field(default=MONKEY_PUBLISHED, metadata={"registry": ARM_PRESETS})
    muscles: MuscleParameters = field(default=MONKEY_MUSCLES, metadata={"registry": MUSCLE_PRESETS})
    dt_s: float = 0.01
    viscosity: Viscosity | None = ((0.5, 0.1), (0.1, 0.5))  # Kalidindi et al. (2021)
    activation_s: float = 0.05
    deactivation_s: float = 0.05
    force_length: bool = False
    force_velocity: bool = False
    bounded: bool = True
    gravity: float = 0.0
    feedback: tuple[int, ...] = tuple(range(10))
    home_deg: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        _ = self._arm  # which checks the step and the viscosity
        for name in ("activation_s", "deactivation_s"):
            value = getattr(self, name)
            check_positive(name, value, "seconds")
            if value < self.dt_s:
                raise ValueError(
                    f"`{name}` must be at least the step of {self.dt_s:g} s, or activations would "
                    f"overshoot, got {value!r}; use a smaller `dt_s`."
                )
        check_number("gravity", self.gravity, "m/s^2", minimum=0.0)
        for angle in self.home_deg or ():
            check_number("home_deg", angle, "degrees")
        if not self.feedback or len(set(self.feedback)) < len(self.feedback):
            raise ValueError(
                "`feedback` must name at least one number of a state, and each only once, got "
                f"{self.feedback!r}."
            )
        for index in self.feedback:
            check_integer("feedback", index, minimum=0)
            if index >= self.state_size:
                raise ValueError(
                    f"`feedback` must name numbers of a state, from 0 to {self.state_size - 1}, "
                    f"got {index!r}."
                )

    @cached_property
    def _arm(self) -> TwoJointArm:
        return TwoJointArm(self.parameters, self.dt_s, viscosity=self.viscosity)

    # ---- what it says of itself ----

    @property
    def home(self) -> tuple[float, float]:
        """Angles of shoulder and elbow (rad): `home_deg`, or 30 and 90 degrees."""
        if self.home_deg is None:
            return self._arm.home
        shoulder, elbow = self.home_deg
        return math.radians(shoulder), math.radians(elbow)

    @property
    def state_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a state."""
        return (*self._arm.state_labels, *(f"{name} activation (1)" for name in MUSCLES))

    @property
    def command_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a command."""
        return tuple(f"{name} excitation (1)" for name in MUSCLES)

    @property
    def load_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a load."""
        return self._arm.command_labels

    @property
    def muscle_labels(self) -> tuple[str, ...]:
        """Names of the muscles."""
        return MUSCLES

    @property
    def command_bounds(self) -> Bounds:
        """From 0 to 1, or from 0 to infinity."""
        return (0.0,) * 6, ((1.0 if self.bounded else math.inf),) * 6

    @property
    def usual_command(self) -> float | None:
        """Without an upper bound: full activation of the bounded arm (ours)."""
        return None if self.bounded else 1.0

    @property
    def state_limits(self) -> tuple[float, ...]:
        """Those of the arm; activations are 1 at most, ten times that without a bound."""
        most = 1.0 if self.bounded else _UNBOUNDED
        return (*self._arm.state_limits, *((most,) * 6))

    @property
    def hand_limits(self) -> tuple[float, float]:
        """Those of the arm (m, m/s)."""
        return self._arm.hand_limits

    @property
    def load_scale(self) -> float:
        """How large the loads of an experiment are that suit it; `ArmParameters.load_scale`."""
        return self.parameters.load_scale

    # ---- the muscles ----

    def muscle_lengths(self, configuration: Tensor) -> Tensor:
        """Return the muscles' lengths (m), (..., 6), at joint angles (or states), (..., 2 or more).

        Example:
            >>> arm = MuscleArm()
            >>> [round(x, 4) for x in arm.muscle_lengths(torch.zeros(2)).tolist()]
            [0.0784, 0.0309, 0.0922, 0.0044, 0.0931, 0.0157]
        """
        relative = muscle_arm_components.lengths(self._numbers, configuration.unbind(-1))
        return torch.stack(relative, dim=-1) * configuration.new_tensor(self.muscles.optimal_length)

    def muscle_velocities(self, state: Tensor) -> Tensor:
        """Return how fast the muscles lengthen (m/s), (..., 6), in states (..., 10)."""
        check_last_axis("state", state, 10, "joint angles, velocities, activations")
        speed = state[..., self.state_parts["velocity"]]
        velocities: Tensor = -(self.moment_arms(state).mT @ speed[..., None])[..., 0]
        return velocities

    def muscle_lines(self, state: Tensor) -> Tensor:
        """Return points (m) that a drawing of each muscle connects, (..., 6, 3, 2), of states.

        They are a sketch: which joints a muscle crosses, and on which side. Their distance from the
        bones is a share of the upper arm and no moment arm.
        """
        joints = self.limb(state)
        shoulder, elbow, hand = joints.unbind(-2)
        upper, fore = elbow - shoulder, hand - elbow
        turn = joints.new_tensor([[0.0, -1.0], [1.0, 0.0]])  # to the side of the flexors
        side = [bone @ turn.T / bone.norm(dim=-1, keepdim=True) for bone in (upper, fore)]
        across = side[0] + side[1]
        across = across / across.norm(dim=-1, keepdim=True).clamp(min=0.5)
        lines = []
        for (first, last, crosses), away in zip(_DRAWN, (1, -1) * 3, strict=True):
            off = away * (_FAR if (first, last) == _TWO_JOINT else _NEAR) * self.parameters.length_1
            start = shoulder + first * upper + off * side[0]
            middle, end = elbow + 1.3 * off * across, elbow + last * fore + 0.4 * off * side[1]
            if not crosses:
                middle = shoulder + 0.5 * (first + last) * upper + 1.3 * off * side[0]
                end = shoulder + last * upper + 0.4 * off * side[0]
            lines.append(torch.stack([start, middle, end], dim=-2))
        return torch.stack(lines, dim=-3)

    def moment_arms(self, configuration: Tensor) -> Tensor:
        """Return moment arms (m), (..., 2, 6), positive where a muscle flexes shoulder or elbow."""
        pairs = muscle_arm_components.moment_arms(self._numbers, configuration.unbind(-1))
        like = configuration[..., 0]
        rows = [
            [arm + torch.zeros_like(like) for arm in joint] for joint in zip(*pairs, strict=True)
        ]
        return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)

    def signals(self) -> dict[str, Signal]:
        """Return what is sensed: the hand; the muscles' length (m), velocity (m/s), activity (1).

        Compiled loops know all of them.
        """
        angle, speed = self.state_limits[:2], self.state_limits[2:4]
        lengths, velocities = [], []
        for muscle, optimal in enumerate(self.muscles.optimal_length):
            arms = [abs(arms[muscle]) for arms in self.muscles.moment_arms]
            slopes = [abs(slopes[muscle]) for slopes in self.muscles.moment_arm_slopes]
            joints = list(zip(arms, slopes, angle, speed, strict=True))
            most = sum((arm + 0.5 * slope * q) * q for arm, slope, q, _ in joints)
            lengths.append(optimal * abs(self.muscles.length_at_zero[muscle]) + most)
            velocities.append(sum((arm + slope * q) * v for arm, slope, q, v in joints))
        return {
            **hand_signals(self, compiled=True),
            "muscle_length": Signal(
                tuple(f"{name} length (m)" for name in MUSCLES),
                tuple(lengths),
                computed=self.muscle_lengths,
                compiled=tuple(range(4, 10)),
            ),
            "muscle_velocity": Signal(
                tuple(f"{name} velocity (m/s)" for name in MUSCLES),
                tuple(velocities),
                computed=self.muscle_velocities,
                compiled=tuple(range(10, 16)),
            ),
            "muscle_activity": part_signal(self, range(4, 10)),
        }

    def muscle_forces(self, state: Tensor) -> Tensor:
        """Return the muscles' forces (N), (..., 6), of states (..., 10)."""
        check_last_axis("state", state, 10, "joint angles, velocities, activations")
        forces = muscle_arm_components.forces(self._numbers, state.unbind(-1))
        return torch.stack(forces, dim=-1)

    # ---- mechanics ----

    @cached_property
    def _numbers(self) -> tuple[float, ...]:
        p, (low, high) = self.parameters, self.command_bounds
        return muscle_arm_components.numbers(
            self._arm._numbers,
            self.muscles,
            (self.dt_s / self.activation_s, self.dt_s / self.deactivation_s),
            (low[0], high[0]),
            (self.force_length, self.force_velocity),
            (
                self.gravity * (p.mass_1 * p.center_1 + p.mass_2 * p.length_1),
                self.gravity * p.mass_2 * p.center_2,
            ),
        )

    @property
    def components(self) -> Components:
        """The step on components."""
        return Components(muscle_arm_components, self._numbers, signals=16)

    def step(
        self,
        state: Tensor,
        command: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
    ) -> Tensor:
        """Return the state one step of `dt_s` later, (..., 10).

        Args:
            state: Joint angles (rad), velocities (rad/s) and activations, (..., 10).
            command: Excitations, (..., 6).
            load: Joint torques (N m) from outside, (..., 2); none if absent.
            hand_force: Force (N) on the hand, (..., 2); none if absent.

        Raises:
            ValueError: A last axis has the wrong size.
        """
        check_last_axis("state", state, 10, "joint angles, velocities, activations")
        check_last_axis("command", command, 6, "one excitation for each muscle")
        load_parts = outer_components("load", load, 2, "shoulder and elbow torque")
        force_parts = outer_components("hand_force", hand_force, 2, "x and y")
        after = muscle_arm_components.step(
            self._numbers, state.unbind(-1), command.unbind(-1), load_parts, force_parts
        )
        same = torch.broadcast_tensors(*after)  # type: ignore[no-untyped-call]
        return torch.stack(same, dim=-1)

    def velocity_rates(self, state: Any, drag: Any) -> Any:
        """Return ``M^-1 J^T D J`` (1/s), row by row; see `TwoJointArm.velocity_rates`."""
        return muscle_arm_components.velocity_rates(self._numbers, state, drag)

    # ---- the hand ----

    def limb(self, state: Tensor) -> Tensor:
        """Return shoulder, elbow and hand (m), (..., 3, 2), of states or joint angles."""
        return self._arm.limb(state)

    def hand_velocity(self, state: Tensor) -> Tensor:
        """Return the hand's velocity (m/s), (..., 2), of states."""
        return self._arm.hand_velocity(state[..., :4])

    def configuration_at(self, hand_position: Tensor) -> Tensor:
        """Return the joint angles (rad), (..., 2), with the hand at a point (m), (..., 2).

        Raises:
            UnreachableError: As `TwoJointArm.configuration_at`.
        """
        return self._arm.configuration_at(hand_position)
