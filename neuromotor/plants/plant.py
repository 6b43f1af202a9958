"""What every plant offers: pure, batched dynamics with no task and no controller in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from neuromotor._checks import check_positive, declares

__all__ = [
    "CommandLimit",
    "FastForm",
    "Plant",
    "actuated",
    "check_command_limit",
    "check_last_axis",
    "degrees_of_freedom",
    "fast_form",
    "saturated",
]

CommandLimit = float | tuple[float, ...] | None


class Plant(Protocol):
    """Second-order mechanics with a hand: a batched ``next_state = step(state, command, load)``.

    A state is ``[configuration, velocity]``, (..., 2 n). Any leading shape, dtype and device; no
    hidden state, so that loss, environment and baseline share one physics.

    Three things are optional. A plant with `velocity_rates(state, drag, kit)` can move in a force
    field that depends on velocity (see `carried_in_field` and `TwoJointArm`). A plant with
    `actuated(command)` says what its actuators give where that is not the command itself. A plant
    with a property `fast` has a second form of its step (`FastForm`), or None for these settings.
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


class FastForm(Protocol):
    """A plant's step on components, which are floats (`kit` is `math`) or arrays (`numpy`)."""

    def step(
        self, state: Any, command: Any, kit: Any, load: Any = None, hand_force: Any = None
    ) -> Sequence[Any]:
        """Return what the plant's `step` does."""
        ...

    def hand(self, state: Any, kit: Any) -> Sequence[Any]:
        """Return the hand's position (m) and velocity (m/s), four components."""
        ...


def fast_form(plant: Plant) -> FastForm | None:
    """Return a plant's step on components, or None where its own class declares none."""
    form: FastForm | None = getattr(plant, "fast", None) if declares(plant, "fast") else None
    return form


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


def saturated(command: Any, limit: CommandLimit, kit: Any) -> Any:
    """Return ``L tanh(u / L)`` of each command u: about u itself while small, never beyond L.

    It is smooth, with the derivative ``1 - tanh(u / L)^2``, so that every solver and optimizer
    sees the limit coming.

    Args:
        command: The actuators' components: floats, arrays or tensors.
        limit: L (N m or N), one for all or one for each; None is none.
        kit: What has their tanh: `math`, `numpy` or `torch`.
    """
    if limit is None:
        return command
    each = limit if isinstance(limit, tuple) else (limit,) * len(command)
    return [size * kit.tanh(u / size) for u, size in zip(command, each, strict=True)]


def actuated(plant: Plant, command: Tensor) -> Tensor:
    """Return what a plant's actuators give for commands (N m or N), (..., m)."""
    gives = getattr(plant, "actuated", None)
    result: Tensor = command if gives is None else gives(command)
    return result
