"""How far an environment lets a plant go: commands, states, and the hand; and what actions mean.

What a plant says of itself counts: its `command_bounds` or else its `usual_command`, `state_limits`
and `hand_limits`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from neuromotor._checks import check_positive
from neuromotor.plants.plant import Plant, check_plant

__all__ = ["Actions", "Limits", "limits_of"]


@dataclass(frozen=True)
class Limits:
    """Bounds of a plant in an environment; beyond those of the state a trial ends as failed."""

    low: tuple[float, ...]  # lowest command of each actuator, in its own unit
    high: tuple[float, ...]  # highest command of each actuator
    state: tuple[float, ...]  # largest size of each number of a state
    hand_m: float  # largest coordinate of the hand
    hand_m_s: float  # largest speed of the hand


@dataclass(frozen=True)
class Actions:
    """What actions mean: ``command = middle + half * action``, of actions from `low` to `high`."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    middle: tuple[float, ...]
    half: tuple[float, ...]

    @classmethod
    def of(cls, limits: Limits, normalized: bool) -> Actions:
        """Return actions in [-1, 1], from bound to bound, or actions that are the commands."""
        ones, zeros = (1.0,) * len(limits.low), (0.0,) * len(limits.low)
        if not normalized:
            return cls(limits.low, limits.high, zeros, ones)
        pairs = list(zip(limits.low, limits.high, strict=True))
        return cls(
            low=tuple(-one for one in ones),
            high=ones,
            middle=tuple(0.5 * (low + high) for low, high in pairs),
            half=tuple(0.5 * (high - low) for low, high in pairs),
        )

    @property
    def none(self) -> tuple[float, ...]:
        """What stands for the last action before the first one: zero, or what is nearest to it."""
        return tuple(min(max(0.0, a), b) for a, b in zip(self.low, self.high, strict=True))


def limits_of(plant: Plant, command: float | None = None) -> Limits:
    """Return a plant's limits, with another bound on its commands (N m or N) if one is given.

    Raises:
        ValueError: `command` is not positive, or is missing where nothing is known of the plant.
    """
    if command is not None:
        check_positive("command_limit", command, "N m or N")
    check_plant(plant)
    known = plant.usual_command if command is None else float(command)
    size = math.inf if known is None else known
    anything = (math.inf,) * plant.command_size
    low, high = plant.command_bounds or (tuple(-bound for bound in anything), anything)
    low = tuple(max(-size, bound) for bound in low)
    high = tuple(min(size, bound) for bound in high)
    if any(map(math.isinf, (*low, *high))):
        raise ValueError(
            "`command_limit` must be given (N m or N) for a plant without `command_bounds` "
            f"and `usual_command`, got none for {plant!r}."
        )
    if not all(a < b for a, b in zip(low, high, strict=True)):
        raise ValueError(
            f"`command_limit` must leave room within the plant's bounds {plant.command_bounds!r}, "
            f"got {command!r}."
        )
    return Limits(low, high, tuple(plant.state_limits), *plant.hand_limits)
