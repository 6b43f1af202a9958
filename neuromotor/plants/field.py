"""What a force field on the hand that depends on its velocity does within one step.

Held over a step, such a force does not turn with the velocity that it depends on: a curl field,
which does no work, would feed energy into a limb at every step. So the equation of the field alone,
``M v' = J^T D J v`` with M and J of the configuration at hand, is solved exactly: after a step
without it the velocity is multiplied by ``exp(dt M^-1 J^T D J)``. A step in a curl field ends with
the kinetic energy of the same step without it, whatever the step's length, and no damping is so
strong that it rings. Doing one after the other is of order 1 in the step (Lie splitting: Hairer,
Lubich & Wanner 2006, Geometric Numerical Integration, section II.5), like Euler's method.

Notation: v is the velocity of the configuration, J the hand's Jacobian, M the inertia, and D are
the field's columns for the hand's velocity. With A = dt M^-1 J^T D J = mean I + B, where B has no
trace, B^2 = square I and

    exp(A) = e^mean (cosh(r) I + sinh(r) / r B),  r = sqrt(square);  cos and sin for square < 0.

`field_components.py` has this formula and its derivatives.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neuromotor.plants.field_components import carried, scaled
from neuromotor.plants.plant import Plant

__all__ = ["carried_in_field", "field_force", "in_field", "resting_force", "step_in_field"]


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


def step_in_field(
    plant: Plant,
    state: Tensor,
    command: Tensor,
    field: Tensor,
    load: Tensor | None = None,
    hand_force: Tensor | None = None,
) -> Tensor:
    """Return the state one step later in a force field, (..., n).

    The part of the field with the hand's position is held over the step; that with its velocity
    acts within it (`carried_in_field`).

    Args:
        plant: What moves.
        state: (..., n).
        command: (..., m).
        field: (..., d, 1 + 2 d).
        load: (..., k); none if absent.
        hand_force: Forces on the hand beside the field's (N), (..., d); none if absent.
    """
    pull = resting_force(plant, state, field)
    force = pull if hand_force is None else hand_force + pull
    return carried_in_field(plant, plant.step(state, command, load, force), field)


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
    rates = getattr(plant, "velocity_rates", None)
    if rates is None:
        if any(_is_there(entry) for entry in drag):
            raise ValueError(
                "`trials.field` must not depend on velocity for a plant without `velocity_rates` "
                f"(see `TwoJointArm.velocity_rates`), got {type(plant).__name__}."
            )
        return state
    after = list(state)
    first, second = range(len(after))[plant.state_parts["velocity"]]
    multiplier = scaled(plant.dt_s, rates(state, drag))
    after[first], after[second] = carried(multiplier, after[first], after[second])
    return after


def _is_there(entry: Any) -> bool:
    """Whether a float is not zero, or any number of an array."""
    return bool(entry != 0 if isinstance(entry, float) else (entry != 0).any())
