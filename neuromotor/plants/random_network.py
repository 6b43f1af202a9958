"""A limb that is driven through a random linear network, which belongs to what is controlled.

Commands act on the network's units, and the units on the limb. To whoever controls it the network
is a piece of the plant, as muscles are. Nothing in it is trained.

Source: Kalidindi & Crevecoeur (2026), who control such a network by optimal feedback and find what
is recorded in motor cortex: units that know the target before the movement, and rotations in it.
The numbers of the network are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive, check_seed
from neuromotor.plants.arm import TwoJointArm
from neuromotor.plants.mechanical import MechanicalPlant
from neuromotor.plants.muscle_arm import MuscleArm
from neuromotor.plants.plant import check_last_axis
from neuromotor.plants.point_mass import PointMass

__all__ = ["RandomNetworkPlant"]

_BODIES: dict[str, MechanicalPlant] = {
    "monkey-published": TwoJointArm(),
    "point-mass": PointMass(),
    "monkey-muscles": MuscleArm(),
}


class _Network(NamedTuple):
    """Matrices of the network, in float64 on the CPU."""

    recurrent: Tensor  # W, (N, N)
    entry: Tensor  # B, (N, m)
    exit: Tensor  # C, (commands of the body, N)


@dataclass(frozen=True)
class RandomNetworkPlant(MechanicalPlant):
    """A limb whose actuators are commanded by N random linear units.

    A state is that of the body with the rates r of the units behind it. In one step ::

        body' = body.step(body, C r),    r' = r + (dt / tau) (-r + W r + B u)

    with commands u of m numbers. The entries of W are drawn from N(0, gain^2 / N), those of B from
    N(0, 1 / m), and those of C from N(0, output^2 / N). Below a gain of 1 a large network falls
    silent by itself, and near 1 it does so slowly and in rotations. A recording of any controller
    has the rates of these units as its units.

    Attributes:
        body: What the units move.
        units: Number N of units.
        inputs: Number m of commands.
        tau_s: Time constant tau (s), not shorter than a step.
        gain: Spread of the recurrent weights; 0 is no recurrence.
        output: Spread of what the units give (N m or N for rates of 1).
        seed: Of W, B and C.

    Raises:
        TypeError: `body` is no `MechanicalPlant`.
        ValueError: A number is out of range, or `body` has bounds on its commands.

    Example:
        >>> plant = RandomNetworkPlant(units=10, inputs=3)
        >>> plant.state_size, plant.command_size, plant.load_size
        (14, 3, 2)
    """

    body: MechanicalPlant = field(default_factory=TwoJointArm, metadata={"registry": _BODIES})
    units: int = 50
    inputs: int = 10
    tau_s: float = 0.05
    gain: float = 0.9
    output: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.body, MechanicalPlant):
            raise TypeError(
                f"`body` must be a MechanicalPlant, such as TwoJointArm(), got {self.body!r}."
            )
        if self.body.command_bounds is not None:
            raise ValueError(
                "`body` must have no bounds on its commands, which the units cannot keep, got a "
                f"{type(self.body).__name__} with some; leave its limit out."
            )
        check_integer("units", self.units, minimum=1)
        check_integer("inputs", self.inputs, minimum=1)
        check_positive("tau_s", self.tau_s, "seconds")
        if self.tau_s < self.body.dt_s:
            raise ValueError(
                f"`tau_s` must be {self.body.dt_s:g} s, a step of the body, or longer, got "
                f"{self.tau_s!r}; give the body shorter steps."
            )
        check_number("gain", self.gain, minimum=0.0)
        check_positive("output", self.output)
        check_seed("seed", self.seed)

    @cached_property
    def network(self) -> _Network:
        """W (N, N), B (N, m) and C (commands of the body, N)."""
        generator = torch.Generator().manual_seed(self.seed)

        def drawn(rows: int, columns: int, spread: float) -> Tensor:
            return spread * torch.randn(rows, columns, generator=generator, dtype=torch.float64)

        return _Network(
            drawn(self.units, self.units, self.gain * self.units**-0.5),
            drawn(self.units, self.inputs, self.inputs**-0.5),
            drawn(self.body.command_size, self.units, self.output * self.units**-0.5),
        )

    @property
    def dt_s(self) -> float:  # type: ignore[override]
        """Step length (s): the body's."""
        return self.body.dt_s

    @property
    def home(self) -> tuple[float, ...]:
        """Home of the body."""
        return self.body.home

    @property
    def state_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a state."""
        units = (f"unit {i + 1} (1)" for i in range(self.units))
        return (*self.body.state_labels, *units)

    @property
    def command_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a command."""
        return tuple(f"input {i + 1} (1)" for i in range(self.inputs))

    @property
    def load_labels(self) -> tuple[str, ...]:
        """Those of the body, on which loads act."""
        return self.body.load_labels

    @property
    def hand_size(self) -> int:
        """That of the body."""
        return self.body.hand_size

    @property
    def state_parts(self) -> Mapping[str, slice]:
        """Those of the body, and `units`."""
        return {**self.body.state_parts, "units": slice(self.body.state_size, self.state_size)}

    @property
    def load_scale(self) -> float:
        """That of the body."""
        return self.body.load_scale

    @property
    def state_limits(self) -> tuple[float, ...]:
        """Those of the body; nothing bounds the units."""
        return (*self.body.state_limits, *[math.inf] * self.units)

    @property
    def hand_limits(self) -> tuple[float, float]:
        """Those of the body."""
        return self.body.hand_limits

    def configuration(self, posture_deg: tuple[float, ...]) -> tuple[float, ...]:
        """Return the body's configuration at joint angles (deg)."""
        return self.body.configuration(posture_deg)

    def configuration_at(self, hand_position: Tensor) -> Tensor:
        """Return the configuration (..., q) that puts the hand at a position (m), (..., d)."""
        return self.body.configuration_at(hand_position)

    def rest_state(self, configuration: Tensor) -> Tensor:
        """Return the state at rest, (..., n), with silent units."""
        rest = self.body.rest_state(configuration)
        return torch.cat([rest, rest.new_zeros(*rest.shape[:-1], self.units)], dim=-1)

    def limb(self, state: Tensor) -> Tensor:
        """Return the points (m) of the body's drawing, of states or configurations."""
        return self.body.limb(self._own(state))

    def hand_position(self, state: Tensor) -> Tensor:
        """Return the hand's position (m), (..., d), of states or configurations."""
        return self.body.hand_position(self._own(state))

    def hand_velocity(self, state: Tensor) -> Tensor:
        """Return the hand's velocity (m/s), (..., d), of states."""
        return self.body.hand_velocity(self._own(state))

    def velocity_rates(self, state: Any, drag: Any) -> Any:
        """Return ``M^-1 J^T D J`` (1/s) of the body, row by row."""
        return self.body.velocity_rates(state[: self.body.state_size], drag)  # type: ignore[attr-defined]

    def step(
        self,
        state: Tensor,
        command: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
    ) -> Tensor:
        """Return the state one step of `dt_s` later, (..., n); arguments as `Plant.step`."""
        check_last_axis("state", state, self.state_size, "the body's and the units'")
        check_last_axis("command", command, self.inputs, "the network's inputs")
        recurrent, entry, given = (part.to(state) for part in self.network)
        body, rates = state[..., : self.body.state_size], state[..., self.body.state_size :]
        moved = self.body.step(body, rates @ given.mT, load, hand_force)
        drive = rates @ recurrent.mT + command @ entry.mT
        rates = rates + self.dt_s / self.tau_s * (drive - rates)
        shape = (moved[..., :1] + rates[..., :1]).shape[:-1]
        return torch.cat([part.expand(*shape, part.shape[-1]) for part in (moved, rates)], dim=-1)

    def _own(self, state: Tensor) -> Tensor:
        """The body's part of states; configurations as they are."""
        whole = state.shape[-1] == self.state_size
        return state[..., : self.body.state_size] if whole else state
