"""What every plant offers: pure, batched dynamics with no task and no controller in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from neuromotor._checks import check_positive, declares
from neuromotor.compiled.functions import hyperbolic_tangent

__all__ = [
    "Bounds",
    "CommandLimit",
    "Components",
    "HasMuscles",
    "Plant",
    "View",
    "actuated",
    "by_part",
    "check_command_limit",
    "check_last_axis",
    "check_plant",
    "components_of",
    "configuration_near",
    "holding_command",
    "muscles_of",
    "observed",
    "outer_components",
    "saturated",
    "views_of",
    "within_bounds",
]

CommandLimit = float | tuple[float, ...] | None
Bounds = tuple[tuple[float, ...], tuple[float, ...]]  # lowest and highest


class Plant(Protocol):
    """What moves, with a hand: a batched ``next_state = step(state, command, load, hand_force)``.

    Any leading shape, dtype and device; no hidden state, so that loss, environment and baseline
    share one physics. n numbers of a state, m of a command, q of a configuration (joints), k of a
    load, d of the hand's position. `MechanicalPlant` has everything that follows from
    ``[configuration, velocity]`` with a command for each joint; a plant overrides what differs.

    Some things are optional. A plant with `velocity_rates(state, drag)` can move in a force
    field that depends on velocity (see `carried_in_field` and `TwoJointArm`). A plant with
    `actuated(command)` says what its actuators give where that is not the command itself. One with
    `holding_command(state)` says which commands hold it still, so that solvers begin there, and not
    with a limb that falls. One with `configuration_near(hand_position, configuration)` says which
    of the many configurations that put the hand at a point is the next one to another. One with
    `signals()` says what can be sensed beside joints and hand (`plants.signals`). A plant
    with a property `components` has its step as functions on components (`Components`), or None for
    these settings; with those, environments and training are several times faster. A plant with
    muscles offers what `HasMuscles` lists, and recordings and drawings show them.
    """

    @property
    def dt_s(self) -> float:
        """Step length (s)."""
        ...

    @property
    def state_size(self) -> int:
        """Numbers n in a state."""
        ...

    @property
    def command_size(self) -> int:
        """Numbers m in a command."""
        ...

    @property
    def load_size(self) -> int:
        """Numbers k in a load, which acts in coordinates of its own (joint torques, forces)."""
        ...

    @property
    def hand_size(self) -> int:
        """Numbers d in a position of the hand: 2 in the plane, 3 in space."""
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
    def load_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a load, for axes and tables."""
        ...

    @property
    def state_parts(self) -> Mapping[str, slice]:
        """Where the parts of a state lie, by name.

        `position` (the configuration) and `velocity` are the mechanics, with q numbers each; every
        other part belongs to the actuators, such as `activation`.
        """
        ...

    @property
    def command_bounds(self) -> Bounds | None:
        """Lowest and highest commands that the actuators follow, m of each; None for no bounds.

        A plant with bounds gives for a command beyond them what it gives at the bound.
        """
        ...

    @property
    def usual_command(self) -> float | None:
        """Largest command that its movements need, to which environments limit commands.

        For plants without `command_bounds`; None where nobody knows.
        """
        ...

    @property
    def feedback(self) -> tuple[int, ...]:
        """Which numbers of a state (and of a target) a controller is given, in this order."""
        ...

    @property
    def state_limits(self) -> tuple[float, ...]:
        """Largest size of each number of a state; an environment ends a trial beyond it."""
        ...

    @property
    def hand_limits(self) -> tuple[float, float]:
        """Largest coordinate (m) and speed (m/s) of the hand that an environment shows."""
        ...

    @property
    def home(self) -> tuple[float, ...]:
        """A configuration in the middle of the workspace (rad or m), q numbers."""
        ...

    @property
    def load_scale(self) -> float:
        """How large the loads of an experiment are that suit it; 1 for `MONKEY_PUBLISHED`."""
        ...

    def configuration(self, posture_deg: tuple[float, ...]) -> tuple[float, ...]:
        """Return the configuration at joint angles (deg); an error without joints."""
        ...

    def configuration_at(self, hand_position: Tensor) -> Tensor:
        """Return the configuration (..., q) that puts the hand at a position (m), (..., d)."""
        ...

    def rest_state(self, configuration: Tensor) -> Tensor:
        """Return the state (..., n) at rest at a configuration, (..., q), actuators included."""
        ...

    def hand_position(self, state: Tensor) -> Tensor:
        """Return the hand's position (m), (..., d), of states (..., n) or configurations."""
        ...

    def hand_velocity(self, state: Tensor) -> Tensor:
        """Return the hand's velocity (m/s), (..., d), of states (..., n)."""
        ...

    def limb(self, state: Tensor) -> Tensor:
        """Return the points (m) that a drawing of the limb connects, (..., points, d)."""
        ...

    def step(
        self,
        state: Tensor,
        command: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
        /,
    ) -> Tensor:
        """Return the state one step later, (..., n).

        Args:
            state: (..., n).
            command: What the controller asks of the actuators, (..., m).
            load: Torques or forces by the world (N m or N), (..., k); none if absent.
            hand_force: Force on the hand (N), (..., d); none if absent.
        """
        ...


@runtime_checkable
class HasMuscles(Protocol):
    """What a plant with muscles, whose activations are its state's `activation`, says of them."""

    @property
    def muscle_labels(self) -> tuple[str, ...]:
        """Names of the k muscles."""
        ...

    def muscle_lengths(self, configuration: Tensor) -> Tensor:
        """Return the muscles' lengths (m), (..., k), of configurations or states."""
        ...

    def muscle_velocities(self, state: Tensor) -> Tensor:
        """Return how fast the muscles lengthen (m/s), (..., k), of states."""
        ...

    def muscle_lines(self, state: Tensor) -> Tensor:
        """Return points (m) that a drawing of each muscle connects, (..., k, points, d)."""
        ...


def muscles_of(plant: Plant) -> HasMuscles | None:
    """Return a plant as one with muscles, or None where it has none; of a learned one, its body."""
    own = getattr(plant, "body", plant)
    return own if isinstance(own, HasMuscles) else None


@dataclass(frozen=True)
class Components:
    """A plant's Euler step on components: floats, numpy arrays, tensors, or compiled numbers.

    Attributes:
        functions: A module with `step(par, x, u, load, force)`, which returns the next state's
            components, `jacobian`, which returns its derivative by x and u row by row, and
            `hand(par, x)`, which returns the hand's position (m) and velocity (m/s). Each is marked
            by `neuromotor.compiled.component`; `plants/arm_components.py` is an example. With
            `velocity_rates` and `velocity_rate_slopes`, as there, loops in force fields run
            compiled too; a state's first four numbers are then two of the configuration and its
            velocity. With `signals(par, x)`, which returns signals that are computed from a state,
            and `signal_slopes`, their derivative row by row, loops that sense them do
            (`Signal.compiled` says which they are).
        numbers: `par`: all numbers of the plant that they need; the first is the step's length.
        limit: The actuators' limit, which is applied before the functions see a command.
        signals: How many numbers `signals` returns.
    """

    functions: ModuleType
    numbers: tuple[float, ...]
    limit: CommandLimit = None
    signals: int = 0

    def step(self, state: Any, command: Any, load: Any = None, hand_force: Any = None) -> Any:
        """Return what the plant's `step` does, in components."""
        given = saturated(command, self.limit)
        return self.functions.step(self.numbers, state, given, load, hand_force)

    @property
    def knows_fields(self) -> bool:
        """Whether there are functions for a force field that acts within the step."""
        names = ("velocity_rates", "velocity_rate_slopes")
        return all(hasattr(self.functions, name) for name in names)

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


def outer_components(
    name: str, value: Tensor | None, size: int, meaning: str
) -> tuple[Tensor, ...] | None:
    """Return the components of what acts from outside, or None where nothing does.

    Raises:
        ValueError: The last axis has another size.
    """
    if value is None:
        return None
    check_last_axis(name, value, size, meaning)
    return value.unbind(-1)


def check_plant(plant: Plant) -> None:
    """Raise unless a plant has what `Plant` lists, and bounds that fit its commands."""
    here = {*dir(type(plant)), *getattr(plant, "__dict__", {})}
    missing = sorted(name for name in vars(Plant) if name[0] != "_" and name not in here)
    if missing:
        raise TypeError(
            f"`plant` must have what `neuromotor.plants.Plant` lists, got a {type(plant).__name__} "
            f"without {', '.join(missing)}; `MechanicalPlant` as its base has defaults."
        )
    if plant.command_bounds is None:
        return
    low, high = plant.command_bounds
    sizes = {len(low), len(high)}
    if sizes != {plant.command_size} or not all(a < b for a, b in zip(low, high, strict=True)):
        raise ValueError(
            f"`command_bounds` must be {plant.command_size} lowest and as many higher numbers for "
            f"a {type(plant).__name__}, got {plant.command_bounds!r}."
        )


def observed(plant: Plant, values: Tensor) -> Tensor:
    """Return what a controller is given of states or targets, (..., f) of (..., n)."""
    feedback = tuple(plant.feedback)
    whole = feedback == tuple(range(plant.state_size))
    return values if whole else values[..., list(feedback)]


class View(NamedTuple):
    """A plane onto which positions are drawn."""

    title: str  # where it is seen from; empty for a hand that moves in this plane
    axes: tuple[int, int]  # the coordinates to the right and upwards


_VIEWS = {
    2: (View("", (0, 1)),),
    3: (View("from above", (0, 1)), View("from the right", (1, 2))),
}


def views_of(plant: Plant, user: str) -> tuple[View, ...]:
    """Return the planes in which a limb is drawn: its own, or two projections of one in space.

    Args:
        plant: What moves.
        user: What shows it, for the error.

    Raises:
        ValueError: The hand moves neither in a plane nor in space.
    """
    if plant.hand_size not in _VIEWS:
        raise ValueError(
            f"`plant` must have a hand that moves in a plane or in space for {user}, got "
            f"{type(plant).__name__}, whose hand has {plant.hand_size} coordinates."
        )
    return _VIEWS[plant.hand_size]


def configuration_near(plant: Plant, hand_position: Tensor, configuration: Tensor) -> Tensor:
    """Return the configuration (..., q) with the hand at a point that is the next to another.

    Args:
        plant: What moves.
        hand_position: (m), (..., d).
        configuration: The other one, (q,) or (..., q). Only a plant with `configuration_near` needs
            it, which reaches a point in more ways than one can count.
    """
    near = getattr(plant, "configuration_near", None)
    if near is None:
        return plant.configuration_at(hand_position)
    result: Tensor = near(hand_position, configuration)
    return result


def holding_command(plant: Plant, state: Tensor) -> Tensor:
    """Return commands (..., m) that hold a plant still where it is, or zeros if it knows none."""
    holds = getattr(plant, "holding_command", None)
    if holds is None:
        return state.new_zeros(*state.shape[:-1], plant.command_size)
    result: Tensor = holds(state)
    return result


def by_part(plant: Plant, *, position: float = 0.0, velocity: float = 0.0) -> Tensor:
    """Return one number for each of a state by its part, (n,): those of actuators are zero."""
    values = torch.zeros(plant.state_size, dtype=torch.float64)
    values[plant.state_parts["position"]] = position
    values[plant.state_parts["velocity"]] = velocity
    return values


def within_bounds(plant: Plant, command: Tensor) -> Tensor:
    """Return commands (..., m) with what lies beyond a plant's `command_bounds` at the bound."""
    bounds = plant.command_bounds
    if bounds is None:
        return command
    low, high = (command.new_tensor(bound) for bound in bounds)
    return torch.minimum(torch.maximum(command, low), high)


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
