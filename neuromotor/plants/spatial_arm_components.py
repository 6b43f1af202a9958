"""The mechanics of an arm in space on components; as `arm_components.py` does for one in a plane.

Notation: q = [azimuth, elevation, twist, elbow angle], w their velocities, s2 c2 s3 c3 s4 c4 sines
and cosines of q2 to q4. All vectors are seen from the upper arm: x along it, z the elbow's axis, y
where the forearm points when the elbow is at 90 degrees. A, B and x are the axes of the three
shoulder angles, omega the upper arm's angular velocity, e = w4 the elbow's::

    A = (s2, c2 s3, c2 c3), which is also the direction upwards      B = (0, -c3, s3)
    omega = A w1 + B w2 + x w3                                        v = (omega, e)

Each segment has one inertia about its long axis and one about all axes across it. So the inertia
that belongs to v depends on the elbow alone, and falls apart into two 2 x 2 matrices::

    [[xx, xy], [xy, yy]] for omega_x, omega_y      [[zz, ze], [ze, a3]] for omega_z, e
    xx = b1 + b2 c4^2 + a3 s4^2                    zz = a1 + 2 a2 c4
    xy = -(a3 - b2) s4 c4 - a2 s4                  ze = a3 + a2 c4
    yy = zz - (a3 - b2) s4^2

with a1, a2, a3 as in `arm.py` and b1, b2 the inertias about the long axes. The second matrix is
that of the arm in the plane. With L the angular momentum about the shoulder, n the moments of all
forces at shoulder and elbow, and ' the derivative by the elbow's angle, Euler's equations for the
whole arm in a turning frame and Lagrange's for the elbow are::

    inertia dv/dt + C = n      C = (omega x L + e inertia' v,  -v.inertia' v / 2)

Torques at the shoulder's angles are the components of n along A, B and x. The angles follow from
``d omega/dt = A w1' + B w2' + x w3' + beta``, where beta holds the products of velocities. Where c2
= 0, A and x are one axis, and there is no solution.

A state is four angles (rad) and four velocities (rad/s); torques (N m) are four numbers and forces
(N) three; `par` are the arm's numbers in the order of `numbers`.
"""

from __future__ import annotations

from typing import Any

from neuromotor.compiled.functions import component, sine_and_cosine
from neuromotor.plants.parameters import ArmParameters

__all__ = [
    "accelerations",
    "hand",
    "jacobian",
    "numbers",
    "places",
    "step",
    "twice_kinetic_energy",
]


def numbers(
    parameters: ArmParameters,
    dt_s: float,
    axial_inertias: tuple[float, float],
    gravity: float,
    viscosity: tuple[float, float],
    tonic: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0),
) -> tuple[float, ...]:
    """Return `par`.

    These are: step (s), a1, a2, a3, b1, b2 (kg m^2), both lengths (m), ``-g (m1 c1 + m2 l1)`` and
    ``-g m2 c2`` (N m), viscosity of shoulder and elbow (N m s/rad), and torques (N m) that the
    actuators give in addition to u.
    """
    p = parameters
    upper_arm = -gravity * (p.mass_1 * p.center_1 + p.mass_2 * p.length_1)
    weights = upper_arm, -gravity * p.mass_2 * p.center_2
    lengths = p.length_1, p.length_2
    moving = (dt_s, *p.inertia_constants, *axial_inertias, *lengths)
    return (*moving, *weights, *viscosity, *tonic)


@component
def step(par: Any, x: Any, u: Any, load: Any, force: Any) -> Any:
    """Return the state after an Euler step.

    Args:
        par: From `numbers`.
        x: Eight components.
        u: Torque that the actuators give beside `tonic`, four components.
        load: Torque from outside, four components, or None.
        force: On the hand, three components, or None.
    """
    dt = par[0]
    a1, a2, a3, a4 = accelerations(par, x, u, load, force)
    return (
        x[0] + dt * x[4],
        x[1] + dt * x[5],
        x[2] + dt * x[6],
        x[3] + dt * x[7],
        x[4] + dt * a1,
        x[5] + dt * a2,
        x[6] + dt * a3,
        x[7] + dt * a4,
    )


@component
def accelerations(par: Any, x: Any, u: Any, load: Any, force: Any) -> Any:
    """Return how the four velocities change (rad/s^2); arguments as `step`."""
    trig = _trig(x)
    v, beta = _turning(trig, x)
    inertia = _inertia(par, trig)
    return _angles(inertia, trig, _acting(par, inertia, trig, x, v, u, load, force), beta)


@component
def jacobian(par: Any, x: Any, u: Any, load: Any, force: Any) -> Any:
    """Return the derivative of `step` by state and torque, eight rows of twelve.

    Arguments are those of `step`. From ``inertia K + C = n`` with K = dv/dt, at constant w':
    ``d w' = [A B x]^-1 (inertia^-1 (dn - dC - d inertia K) - dK)``.
    """
    dt, trig = par[0], _trig(x)
    s2, c2, s3, c3, s4, c4 = trig
    ay, az, w1, w2, w3 = c2 * s3, c2 * c3, x[4], x[5], x[6]
    zero, one = dt - dt, dt / dt
    none = (zero, zero, zero)
    v, beta = _turning(trig, x)
    inertia, slope = _inertia(par, trig), _slope(par, trig)
    gain = _gain(par, inertia, slope, v)
    acting = _acting(par, inertia, trig, x, v, u, load, force)
    a1, a2, a3, a4 = _angles(inertia, trig, acting, beta)
    kx = s2 * a1 + a3 + beta[0]
    ky = ay * a1 - c3 * a2 + beta[1]
    kz = az * a1 + s3 * a2 + beta[2]

    # shoulder: gravity and forces on the hand turn against it, and with two angles also the axes
    by_azimuth = zero, zero, zero, zero
    if force is not None:
        by_azimuth = _angles(inertia, trig, _turned(par, trig, x, force, s2, ay, az), none)
    vx, vy, vz = w1 * c2, -w1 * s2 * s3, -w1 * s2 * c3
    g1, g2, g3, g4 = _against(gain, vx, vy, vz, zero)
    n1, n2, n3, n4 = _turned(par, trig, x, force, zero, -c3, s3)
    t1, t2, t3, _ = _added(par, u, load)
    along = (t1 - s2 * t3) / c2
    rise = along * s2 / c2 - t3
    by_elevation = _angles(
        inertia,
        trig,
        (n1 + g1, n2 + g2 + s3 * rise, n3 + g3 + c3 * rise, n4 + g4),
        (
            c2 * a1 - w1 * w2 * s2,
            w3 * vz - s2 * s3 * a1 - w1 * w2 * ay,
            -w3 * vy - s2 * c3 * a1 - w1 * w2 * az,
        ),
    )
    g1, g2, g3, g4 = _against(gain, zero, v[2], -v[1], zero)
    n1, n2, n3, n4 = _turned(par, trig, x, force, one, zero, zero)
    ty, tz = s3 * along - c3 * t2, c3 * along + s3 * t2
    by_twist = _angles(
        inertia, trig, (n1 + g1, n2 + g2 + tz, n3 + g3 - ty, n4 + g4), (zero, kz, -ky)
    )
    # elbow: the inertia changes, and the place where forces act
    n1, n2, n3, n4 = _outside(par, zero, zero, (s2, c2, s3, c3, c4, -s4), x, force)
    q1, q2, q3, q4 = _centrifugal(par, slope, _curvature(par, trig), v)
    by_elbow = _angles(
        inertia,
        trig,
        (
            n1 - q1 - slope[0] * kx - slope[1] * ky,
            n2 - q2 - slope[1] * kx - slope[2] * ky,
            n3 - q3 - slope[3] * kz - slope[4] * a4,
            n4 - q4 - slope[4] * kz,
        ),
        none,
    )
    by_w1 = _angles(
        inertia,
        trig,
        _against(gain, s2, ay, az, zero),
        (c2 * w2, w3 * az - w2 * s2 * s3, -w3 * ay - w2 * s2 * c3),
    )
    by_w2 = _angles(
        inertia,
        trig,
        _against(gain, zero, -c3, s3, zero),
        (w1 * c2, w3 * s3 - w1 * s2 * s3, w3 * c3 - w1 * s2 * c3),
    )
    by_w3 = _angles(inertia, trig, _against(gain, one, zero, zero, zero), (zero, v[2], -v[1]))
    by_w4 = _angles(inertia, trig, _against(gain, zero, zero, zero, one), none)
    by_t1 = _angles(inertia, trig, _shoulder(trig, one, zero, zero, zero), none)
    by_t2 = _angles(inertia, trig, _shoulder(trig, zero, one, zero, zero), none)
    by_t3 = _angles(inertia, trig, _shoulder(trig, zero, zero, one, zero), none)
    by_t4 = _angles(inertia, trig, _shoulder(trig, zero, zero, zero, one), none)
    return (
        (one, zero, zero, zero, dt, zero, zero, zero, zero, zero, zero, zero),
        (zero, one, zero, zero, zero, dt, zero, zero, zero, zero, zero, zero),
        (zero, zero, one, zero, zero, zero, dt, zero, zero, zero, zero, zero),
        (zero, zero, zero, one, zero, zero, zero, dt, zero, zero, zero, zero),
        (
            dt * by_azimuth[0],
            dt * by_elevation[0],
            dt * by_twist[0],
            dt * by_elbow[0],
            one + dt * by_w1[0],
            dt * by_w2[0],
            dt * by_w3[0],
            dt * by_w4[0],
            dt * by_t1[0],
            dt * by_t2[0],
            dt * by_t3[0],
            dt * by_t4[0],
        ),
        (
            dt * by_azimuth[1],
            dt * by_elevation[1],
            dt * by_twist[1],
            dt * by_elbow[1],
            dt * by_w1[1],
            one + dt * by_w2[1],
            dt * by_w3[1],
            dt * by_w4[1],
            dt * by_t1[1],
            dt * by_t2[1],
            dt * by_t3[1],
            dt * by_t4[1],
        ),
        (
            dt * by_azimuth[2],
            dt * by_elevation[2],
            dt * by_twist[2],
            dt * by_elbow[2],
            dt * by_w1[2],
            dt * by_w2[2],
            one + dt * by_w3[2],
            dt * by_w4[2],
            dt * by_t1[2],
            dt * by_t2[2],
            dt * by_t3[2],
            dt * by_t4[2],
        ),
        (
            dt * by_azimuth[3],
            dt * by_elevation[3],
            dt * by_twist[3],
            dt * by_elbow[3],
            dt * by_w1[3],
            dt * by_w2[3],
            dt * by_w3[3],
            one + dt * by_w4[3],
            dt * by_t1[3],
            dt * by_t2[3],
            dt * by_t3[3],
            dt * by_t4[3],
        ),
    )


@component
def hand(par: Any, x: Any) -> Any:
    """Return the hand's position (m) from the shoulder and its velocity (m/s), six components."""
    trig = _trig(x)
    v, _ = _turning(trig, x)
    beyond, across = par[7] * trig[5], par[7] * trig[4]
    along = par[6] + beyond
    px, py, pz = _to_world(x, trig, along, across, across - across)
    vx, vy, vz = _to_world(
        x,
        trig,
        -across * (v[2] + v[3]),
        v[2] * along + v[3] * beyond,
        v[0] * across - v[1] * along,
    )
    return px, py, pz, vx, vy, vz


def places(par: Any, x: Any) -> Any:
    """Return where elbow and hand are (m) from the shoulder, three components each."""
    trig = _trig(x)
    beyond, across = par[7] * trig[5], par[7] * trig[4]
    none = across - across
    elbow = _to_world(x, trig, none + par[6], none, none)
    return elbow, _to_world(x, trig, par[6] + beyond, across, none)


def twice_kinetic_energy(par: Any, x: Any) -> Any:
    """Return ``v.inertia v`` (J)."""
    trig = _trig(x)
    (ox, oy, oz, e), _ = _turning(trig, x)
    xx, xy, yy, zz, ze, ee = _inertia(par, trig)
    across = xx * ox * ox + (xy + xy) * ox * oy + yy * oy * oy
    return across + zz * oz * oz + (ze + ze) * oz * e + ee * e * e


@component
def _trig(x: Any) -> Any:
    """s2, c2, s3, c3, s4, c4."""
    s2, c2 = sine_and_cosine(x[1])
    s3, c3 = sine_and_cosine(x[2])
    s4, c4 = sine_and_cosine(x[3])
    return s2, c2, s3, c3, s4, c4


@component
def _turning(trig: Any, x: Any) -> Any:
    """Velocities v (rad/s) and their products beta (rad/s^2)."""
    s2, c2, s3, c3, _, _ = trig
    w1, w2, w3 = x[4], x[5], x[6]
    oy, oz = c2 * s3 * w1 - c3 * w2, c2 * c3 * w1 + s3 * w2
    fall = w1 * w2 * s2
    return (s2 * w1 + w3, oy, oz, x[7]), (w1 * w2 * c2, w3 * oz - s3 * fall, -w3 * oy - c3 * fall)


@component
def _inertia(par: Any, trig: Any) -> Any:
    """xx, xy, yy, zz, ze, a3 (kg m^2)."""
    a1, a2, a3, b1, b2 = par[1], par[2], par[3], par[4], par[5]
    s4, c4 = trig[4], trig[5]
    bend, thin = a2 * c4, (a3 - b2) * s4
    zz = a1 + bend + bend
    return b1 + b2 + thin * s4, -thin * c4 - a2 * s4, zz - thin * s4, zz, a3 + bend, a3


@component
def _slope(par: Any, trig: Any) -> Any:
    """Derivatives of xx, xy, yy, zz, ze by the elbow's angle; a3 is constant."""
    s4, c4 = trig[4], trig[5]
    bend, thin = par[2] * s4, par[3] - par[5]
    twice = thin * s4 * c4 + thin * s4 * c4
    dzz = -bend - bend
    return twice, thin * (s4 * s4 - c4 * c4) - par[2] * c4, dzz - twice, dzz, -bend


@component
def _curvature(par: Any, trig: Any) -> Any:
    """Second derivatives of xx, xy, yy, zz, ze by the elbow's angle."""
    s4, c4 = trig[4], trig[5]
    bend, thin = par[2] * c4, par[3] - par[5]
    half = thin * (c4 * c4 - s4 * s4)
    cross = thin * s4 * c4 + thin * s4 * c4
    dzz = -bend - bend
    return half + half, cross + cross + par[2] * s4, dzz - half - half, dzz, -bend


@component
def _centrifugal(par: Any, inertia: Any, slope: Any, v: Any) -> Any:
    """C (N m) of an inertia and its derivative by the elbow's angle; linear in both together."""
    ox, oy, oz, e = v
    lx = inertia[0] * ox + inertia[1] * oy
    ly = inertia[1] * ox + inertia[2] * oy
    lz = inertia[3] * oz + inertia[4] * e
    px, py, pz = slope[0] * ox + slope[1] * oy, slope[1] * ox + slope[2] * oy, slope[3] * oz
    half = par[0] / (par[0] + par[0])
    return (
        oy * lz - oz * ly + e * px,
        oz * lx - ox * lz + e * py,
        ox * ly - oy * lx + e * (pz + slope[4] * e),
        -half * (ox * px + oy * py + oz * pz),  # what ze adds is part of d(inertia v)/dt, too
    )


@component
def _gain(par: Any, inertia: Any, slope: Any, v: Any) -> Any:
    """Derivative of C by v, row by row, with the joints' viscosity (N m s/rad)."""
    ox, oy, oz, e = v
    xx, xy, yy, zz, ze, _ = inertia
    dxx, dxy, dyy, dzz, dze = slope
    lx, ly, lz = xx * ox + xy * oy, xy * ox + yy * oy, zz * oz + ze * e
    px, py, pz = dxx * ox + dxy * oy, dxy * ox + dyy * oy, dzz * oz
    twist = dze * e
    return (
        (par[10] + e * dxx - oz * xy, lz - oz * yy + e * dxy, oy * zz - ly, oy * ze + px),
        (oz * xx - lz + e * dxy, par[10] + oz * xy + e * dyy, lx - ox * zz, py - ox * ze),
        (
            ly + ox * xy - oy * xx,
            ox * yy - lx - oy * xy,
            par[10] + e * dzz,
            pz + twist + twist,
        ),
        (-px, -py, -pz, par[11]),
    )


@component
def _against(gain: Any, x: Any, y: Any, z: Any, e: Any) -> Any:
    """Minus dC of a change of v."""
    a, b, c, d = gain
    return (
        -(a[0] * x + a[1] * y + a[2] * z + a[3] * e),
        -(b[0] * x + b[1] * y + b[2] * z + b[3] * e),
        -(c[0] * x + c[1] * y + c[2] * z + c[3] * e),
        -(d[0] * x + d[1] * y + d[2] * z + d[3] * e),
    )


@component
def _acting(
    par: Any, inertia: Any, trig: Any, x: Any, v: Any, u: Any, load: Any, force: Any
) -> Any:
    """``n - C``, four components (N m)."""
    t1, t2, t3, t4 = _added(par, u, load)
    n1, n2, n3, n4 = _shoulder(trig, t1, t2, t3, t4)
    o1, o2, o3, o4 = _outside(par, par[8], par[6], trig, x, force)
    c1, c2, c3, c4 = _centrifugal(par, inertia, _slope(par, trig), v)
    return (
        n1 + o1 - c1 - par[10] * v[0],
        n2 + o2 - c2 - par[10] * v[1],
        n3 + o3 - c3 - par[10] * v[2],
        n4 + o4 - c4 - par[11] * v[3],
    )


@component
def _added(par: Any, u: Any, load: Any) -> Any:
    """Torques of actuators and from outside."""
    t1, t2, t3, t4 = u[0] + par[12], u[1] + par[13], u[2] + par[14], u[3] + par[15]
    if load is None:
        return t1, t2, t3, t4
    return t1 + load[0], t2 + load[1], t3 + load[2], t4 + load[3]


@component
def _shoulder(trig: Any, t1: Any, t2: Any, t3: Any, t4: Any) -> Any:
    """Moment n of torques at the angles, which are its components along A, B and x."""
    s2, c2, s3, c3, _, _ = trig
    along = (t1 - s2 * t3) / c2
    return t3, s3 * along - c3 * t2, c3 * along + s3 * t2, t4


@component
def _outside(par: Any, weight: Any, length: Any, trig: Any, x: Any, force: Any) -> Any:
    """Moments n of gravity and of a force on the hand (N).

    Its derivative by the elbow's angle is the same with zeros for weight and length, and with the
    derivatives of s4 and c4 in their place.
    """
    s2, c2, s3, c3, _, _ = trig
    n1, n2, n3, n4 = _lever(weight, par[9], trig, s2, c2 * s3, c2 * c3)
    if force is not None:
        fx, fy, fz = _from_world(x, trig, force)
        f1, f2, f3, f4 = _lever(length, par[7], trig, fx, fy, fz)
        n1, n2, n3, n4 = n1 + f1, n2 + f2, n3 + f3, n4 + f4
    return n1, n2, n3, n4


@component
def _turned(par: Any, trig: Any, x: Any, force: Any, i: Any, j: Any, k: Any) -> Any:
    """How the moments of gravity and force change when the arm turns about the axis (i, j, k)."""
    s2, c2, s3, c3, _, _ = trig
    ay, az = c2 * s3, c2 * c3
    n1, n2, n3, n4 = _lever(par[8], par[9], trig, ay * k - az * j, az * i - s2 * k, s2 * j - ay * i)
    if force is not None:
        fx, fy, fz = _from_world(x, trig, force)
        f1, f2, f3, f4 = _lever(
            par[6], par[7], trig, fy * k - fz * j, fz * i - fx * k, fx * j - fy * i
        )
        n1, n2, n3, n4 = n1 + f1, n2 + f2, n3 + f3, n4 + f4
    return n1, n2, n3, n4


@component
def _lever(base: Any, beyond: Any, trig: Any, x: Any, y: Any, z: Any) -> Any:
    """Moments n of a force that acts so far along the upper arm, and so far beyond the elbow."""
    s4, c4 = trig[4], trig[5]
    along, across = base + beyond * c4, beyond * s4
    return across * z, -along * z, along * y - across * x, beyond * (c4 * y - s4 * x)


@component
def _angles(inertia: Any, trig: Any, acting: Any, beta: Any) -> Any:
    """Solve ``inertia dv/dt = acting``, ``d omega/dt = A w1' + B w2' + x w3' + beta`` for w'."""
    s2, c2, s3, c3, _, _ = trig
    xx, xy, yy, zz, ze, ee = inertia
    n1, n2, n3, n4 = acting
    flat, turn = xx * yy - xy * xy, zz * ee - ze * ze
    x = (yy * n1 - xy * n2) / flat - beta[0]
    y = (xx * n2 - xy * n1) / flat - beta[1]
    z = (ee * n3 - ze * n4) / turn - beta[2]
    azimuth = (s3 * y + c3 * z) / c2
    return azimuth, s3 * z - c3 * y, x - s2 * azimuth, (zz * n4 - ze * n3) / turn


@component
def _from_world(x: Any, trig: Any, vector: Any) -> Any:
    """A vector as it is seen from the upper arm."""
    s2, c2, s3, c3, _, _ = trig
    sine, cosine = sine_and_cosine(x[0])
    ahead = cosine * vector[0] + sine * vector[1]
    left = cosine * vector[1] - sine * vector[0]
    above = c2 * vector[2] - s2 * ahead
    return c2 * ahead + s2 * vector[2], c3 * left + s3 * above, c3 * above - s3 * left


@component
def _to_world(x: Any, trig: Any, along: Any, y: Any, z: Any) -> Any:
    """A vector that is seen from the upper arm, in space."""
    s2, c2, s3, c3, _, _ = trig
    sine, cosine = sine_and_cosine(x[0])
    left, above = c3 * y - s3 * z, s3 * y + c3 * z
    ahead = c2 * along - s2 * above
    return cosine * ahead - sine * left, sine * ahead + cosine * left, s2 * along + c2 * above
