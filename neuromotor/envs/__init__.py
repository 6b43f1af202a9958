"""Gymnasium environments over the plants, tasks and trials that training uses: one physics.

`MotorEnv` is one arm, `MotorVectorEnv` thousands in one call; both run the same stepping code.
Gymnasium is imported when one of them is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuromotor.envs.limits import Limits, limits_of
    from neuromotor.envs.options import EnvOptions
    from neuromotor.envs.policies import ControllerPolicy, PolicyController, evaluate_policy
    from neuromotor.envs.registration import environment_ids
    from neuromotor.envs.rollouts import Rollout, rollout
    from neuromotor.envs.single import MotorEnv
    from neuromotor.envs.vector import MotorVectorEnv

__all__ = [
    # environments
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

_HOMES = {
    "ControllerPolicy": "policies",
    "PolicyController": "policies",
    "Rollout": "rollouts",
    "rollout": "rollouts",
    "evaluate_policy": "policies",
    "EnvOptions": "options",
    "Limits": "limits",
    "MotorEnv": "single",
    "MotorVectorEnv": "vector",
    "environment_ids": "registration",
    "limits_of": "limits",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
