"""The Euler step of a two-joint arm and its Jacobian, on floats and on numpy arrays.

On a CPU numpy starts a small operation several times sooner than torch, and one arm in floats steps
tens of times sooner than an array of one. So hand-derived passes and environments use this second
form of the mechanics in `arm.py`, whose equations and notation it shares.

A quantity comes in components: a state is two joint angles (rad) and two velocities (rad/s), a
torque (N m) or a force (N) is two numbers. Each component is a float, or an array with one number
an arm. `kit` is the module that has the functions for them: `math`, `numpy`, or `torch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuromotor.plants.parameters import ArmParameters, Viscosity
from neuromotor.plants.plant import CommandLimit, saturated

__all__ = ["FastArm", "accelerations", "velocity_rates"]


@dataclass(frozen=True)
class FastArm:
    """The Euler step of a `TwoJointArm` without joint limits; attributes as there."""

    parameters: ArmParameters
    dt_s: float
    viscosity: Viscosity | None
    command_limit: CommandLimit

    def step(
        self, state: Any, command: Any, kit: Any, load: Any = None, hand_force: Any = None
    ) -> tuple[Any, Any, Any, Any]:
        """Return what `TwoJointArm.step` does, in components."""
        shoulder_angle, elbow_angle, shoulder_rate, elbow_rate = state
        cosine, sine = kit.cos(elbow_angle), kit.sin(elbow_angle)
        given = saturated(command, self.command_limit, kit)
        torque = self._torque(state, given, cosine, sine, kit, load, hand_force)
        shoulder, elbow = accelerations(
            self.parameters, cosine, sine, shoulder_rate, elbow_rate, *torque
        )
        dt = self.dt_s
        return (
            shoulder_angle + dt * shoulder_rate,
            elbow_angle + dt * elbow_rate,
            shoulder_rate + dt * shoulder,
            elbow_rate + dt * elbow,
        )

    def hand(self, state: Any, kit: Any) -> tuple[Any, Any, Any, Any]:
        """Return the hand's position (m) and velocity (m/s)."""
        x, y, along, across = _reach(self.parameters, state, kit)
        _, _, shoulder_rate, elbow_rate = state
        return (
            x,
            y,
            -y * shoulder_rate - across * elbow_rate,
            x * shoulder_rate + along * elbow_rate,
        )

    def jacobian(
        self,
        state: Any,
        command: Any,
        out: NDArray[Any],
        load: Any = None,
        hand_force: Any = None,
    ) -> None:
        """Write the derivative of `step` by state and command, (..., 4, 6), for numpy arrays.

        From M q'' = torque - c: ``d q'' = M^-1 (d torque - dc - dM q'')``.

        Args:
            state: Four arrays (...).
            command: Two arrays (...).
            out: Where the result goes, (..., 4, 6).
            load: Two arrays (...), or None.
            hand_force: Two arrays (...), or None.
        """
        a1, a2, a3 = self.parameters.inertia_constants
        shoulder_angle, elbow_angle, w1, w2 = state
        cosine, sine = np.cos(elbow_angle), np.sin(elbow_angle)
        coupling, bend = a2 * cosine, a2 * sine
        given = saturated(command, self.command_limit, np)
        torque = self._torque(state, given, cosine, sine, np, load, hand_force)
        first, second = accelerations(self.parameters, cosine, sine, w1, w2, *torque)
        scale = self.dt_s / (a3 * (a1 - a3) - coupling * coupling)
        m11, m12, m22 = a3 * scale, -(a3 + coupling) * scale, (a1 + 2 * coupling) * scale
        out[:] = 0.0
        for i in range(4):
            out[..., i, i] = 1.0
        out[..., 0, 2] = out[..., 1, 3] = self.dt_s
        (b11, b12), (b21, b22) = self.viscosity or ((0.0, 0.0), (0.0, 0.0))
        by_elbow = [
            coupling * w2 * (2 * w1 + w2) + bend * (2 * first + second),
            bend * first - coupling * w1 * w1,
        ]
        sources = {  # column of `out`: d (torque - c) - dM q'', shoulder and elbow
            1: by_elbow,
            2: (2 * bend * w2 - b11, -2 * bend * w1 - b21),
            3: (2 * bend * (w1 + w2) - b12, -b22),
            4: (1.0, 0.0),
            5: (0.0, 1.0),
        }
        if hand_force is not None:
            p = self.parameters
            along, across = _from_upper_arm(shoulder_angle, hand_force, np)
            turned = -p.length_2 * (cosine * along + sine * across)
            sources[0] = (turned - p.length_1 * along, turned)
            by_elbow[0] = by_elbow[0] + turned
            by_elbow[1] = by_elbow[1] + turned
        for column, (on_shoulder, on_elbow) in sources.items():
            out[..., 2, column] += m11 * on_shoulder + m12 * on_elbow
            out[..., 3, column] += m12 * on_shoulder + m22 * on_elbow
        if self.command_limit is not None:
            limits = np.broadcast_to(self.command_limit, 2).tolist()
            for i, limit in enumerate(limits):
                out[..., 4 + i] *= (1 - (given[i] / limit) ** 2)[..., None]

    def _torque(
        self, state: Any, given: Any, cosine: Any, sine: Any, kit: Any, load: Any, hand_force: Any
    ) -> tuple[Any, Any]:
        """All torques at the joints (N m); `given` by the actuators, cosine and sine of phi."""
        shoulder_angle, _, shoulder_rate, elbow_rate = state
        on_shoulder, on_elbow = given
        if load is not None:
            on_shoulder, on_elbow = on_shoulder + load[0], on_elbow + load[1]
        if hand_force is not None:  # J^T F
            along, across = _from_upper_arm(shoulder_angle, hand_force, kit)
            at_elbow = self.parameters.length_2 * (cosine * across - sine * along)
            on_shoulder = on_shoulder + (self.parameters.length_1 * across + at_elbow)
            on_elbow = on_elbow + at_elbow
        if self.viscosity is not None:
            (b11, b12), (b21, b22) = self.viscosity
            on_shoulder = on_shoulder - (b11 * shoulder_rate + b12 * elbow_rate)
            on_elbow = on_elbow - (b21 * shoulder_rate + b22 * elbow_rate)
        return on_shoulder, on_elbow


def accelerations(
    parameters: ArmParameters,
    cosine: Any,
    sine: Any,
    shoulder_rate: Any,
    elbow_rate: Any,
    shoulder_torque: Any,
    elbow_torque: Any,
) -> tuple[Any, Any]:
    """Return ``M^-1 (torque - c)`` (rad/s^2), joint by joint; cosine and sine are the elbow's."""
    a1, a2, a3 = parameters.inertia_constants
    coupling, bend = a2 * cosine, a2 * sine
    shoulder_net = shoulder_torque + bend * elbow_rate * (2 * shoulder_rate + elbow_rate)
    elbow_net = elbow_torque - bend * shoulder_rate * shoulder_rate
    m12 = a3 + coupling
    determinant = a3 * (a1 - a3) - coupling * coupling
    shoulder = (a3 * shoulder_net - m12 * elbow_net) / determinant
    elbow = ((a1 + 2 * coupling) * elbow_net - m12 * shoulder_net) / determinant
    return shoulder, elbow


def velocity_rates(
    parameters: ArmParameters, state: Any, drag: Any, kit: Any
) -> tuple[Any, Any, Any, Any]:
    """Return ``M^-1 J^T D J`` (1/s), row by row; see `TwoJointArm.velocity_rates`."""
    cosine, sine = kit.cos(state[1]), kit.sin(state[1])
    x, y, along, across = _reach(parameters, state, kit)
    columns = []
    for toward_x, toward_y in ((-y, x), (-across, along)):  # of J
        force_x, force_y = (row[0] * toward_x + row[1] * toward_y for row in drag)
        torque = x * force_y - y * force_x, along * force_y - across * force_x
        columns.append(accelerations(parameters, cosine, sine, 0.0, 0.0, *torque))
    (a11, a21), (a12, a22) = columns
    return a11, a12, a21, a22


def _reach(parameters: ArmParameters, state: Any, kit: Any) -> tuple[Any, Any, Any, Any]:
    """Where the hand is (m), seen from the shoulder (x, y) and from the elbow (along, across)."""
    shoulder_angle, elbow_angle, _, _ = state
    forearm = shoulder_angle + elbow_angle
    along, across = parameters.length_2 * kit.cos(forearm), parameters.length_2 * kit.sin(forearm)
    x = parameters.length_1 * kit.cos(shoulder_angle) + along
    y = parameters.length_1 * kit.sin(shoulder_angle) + across
    return x, y, along, across


def _from_upper_arm(angle: Any, hand_force: Any, kit: Any) -> tuple[Any, Any]:
    """A force (N) along and across the upper arm, so that no third angle needs its cosine."""
    cosine, sine = kit.cos(angle), kit.sin(angle)
    x, y = hand_force
    return cosine * x + sine * y, cosine * y - sine * x
