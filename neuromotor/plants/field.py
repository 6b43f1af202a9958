"""What a force field on the hand that depends on its velocity does within one step.

Held over a step, such a force does not turn with the velocity that it depends on: a curl field,
which does no work, would feed energy into a limb at every step. So the equation of the field alone,
``M v' = J^T D J v`` with M and J of the configuration at hand, is solved exactly: after a step
without it the velocity is multiplied by ``exp(dt M^-1 J^T D J)``. A step in a curl field ends with
the kinetic energy of the same step without it, whatever the step's length, and no damping is so
strong that it rings. Doing one after the other is of order 1 in the step (Lie splitting: Hairer,
Lubich & Wanner 2006, Geometric Numerical Integration, section II.5), like Euler's method.

Notation: v velocity of the configuration, J hand Jacobian, M inertia, D the field's columns for the
hand's velocity, A = dt M^-1 J^T D J = mean I + B with tr B = 0, so that B^2 = square I and

    exp(A) = e^mean (cosh(r) I + sinh(r) / r B),  r = sqrt(square);  cos and sin for square < 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuromotor.plants.plant import Plant

__all__ = [
    "carried_in_field",
    "exponential_of_numbers",
    "field_force",
    "in_field",
    "resting_force",
]

_SMALL = 1e-6  # |square| below which its power series is exact to rounding, derivatives included


def carried_in_field(plant: Plant, state: Tensor, field: Tensor) -> Tensor:
    """Return states (..., n) after a step, once the field's part with the velocity has acted.

    Args:
        plant: What moves.
        state: Where a step without that part of the field ends, (..., n).
        field: ``field [1, p, v]`` is the force (N) at position p and velocity v of the hand,
            (..., d, 1 + 2 d), of a leading shape that broadcasts with that of `state`.

    Raises:
        ValueError: The field depends on velocity and the plant has no `velocity_rates`.
    """
    rows = [field[..., row, :].unbind(-1) for row in range(field.shape[-2])]
    return torch.stack(list(in_field(plant, state.unbind(-1), rows)), dim=-1)


def field_force(plant: Plant, state: Tensor, field: Tensor) -> Tensor:
    """Return the force (N) of an affine field on the hand, ``field [1, p, v]``, (..., d).

    Args:
        plant: What moves.
        state: (..., n).
        field: (..., d, 1 + 2 d), of a leading shape that broadcasts with that of `state`.
    """
    return _affine(field, plant.hand_position(state), plant.hand_velocity(state))


def resting_force(plant: Plant, state: Tensor, field: Tensor) -> Tensor:
    """Return the part of `field_force` that does not depend on velocity, (..., d)."""
    return _affine(field[..., : 1 + field.shape[-2]], plant.hand_position(state))


def _affine(field: Tensor, position: Tensor, *others: Tensor) -> Tensor:
    """``field [1, p, ...]``, (..., d)."""
    inputs = torch.cat([torch.ones_like(position[..., :1]), position, *others], dim=-1)
    return (field @ inputs.unsqueeze(-1)).squeeze(-1)


def in_field(plant: Any, state: Any, field: Any) -> Any:
    """Return what `carried_in_field` does, component by component.

    Args:
        plant: What moves.
        state: Its components: floats, arrays or tensors.
        field: Its d rows of 1 + 2 d components.

    Raises:
        ValueError: As `carried_in_field`.
    """
    drag = [entry for row in field for entry in row[1 + len(field) :]]
    kit = _kit_of(state[0])
    rates = getattr(plant, "velocity_rates", None)
    if rates is None:
        if any(bool((entry != 0).any() if kit is not math else entry) for entry in drag):
            raise ValueError(
                "`trials.field` must not depend on velocity for a plant without `velocity_rates` "
                f"(see `TwoJointArm.velocity_rates`), got {type(plant).__name__}."
            )
        return state
    dt = plant.dt_s
    a, b, c, d = (dt * rate for rate in rates(state, drag))
    mean, half = 0.5 * (a + d), 0.5 * (a - d)
    even, odd = _exponential(mean, half * half + b * c, kit)
    after = list(state)
    first, second = range(len(after))[plant.state_parts["velocity"]]
    v1, v2 = after[first], after[second]
    after[first] = even * v1 + odd * (half * v1 + b * v2)
    after[second] = even * v2 + odd * (c * v1 - half * v2)
    return after


def _kit_of(number: Any) -> Any:
    """The module that has the functions of a number."""
    if isinstance(number, float):
        return math
    return torch if isinstance(number, Tensor) else np


def _exponential(mean: Any, square: Any, kit: Any) -> tuple[Any, Any]:
    """``e^mean cosh(r)`` and ``e^mean sinh(r) / r`` of r^2 = square; of either sign, smooth."""
    if kit is math:
        return exponential_of_numbers(mean, square, kit)
    size = abs(square)
    small, grows = size < _SMALL, square > 0
    root = kit.sqrt(kit.where(small, 1.0, size))
    # Each formula gets numbers that it can take, also where another one's result is used.
    ways = (
        _slow(mean, kit.where(small, square, 0.0), kit),
        _growing(mean, kit.where(grows, root, 1.0), kit),
        _turning(mean, kit.where(grows, 1.0, root), kit),
    )
    slow, growing, turning = ways
    even, odd = (
        kit.where(small, s, kit.where(grows, g, t))
        for s, g, t in zip(slow, growing, turning, strict=True)
    )
    return even, odd


def exponential_of_numbers(mean: Any, square: Any, kit: Any) -> tuple[Any, Any]:
    """Return ``e^mean cosh(r)`` and ``e^mean sinh(r) / r`` of r^2 = square, for two numbers.

    Args:
        mean: Half the trace of A.
        square: r^2.
        kit: What has the functions of a number: `math`.
    """
    if abs(square) < _SMALL:
        return _slow(mean, square, kit)
    root = kit.sqrt(abs(square))
    if square > 0:
        return _growing(mean, root, kit)
    return _turning(mean, root, kit)


def _slow(mean: Any, square: Any, kit: Any) -> tuple[Any, Any]:
    """The power series."""
    factor = kit.exp(mean)
    fourth = square * square
    return factor * (1 + square / 2 + fourth / 24), factor * (1 + square / 6 + fourth / 120)


def _growing(mean: Any, root: Any, kit: Any) -> tuple[Any, Any]:
    """For two real exponents, mean + root and mean - root; without cancellation."""
    top = kit.exp(mean + root)
    return top * (1 + kit.exp(-2 * root)) / 2, -top * kit.expm1(-2 * root) / (2 * root)


def _turning(mean: Any, root: Any, kit: Any) -> tuple[Any, Any]:
    """For a turn by the angle `root`."""
    factor = kit.exp(mean)
    return factor * kit.cos(root), factor * kit.sin(root) / root
