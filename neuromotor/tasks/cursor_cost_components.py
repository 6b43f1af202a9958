"""What a cost of a cursor weighs, on components; `cursor_cost.py` says what the features are.

`x` are the twelve components of a `CursorArm`'s state, and `par` its numbers, as in
`plants/cursor_arm_components.py`.
"""

from __future__ import annotations

from typing import Any

from neuromotor.compiled.functions import component, number, square_root
from neuromotor.plants import arm_components, cursor_arm_components

__all__ = ["SMOOTH_W", "feature_slopes", "features", "offset_slopes", "offsets"]

SMOOTH_W = 0.01  # e


@component
def features(par: Any, x: Any) -> Any:
    """Return the features z, twelve components in the order of a state's parts."""
    _, _, velocity_x, velocity_y = arm_components.hand(par[:10], x)
    cursor_x, cursor_y = cursor_arm_components.cursor(par, x)
    zero = x[4] - x[4]
    return (
        _root_of_size(x[4] * x[2]),
        _root_of_size(x[5] * x[3]),
        velocity_x,
        velocity_y,
        x[4],
        x[5],
        par[11] * (x[6] - x[4]),
        par[11] * (x[7] - x[5]),
        cursor_x - x[8],
        cursor_y - x[9],
        zero,
        zero,
    )


@component
def feature_slopes(par: Any, x: Any) -> Any:
    """Return the derivative of `features` by the state, twelve rows of twelve."""
    _, _, velocity_x, velocity_y = arm_components.hand_slopes(par[:10], x)
    cursor_x, cursor_y = cursor_arm_components.cursor_slopes(par, x)
    first, second = _root_slope(x[4] * x[2]), _root_slope(x[5] * x[3])
    zero = x[4] - x[4]
    one, rate = zero + par[0] / par[0], zero + par[11]
    two, four = (zero, zero), (zero, zero, zero, zero)
    six, eight = (*four, *two), (*four, *four)
    return (
        (*two, first * x[4], zero, first * x[2], zero, *six),
        (*two, zero, second * x[5], zero, second * x[3], *six),
        (*velocity_x, *eight),
        (*velocity_y, *eight),
        (*four, one, zero, *six),
        (*four, zero, one, *six),
        (*four, -rate, zero, rate, zero, *four),
        (*four, zero, -rate, zero, rate, *four),
        (*cursor_x, *six, -one, zero, one, zero),
        (*cursor_y, *six, zero, -one, zero, one),
        (*six, *six),
        (*six, *six),
    )


@component
def offsets(par: Any, x: Any) -> Any:
    """Return what with a command makes lag^2 times the acceleration of torque, two components."""
    return x[4] - (x[6] + x[6]), x[5] - (x[7] + x[7])


@component
def offset_slopes(par: Any, x: Any) -> Any:
    """Return the derivative of `offsets` by the state, two rows of twelve."""
    zero = x[4] - x[4]
    one = zero + par[0] / par[0]
    four, twice = (zero, zero, zero, zero), one + one
    return (*four, one, zero, -twice, zero, *four), (*four, zero, one, zero, -twice, *four)


@component
def _root_of_size(power: Any) -> Any:
    """A smooth number whose square is twice the size of a power (W)."""
    smooth, two = number(SMOOTH_W, power), number(2.0, power)
    return power * square_root(two / (square_root(power * power + smooth * smooth) + smooth))


@component
def _root_slope(power: Any) -> Any:
    """Its derivative: with s^2 = p^2 + e^2 it is ``sqrt(2 / (s + e)) (s + e) / (2 s)``."""
    smooth, two = number(SMOOTH_W, power), number(2.0, power)
    size = square_root(power * power + smooth * smooth)
    return square_root(two * (size + smooth)) / (two * size)
