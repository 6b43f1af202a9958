"""An arm behind a cursor, on components; see `arm_components.py`, whose functions move the arm.

A state is two joint angles (rad), two velocities (rad/s), two torques (N m), two drives (N m), the
target (m) and the cursor's displacement (m). Commands are torques (N m). `par` are the numbers in
the order of `numbers`; its first ten are the arm's.
"""

from __future__ import annotations

from typing import Any

from neuromotor.compiled.functions import component
from neuromotor.plants import arm_components
from neuromotor.plants.arm_components import hand, velocity_rate_slopes, velocity_rates

__all__ = [
    "cursor",
    "cursor_slopes",
    "hand",
    "jacobian",
    "numbers",
    "signal_slopes",
    "signals",
    "step",
    "velocity_rate_slopes",
    "velocity_rates",
]


def numbers(
    arm: tuple[float, ...],
    lag_s: float,
    home: tuple[float, float],
    turn: tuple[tuple[float, float], tuple[float, float]],
) -> tuple[float, ...]:
    """Return `par`.

    Args:
        arm: `arm_components.numbers`, ten of them.
        lag_s: Time constant of each lag (s).
        home: The hand at home (m).
        turn: How the screen turns and scales, row by row.
    """
    return (*arm, arm[0] / lag_s, 1 / lag_s, *home, *turn[0], *turn[1])


@component
def step(par: Any, x: Any, u: Any, load: Any, force: Any) -> Any:
    """Return the state after an Euler step.

    Args:
        par: From `numbers`.
        x: Twelve components.
        u: Commands, two components.
        load: Torque from outside, two components, or None.
        force: On the hand, two components, or None.
    """
    share = par[10]
    first, second, third, fourth = arm_components.step(par[:10], x, (x[4], x[5]), load, force)
    return (
        first,
        second,
        third,
        fourth,
        x[4] + share * (x[6] - x[4]),
        x[5] + share * (x[7] - x[5]),
        x[6] + share * (u[0] - x[6]),
        x[7] + share * (u[1] - x[7]),
        x[8],
        x[9],
        x[10],
        x[11],
    )


@component
def jacobian(par: Any, x: Any, u: Any, load: Any, force: Any) -> Any:
    """Return the derivative of `step` by state and command, twelve rows of 14."""
    first, second, third, fourth = arm_components.jacobian(par[:10], x, (x[4], x[5]), load, force)
    zero, share = x[4] - x[4], x[4] - x[4] + par[10]
    one = zero + par[0] / par[0]
    kept = one - share
    two, four = (zero, zero), (zero, zero, zero, zero)
    six = (*four, *two)
    return (
        (*first, *six, *two),
        (*second, *six, *two),
        (*third, *six, *two),
        (*fourth, *six, *two),
        (*four, kept, zero, share, zero, *six),
        (*four, zero, kept, zero, share, *six),
        (*six, kept, zero, *four, share, zero),
        (*six, zero, kept, *four, zero, share),
        (*six, *two, one, zero, *four),
        (*six, *two, zero, one, *four),
        (*six, *four, one, zero, *two),
        (*six, *four, zero, one, *two),
    )


@component
def cursor(par: Any, x: Any) -> Any:
    """Return where the cursor is on the screen (m), two components."""
    place_x, place_y, _, _ = arm_components.hand(par[:10], x)
    away_x, away_y = place_x - par[12], place_y - par[13]
    return (
        par[12] + (par[14] * away_x + par[15] * away_y) + x[10],
        par[13] + (par[16] * away_x + par[17] * away_y) + x[11],
    )


@component
def cursor_slopes(par: Any, x: Any) -> Any:
    """Return the derivative of `cursor` by both joint angles, two rows of two."""
    first, second, _, _ = arm_components.hand_slopes(par[:10], x)
    return (
        (par[14] * first[0] + par[15] * second[0], par[14] * first[1] + par[15] * second[1]),
        (par[16] * first[0] + par[17] * second[0], par[16] * first[1] + par[17] * second[1]),
    )


@component
def signals(par: Any, x: Any) -> Any:
    """Return what is sensed beside the state: the cursor (m), two components."""
    return cursor(par, x)


@component
def signal_slopes(par: Any, x: Any) -> Any:
    """Return the derivative of `signals` by the state, two rows of twelve."""
    first, second = cursor_slopes(par, x)
    zero = x[10] - x[10]
    one = zero + par[0] / par[0]
    eight = (zero, zero, zero, zero, zero, zero, zero, zero)
    return (*first, *eight, one, zero), (*second, *eight, zero, one)
