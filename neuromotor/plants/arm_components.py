"""The mechanics of a two-joint arm on components: floats, numpy arrays, tensors, compiled numbers.

Everything that moves an arm calls these functions: `TwoJointArm` with tensors, environments with
floats or arrays, the compiled loops with one trial after another. Equations and notation are those
of `arm.py`. A state is two joint angles (rad) and two velocities (rad/s); a torque (N m) and a
force (N) are two numbers; `par` are the arm's numbers in the order of `numbers`. For `hand` and the
velocity rates, numbers of a larger plant may follow, and more components of its state.
"""

from __future__ import annotations

from typing import Any

from neuromotor.compiled.functions import component, sine_and_cosine
from neuromotor.plants.parameters import ArmParameters, Viscosity

__all__ = [
    "accelerations",
    "hand",
    "hand_slopes",
    "jacobian",
    "numbers",
    "signal_slopes",
    "signals",
    "step",
    "torques",
    "velocity_rate_slopes",
    "velocity_rates",
]


def numbers(
    parameters: ArmParameters, dt_s: float, viscosity: Viscosity | None
) -> tuple[float, ...]:
    """Return `par`: step (s), a1, a2, a3, both lengths (m), viscosity row by row."""
    (b11, b12), (b21, b22) = viscosity or ((0.0, 0.0), (0.0, 0.0))
    lengths = parameters.length_1, parameters.length_2
    return (dt_s, *parameters.inertia_constants, *lengths, b11, b12, b21, b22)


@component
def step(par: Any, x: Any, u: Any, load: Any, force: Any) -> Any:
    """Return the state after an Euler step.

    Args:
        par: From `numbers`.
        x: Four components.
        u: Torque that the actuators give, two components.
        load: Torque from outside, two components, or None.
        force: On the hand, two components, or None.
    """
    dt = par[0]
    sine, cosine = sine_and_cosine(x[1])
    shoulder, elbow = torques(par, x, u, load, force, sine, cosine)
    first, second = accelerations(par, sine, cosine, x[2], x[3], shoulder, elbow)
    return x[0] + dt * x[2], x[1] + dt * x[3], x[2] + dt * first, x[3] + dt * second


@component
def jacobian(par: Any, x: Any, u: Any, load: Any, force: Any) -> Any:
    """Return the derivative of `step` by state and torque, four rows of six; arguments as there.

    From M q'' = torque - c: ``d q'' = M^-1 (d torque - dc - dM q'')``.
    """
    dt, a1, a2, a3, length_1, length_2, b11, b12, b21, b22 = par
    sine, cosine = sine_and_cosine(x[1])
    w1, w2 = x[2], x[3]
    shoulder, elbow = torques(par, x, u, load, force, sine, cosine)
    first, second = accelerations(par, sine, cosine, w1, w2, shoulder, elbow)
    coupling, bend = a2 * cosine, a2 * sine
    scale = dt / (a3 * (a1 - a3) - coupling * coupling)
    m11, m12, m22 = a3 * scale, -(a3 + coupling) * scale, (a1 + coupling + coupling) * scale
    # what each column of d (torque - c) - dM q'' adds at shoulder and elbow
    s1 = coupling * w2 * (w1 + w1 + w2) + bend * (first + first + second)
    e1 = bend * first - coupling * w1 * w1
    zero = coupling - coupling
    s0, e0 = zero, zero
    if force is not None:
        along, across = _from_upper_arm(x[0], force)
        turned = -length_2 * (cosine * along + sine * across)
        s0, e0 = turned - length_1 * along, turned
        s1, e1 = s1 + turned, e1 + turned
    s2, e2 = (bend + bend) * w2 - b11, -(bend + bend) * w1 - b21
    s3, e3 = (bend + bend) * (w1 + w2) - b12, -b22
    one = zero + dt / dt
    j20, j21, j22, j23 = (
        m11 * s0 + m12 * e0,
        m11 * s1 + m12 * e1,
        m11 * s2 + m12 * e2,
        m11 * s3 + m12 * e3,
    )
    j30, j31, j32, j33 = (
        m12 * s0 + m22 * e0,
        m12 * s1 + m22 * e1,
        m12 * s2 + m22 * e2,
        m12 * s3 + m22 * e3,
    )
    return (
        (one, zero, zero + dt, zero, zero, zero),
        (zero, one, zero, zero + dt, zero, zero),
        (j20, j21, one + j22, j23, m11, m12),
        (j30, j31, j32, one + j33, m12, m22),
    )


@component
def hand(par: Any, x: Any) -> Any:
    """Return the hand's position (m) from the shoulder and its velocity (m/s), four components."""
    place_x, place_y, along, across = _reach(par, x)
    return (
        place_x,
        place_y,
        -place_y * x[2] - across * x[3],
        place_x * x[2] + along * x[3],
    )


@component
def hand_slopes(par: Any, x: Any) -> Any:
    """Return the derivative of `hand` by the state, four rows of four."""
    place_x, place_y, along, across = _reach(par, x)
    zero, both = place_x - place_x, x[2] + x[3]
    return (
        (-place_y, -across, zero, zero),
        (place_x, along, zero, zero),
        (-place_x * x[2] - along * x[3], -along * both, -place_y, -across),
        (-place_y * x[2] - across * x[3], -across * both, place_x, along),
    )


@component
def signals(par: Any, x: Any) -> Any:
    """Return what can be sensed beside the state: `hand`, four components."""
    return hand(par, x)


@component
def signal_slopes(par: Any, x: Any) -> Any:
    """Return the derivative of `signals` by the state, four rows of four."""
    return hand_slopes(par, x)


@component
def accelerations(
    par: Any, sine: Any, cosine: Any, w1: Any, w2: Any, shoulder: Any, elbow: Any
) -> Any:
    """Return ``M^-1 (torque - c)`` (rad/s^2), joint by joint.

    Args:
        par: From `numbers`.
        sine: Of the elbow's angle.
        cosine: The same.
        w1: Velocity of the shoulder (rad/s).
        w2: Of the elbow.
        shoulder: All torque at the shoulder (N m).
        elbow: At the elbow.
    """
    a1, a2, a3 = par[1], par[2], par[3]
    coupling, bend = a2 * cosine, a2 * sine
    shoulder_net = shoulder + bend * w2 * (w1 + w1 + w2)
    elbow_net = elbow - bend * w1 * w1
    m12 = a3 + coupling
    determinant = a3 * (a1 - a3) - coupling * coupling
    return (
        (a3 * shoulder_net - m12 * elbow_net) / determinant,
        ((a1 + coupling + coupling) * elbow_net - m12 * shoulder_net) / determinant,
    )


@component
def velocity_rates(par: Any, x: Any, drag: Any) -> Any:
    """Return ``M^-1 J^T D J`` (1/s), row by row: how a force ``D v`` on the hand changes q'.

    Args:
        par: From `numbers`.
        x: Four components, of which the angles count.
        drag: D (N s/m), row by row, four components.
    """
    place_x, place_y, along, across = _reach(par, x)
    first, second = (-place_y, place_x), (-across, along)  # the columns of J
    return _rates(
        par,
        x,
        _between(first, drag, first),
        _between(first, drag, second),
        _between(second, drag, first),
        _between(second, drag, second),
    )


@component
def velocity_rate_slopes(par: Any, x: Any, drag: Any) -> Any:
    """Return the derivatives of `velocity_rates` by both angles, four components (1/s) each.

    With K = J^T D J and R = M^-1 K these are ``M^-1 (dK - dM R)``.
    """
    place_x, place_y, along, across = _reach(par, x)
    first, second = (-place_y, place_x), (-across, along)
    turned, forearm = (-place_x, -place_y), (-along, -across)  # their derivatives
    sine, _ = sine_and_cosine(x[1])
    bend = par[2] * sine
    r11, r12, r21, r22 = velocity_rates(par, x, drag)
    k12 = _between(turned, drag, second) + _between(first, drag, forearm)
    k21 = _between(forearm, drag, first) + _between(second, drag, turned)
    k22 = _between(forearm, drag, second) + _between(second, drag, forearm)
    by_first = _rates(
        par,
        x,
        _between(turned, drag, first) + _between(first, drag, turned),
        k12,
        k21,
        k22,
    )
    by_second = _rates(
        par,
        x,
        _between(forearm, drag, first) + _between(first, drag, forearm) + bend * (r11 + r11 + r21),
        _between(forearm, drag, second) + _between(first, drag, forearm) + bend * (r12 + r12 + r22),
        _between(forearm, drag, first) + _between(second, drag, forearm) + bend * r11,
        k22 + bend * r12,
    )
    return by_first, by_second


@component
def _between(left: Any, drag: Any, right: Any) -> Any:
    """``left^T D right``."""
    return left[0] * (drag[0] * right[0] + drag[1] * right[1]) + left[1] * (
        drag[2] * right[0] + drag[3] * right[1]
    )


@component
def _rates(par: Any, x: Any, k11: Any, k12: Any, k21: Any, k22: Any) -> Any:
    """``M^-1 K``, row by row."""
    sine, cosine = sine_and_cosine(x[1])
    none = sine - sine
    a11, a21 = accelerations(par, sine, cosine, none, none, k11, k21)
    a12, a22 = accelerations(par, sine, cosine, none, none, k12, k22)
    return a11, a12, a21, a22


@component
def torques(par: Any, x: Any, u: Any, load: Any, force: Any, sine: Any, cosine: Any) -> Any:
    """Return all torques at the joints (N m); sine and cosine are the elbow's."""
    shoulder = u[0] - (par[6] * x[2] + par[7] * x[3])
    elbow = u[1] - (par[8] * x[2] + par[9] * x[3])
    if load is not None:
        shoulder, elbow = shoulder + load[0], elbow + load[1]
    if force is not None:  # J^T F
        along, across = _from_upper_arm(x[0], force)
        at_elbow = par[5] * (cosine * across - sine * along)
        shoulder, elbow = shoulder + (par[4] * across + at_elbow), elbow + at_elbow
    return shoulder, elbow


@component
def _reach(par: Any, x: Any) -> Any:
    """Where the hand is (m), seen from the shoulder (x, y) and from the elbow (along, across)."""
    sine, cosine = sine_and_cosine(x[0])
    forearm_sine, forearm_cosine = sine_and_cosine(x[0] + x[1])
    along, across = par[5] * forearm_cosine, par[5] * forearm_sine
    return par[4] * cosine + along, par[4] * sine + across, along, across


@component
def _from_upper_arm(angle: Any, force: Any) -> Any:
    """A force (N) along and across the upper arm, so that no third angle needs its cosine."""
    sine, cosine = sine_and_cosine(angle)
    return cosine * force[0] + sine * force[1], cosine * force[1] - sine * force[0]
