"""What can be sensed of a plant: named signals of its state, such as where the hand is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from neuromotor.plants.plant import Plant

__all__ = ["Signal", "hand_signals", "part_signal", "signals_of"]


@dataclass(frozen=True)
class Signal:
    """Some numbers that a state tells, with their names and units.

    Attributes:
        labels: Name and unit of each number, k of them.
        limits: Largest size of each number, which environments show.
        entries: Which numbers of the state they are; None where they are computed.
        computed: Returns the numbers (..., k) of states (..., n), where they are none of the state.
        compiled: Which of the `signals` of the plant's components they are, where they are computed
            there too; None where they are not.

    Raises:
        ValueError: Both `entries` and `computed` are given, or none of them.

    Example:
        >>> import torch
        >>> Signal(("angle (rad)",), (3.0,), entries=(0,)).of(torch.tensor([0.5, 2.0]))
        tensor([0.5000])
    """

    labels: tuple[str, ...]
    limits: tuple[float, ...]
    entries: tuple[int, ...] | None = None
    computed: Callable[[Tensor], Tensor] | None = None
    compiled: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if (self.entries is None) == (self.computed is None):
            raise ValueError("`entries` or `computed` must be given, and not both.")

    def of(self, state: Tensor) -> Tensor:
        """Return the numbers, (..., k), of states (..., n)."""
        if self.computed is not None:
            return self.computed(state)
        entries = list(self.entries or ())
        return state if entries == list(range(state.shape[-1])) else state[..., entries]


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
    numbers = range(plant.state_size)
    common = {
        "state": part_signal(plant, plant.feedback),
        "joint_position": part_signal(plant, numbers[plant.state_parts["position"]]),
        "joint_velocity": part_signal(plant, numbers[plant.state_parts["velocity"]]),
        **hand_signals(plant),
    }
    own = getattr(plant, "signals", None)
    return common if own is None else {**common, **own()}


def hand_signals(plant: Plant, *, compiled: bool = False) -> dict[str, Signal]:
    """Return where the hand is (m) and how fast it moves (m/s), by name.

    Args:
        plant: Whose hand.
        compiled: Whether the `signals` of its components begin with these.
    """
    axes, count = "xyz"[: plant.hand_size], plant.hand_size
    reach, speed = plant.hand_limits
    return {
        "hand_position": Signal(
            tuple(f"hand {axis} (m)" for axis in axes),
            (reach,) * count,
            computed=plant.hand_position,
            compiled=tuple(range(count)) if compiled else None,
        ),
        "hand_velocity": Signal(
            tuple(f"hand {axis} velocity (m/s)" for axis in axes),
            (speed,) * count,
            computed=plant.hand_velocity,
            compiled=tuple(range(count, 2 * count)) if compiled else None,
        ),
    }


def part_signal(plant: Plant, entries: Sequence[int]) -> Signal:
    """Return the signal that some numbers of a state are."""
    labels, limits = plant.state_labels, plant.state_limits
    return Signal(
        tuple(labels[i] for i in entries), tuple(limits[i] for i in entries), tuple(entries)
    )
