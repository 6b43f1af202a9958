"""Where a minimisation stands, whole: what an optimizer carries from one iteration to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from torch import Tensor

__all__ = ["Snapshot", "State", "pack", "restore"]


@dataclass
class State:
    """What every optimizer carries; each adds its own fields.

    Fields hold tensors, numbers, None and lists of these, so that a state can be saved. A field
    with `metadata={"transient": True}` is left out and made again from the others.

    Attributes:
        theta: Parameters, (P,); replaced, never changed in place.
        value: Objective there.
        gradient: Gradient there, (P,).
        iteration: Iterations made.
        fresh: Whether value and gradient belong to `theta` and the current draws.
        standstill: Why the last iteration left `theta` where it was, if the method says so.
    """

    theta: Tensor
    value: float = math.inf
    gradient: Tensor = field(init=False)
    iteration: int = 0
    fresh: bool = False
    standstill: str | None = field(default=None, metadata={"transient": True})

    def __post_init__(self) -> None:
        self.gradient = self.theta.new_zeros(self.theta.shape)

    def move(self, theta: Tensor) -> None:
        """Go to a point where the objective is still to be evaluated."""
        self.theta, self.fresh = theta, False

    def arrive(self, theta: Tensor, value: float, gradient: Tensor) -> None:
        """Go to a point whose value and gradient are known."""
        self.theta, self.value, self.gradient, self.fresh = theta, value, gradient, True


@dataclass(frozen=True)
class Snapshot:
    """A minimisation between two iterations: enough to go on to the same numbers, to the bit.

    Attributes:
        optimizer: Name of the optimizer's class.
        state: The optimizer's state as plain data: tensors, numbers, None, and lists of these.
        run: Counts, seconds, history and the best point, likewise.
    """

    optimizer: str
    state: dict[str, Any]
    run: dict[str, Any]


def pack(state: State) -> dict[str, Any]:
    """Return a state's lasting fields as plain data that later iterations do not change."""
    return {
        part.name: _plain(getattr(state, part.name))
        for part in fields(state)
        if not part.metadata.get("transient")
    }


def restore(state: State, data: dict[str, Any]) -> None:
    """Put packed fields into a newly begun state.

    Raises:
        ValueError: The data lacks a field, has an unknown one, or is of other sizes.
    """
    wanted = {part.name for part in fields(state) if not part.metadata.get("transient")}
    if set(data) != wanted:
        raise ValueError(
            f"`resume` must hold the fields {', '.join(sorted(wanted))}, got "
            f"{', '.join(sorted(data))}; resume with the optimizer and version that saved it."
        )
    theta = data["theta"]
    if theta.shape != state.theta.shape or theta.dtype != state.theta.dtype:
        raise ValueError(
            f"`resume` must hold {state.theta.shape[0]} parameters of {state.theta.dtype}, got "
            f"{tuple(theta.shape)} of {theta.dtype}; resume the run with the controller and dtype "
            "that it began with."
        )
    for name in wanted:
        setattr(state, name, _on(data[name], state.theta))


def _plain(value: Any) -> Any:
    """Tensors copied, tuples as lists."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value


def _on(value: Any, like: Tensor) -> Any:
    """A copy, tensors on the device of another."""
    if isinstance(value, Tensor):
        return value.to(like.device, copy=True)
    if isinstance(value, (list, tuple)):
        return [_on(part, like) for part in value]
    return value
