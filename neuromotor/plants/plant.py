"""What every plant offers: pure, batched dynamics with no task and no controller in them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

__all__ = ["Plant", "check_last_axis", "field_force"]


class Plant(Protocol):
    """Second-order mechanics with a hand: a batched ``next_state = step(state, command, load)``.

    A state is ``[configuration, velocity]``, (..., 2 n). Any leading shape, dtype and device; no
    hidden state, so that loss, environment and baseline share one physics.
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


def check_last_axis(name: str, value: Tensor, size: int, meaning: str) -> None:
    """Raise unless the last axis of `value` has `size` entries; `meaning` names them."""
    if value.ndim == 0 or value.shape[-1] != size:
        raise ValueError(
            f"`{name}` must have {size} entries on its last axis ({meaning}), "
            f"got shape {tuple(value.shape)}."
        )


def field_force(plant: Plant, state: Tensor, field: Tensor) -> Tensor:
    """Return the force (N) of an affine field on the hand, ``field [1, p, v]``, (..., 2).

    Args:
        plant: What moves.
        state: (..., n).
        field: (..., 2, 5), of a leading shape that broadcasts with that of `state`.
    """
    position = plant.hand_position(state)
    ones = torch.ones_like(position[..., :1])
    inputs = torch.cat([ones, position, plant.hand_velocity(state)], dim=-1)
    return (field @ inputs.unsqueeze(-1)).squeeze(-1)
