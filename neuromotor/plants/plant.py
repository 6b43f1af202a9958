"""What every plant offers: pure, batched dynamics with no task and no controller in them."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from torch import Tensor

from neuromotor._checks import check_positive, declares
from neuromotor.compiled.functions import hyperbolic_tangent

__all__ = [
    "CommandLimit",
    "Components",
    "Plant",
    "actuated",
    "check_command_limit",
    "check_last_axis",
    "components_of",
    "degrees_of_freedom",
    "saturated",
]

CommandLimit = float | tuple[float, ...] | None


class Plant(Protocol):
    """Second-order mechanics with a hand: a batched ``next_state = step(state, command, load)``.

    A state is ``[configuration, velocity]``, (..., 2 n). Any leading shape, dtype and device; no
    hidden state, so that loss, environment and baseline share one physics.

    Three things are optional. A plant with `velocity_rates(state, drag)` can move in a force
    field that depends on velocity (see `carried_in_field` and `TwoJointArm`). A plant with
    `actuated(command)` says what its actuators give where that is not the command itself. A plant
    with a property `components` has its step as functions on components (`Components`), or None for
    these settings; with those, environments and training are several times faster.
    """

    @property
    def dt_s(self) -> float:
        """Step length (s)."""
        ...

    @property
    def state_size(self) -> int:
        """Numbers in a state: twice the degrees of freedom."""
        ...

    @property
    def command_size(self) -> int:
        """Numbers in a command."""
        ...

    @property
    def state_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a state, for axes and tables."""
        ...

    @property
    def command_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a command, for axes and tables."""
        ...

    @property
    def home(self) -> tuple[float, ...]:
        """A configuration in the middle of the workspace (rad or m)."""
        ...

    @property
    def load_scale(self) -> float:
        """How large the loads of an experiment are that suit it; 1 for `MONKEY_PUBLISHED`."""
        ...

    def configuration(self, posture_deg: tuple[float, ...]) -> tuple[float, ...]:
        """Return the configuration at joint angles (deg); an error without joints."""
        ...

    def configuration_at(self, hand_position: Tensor) -> Tensor:
        """Return the configuration (..., n) that puts the hand at a position (m), (..., 2)."""
        ...

    def hand_position(self, state: Tensor) -> Tensor:
        """Return the hand's position (m), (..., 2), of states (..., 2 n) or configurations."""
        ...

    def hand_velocity(self, state: Tensor) -> Tensor:
        """Return the hand's velocity (m/s), (..., 2), of states (..., 2 n)."""
        ...

    def kinetic_energy(self, state: Tensor) -> Tensor:
        """Return the kinetic energy (J), (...), of states (..., 2 n)."""
        ...

    def limb(self, state: Tensor) -> Tensor:
        """Return the points (m) that a drawing of the limb connects, (..., points, 2)."""
        ...

    def step(
        self,
        state: Tensor,
        command: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
        /,
    ) -> Tensor:
        """Return the state one step later, (..., 2 n).

        Args:
            state: Configuration and velocity, (..., 2 n).
            command: What the controller asks of the actuators (N m or N), (..., n).
            load: Added to the command by the world (same unit), (..., n); none if absent.
            hand_force: Force on the hand (N), (..., 2); none if absent.
        """
        ...


@dataclass(frozen=True)
class Components:
    """A plant's Euler step on components: floats, numpy arrays, tensors, or compiled numbers.

    Attributes:
        functions: A module with `step(par, x, u, load, force)`, which returns the next state's
            components, `jacobian`, which returns its derivative by x and u row by row, and
            `hand(par, x)`, which returns the hand's position (m) and velocity (m/s). Each is marked
            by `neuromotor.compiled.component`; `plants/arm_components.py` is an example.
        numbers: `par`: all numbers of the plant that they need.
        limit: The actuators' limit, which is applied before the functions see a command.
    """

    functions: ModuleType
    numbers: tuple[float, ...]
    limit: CommandLimit = None

    def step(self, state: Any, command: Any, load: Any = None, hand_force: Any = None) -> Any:
        """Return what the plant's `step` does, in components."""
        given = saturated(command, self.limit)
        return self.functions.step(self.numbers, state, given, load, hand_force)

    def hand(self, state: Any) -> Any:
        """Return the hand's position (m) and velocity (m/s), in components."""
        return self.functions.hand(self.numbers, state)


def components_of(plant: Plant) -> Components | None:
    """Return a plant's step on components, or None where its own class declares none."""
    found: Components | None = (
        getattr(plant, "components", None) if declares(plant, "components") else None
    )
    return found


def check_last_axis(name: str, value: Tensor, size: int, meaning: str) -> None:
    """Raise unless the last axis of `value` has `size` entries; `meaning` names them."""
    if value.ndim == 0 or value.shape[-1] != size:
        raise ValueError(
            f"`{name}` must have {size} entries on its last axis ({meaning}), "
            f"got shape {tuple(value.shape)}."
        )


def degrees_of_freedom(plant: Plant, what: str) -> int:
    """Return n of a plant whose states are n positions and n velocities, and nothing else.

    Args:
        plant: What moves.
        what: Who asks and can handle no other plant, for the error: "environments".

    Raises:
        ValueError: The plant's states hold something more, such as muscle activations.
    """
    size = len(plant.home)
    if plant.state_size != 2 * size:
        raise ValueError(
            f"`plant` must have states of positions and velocities alone for {what}, got "
            f"{type(plant).__name__} with {plant.state_size} numbers in a state and {size} in its "
            "`home`; use your own task with `ClosedLoop`, `train`, `compare` and `ILQR`, which "
            "take any plant."
        )
    return size


def check_command_limit(limit: object, size: int, unit: str) -> None:
    """Raise unless a limit on commands is None, a positive number, or one for each of `size`."""
    if limit is None:
        return
    for one in limit if isinstance(limit, tuple) else (limit,):
        check_positive("command_limit", one, unit)
    if isinstance(limit, tuple) and len(limit) != size:
        raise ValueError(
            f"`command_limit` must be one number or {size}, one for each actuator, got {limit!r}."
        )


def saturated(command: Any, limit: CommandLimit) -> Any:
    """Return ``L tanh(u / L)`` of each command u: about u itself while small, never beyond L.

    It is smooth, with the derivative ``1 - tanh(u / L)^2``, so that every solver and optimizer
    sees the limit coming.

    Args:
        command: The actuators' components: floats, arrays or tensors.
        limit: L (N m or N), one for all or one for each; None is none.
    """
    if limit is None:
        return command
    each = limit if isinstance(limit, tuple) else (limit,) * len(command)
    return [size * hyperbolic_tangent(u / size) for u, size in zip(command, each, strict=True)]


def actuated(plant: Plant, command: Tensor) -> Tensor:
    """Return what a plant's actuators give for commands (N m or N), (..., m)."""
    gives = getattr(plant, "actuated", None)
    result: Tensor = command if gives is None else gives(command)
    return result
