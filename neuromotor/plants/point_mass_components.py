"""The Euler step of a point mass on components; see `arm_components.py`.

A state is a place (m) and a velocity (m/s), a force (N) is two numbers; `par` are step (s), mass
(kg) and damping (N s/m).
"""

from __future__ import annotations

from typing import Any

from neuromotor.compiled.functions import component

__all__ = ["hand", "jacobian", "step", "velocity_rate_slopes", "velocity_rates"]


@component
def step(par: Any, x: Any, u: Any, load: Any, force: Any) -> Any:
    """Return the state after a step; arguments as in `arm_components.step`."""
    dt, mass, damping = par
    along, across = u[0] - damping * x[2], u[1] - damping * x[3]
    if load is not None:
        along, across = along + load[0], across + load[1]
    if force is not None:
        along, across = along + force[0], across + force[1]
    change = dt / mass
    return x[0] + dt * x[2], x[1] + dt * x[3], x[2] + change * along, x[3] + change * across


@component
def jacobian(par: Any, x: Any, u: Any, load: Any, force: Any) -> Any:
    """Return the derivative of `step` by state and force, four rows of six."""
    dt, mass, damping = par
    zero = x[0] - x[0]
    one, step, change = zero + dt / dt, zero + dt, zero + dt / mass
    kept = one - change * damping
    return (
        (one, zero, step, zero, zero, zero),
        (zero, one, zero, step, zero, zero),
        (zero, zero, kept, zero, change, zero),
        (zero, zero, zero, kept, zero, change),
    )


@component
def hand(par: Any, x: Any) -> Any:
    """Return the place (m) and velocity (m/s): the state itself."""
    return x[0], x[1], x[2], x[3]


@component
def velocity_rates(par: Any, x: Any, drag: Any) -> Any:
    """Return ``D / m`` (1/s), row by row; arguments as in `arm_components.velocity_rates`."""
    _, mass, _ = par
    return drag[0] / mass, drag[1] / mass, drag[2] / mass, drag[3] / mass


@component
def velocity_rate_slopes(par: Any, x: Any, drag: Any) -> Any:
    """Return its derivatives by both coordinates of the place: nothing but zeros."""
    zero = x[0] - x[0]
    none = (zero, zero, zero, zero)
    return none, none
