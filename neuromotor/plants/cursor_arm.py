"""A two-joint arm behind a cursor: torques follow commands late, and a target lies on the screen.

The cursor shows the hand as a screen does: turned, scaled and moved by what an experiment wants.
Target and displacement of the cursor are numbers of the state, so that they may jump on the way,
and so that a controller knows of them only by what it senses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_number, check_positive
from neuromotor.plants import cursor_arm_components
from neuromotor.plants.arm import TwoJointArm
from neuromotor.plants.mechanical import MechanicalPlant
from neuromotor.plants.parameters import HUMAN, HUMAN_VISCOSITY
from neuromotor.plants.plant import Components, check_last_axis, components_of
from neuromotor.plants.signals import Signal, part_signal

__all__ = ["CursorArm"]

_LARGEST_NM = 100.0


def _default_arm() -> TwoJointArm:
    """The human arm of Li & Todorov (2004)."""
    return TwoJointArm(HUMAN, viscosity=HUMAN_VISCOSITY)


@dataclass(frozen=True)
class CursorArm(MechanicalPlant):
    """An arm with late torques, a cursor and a target.

    A state has twelve numbers: joint angles (rad) and velocities (rad/s), torques of the muscles (N
    m), the drive that these follow (N m), the target on the screen (m), and how far the cursor was
    displaced from where it belongs (m). Drive and torque follow the command u through two equal
    first-order lags, as muscles follow their nerves (Winters & Stark 1985; Todorov 2005, section
    2)::

        drive' = drive + (dt / tau) (u - drive),   torque' = torque + (dt / tau) (drive - torque)

    The cursor is at ``c + gain R (hand - c) + displacement`` of the hand at home c and a rotation
    R. Target and displacement stay as they are, unless a trial moves them (`Trials.plant_noise`).

    Attributes:
        arm: The arm, whose commands are the torques.
        lag_s: Time constant tau of each lag (s), not shorter than a step.
        rotation_deg: Angle (deg) by which the screen turns the hand's movement, anticlockwise.
        gain: Factor by which the screen scales it.

    Raises:
        ValueError: `lag_s` is shorter than a step, or `gain` is not positive.

    Example:
        >>> plant = CursorArm()
        >>> rest = plant.rest_state(torch.tensor(plant.home, dtype=torch.float64))
        >>> bool(torch.equal(plant.cursor(rest), plant.hand_position(rest)))
        True
    """

    arm: TwoJointArm = field(
        default_factory=_default_arm, metadata={"registry": {"human": _default_arm()}}
    )
    lag_s: float = 0.04
    rotation_deg: float = 0.0
    gain: float = 1.0

    def __post_init__(self) -> None:
        check_positive("lag_s", self.lag_s, "seconds")
        if self.lag_s < self.arm.dt_s:
            raise ValueError(
                f"`lag_s` must be {self.arm.dt_s:g} s, a step of the arm, or longer, got "
                f"{self.lag_s!r}; give the arm shorter steps."
            )
        check_number("rotation_deg", self.rotation_deg, "degrees")
        check_positive("gain", self.gain)

    @property
    def dt_s(self) -> float:  # type: ignore[override]
        """Step length (s): the arm's."""
        return self.arm.dt_s

    @property
    def home(self) -> tuple[float, float]:
        """Home of the arm (rad)."""
        return self.arm.home

    @property
    def state_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a state."""
        return (
            *self.arm.state_labels,
            "shoulder torque (N m)",
            "elbow torque (N m)",
            "shoulder drive (N m)",
            "elbow drive (N m)",
            "target x (m)",
            "target y (m)",
            "cursor displacement x (m)",
            "cursor displacement y (m)",
        )

    @property
    def command_labels(self) -> tuple[str, ...]:
        """Name and unit of each number of a command."""
        return self.arm.command_labels

    @property
    def state_parts(self) -> Mapping[str, slice]:
        """Where the parts of a state lie."""
        names = ("position", "velocity", "torque", "drive", "target", "displacement")
        return {name: slice(2 * i, 2 * i + 2) for i, name in enumerate(names)}

    @property
    def usual_command(self) -> float | None:
        """Torque (N m) of the arm's reaches, three times over: late torques need larger drives."""
        usual = self.arm.usual_command
        return None if usual is None else 3 * usual

    @property
    def load_scale(self) -> float:
        """That of the arm."""
        return self.arm.load_scale

    @property
    def state_limits(self) -> tuple[float, ...]:
        """Those of the arm, 100 N m (of no arm; ours), and the length of the stretched arm (m)."""
        reach = self.hand_limits[0]
        return (*self.arm.state_limits, *((_LARGEST_NM,) * 4), *((reach,) * 4))

    @property
    def hand_limits(self) -> tuple[float, float]:
        """Those of the arm."""
        return self.arm.hand_limits

    def configuration_at(self, hand_position: Tensor) -> Tensor:
        """Return the joint angles (rad), (..., 2), with the hand at a position (m), (..., 2)."""
        return self.arm.configuration_at(hand_position)

    def rest_state(self, configuration: Tensor) -> Tensor:
        """Return the state at rest, (..., 12), with the target where the cursor is."""
        rest = super().rest_state(configuration)
        rest[..., self.state_parts["target"]] = self.cursor(rest)
        return rest

    def aiming(self, state: Tensor, target: Tensor) -> Tensor:
        """Return states (..., 12) whose target lies at a point of the screen (m), (..., 2)."""
        shape = (state[..., :2] + target).shape[:-1]
        aimed = state.expand(*shape, state.shape[-1]).clone()
        aimed[..., self.state_parts["target"]] = target.to(state)
        return aimed

    def limb(self, state: Tensor) -> Tensor:
        """Return shoulder, elbow and hand (m), (..., 3, 2), of states or joint angles."""
        return self.arm.limb(state[..., :2])

    def hand_velocity(self, state: Tensor) -> Tensor:
        """Return the hand's velocity (m/s), (..., 2), of states."""
        return self.arm.hand_velocity(state[..., :4])

    @cached_property
    def _shown(
        self,
    ) -> tuple[tuple[float, float], tuple[tuple[float, float], tuple[float, float]]]:
        """The hand at home (m), and how the screen turns and scales."""
        home = self.arm.hand_position(torch.tensor(self.home, dtype=torch.float64)).tolist()
        angle = math.radians(self.rotation_deg)
        cosine, sine = self.gain * math.cos(angle), self.gain * math.sin(angle)
        return (home[0], home[1]), ((cosine, -sine), (sine, cosine))

    def cursor(self, state: Tensor) -> Tensor:
        """Return where the cursor is on the screen (m), (..., 2), of states (..., 12)."""
        check_last_axis("state", state, 12, "those of `state_labels`")
        place = self.hand_position(state)
        if self.rotation_deg != 0 or self.gain != 1:
            home, turn = self._shown
            center = place.new_tensor(home)
            place = center + (place - center) @ place.new_tensor(turn).mT
        return place + state[..., self.state_parts["displacement"]]

    def signals(self) -> dict[str, Signal]:
        """Return what can be sensed beside joints and hand: cursor, target and torques."""
        parts, numbers = self.state_parts, range(self.state_size)
        stretched = self.hand_limits[0]
        reach = 2 * stretched  # of the hand, and of the displacement
        if self.rotation_deg != 0 or self.gain != 1:
            reach = 2 * stretched + 2 * self.gain * stretched
        return {
            "cursor_position": Signal(
                ("cursor x (m)", "cursor y (m)"),
                (reach, reach),
                computed=self.cursor,
                compiled=(0, 1),
            ),
            "target_position": Signal(
                ("target x (m)", "target y (m)"),
                (stretched, stretched),
                tuple(numbers[parts["target"]]),
            ),
            "torque": part_signal(self, numbers[parts["torque"]]),
        }

    @property
    def components(self) -> Components | None:
        """The same step on components: where the arm has one, without a limit on its torques."""
        form = components_of(self.arm)
        if form is None or form.limit is not None:
            return None
        numbers = cursor_arm_components.numbers(form.numbers, self.lag_s, *self._shown)
        return Components(cursor_arm_components, numbers, signals=2)

    def velocity_rates(self, state: Any, drag: Any) -> Any:
        """Return ``M^-1 J^T D J`` (1/s), row by row; see `TwoJointArm.velocity_rates`."""
        return self.arm.velocity_rates(state[:4], drag)

    def step(
        self,
        state: Tensor,
        command: Tensor,
        load: Tensor | None = None,
        hand_force: Tensor | None = None,
    ) -> Tensor:
        """Return the state one step of `dt_s` later, (..., 12); arguments as `Plant.step`."""
        check_last_axis("state", state, 12, "those of `state_labels`")
        check_last_axis("command", command, 2, "shoulder and elbow torque")
        torque, drive, rest = state[..., 4:6], state[..., 6:8], state[..., 8:]
        moved = self.arm.step(state[..., :4], torque, load, hand_force)
        share = self.dt_s / self.lag_s
        torque, drive = torque + share * (drive - torque), drive + share * (command - drive)
        shape = (moved[..., :2] + drive).shape[:-1]
        parts = (moved, torque, drive, rest)
        return torch.cat([part.expand(*shape, part.shape[-1]) for part in parts], dim=-1)
