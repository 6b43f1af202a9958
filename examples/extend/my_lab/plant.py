"""A plant: a point mass in a liquid, whose resistance grows with the square of the speed."""

from dataclasses import dataclass

from torch import Tensor

import neuromotor as nm


@dataclass(frozen=True)
class MassInLiquid(nm.PointMass):
    """A mass that a force ``-c |v| v`` holds back.

    Attributes:
        resistance: c (N s^2/m^2).
    """

    resistance: float = 2.0

    def step(self, state: Tensor, force: Tensor, load=None, hand_force=None) -> Tensor:
        """Return the state one step later, (..., 4); arguments as `PointMass.step`."""
        velocity = state[..., 2:]
        speed = (velocity.square().sum(-1, keepdim=True) + 1e-12).sqrt()
        resistance = -self.resistance * speed * velocity
        load = resistance if load is None else load + resistance
        return super().step(state, force, load, hand_force)


nm.register("mass-in-liquid", MassInLiquid)
