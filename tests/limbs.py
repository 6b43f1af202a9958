"""Limbs whose states are more, or whose hands move further, than those of the package."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from neuromotor.plants import PLANTS, MechanicalPlant, TwoJointArm

MOMENT_ARMS_CM = ((2.0, -2.0, 0.0, 0.0, 1.5, -2.0), (0.0, 0.0, 2.0, -2.0, 1.5, -1.5))
STRONGEST_N = (12.0, 12.0, 8.0, 8.0, 10.0, 10.0)
MUSCLES = ("shoulder flexor", "shoulder extensor", "elbow flexor", "elbow extensor")
MUSCLES = (*MUSCLES, "two-joint flexor", "two-joint extensor")


@dataclass(frozen=True)
class MuscleArm(MechanicalPlant):
    """The two-joint arm with six muscles of fixed moment arms, driven by excitations in [0, 1].

    Activations follow excitations with a time constant: ``a <- a + dt / tau (u - a)``; the joints
    get the torques ``R F a`` of the activations before the step.
    """

    arm: TwoJointArm = field(default_factory=TwoJointArm, metadata={"registry": PLANTS})
    time_constant_s: float = 0.05
    feedback: tuple[int, ...] = tuple(range(10))

    command_bounds = ((0.0,) * 6, (1.0,) * 6)
    home = TwoJointArm().home
    state_labels = (*TwoJointArm().state_labels, *(f"{name} activation (1)" for name in MUSCLES))
    command_labels = tuple(f"{name} excitation (1)" for name in MUSCLES)
    load_labels = TwoJointArm().load_labels
    state_limits = (*TwoJointArm().state_limits, *(1.0,) * 6)

    @property
    def dt_s(self) -> float:
        return self.arm.dt_s

    def configuration_at(self, hand_position: Tensor) -> Tensor:
        return self.arm.configuration_at(hand_position)

    def limb(self, state: Tensor) -> Tensor:
        return self.arm.limb(state)

    def torques(self, activation: Tensor) -> Tensor:
        levers = 0.01 * activation.new_tensor(MOMENT_ARMS_CM) * activation.new_tensor(STRONGEST_N)
        return activation @ levers.T

    def step(self, state, command, load=None, hand_force=None):
        arm, activation = state[..., :4], state[..., 4:]
        after = self.arm.step(arm, self.torques(activation), load, hand_force)
        change = self.dt_s / self.time_constant_s * (self.actuated(command) - activation)
        return torch.cat([after, activation + change], dim=-1)


@dataclass(frozen=True)
class SpaceMass(MechanicalPlant):
    """A point mass in space, moved by a force: ``m p'' = force + load + hand_force - b p'``."""

    mass: float = 1.0
    damping: float = 0.5
    dt_s: float = 0.01

    home = (0.0, 0.0, 0.0)
    hand_size = 3
    state_labels = (*(f"{x} position (m)" for x in "xyz"), *(f"{x} velocity (m/s)" for x in "xyz"))
    command_labels = tuple(f"{x} force (N)" for x in "xyz")
    state_limits = (2.0,) * 3 + (20.0,) * 3
    hand_limits = (2.0, 20.0)

    def configuration_at(self, hand_position: Tensor) -> Tensor:
        return hand_position

    def limb(self, state: Tensor) -> Tensor:
        return state[..., None, :3]

    def step(self, state, command, load=None, hand_force=None):
        velocity = state[..., 3:]
        force = command - self.damping * velocity
        for extra in (load, hand_force):
            force = force if extra is None else force + extra
        return torch.cat(
            [state[..., :3] + self.dt_s * velocity, velocity + self.dt_s / self.mass * force], -1
        )
