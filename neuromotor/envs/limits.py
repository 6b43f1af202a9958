"""How far an environment lets a plant go: commands, configurations and velocities.

The numbers are ours. The bounds on commands are above the largest command of iLQR on reaches of 10
cm and on reaches between random postures: 1.9 N m for `MONKEY_PUBLISHED`, 0.15 N m for `MONKEY`
(which must also hold the tasks' loads of 0.2 N m) and 2.5 N m for `HUMAN`. The bounds on states are
a full turn of a joint, and a speed that no limb reaches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from neuromotor._checks import check_positive
from neuromotor.plants import HUMAN, MONKEY, MONKEY_PUBLISHED, Plant, PointMass, TwoJointArm

__all__ = ["Limits", "limits_of"]


@dataclass(frozen=True)
class Limits:
    """Bounds of a plant in an environment; beyond those of the state a trial ends as failed."""

    command: float  # N m or N; each actuator
    configuration: float  # rad or m; each coordinate, from zero
    velocity: float  # rad/s or m/s; each coordinate


_ARMS = (
    (MONKEY_PUBLISHED, Limits(command=2.0, configuration=2 * math.pi, velocity=50.0)),
    (MONKEY, Limits(command=0.5, configuration=2 * math.pi, velocity=50.0)),
    (HUMAN, Limits(command=5.0, configuration=2 * math.pi, velocity=50.0)),
)
_ANY_ARM = Limits(command=math.nan, configuration=2 * math.pi, velocity=50.0)
_POINT_MASS = Limits(command=5.0, configuration=2.0, velocity=20.0)


def limits_of(plant: Plant, command: float | None = None) -> Limits:
    """Return a plant's limits, with another bound on its commands (N m or N) if one is given.

    Raises:
        ValueError: `command` is not positive, or is missing where nothing is known of the plant.
    """
    if isinstance(plant, TwoJointArm):
        known = [limits for parameters, limits in _ARMS if parameters == plant.parameters]
        limits = known[0] if known else _ANY_ARM
    elif isinstance(plant, PointMass):
        limits = _POINT_MASS
    else:
        limits = _ANY_ARM
    if command is not None:
        check_positive("command_limit", command, "N m or N")
        return replace(limits, command=float(command))
    if math.isnan(limits.command):
        raise ValueError(
            "`command_limit` must be given (N m or N) for a plant that is no preset, "
            f"got none for {plant!r}."
        )
    return limits
