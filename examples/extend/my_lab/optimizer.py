"""An optimizer: steps of one length along the signs of the gradient."""

from dataclasses import dataclass

import neuromotor as nm
from neuromotor.optim.iterative import Iterative
from neuromotor.optim.state import State


@dataclass(frozen=True)
class SignDescent(Iterative[State]):
    """Every parameter moves by `rate`, which shrinks by `decay` an iteration.

    Source: Riedmiller & Braun (1993), without their adaptation of the rates.
    """

    rate: float = 0.01
    decay: float = 0.995
    gradient_tolerance: float = 1e-12

    def _begin(self, theta):
        return State(theta=theta)

    def _iterate(self, run, state):
        rate = self.rate * self.decay**state.iteration
        state.move(state.theta - rate * state.gradient.sign())


nm.register("sign-descent", SignDescent)
