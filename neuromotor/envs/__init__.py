"""Gymnasium environments over the plants, tasks and trials that training uses: one physics.

`MotorEnv` is one arm, `MotorVectorEnv` thousands in one call; both run the same stepping code.
"""

from neuromotor.envs.limits import Limits, limits_of
from neuromotor.envs.options import EnvOptions
from neuromotor.envs.policies import ControllerPolicy, PolicyController, evaluate_policy
from neuromotor.envs.registration import environment_ids
from neuromotor.envs.rollouts import Rollout, rollout
from neuromotor.envs.shaping import CostToGo
from neuromotor.envs.single import MotorEnv
from neuromotor.envs.vector import MotorVectorEnv

__all__ = [
    # environments
    "CostToGo",
    "EnvOptions",
    "Limits",
    "MotorEnv",
    "MotorVectorEnv",
    "environment_ids",
    "limits_of",
    # with gradients
    "Rollout",
    "rollout",
    # policies and controllers
    "ControllerPolicy",
    "PolicyController",
    "evaluate_policy",
]
