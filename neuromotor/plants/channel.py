"""A channel: straight walls between which the hand glides, as in trials that clamp errors.

A stiff spring and damper across the path would ring at steps of 10 ms, or give way by millimetres.
Walls that do not give way are a constraint, ``n p = c`` for the hand's position p, and the impulse
that keeps it acts along n. After each step without walls, the configuration and then its velocity
are moved to what obeys it, both along ``a = M^-1 J^T n``, as a push of the walls would move them::

    q <- q - a (n p(q) - c) / (b a),  repeated until rounding     b = J^T n
    v <- v - a (b v) / (b a)

The second is the projection that changes the kinetic energy least, so that walls never add to it;
the first is of the order of the square of the step. Of the walls' force, the mean over the step is
``-(b v) / (dt b a)`` along n.

A field that depends on velocity acts within the step along the walls alone (`field_between_walls`):
if it turned the velocity first, what the walls then take of it would slow the hand.

Source: channels, Scheidt et al. (2000); the projections are those of RATTLE (Andersen 1983) after
each step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from neuromotor.plants.plant import Plant

__all__ = ["field_between_walls", "held_in_channel", "in_channel", "wall_force"]

_ROUNDS = 6  # with the slope of the first: each divides what is left by a hundred or more


def held_in_channel(plant: Plant, state: Tensor, channel: Tensor) -> Tensor:
    """Return states (..., n) after a step, once the walls of a channel have acted.

    Args:
        plant: What moves.
        state: Where a step without walls ends, (..., n).
        channel: ``[c, n]``: the hand stays where ``n p = c`` (m), (..., 1 + d); zeros are no walls.

    Raises:
        ValueError: The plant has no `velocity_rates`.
    """
    held = in_channel(plant, _hand(plant), state.unbind(-1), channel.unbind(-1))
    return torch.stack(list(held), dim=-1)


def wall_force(plant: Plant, state: Tensor, channel: Tensor) -> Tensor:
    """Return the force (N) of the walls on the hand along n, (...), in the step that ends.

    Args:
        plant: What moves.
        state: Where the step without walls ends, (..., n).
        channel: As in `held_in_channel`.
    """
    normal, parts = channel.unbind(-1)[1:], list(state.unbind(-1))
    hand = _hand(plant)
    parts = _placed(plant, hand, parts, channel.unbind(-1))
    push, across = _push(plant, hand, parts, normal)
    speed = _along(normal, hand(parts)[len(normal) :])
    force: Tensor = -speed / (plant.dt_s * _no_zero(across(push)))
    return force


def field_between_walls(field: Any, channel: Any) -> list[list[Any]]:
    """Return a field whose part with the velocity acts along the walls of a channel alone.

    With D the columns of the velocity, ``(I - n n^T) D (I - n n^T)``.

    Args:
        field: d rows of 1 + 2 d components: floats, arrays or tensors.
        channel: 1 + d components.
    """
    normal, rows = channel[1:], [list(row) for row in field]
    axes = range(len(normal))
    drag = [row[1 + len(normal) :] for row in rows]
    by_wall = [_along(normal, row) for row in drag]  # D n
    drag = [[drag[i][j] - by_wall[i] * normal[j] for j in axes] for i in axes]
    of_wall = [_along(normal, [row[j] for row in drag]) for j in axes]
    drag = [[drag[i][j] - normal[i] * of_wall[j] for j in axes] for i in axes]
    return [row[: 1 + len(normal)] + slopes for row, slopes in zip(rows, drag, strict=True)]


def _hand(plant: Plant) -> Callable[[Any], Any]:
    """The hand's position and velocity from a state's components, as tensors."""

    def hand(parts: Any) -> Any:
        state = torch.stack(list(parts), dim=-1)
        return (*plant.hand_position(state).unbind(-1), *plant.hand_velocity(state).unbind(-1))

    return hand


def in_channel(plant: Any, hand: Callable[[Any], Any], state: Any, channel: Any) -> Any:
    """Return what `held_in_channel` does, component by component.

    Args:
        plant: What moves.
        hand: Gives position and velocity of the hand, 2 d components, of a state's components.
        state: Floats, arrays or tensors.
        channel: 1 + d components.

    Raises:
        ValueError: As `held_in_channel`.
    """
    normal = channel[1:]
    if all(isinstance(one, float) and one == 0.0 for one in normal):
        return state
    after = _placed(plant, hand, list(state), channel)
    push, across = _push(plant, hand, after, normal)
    share = _along(normal, hand(after)[len(normal) :]) / _no_zero(across(push))
    for i, one in zip(_part(plant, "velocity"), push, strict=True):
        after[i] = after[i] - share * one
    return after


def _placed(plant: Any, hand: Callable[[Any], Any], state: Any, channel: Any) -> list[Any]:
    """The state with its configuration moved until the hand is in the channel."""
    placed: list[Any] = list(state)
    normal = channel[1:]
    push, across = _push(plant, hand, placed, normal)
    slope = _no_zero(across(push))
    for _ in range(_ROUNDS):
        share = (_along(normal, hand(placed)[: len(normal)]) - channel[0]) / slope
        for i, one in zip(_part(plant, "position"), push, strict=True):
            placed[i] = placed[i] - share * one
    return placed


def _push(
    plant: Any, hand: Callable[[Any], Any], state: Any, normal: Any
) -> tuple[list[Any], Callable[[Any], Any]]:
    """``a``, and the function of velocities v that is ``b v``."""
    rates = getattr(plant, "velocity_rates", None)
    velocity = _part(plant, "velocity")
    if rates is None or len(velocity) != 2 or len(normal) != 2:
        raise ValueError(
            "`trials.channel` must be left out for a plant without `velocity_rates` in the plane "
            f"(see `TwoJointArm.velocity_rates`), got {type(plant).__name__}."
        )
    wall = [m * n for m in normal for n in normal]  # n n^T
    a11, a12, a21, a22 = rates(state, wall)  # a b^T
    slopes = []  # b
    for moving in velocity:
        turned = list(state)
        for i in velocity:
            turned[i] = state[i] * 0.0 + (1.0 if i == moving else 0.0)
        slopes.append(_along(normal, hand(turned)[len(normal) :]))
    b1, b2 = slopes
    size = _no_zero(b1 * b1 + b2 * b2)
    push = [(a11 * b1 + a12 * b2) / size, (a21 * b1 + a22 * b2) / size]
    return push, lambda v: b1 * v[0] + b2 * v[1]


def _part(plant: Any, name: str) -> range:
    """Where a part of the state lies."""
    places: range = range(plant.state_size)[plant.state_parts[name]]
    return places


def _along(normal: Any, vector: Any) -> Any:
    """``n x``."""
    first, *others = (n * x for n, x in zip(normal, vector, strict=True))
    return sum(others, start=first)


def _no_zero(divisor: Any) -> Any:
    """A divisor, with one in place of zero, where there are no walls."""
    if isinstance(divisor, Tensor):
        return torch.where(divisor == 0, torch.ones_like(divisor), divisor)
    return divisor + (divisor == 0)
