"""Nesterov's accelerated gradient with its own step lengths and its own momentum.

Notation: y the point where the gradient g is taken, theta the point that a step comes to, epsilon
the step length, a the number behind the momentum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from neuromotor._checks import check_number
from neuromotor.optim.iterative import Iterative
from neuromotor.optim.run import Run
from neuromotor.optim.state import State

__all__ = ["NesterovGradient"]

_HALVINGS = 60


@dataclass
class NesterovState(State):
    """State of `NesterovGradient`; its `theta` is y.

    Attributes:
        reached: Last theta, (P,).
        rate: epsilon; 0 before it was chosen.
        a: a_t.
    """

    reached: Tensor = field(kw_only=True)
    rate: float = field(default=0.0, metadata={"minimum": 0})
    a: float = field(default=1.0, metadata={"minimum": 1})


@dataclass(frozen=True)
class NesterovGradient(Iterative[NesterovState]):
    """Accelerated gradient that needs no settings, for objectives that do not change.

    Step lengths only fall: epsilon is halved until the step lowers the objective by at least
    ``epsilon |g|^2 / 2``. The first is the inverse of the gradient's change over a short way::

        theta_t = y_t - epsilon g(y_t)              a_{t+1} = (1 + sqrt(4 a_t^2 + 1)) / 2
        y_{t+1} = theta_t + (a_t - 1) / a_{t+1} (theta_t - theta_{t-1})

    On a convex objective the error falls as ``4 L |theta_{-1} - theta*|^2 / (t + 2)^2``. With
    `restart` the momentum begins anew whenever a step went uphill, which means
    ``g.(theta_t - theta_{t-1}) > 0``; this suits strongly convex ones. In
    `GradientDescent(nesterov=True)` rates and momenta are given.

    Source: Nesterov (1983); Sutskever (2013), equations 7.3 to 7.8 and 7.14. 7.3 asks for the
    smallest *positive* number of halvings, by which the rate would fall at every step; Nesterov
    allows none, and so does this method. O'Donoghue & Candes (2012), section 3.2, for the restart
    (its gradient form, which needs no other value of the objective).

    Attributes:
        restart: Whether the velocity is set to zero when a step went uphill.
        gradient_tolerance: The run has converged when no entry of the gradient is larger.

    Raises:
        ValueError: `gradient_tolerance` is out of range.
    """

    restart: bool = True
    gradient_tolerance: float = 1e-12

    def __post_init__(self) -> None:
        check_number("gradient_tolerance", self.gradient_tolerance, minimum=0.0)

    def _begin(self, theta: Tensor) -> NesterovState:
        return NesterovState(theta, reached=theta.clone())

    def _iterate(self, run: Run, state: NesterovState) -> str | None:
        y, gradient = state.theta, state.gradient
        square = float(gradient @ gradient)
        if not math.isfinite(square):
            return "the momentum left the objective's finite region"
        if state.rate == 0.0:
            state.rate = _first_rate(run, y, gradient)
        for _ in range(_HALVINGS):
            reached = y - state.rate * gradient
            value = run.objective.value(reached)
            if state.value - value >= 0.5 * state.rate * square:
                break
            state.rate *= 0.5
        else:
            return "no step along the negative gradient lowers the objective enough"
        if self.restart and float(gradient @ (reached - state.reached)) > 0:
            state.a = 1.0
            state.move(reached.clone())
        else:
            after = 0.5 * (1 + math.sqrt(4 * state.a**2 + 1))
            state.move(reached + (state.a - 1) / after * (reached - state.reached))
            state.a = after
        state.reached = reached
        return None


def _first_rate(run: Run, y: Tensor, gradient: Tensor) -> float:
    """The inverse of the gradient's change over a short way along it; costs a gradient."""
    step = 1e-4 * (1 + float(y.norm())) / float(gradient.norm())
    _, other = run.objective.value_and_gradient(y - step * gradient)
    change = float((gradient - other).norm())
    rate = step * float(gradient.norm()) / change if change > 0 else 1.0
    return rate if math.isfinite(rate) else 1.0
