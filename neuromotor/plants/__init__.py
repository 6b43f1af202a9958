"""Plants: pure, batched, differentiable dynamics with no task and no network in them."""

from neuromotor.plants.arm import TwoJointArm, UnreachableError
from neuromotor.plants.field import carried_in_field, field_force
from neuromotor.plants.integrators import INTEGRATORS, RK4, Euler, Integrator, SemiImplicitEuler
from neuromotor.plants.mechanical import MechanicalPlant
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

__all__ = [
    # plants
    "PLANTS",
    "MechanicalPlant",
    "Plant",
    "PointMass",
    "TwoJointArm",
    "UnreachableError",
    "actuated",
    "carried_in_field",
    "field_force",
    "observed",
    "within_bounds",
    # parameters
    "ARM_PRESETS",
    "HUMAN",
    "HUMAN_VISCOSITY",
    "MONKEY",
    "MONKEY_PUBLISHED",
    "ArmParameters",
    "JointLimits",
    # integrators
    "INTEGRATORS",
    "RK4",
    "Euler",
    "Integrator",
    "SemiImplicitEuler",
]

PLANTS: dict[str, Plant] = {
    **{name: TwoJointArm(parameters) for name, parameters in ARM_PRESETS.items()},
    "point-mass": PointMass(),
}
