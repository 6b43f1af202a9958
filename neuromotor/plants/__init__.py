"""Plants: pure, batched, differentiable dynamics with no task and no network in them."""

from neuromotor.extensions import Registry
from neuromotor.plants.arm import TwoJointArm, UnreachableError
from neuromotor.plants.channel import held_in_channel
from neuromotor.plants.cursor_arm import CursorArm
from neuromotor.plants.field import carried_in_field, field_force, step_in_field
from neuromotor.plants.integrators import INTEGRATORS, RK4, Euler, Integrator, SemiImplicitEuler
from neuromotor.plants.learned import ChangeNetwork, LearnedPlant, save_learned
from neuromotor.plants.mechanical import IntegratedPlant, MechanicalPlant
from neuromotor.plants.moving import moving_state
from neuromotor.plants.mujoco import MujocoPlant, is_environment
from neuromotor.plants.muscle_arm import MuscleArm
from neuromotor.plants.muscles import (
    HUMAN_MUSCLES,
    MONKEY_MUSCLES,
    MUSCLE_PRESETS,
    MuscleParameters,
)
from neuromotor.plants.parameters import (
    ARM_PRESETS,
    HUMAN,
    HUMAN_VISCOSITY,
    MONKEY,
    MONKEY_PUBLISHED,
    ArmParameters,
    JointLimits,
)
from neuromotor.plants.plant import Plant, actuated, observed, within_bounds
from neuromotor.plants.point_mass import PointMass
from neuromotor.plants.random_network import RandomNetworkPlant
from neuromotor.plants.signals import Signal, signals_of
from neuromotor.plants.spatial_arm import SpatialArm

__all__ = [
    # plants
    "PLANTS",
    "CursorArm",
    "IntegratedPlant",
    "LearnedPlant",
    "MechanicalPlant",
    "MujocoPlant",
    "MuscleArm",
    "Plant",
    "PointMass",
    "RandomNetworkPlant",
    "Signal",
    "SpatialArm",
    "TwoJointArm",
    "UnreachableError",
    "actuated",
    "carried_in_field",
    "field_force",
    "held_in_channel",
    "step_in_field",
    "moving_state",
    "observed",
    "signals_of",
    "within_bounds",
    # learned plants
    "ChangeNetwork",
    "save_learned",
    # parameters
    "ARM_PRESETS",
    "HUMAN",
    "HUMAN_MUSCLES",
    "HUMAN_VISCOSITY",
    "MONKEY",
    "MONKEY_MUSCLES",
    "MONKEY_PUBLISHED",
    "MUSCLE_PRESETS",
    "ArmParameters",
    "JointLimits",
    "MuscleParameters",
    # integrators
    "INTEGRATORS",
    "RK4",
    "Euler",
    "Integrator",
    "SemiImplicitEuler",
]

PLANTS: Registry[Plant] = Registry(
    "plant",
    {
        **{name: TwoJointArm(parameters) for name, parameters in ARM_PRESETS.items()},
        "point-mass": PointMass(),
        "monkey-muscles": MuscleArm(),
        "human-muscles": MuscleArm(
            HUMAN,
            HUMAN_MUSCLES,
            viscosity=HUMAN_VISCOSITY,
            activation_s=0.015,  # MotorNet's (Codol et al. 2024), as its muscles
            deactivation_s=0.05,
        ),
        "human-spatial": SpatialArm(),
        "monkey-spatial": SpatialArm(MONKEY),
        "human-cursor": CursorArm(),
        "random-network": RandomNetworkPlant(),
    },
    members=("state_size", "command_labels", "step"),
)


def _elsewhere(name: str) -> Plant | None:
    """Return the plant that a file holds or that a Gymnasium environment is."""
    if name.endswith(".safetensors"):
        return LearnedPlant(name)
    return MujocoPlant(name) if is_environment(name) else None


PLANTS.otherwise = _elsewhere


def _enter_arm(name: str, parameters: ArmParameters) -> None:
    """Enter the arm that new parameters make, as those that come with neuromotor have theirs."""
    PLANTS.enter(name, TwoJointArm(parameters), ARM_PRESETS.sources[name])


ARM_PRESETS.entered = _enter_arm
