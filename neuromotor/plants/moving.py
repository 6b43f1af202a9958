"""States whose hand moves: what a plant's joints do while its hand has a given velocity."""

from __future__ import annotations

import torch
from torch import Tensor

from neuromotor.plants.plant import Plant, configuration_near

__all__ = ["moving_state"]

_STRETCHED = 1e-6  # of the largest singular value of J: what is smaller moves the hand nowhere


def moving_state(
    plant: Plant, hand_position: Tensor, hand_velocity: Tensor, near: Tensor | None = None
) -> Tensor:
    """Return states (..., n) with the hand at a position (m) and at a velocity (m/s), (..., d).

    The configuration's velocity q' solves ``J q' = v`` with J the hand's Jacobian; of a limb with
    more joints than the hand has coordinates it is the smallest that does (the pseudoinverse:
    Whitney 1969, resolved motion rate control). Parts of the actuators are as at rest.

    Args:
        plant: What moves.
        hand_position: (..., d).
        hand_velocity: (..., d).
        near: Configuration (q,) that the states' differ least from, where a limb reaches a point in
            more ways than one can count; the plant's home if absent.

    Raises:
        UnreachableError: A position is out of the plant's reach.
        ValueError: The hand cannot move that way, as along a stretched arm.

    Example:
        >>> from neuromotor.plants import PointMass
        >>> moving_state(PointMass(), torch.tensor([1.0, 2.0]), torch.tensor([0.0, 3.0]))
        tensor([1., 2., 0., 3.])
    """
    home = hand_position.new_tensor(plant.home) if near is None else near
    place = configuration_near(plant, hand_position, home)
    with torch.enable_grad():  # not torch.func, which MuJoCo's plants cannot be called in
        varied = place if place.requires_grad else place.detach().requires_grad_()
        rows = [
            torch.autograd.grad(coordinate.sum(), varied, create_graph=True)[0]
            for coordinate in plant.hand_position(varied).unbind(-1)
        ]
    jacobian = torch.stack(rows, dim=-2)  # (..., d, q)
    jacobian = jacobian if place.requires_grad else jacobian.detach()
    wanted = hand_velocity.unsqueeze(-1)
    speeds = torch.linalg.pinv(jacobian, rtol=_STRETCHED) @ wanted
    away = (jacobian @ speeds - wanted).abs().amax()
    if not bool(away <= 1e-6 * (1 + wanted.abs().amax())):
        raise ValueError(
            "`hand_velocity` must be one that the limb can give its hand at `hand_position`, got "
            f"one that it misses by {float(away):.3g} m/s; keep away from where the limb is "
            "stretched."
        )
    state = plant.rest_state(place)
    state[..., plant.state_parts["velocity"]] = speeds.squeeze(-1)
    return state
