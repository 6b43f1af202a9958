"""What a force field in the plane does within a step, on components; `field.py` says why.

The notation is that of `field.py`: v is the velocity of the configuration, and with
A = dt M^-1 J^T D J = mean I + B

    exp(A) = even I + odd B,    even = e^mean cosh(r),  odd = e^mean sinh(r) / r,  r^2 = square

where square = half^2 + A12 A21, and half is half the difference of A11 and A22. A matrix is four
components, row by row. A compiled loop gets the two components of a force on the hand, and behind
them the ten of a field.
"""

from __future__ import annotations

from typing import Any

from neuromotor.compiled.functions import (
    chosen,
    component,
    exponential,
    number,
    sine_and_cosine,
    square_root,
)

__all__ = ["carried", "carried_slopes", "drag", "pushed", "scaled", "stiffness"]

_SMALL = 0.1  # |square| below which a power series of seven terms is exact to rounding


@component
def pushed(place: Any, force: Any) -> Any:
    """Return the force (N) on the hand, of which the part without velocity is taken before a step.

    Args:
        place: Where the hand is (m), two components or more.
        force: Of the world (N), two components, and the field's two rows of five.
    """
    return (
        force[0] + (force[2] + force[3] * place[0] + force[4] * place[1]),
        force[1] + (force[7] + force[8] * place[0] + force[9] * place[1]),
    )


@component
def stiffness(force: Any) -> Any:
    """Return what the field has for the hand's position (N/m)."""
    return force[3], force[4], force[8], force[9]


@component
def drag(force: Any) -> Any:
    """Return D, what the field has for the hand's velocity (N s/m)."""
    return force[5], force[6], force[10], force[11]


@component
def scaled(factor: Any, rates: Any) -> Any:
    """Return a matrix times a number."""
    return factor * rates[0], factor * rates[1], factor * rates[2], factor * rates[3]


@component
def carried(rates: Any, v1: Any, v2: Any) -> Any:
    """Return ``exp(A) v``, two components.

    Args:
        rates: A.
        v1: First component of v.
        v2: The second.
    """
    mean, half, square = _parts(rates)
    even, odd, _ = _exponential(mean, square)
    return even * v1 + odd * (half * v1 + rates[1] * v2), even * v2 + odd * (
        rates[2] * v1 - half * v2
    )


@component
def carried_slopes(rates: Any, by_first: Any, by_second: Any, v1: Any, v2: Any) -> Any:
    """Return the derivatives of both components of `carried`, four of each.

    Args:
        rates: A.
        by_first: Its derivative by the first coordinate of the configuration.
        by_second: That by the second.
        v1: First component of v.
        v2: The second.

    Returns:
        For each component its derivatives by both coordinates and by both components of v.
    """
    mean, half, square = _parts(rates)
    even, odd, steep = _exponential(mean, square)
    t1, t2 = half * v1 + rates[1] * v2, rates[2] * v1 - half * v2  # B v
    first = _turned(rates, half, by_first, even, odd, steep, v1, v2, t1, t2)
    second = _turned(rates, half, by_second, even, odd, steep, v1, v2, t1, t2)
    return (
        (first[0], second[0], even + odd * half, odd * rates[1]),
        (first[1], second[1], odd * rates[2], even - odd * half),
    )


@component
def _turned(
    rates: Any,
    half: Any,
    slopes: Any,
    even: Any,
    odd: Any,
    steep: Any,
    v1: Any,
    v2: Any,
    t1: Any,
    t2: Any,
) -> Any:
    """How ``even v + odd B v`` changes with A alone."""
    d_mean, d_half, _ = _parts(slopes)
    d_square = number(2.0, half) * half * d_half + slopes[1] * rates[2] + rates[1] * slopes[2]
    d_even = even * d_mean + number(0.5, half) * odd * d_square
    d_odd = odd * d_mean + steep * d_square
    return (
        d_even * v1 + d_odd * t1 + odd * (d_half * v1 + slopes[1] * v2),
        d_even * v2 + d_odd * t2 + odd * (slopes[2] * v1 - d_half * v2),
    )


@component
def _parts(rates: Any) -> Any:
    """Mean, half difference and `square` of a matrix."""
    a11, a12, a21, a22 = rates
    mean, half = number(0.5, a11) * (a11 + a22), number(0.5, a11) * (a11 - a22)
    return mean, half, half * half + a12 * a21


@component
def _exponential(mean: Any, square: Any) -> Any:
    """`even`, `odd` and the derivative of `odd` by `square`, of either sign.

    Each formula gets numbers that it can take, also where another one's result is used.
    """
    one, none = number(1.0, mean) + (mean - mean), mean - mean
    size = chosen(square, square, -square)
    far = size - number(_SMALL, mean)
    root = square_root(chosen(far, size, one))
    turning, growing = chosen(square, one, root), chosen(square, root, one)
    factor = exponential(mean)
    sine, cosine = sine_and_cosine(turning)
    top, fall = exponential(mean + growing), exponential(number(-2.0, mean) * growing)
    even = chosen(square, number(0.5, mean) * top * (one + fall), factor * cosine)
    odd = chosen(square, number(0.5, mean) * top * (one - fall) / growing, factor * sine / turning)
    steep = (even - odd) / chosen(far, square + square, one)
    near_even, near_odd, near_steep = _series(chosen(far, none, square))
    return (
        chosen(far, even, factor * near_even),
        chosen(far, odd, factor * near_odd),
        chosen(far, steep, factor * near_steep),
    )


@component
def _series(s: Any) -> Any:
    """``cosh(r)``, ``sinh(r) / r`` and the derivative of that by s = r^2, for small s."""
    one = number(1.0, s)
    even = one + s / number(132.0, s)
    even = one + s / number(90.0, s) * even
    even = one + s / number(56.0, s) * even
    even = one + s / number(30.0, s) * even
    even = one + s / number(12.0, s) * even
    even = one + s / number(2.0, s) * even
    odd = one + s / number(156.0, s)
    odd = one + s / number(110.0, s) * odd
    odd = one + s / number(72.0, s) * odd
    odd = one + s / number(42.0, s) * odd
    odd = one + s / number(20.0, s) * odd
    odd = one + s / number(6.0, s) * odd
    steep = one + number(7.0 / 6.0, s) * s / number(210.0, s)
    steep = one + number(6.0 / 5.0, s) * s / number(156.0, s) * steep
    steep = one + number(5.0 / 4.0, s) * s / number(110.0, s) * steep
    steep = one + number(4.0 / 3.0, s) * s / number(72.0, s) * steep
    steep = one + number(3.0 / 2.0, s) * s / number(42.0, s) * steep
    steep = one + number(2.0, s) * s / number(20.0, s) * steep
    return even, odd, steep / number(6.0, s)
