"""Fixed-step integrators of second-order mechanics: pure functions of a derivative and a state.

A state is ``[q, v]``: positions first, velocities second, both halves of the last axis.

Notation: x is the state, f its derivative, h the step length (s), and k1 to k4 are the slopes of
Runge and Kutta.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from neuromotor.extensions import Registry

__all__ = ["INTEGRATORS", "RK4", "Euler", "Integrator", "SemiImplicitEuler"]

Derivative = Callable[[Tensor], Tensor]


class Integrator(Protocol):
    """Advances a state by one step; the command and loads are held constant within it."""

    order: ClassVar[int]

    def step(self, derivative: Derivative, state: Tensor, dt_s: float) -> Tensor:
        """Return the state after `dt_s` seconds, same shape as `state` (..., 2 n)."""
        ...


@dataclass(frozen=True)
class Euler:
    """Explicit Euler, order 1: positions advance with the old velocities, as in the thesis.

    Source: Sutskever (2013), section 6.3.
    """

    order: ClassVar[int] = 1

    def step(self, derivative: Derivative, state: Tensor, dt_s: float) -> Tensor:
        """Return ``x + h f(x)``, (..., 2 n)."""
        return state + dt_s * derivative(state)


@dataclass(frozen=True)
class SemiImplicitEuler:
    """Symplectic Euler, order 1: positions advance with the new velocities.

    Source: Hairer, Lubich & Wanner (2006), Geometric Numerical Integration, equation I.1.9.
    """

    order: ClassVar[int] = 1

    def step(self, derivative: Derivative, state: Tensor, dt_s: float) -> Tensor:
        """Return the state with ``v' = v + h a(q, v)`` and ``q' = q + h v'``, (..., 2 n)."""
        half = state.shape[-1] // 2
        acceleration = derivative(state)[..., half:]
        velocity = state[..., half:] + dt_s * acceleration
        return torch.cat([state[..., :half] + dt_s * velocity, velocity], dim=-1)


@dataclass(frozen=True)
class RK4:
    """The classical method of Runge and Kutta, order 4; costs four derivatives a step.

    Source: Kutta (1901); Hairer, Norsett & Wanner (1993), Solving ODEs I, table II.1.2.
    """

    order: ClassVar[int] = 4

    def step(self, derivative: Derivative, state: Tensor, dt_s: float) -> Tensor:
        """Return ``x + h (k1 + 2 k2 + 2 k3 + k4) / 6``, (..., 2 n)."""
        k1 = derivative(state)
        k2 = derivative(state + (dt_s / 2) * k1)
        k3 = derivative(state + (dt_s / 2) * k2)
        k4 = derivative(state + dt_s * k3)
        return state + (dt_s / 6) * (k1 + 2 * k2 + 2 * k3 + k4)


INTEGRATORS: Registry[Integrator] = Registry(
    "integrator",
    {
        "euler": Euler(),
        "semi-implicit-euler": SemiImplicitEuler(),
        "rk4": RK4(),
    },
    members=("order", "step"),
)
