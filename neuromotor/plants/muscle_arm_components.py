"""Muscles on a two-joint arm, on components; see `arm_components.py`, whose functions move the arm.

Notation, for each of six muscles: a is the activation and e the excitation. R is the moment arm (m)
at each joint, and D says how it grows with that joint's angle (m/rad). l is the length in optimal
lengths L0, and v the velocity (L0/s), which is positive while the muscle lengthens. F is the force
(N), FL and FV are its factors of length and velocity::

    R_k = R0_k + D_k q_k      l = l0 - sum_k (R0_k q_k + D_k q_k^2 / 2) / L0      v = dl/dt
    torque_k = sum R_k F      F = a strength FL(l) FV(l, v)      a' = a + (dt / tau) (e - a)

An arm without these factors has FL = FV = 1. A state is two joint angles (rad), two velocities
(rad/s) and six activations. Commands are excitations. `par` are the numbers in the order of
`numbers`. Where two formulas meet, the derivative is that of one side: at the bounds of excitations
that of the inside, where activation neither rises nor falls that of falling, and at v = 0 that of
shortening.
"""

from __future__ import annotations

from typing import Any

from neuromotor.compiled.functions import chosen, component, exponential, power, sine_and_cosine
from neuromotor.plants import arm_components
from neuromotor.plants.arm_components import hand, velocity_rate_slopes, velocity_rates
from neuromotor.plants.muscles import BROWN_1999, MuscleParameters

__all__ = [
    "force_length",
    "force_velocity",
    "forces",
    "hand",
    "jacobian",
    "lengths",
    "moment_arms",
    "numbers",
    "signal_slopes",
    "signals",
    "step",
    "torques",
    "velocity_rate_slopes",
    "velocity_rates",
]


def numbers(
    arm: tuple[float, ...],
    muscles: MuscleParameters,
    rates: tuple[float, float],
    bounds: tuple[float, float],
    factors: tuple[bool, bool],
    weights: tuple[float, float],
) -> tuple[float, ...]:
    """Return `par`.

    Args:
        arm: `arm_components.numbers`, ten of them.
        muscles: Strength and geometry.
        rates: ``dt / tau`` while activation rises and while it falls.
        bounds: Lowest and highest excitation.
        factors: Whether force depends on length, and on velocity.
        weights: ``g (m1 c1 + m2 l1)`` and ``g m2 c2`` (N m); zero in the horizontal plane.
    """
    own = [
        (force, *arms, *slopes, 1 / optimal, at_zero)
        for force, arms, slopes, optimal, at_zero in zip(
            muscles.strength,
            zip(*muscles.moment_arms, strict=True),
            zip(*muscles.moment_arm_slopes, strict=True),
            muscles.optimal_length,
            muscles.length_at_zero,
            strict=True,
        )
    ]
    switches = tuple(float(factor) for factor in factors)
    each = tuple(number for muscle in own for number in muscle)
    return (*arm, *rates, *bounds, *switches, *weights, *BROWN_1999, *each)


@component
def step(par: Any, x: Any, u: Any, load: Any, force: Any) -> Any:
    """Return the state after an Euler step.

    Args:
        par: From `numbers`.
        x: Ten components.
        u: Excitations, six components; beyond a bound they act as at the bound.
        load: Torque from outside, two components, or None.
        force: On the hand, two components, or None.
    """
    first, second, third, fourth = arm_components.step(par[:10], x, torques(par, x), load, force)
    return (
        first,
        second,
        third,
        fourth,
        _activation(par, x[4], u[0]),
        _activation(par, x[5], u[1]),
        _activation(par, x[6], u[2]),
        _activation(par, x[7], u[3]),
        _activation(par, x[8], u[4]),
        _activation(par, x[9], u[5]),
    )


@component
def jacobian(par: Any, x: Any, u: Any, load: Any, force: Any) -> Any:
    """Return the derivative of `step` by state and excitations, ten rows of 16."""
    rows = arm_components.jacobian(par[:10], x, torques(par, x), load, force)
    zero = x[4] - x[4]
    first, second, third, fourth, fifth, sixth = _muscles(par)
    p = _torque_slopes(par, x, x[4], first)
    q = _torque_slopes(par, x, x[5], second)
    r = _torque_slopes(par, x, x[6], third)
    s = _torque_slopes(par, x, x[7], fourth)
    t = _torque_slopes(par, x, x[8], fifth)
    w = _torque_slopes(par, x, x[9], sixth)
    upper, lower = _weight_slopes(par, x)
    # how the torques at shoulder and elbow change with angles and velocities
    at_shoulder = (
        p[2] + q[2] + r[2] + s[2] + t[2] + w[2] + upper,
        p[3] + q[3] + r[3] + s[3] + t[3] + w[3] + lower,
        p[4] + q[4] + r[4] + s[4] + t[4] + w[4],
        p[5] + q[5] + r[5] + s[5] + t[5] + w[5],
    )
    at_elbow = (
        p[6] + q[6] + r[6] + s[6] + t[6] + w[6] + lower,
        p[7] + q[7] + r[7] + s[7] + t[7] + w[7] + lower,
        p[8] + q[8] + r[8] + s[8] + t[8] + w[8],
        p[9] + q[9] + r[9] + s[9] + t[9] + w[9],
    )
    place_1, place_2, speed_1, speed_2 = rows
    m11, m12, m22 = speed_1[4], speed_1[5], speed_2[5]
    k0, c0 = _activation_slopes(par, x[4], u[0])
    k1, c1 = _activation_slopes(par, x[5], u[1])
    k2, c2 = _activation_slopes(par, x[6], u[2])
    k3, c3 = _activation_slopes(par, x[7], u[3])
    k4, c4 = _activation_slopes(par, x[8], u[4])
    k5, c5 = _activation_slopes(par, x[9], u[5])
    none = (zero, zero, zero, zero, zero, zero)
    return (
        (place_1[0], place_1[1], place_1[2], place_1[3], *none, *none),
        (place_2[0], place_2[1], place_2[2], place_2[3], *none, *none),
        (*_speed_row(speed_1, m11, m12, at_shoulder, at_elbow, (p, q, r, s, t, w)), *none),
        (*_speed_row(speed_2, m12, m22, at_shoulder, at_elbow, (p, q, r, s, t, w)), *none),
        (zero, zero, zero, zero, k0, zero, zero, zero, zero, zero, c0, *none[:5]),
        (zero, zero, zero, zero, zero, k1, zero, zero, zero, zero, zero, c1, *none[:4]),
        (zero, zero, zero, zero, *none[:2], k2, zero, zero, zero, *none[:2], c2, *none[:3]),
        (zero, zero, zero, zero, *none[:3], k3, zero, zero, *none[:3], c3, *none[:2]),
        (zero, zero, zero, zero, *none[:4], k4, zero, *none[:4], c4, zero),
        (zero, zero, zero, zero, *none[:5], k5, *none[:5], c5),
    )


@component
def _speed_row(
    row: Any, by_shoulder: Any, by_elbow: Any, at_shoulder: Any, at_elbow: Any, muscles: Any
) -> Any:
    """How a joint's velocity after the step changes with the state, ten components.

    Args:
        row: The same for an arm whose torques do not change, by angles and velocities.
        by_shoulder: Its change with torque at the shoulder.
        by_elbow: And with that at the elbow.
        at_shoulder: How the torque at the shoulder changes with angles and velocities.
        at_elbow: And that at the elbow.
        muscles: For each, torque at shoulder and elbow at full activation, and more.
    """
    p, q, r, s, t, w = muscles
    return (
        row[0] + by_shoulder * at_shoulder[0] + by_elbow * at_elbow[0],
        row[1] + by_shoulder * at_shoulder[1] + by_elbow * at_elbow[1],
        row[2] + by_shoulder * at_shoulder[2] + by_elbow * at_elbow[2],
        row[3] + by_shoulder * at_shoulder[3] + by_elbow * at_elbow[3],
        by_shoulder * p[0] + by_elbow * p[1],
        by_shoulder * q[0] + by_elbow * q[1],
        by_shoulder * r[0] + by_elbow * r[1],
        by_shoulder * s[0] + by_elbow * s[1],
        by_shoulder * t[0] + by_elbow * t[1],
        by_shoulder * w[0] + by_elbow * w[1],
    )


@component
def torques(par: Any, x: Any) -> Any:
    """Return the torques (N m) of muscles and gravity at shoulder and elbow."""
    f0, f1, f2, f3, f4, f5 = forces(par, x)
    m0, m1, m2, m3, m4, m5 = moment_arms(par, x)
    upper, lower = _weight(par, x)
    return (
        m0[0] * f0 + m1[0] * f1 + m2[0] * f2 + m3[0] * f3 + m4[0] * f4 + m5[0] * f5 - upper,
        m0[1] * f0 + m1[1] * f1 + m2[1] * f2 + m3[1] * f3 + m4[1] * f4 + m5[1] * f5 - lower,
    )


@component
def forces(par: Any, x: Any) -> Any:
    """Return the muscles' forces (N), six components."""
    first, second, third, fourth, fifth, sixth = _muscles(par)
    return (
        x[4] * _force(par, x, first),
        x[5] * _force(par, x, second),
        x[6] * _force(par, x, third),
        x[7] * _force(par, x, fourth),
        x[8] * _force(par, x, fifth),
        x[9] * _force(par, x, sixth),
    )


@component
def moment_arms(par: Any, x: Any) -> Any:
    """Return the muscles' moment arms (m) at shoulder and elbow, six pairs."""
    first, second, third, fourth, fifth, sixth = _muscles(par)
    return (
        _arms(x, first),
        _arms(x, second),
        _arms(x, third),
        _arms(x, fourth),
        _arms(x, fifth),
        _arms(x, sixth),
    )


@component
def lengths(par: Any, x: Any) -> Any:
    """Return the muscles' lengths in optimal lengths, six components."""
    first, second, third, fourth, fifth, sixth = _muscles(par)
    return (
        _length(x, first),
        _length(x, second),
        _length(x, third),
        _length(x, fourth),
        _length(x, fifth),
        _length(x, sixth),
    )


@component
def signals(par: Any, x: Any) -> Any:
    """Return what is sensed beside the state: `hand`, lengths (m), velocities (m/s); sixteen."""
    first, second, third, fourth, fifth, sixth = _muscles(par)
    place_x, place_y, speed_x, speed_y = hand(par, x)
    return (
        place_x,
        place_y,
        speed_x,
        speed_y,
        _length(x, first) / first[5],
        _length(x, second) / second[5],
        _length(x, third) / third[5],
        _length(x, fourth) / fourth[5],
        _length(x, fifth) / fifth[5],
        _length(x, sixth) / sixth[5],
        _velocity(x, first) / first[5],
        _velocity(x, second) / second[5],
        _velocity(x, third) / third[5],
        _velocity(x, fourth) / fourth[5],
        _velocity(x, fifth) / fifth[5],
        _velocity(x, sixth) / sixth[5],
    )


@component
def signal_slopes(par: Any, x: Any) -> Any:
    """Return the derivative of `signals` by the state, sixteen rows of ten."""
    first, second, third, fourth, fifth, sixth = _muscles(par)
    place_x, place_y, speed_x, speed_y = arm_components.hand_slopes(par, x)
    zero = x[4] - x[4]
    none = (zero, zero, zero, zero, zero, zero)
    return (
        (*place_x, *none),
        (*place_y, *none),
        (*speed_x, *none),
        (*speed_y, *none),
        _length_slopes(x, first),
        _length_slopes(x, second),
        _length_slopes(x, third),
        _length_slopes(x, fourth),
        _length_slopes(x, fifth),
        _length_slopes(x, sixth),
        _velocity_slopes(x, first),
        _velocity_slopes(x, second),
        _velocity_slopes(x, third),
        _velocity_slopes(x, fourth),
        _velocity_slopes(x, fifth),
        _velocity_slopes(x, sixth),
    )


# ---- one muscle ----


@component
def _muscles(par: Any) -> Any:
    """The numbers of each: strength, R0 at both joints, D at both joints, 1 / L0, l0."""
    return par[29:36], par[36:43], par[43:50], par[50:57], par[57:64], par[64:71]


@component
def _arms(x: Any, muscle: Any) -> Any:
    return muscle[1] + muscle[3] * x[0], muscle[2] + muscle[4] * x[1]


@component
def _length(x: Any, muscle: Any) -> Any:
    first, second = _arms(x, muscle)  # a half of their sum with R0 is the mean over the angle
    twice = (first + muscle[1]) * x[0] + (second + muscle[2]) * x[1]
    half = muscle[5] / (muscle[5] / muscle[5] + muscle[5] / muscle[5])
    return muscle[6] - half * twice


@component
def _velocity(x: Any, muscle: Any) -> Any:
    first, second = _arms(x, muscle)
    return -muscle[5] * (first * x[2] + second * x[3])


@component
def _length_slopes(x: Any, muscle: Any) -> Any:
    """How a length (m) changes with the state, ten components."""
    first, second = _arms(x, muscle)
    zero = x[4] - x[4]
    return -first, -second, zero, zero, zero, zero, zero, zero, zero, zero


@component
def _velocity_slopes(x: Any, muscle: Any) -> Any:
    """How a velocity (m/s) changes with the state, ten components."""
    first, second = _arms(x, muscle)
    by_shoulder, by_elbow, zero = -muscle[3] * x[2], -muscle[4] * x[3], x[4] - x[4]
    return by_shoulder, by_elbow, -first, -second, zero, zero, zero, zero, zero, zero


@component
def _force(par: Any, x: Any, muscle: Any) -> Any:
    """Force (N) at full activation."""
    result = muscle[0] + (x[4] - x[4])
    if par[14] > 0:
        result = result * force_length(par, _length(x, muscle))
    if par[15] > 0:
        result = result * force_velocity(par, _length(x, muscle), _velocity(x, muscle))
    return result


@component
def _torque_slopes(par: Any, x: Any, a: Any, muscle: Any) -> Any:
    """Torques at full activation (2), and how those at a change with x[0] to x[3] (2 x 4)."""
    first, second = _arms(x, muscle)
    zero = x[4] - x[4]
    along, along_slope = zero + par[0] / par[0], zero
    fast, fast_by_length, fast_by_velocity = along, zero, zero
    if par[14] > 0:
        along = force_length(par, _length(x, muscle))
        along_slope = _force_length_slope(par, _length(x, muscle))
    if par[15] > 0:
        length, velocity = _length(x, muscle), _velocity(x, muscle)
        fast = force_velocity(par, length, velocity)
        fast_by_length, fast_by_velocity = _force_velocity_slopes(par, length, velocity)
    by_length = -muscle[5] * muscle[0] * a * (along_slope * fast + along * fast_by_length)
    by_velocity = -muscle[5] * muscle[0] * a * (along * fast_by_velocity)
    full = muscle[0] * (along * fast)
    f0 = by_length * first + by_velocity * (muscle[3] * x[2])
    f1 = by_length * second + by_velocity * (muscle[4] * x[3])
    f2, f3 = by_velocity * first, by_velocity * second
    return (
        full * first,
        full * second,
        first * f0 + a * (full * muscle[3]),
        first * f1,
        first * f2,
        first * f3,
        second * f0,
        second * f1 + a * (full * muscle[4]),
        second * f2,
        second * f3,
    )


# ---- force factors: Brown et al. (1999), with the numbers of `BROWN_1999` ----


@component
def force_length(par: Any, length: Any) -> Any:
    """Return ``exp(-|(l^beta - 1) / omega|^rho)``; a length below zero counts as zero."""
    beta, omega, half_rho = par[18], par[19], par[20]
    away = (power(chosen(length, length, length - length), beta) - par[0] / par[0]) / omega
    return exponential(-power(away * away, half_rho))


@component
def _force_length_slope(par: Any, length: Any) -> Any:
    beta, omega, half_rho, one = par[18], par[19], par[20], par[0] / par[0]
    some = chosen(length, length, length - length)
    away = (power(some, beta) - one) / omega
    square = away * away
    by_away = half_rho * power(square, half_rho - one) * (away + away)
    return (
        -exponential(-power(square, half_rho)) * by_away * (beta / omega) * power(some, beta - one)
    )


@component
def force_velocity(par: Any, length: Any, velocity: Any) -> Any:
    """Return the factor of velocity: one hyperbola while shortening, one while lengthening.

    ``(vmax - v) / (vmax + c v)`` with c = cv0 + cv1 l from vmax (negative) to 0, then
    ``(b - p v) / (b + v)`` with p = av0 + av1 l + av2 l^2. Faster than vmax there is no force.
    """
    shorter, longer, c, p = _parts(par, length, velocity)
    return (
        (par[21] - shorter)
        / (par[21] + c * shorter)
        * ((par[24] - p * longer) / (par[24] + longer))
    )


@component
def _force_velocity_slopes(par: Any, length: Any, velocity: Any) -> Any:
    """Derivatives by length and by velocity."""
    fastest, cv1, b, av1, av2, one = par[21], par[23], par[24], par[26], par[27], par[0] / par[0]
    shorter, longer, c, p = _parts(par, length, velocity)
    zero = length - length
    below, above = fastest + c * shorter, b + longer
    slow, high = (fastest - shorter) / below, (b - p * longer) / above
    slow_by_c = -(fastest - shorter) * shorter / (below * below)
    c_slope = chosen(par[22] + cv1 * length - par[28], zero + cv1, zero)
    slow_by_v = -fastest * (one + c) / (below * below)
    slow_by_v = chosen(velocity, zero, chosen(velocity - fastest, slow_by_v, zero))
    high_by_l = -longer * (av1 + (av2 + av2) * length) / above
    high_by_v = chosen(velocity, -b * (p + one) / (above * above), zero)
    return slow_by_c * c_slope * high + slow * high_by_l, slow_by_v * high + slow * high_by_v


@component
def _parts(par: Any, length: Any, velocity: Any) -> Any:
    """Velocity while shortening and while lengthening, c and p of `force_velocity`."""
    zero = velocity - velocity
    shorter = chosen(velocity, zero, velocity)
    shorter = chosen(shorter - par[21], shorter, zero + par[21])
    c = par[22] + par[23] * length
    c = chosen(c - par[28], c, zero + par[28])
    return (
        shorter,
        chosen(velocity, velocity, zero),
        c,
        par[25] + (par[26] + par[27] * length) * length,
    )


# ---- activation and gravity ----


@component
def _activation(par: Any, a: Any, u: Any) -> Any:
    """Activation after a step."""
    u = chosen(par[12] - u, par[12] + (u - u), u)
    change = chosen(u - par[13], par[13] + (u - u), u) - a
    return a + chosen(change, par[10] * change, par[11] * change)


@component
def _activation_slopes(par: Any, a: Any, u: Any) -> Any:
    """Its derivatives by activation and by excitation."""
    zero = a - a
    one = zero + par[0] / par[0]
    within = chosen(par[12] - u, zero, chosen(u - par[13], zero, one))
    e = chosen(par[12] - u, par[12] + zero, chosen(u - par[13], par[13] + zero, u))
    rate = chosen(e - a, zero + par[10], zero + par[11])
    return one - rate, rate * within


@component
def _weight(par: Any, x: Any) -> Any:
    """Torque (N m) that holds the arm against gravity, at shoulder and elbow."""
    _, cosine = sine_and_cosine(x[0])
    _, forearm = sine_and_cosine(x[0] + x[1])
    lower = par[17] * forearm
    return par[16] * cosine + lower, lower


@component
def _weight_slopes(par: Any, x: Any) -> Any:
    """How gravity's torque at the shoulder changes with that joint's angle, and all others do."""
    sine, _ = sine_and_cosine(x[0])
    forearm, _ = sine_and_cosine(x[0] + x[1])
    lower = par[17] * forearm
    return par[16] * sine + lower, lower
