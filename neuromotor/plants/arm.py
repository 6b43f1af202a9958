"""A planar arm of two segments, moved by torques at shoulder and elbow.

Notation: q = [theta, phi] are the angles of shoulder and elbow. M is the inertia matrix, and a1, a2
and a3 are its constants. c is the Coriolis and centrifugal torque, B the viscosity, J the Jacobian
of the hand's position, and F the force on the hand.

The equations of motion follow from the Lagrangian ``q'.M(q)q'/2``. (Sutskever 2013, section 6.6,
says only that they were derived anew. The inertia matrix is that of Li & Todorov 2004, equation 3,
but with inertias about each segment's centre of mass.) ::

    M(phi) q'' + c(q, q') + B q' = torque + load + limits(q) + J(q)^T F
    M = [[a1 + 2 a2 cos phi, a3 + a2 cos phi], [a3 + a2 cos phi, a3]]
    c = a2 sin phi [-phi' (2 theta' + phi'), theta'^2]
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from neuromotor._checks import check_number, check_positive
from neuromotor.compiled.functions import sine_and_cosine
from neuromotor.plants import arm_components
from neuromotor.plants.integrators import INTEGRATORS, Euler, Integrator
from neuromotor.plants.mechanical import IntegratedPlant
from neuromotor.plants.parameters import (
    ARM_PRESETS,
    MONKEY_PUBLISHED,
    ArmParameters,
    JointLimits,
    Viscosity,
    usual_torque,
)
from neuromotor.plants.plant import (
    Components,
    check_command_limit,
    check_last_axis,
    outer_components,
)
from neuromotor.plants.signals import Signal, hand_signals

__all__ = ["TwoJointArm", "UnreachableError", "elbow_at"]

_STATE = "shoulder and elbow angle, shoulder and elbow velocity"


class UnreachableError(ValueError):
    """A point lies outside what the hand can reach."""


@dataclass(frozen=True)
class TwoJointArm(IntegratedPlant):
    """A two-joint arm in the horizontal plane, with loads, viscosity and optional joint limits.

    States are ``[theta, phi, theta', phi']`` (rad, rad/s), torques (N m). The shoulder is at the
    origin; at zero angles the arm lies straight along x; positive angles flex.

    Attributes:
        parameters: Geometry and inertia.
        dt_s: Step length (s); 0.01 in the thesis (Sutskever 2013, section 6.3).
        integrator: How a step is taken.
        viscosity: Joint viscosity B (N m s/rad), 2 x 2, or None for none.
        limits: Soft joint limits, or None for none.
        command_limit: Largest torque (N m) of the actuators, one number or one a joint; None for
            none. They give ``L tanh(command / L)``: nearly the command while it is small, .96 of
            the limit for a command of twice the limit. Noise on the command is within it, loads
            and hand forces are not.

    Raises:
        ValueError: `dt_s` or `command_limit` is not positive, or `viscosity` is not finite or would
            add energy.

    Example:
        >>> arm = TwoJointArm()
        >>> rest = torch.tensor([0.5236, 1.5708, 0.0, 0.0], dtype=torch.float64)
        >>> after = arm.step(rest, torch.tensor([0.1, 0.0], dtype=torch.float64))
        >>> [round(x, 4) for x in after.tolist()]
        [0.5236, 1.5708, 0.033, -0.033]
    """

    parameters: ArmParameters = field(default=MONKEY_PUBLISHED, metadata={"registry": ARM_PRESETS})
    dt_s: float = 0.01
    integrator: Integrator = field(default_factory=Euler, metadata={"registry": INTEGRATORS})
    viscosity: Viscosity | None = None
    limits: JointLimits | None = field(
        default=None, metadata={"registry": {"default": JointLimits()}}
    )
    command_limit: float | tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_positive("dt_s", self.dt_s, "seconds")
        check_command_limit(self.command_limit, 2, "N m")
        if self.viscosity is not None:
            (b11, b12), (b21, b22) = self.viscosity
            for value in (b11, b12, b21, b22):
                check_number("viscosity", value, "N m s/rad")
            if b11 < 0 or b22 < 0 or 4 * b11 * b22 < (b12 + b21) ** 2:
                raise ValueError(
                    "`viscosity` must take energy away at every velocity (symmetric part positive "
                    f"semi-definite), got {self.viscosity!r} N m s/rad."
                )

    @property
    def state_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a state."""
        return (
            "shoulder angle (rad)",
            "elbow angle (rad)",
            "shoulder velocity (rad/s)",
            "elbow velocity (rad/s)",
        )

    @property
    def command_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a command."""
        return ("shoulder torque (N m)", "elbow torque (N m)")

    @property
    def home(self) -> tuple[float, float]:
        """Shoulder at 30 degrees, elbow at 90 degrees (rad): where reaching tasks start."""
        return (math.pi / 6, math.pi / 2)

    @property
    def load_scale(self) -> float:
        """How large the loads of an experiment are that suit it; `ArmParameters.load_scale`."""
        return self.parameters.load_scale

    @property
    def usual_command(self) -> float | None:
        """Torque (N m) of a preset's reaches, rounded up; None for other parameters."""
        return usual_torque(self.parameters)

    @property
    def hand_limits(self) -> tuple[float, float]:
        """The stretched arm's length (m), and its speed (m/s) with both joints at their limit."""
        reach = self.parameters.reach[1]
        return reach, reach * sum(self.state_limits[2:])

    # ---- mechanics ----

    def inertia_matrix(self, configuration: Tensor) -> Tensor:
        """Return M (kg m^2), (..., 2, 2), at joint angles (or states), (..., 2 or more)."""
        a1, a2, a3 = self.parameters.inertia_constants
        coupling = a2 * torch.cos(configuration[..., 1])
        m22 = torch.full_like(coupling, a3)
        rows = torch.stack([a1 + 2 * coupling, a3 + coupling, a3 + coupling, m22], dim=-1)
        return rows.reshape(*coupling.shape, 2, 2)

    def acceleration(
        self,
        state: Tensor,
        torque: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
    ) -> Tensor:
        """Return joint accelerations (rad/s^2), (..., 2).

        Args:
            state: Joint angles (rad) and velocities (rad/s), (..., 4).
            torque: Commanded joint torques (N m), (..., 2).
            load: Joint torques (N m) from outside, (..., 2); none if absent.
            hand_force: Force (N) on the hand, (..., 2); none if absent.

        Raises:
            ValueError: A last axis has the wrong size.
        """
        check_last_axis("state", state, 4, _STATE)
        check_last_axis("torque", torque, 2, "shoulder and elbow torque")
        load_parts = outer_components("load", load, 2, "shoulder and elbow torque")
        force_parts = outer_components("hand_force", hand_force, 2, "x and y")
        par, x = self._numbers, state.unbind(-1)
        sine, cosine = sine_and_cosine(x[1])
        shoulder, elbow = arm_components.torques(
            par, x, torque.unbind(-1), load_parts, force_parts, sine, cosine
        )
        if self.limits is not None:
            at_limits = self._limit_torque(state[..., :2], self.limits).unbind(-1)
            shoulder, elbow = shoulder + at_limits[0], elbow + at_limits[1]
        rates = arm_components.accelerations(par, sine, cosine, x[2], x[3], shoulder, elbow)
        return torch.stack(rates, dim=-1)

    @property
    def _numbers(self) -> tuple[float, ...]:
        return arm_components.numbers(self.parameters, self.dt_s, self.viscosity)

    @property
    def components(self) -> Components | None:
        """The same step on components: for Euler steps without joint limits."""
        if type(self.integrator) is not Euler or self.limits is not None:
            return None
        return Components(arm_components, self._numbers, self.command_limit, signals=4)

    def signals(self) -> dict[str, Signal]:
        """Return where the hand is and how fast it moves, which compiled loops know too."""
        return hand_signals(self, compiled=True)

    def velocity_rates(self, state: Any, drag: Any) -> Any:
        """Return ``M^-1 J^T D J`` (1/s), row by row: how a force ``D v`` on the hand changes q'.

        Args:
            state: Joint angles (rad) and velocities, four floats, arrays or tensors.
            drag: D (N s/m), row by row, four of them.
        """
        return arm_components.velocity_rates(self._numbers, state, drag)

    def derivative(
        self,
        state: Tensor,
        torque: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
    ) -> Tensor:
        """Return the rate of change (rad/s, rad/s^2), (..., 4); arguments as `acceleration`."""
        acceleration = self.acceleration(state, torque, load, hand_force)
        return torch.cat([state[..., 2:].expand_as(acceleration), acceleration], dim=-1)

    def kinetic_energy(self, state: Tensor) -> Tensor:
        """Return ``q'.M q' / 2`` (J), (...), of states (..., 4)."""
        check_last_axis("state", state, 4, _STATE)
        rate = state[..., 2:]
        momentum = (self.inertia_matrix(state) @ rate.unsqueeze(-1)).squeeze(-1)
        return 0.5 * (rate * momentum).sum(-1)

    def _limit_torque(self, configuration: Tensor, limits: JointLimits) -> Tensor:
        """Torque (N m) of the soft joint limits."""
        lower = configuration.new_tensor(limits.lower)
        upper = configuration.new_tensor(limits.upper)
        width = limits.width
        below = softplus((lower - configuration) / width)
        above = softplus((configuration - upper) / width)
        return limits.stiffness * width * (below - above)

    # ---- the hand ----

    def limb(self, state: Tensor) -> Tensor:
        """Return shoulder, elbow and hand (m), (..., 3, 2), of states or joint angles."""
        shoulder_angle = state[..., 0]
        forearm_angle = shoulder_angle + state[..., 1]
        upper_arm = torch.stack([torch.cos(shoulder_angle), torch.sin(shoulder_angle)], dim=-1)
        forearm = torch.stack([torch.cos(forearm_angle), torch.sin(forearm_angle)], dim=-1)
        elbow = self.parameters.length_1 * upper_arm
        hand = elbow + self.parameters.length_2 * forearm
        return torch.stack([torch.zeros_like(elbow), elbow, hand], dim=-2)

    def hand_position(self, state: Tensor) -> Tensor:
        """Return the hand's position (m) from the shoulder, (..., 2), of states or joint angles."""
        return self.limb(state)[..., 2, :]

    def jacobian(self, state: Tensor) -> Tensor:
        """Return J = d hand / d q (m/rad), (..., 2, 2), of states or joint angles."""
        points = self.limb(state)
        from_shoulder = points[..., 2, :]
        from_elbow = from_shoulder - points[..., 1, :]
        top = torch.stack([-from_shoulder[..., 1], -from_elbow[..., 1]], dim=-1)
        bottom = torch.stack([from_shoulder[..., 0], from_elbow[..., 0]], dim=-1)
        return torch.stack([top, bottom], dim=-2)

    def hand_velocity(self, state: Tensor) -> Tensor:
        """Return the hand's velocity (m/s), (..., 2), of states (..., 4)."""
        check_last_axis("state", state, 4, _STATE)
        return (self.jacobian(state) @ state[..., 2:].unsqueeze(-1)).squeeze(-1)

    def joint_torque(self, state: Tensor, hand_force: Tensor) -> Tensor:
        """Return the joint torques (N m), (..., 2), of a force (N) on the hand: ``J^T F``."""
        check_last_axis("hand_force", hand_force, 2, "x and y")
        return (self.jacobian(state).mT @ hand_force.unsqueeze(-1)).squeeze(-1)

    def configuration_at(self, hand_position: Tensor) -> Tensor:
        """Return the flexed joint angles (rad), (..., 2), with the hand at a point (m), (..., 2).

        Of the two solutions this is the one with the elbow between 0 and 180 degrees.

        Raises:
            UnreachableError: A point lies too near the shoulder, too far from it, or is not finite.
        """
        check_last_axis("hand_position", hand_position, 2, "x and y")
        p = self.parameters
        x, y = hand_position.unbind(-1)
        elbow = elbow_at(p, hand_position)
        along = p.length_1 + p.length_2 * torch.cos(elbow)
        across = p.length_2 * torch.sin(elbow)
        shoulder = torch.atan2(along * y - across * x, along * x + across * y)
        return torch.stack([shoulder, elbow], dim=-1)


def elbow_at(parameters: ArmParameters, hand_position: Tensor) -> Tensor:
    """Return the elbow's angle (rad), from 0 to pi, (...), with the hand at a point (..., d).

    Raises:
        UnreachableError: A point lies too near the shoulder, too far from it, or is not finite.
    """
    p = parameters
    distance = hand_position.norm(dim=-1)
    nearest, farthest = p.reach
    slack = 1e-9 * farthest  # rounding of a point that is exactly at the border
    outside = ~((distance >= nearest - slack) & (distance <= farthest + slack))
    if bool(outside.any()):
        point = ", ".join(f"{number:.4g}" for number in hand_position[outside][0].tolist())
        raise UnreachableError(
            f"`hand_position` must lie between {nearest:.4g} and {farthest:.4g} m from the "
            f"shoulder, got {int(outside.sum())} point(s) outside, the first at ({point}) m; use a "
            "smaller radius or another centre."
        )
    cosine = (distance**2 - p.length_1**2 - p.length_2**2) / (2 * p.length_1 * p.length_2)
    return torch.acos(cosine.clamp(-1.0, 1.0))
