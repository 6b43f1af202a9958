"""Reinforcement learning on the tasks, by Stable-Baselines3, held against optimal control."""

from neuromotor.rl.algorithms import (
    ALGORITHMS,
    HER,
    TD3,
    Algorithm,
    Analytic,
    OffPolicy,
    OnPolicy,
    RecurrentPPO,
)
from neuromotor.rl.learning import LearningPoint, LearningRun, Yardstick, learn, yardstick

__all__ = [
    "ALGORITHMS",
    "HER",
    "TD3",
    "Algorithm",
    "Analytic",
    "LearningPoint",
    "LearningRun",
    "OffPolicy",
    "OnPolicy",
    "RecurrentPPO",
    "Yardstick",
    "learn",
    "yardstick",
]
