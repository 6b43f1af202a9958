"""What can be sensed of a plant: named signals of its state, such as where the hand is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from neuromotor.plants.plant import Plant, observed

__all__ = ["Signal", "part_signal", "signals_of"]

T = TypeVar("T")


@dataclass(frozen=True)
class Signal:
    """Some numbers that a state tells, with their names and units.

    Attributes:
        labels: Name and unit of each number, k of them.
        limits: Largest size of each number, which environments show.
        of: Returns the numbers (..., k) of states (..., n).
        entries: Which numbers of the state they are; None where they are computed.
    """

    labels: tuple[str, ...]
    limits: tuple[float, ...]
    of: Callable[[Tensor], Tensor]
    entries: tuple[int, ...] | None = None


def signals_of(plant: Plant) -> dict[str, Signal]:
    """Return all signals of a plant by name.

    Every plant has `state` (all of its `feedback`), `joint_position`, `joint_velocity`,
    `hand_position` (m) and `hand_velocity` (m/s). A plant with a method `signals`, which returns
    signals by name, adds its own or replaces these: a `MuscleArm` has the length, the velocity and
    the activity of its muscles.

    Example:
        >>> from neuromotor.plants import TwoJointArm
        >>> signals_of(TwoJointArm())["hand_position"].labels
        ('hand x (m)', 'hand y (m)')
    """
    numbers, axes = range(plant.state_size), "xyz"[: plant.hand_size]
    reach, speed = plant.hand_limits
    common = {
        "state": Signal(
            _chosen(plant.state_labels, plant.feedback),
            _chosen(plant.state_limits, plant.feedback),
            lambda state: observed(plant, state),
            tuple(plant.feedback),
        ),
        "joint_position": part_signal(plant, numbers[plant.state_parts["position"]]),
        "joint_velocity": part_signal(plant, numbers[plant.state_parts["velocity"]]),
        "hand_position": Signal(
            tuple(f"hand {axis} (m)" for axis in axes), (reach,) * len(axes), plant.hand_position
        ),
        "hand_velocity": Signal(
            tuple(f"hand {axis} velocity (m/s)" for axis in axes),
            (speed,) * len(axes),
            plant.hand_velocity,
        ),
    }
    own = getattr(plant, "signals", None)
    return common if own is None else {**common, **own()}


def part_signal(plant: Plant, entries: Sequence[int]) -> Signal:
    """Return the signal that some numbers of a state are."""
    chosen = list(entries)
    return Signal(
        _chosen(plant.state_labels, chosen),
        _chosen(plant.state_limits, chosen),
        lambda state: state[..., chosen],
        tuple(chosen),
    )


def _chosen(values: Sequence[T], entries: Sequence[int]) -> tuple[T, ...]:
    return tuple(values[i] for i in entries)
