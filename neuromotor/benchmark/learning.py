"""Measures how many steps a second PPO makes, in our vector environment and in single ones.

The same PPO of Stable-Baselines3, with the same settings, learns center-out with the arms of
`neuromotor.rl` and with `DummyVecEnv` of as many `MotorEnv`. Both take turns in one process.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from neuromotor._checks import check_integer
from neuromotor._extras import require

__all__ = ["LearningBenchmarkSettings", "LearningRow", "run_learning_benchmark"]

_NAMES = ("neuromotor.rl", "DummyVecEnv")


@dataclass(frozen=True)
class LearningBenchmarkSettings:
    """What a benchmark of learning measures.

    Attributes:
        num_envs: Numbers of arms.
        repeats: Turns of each.
        epochs: Passes of PPO over what was gathered; 0 measures gathering alone.

    Raises:
        ValueError: A number is out of range.
    """

    num_envs: tuple[int, ...] = (64, 256)
    repeats: int = 5
    epochs: tuple[int, ...] = (0, 10)

    def __post_init__(self) -> None:
        for count in self.num_envs:
            check_integer("num_envs", count, minimum=1)
        check_integer("repeats", self.repeats, minimum=1)
        for count in self.epochs:
            check_integer("epochs", count, minimum=0)


@dataclass(frozen=True)
class LearningRow:
    """How fast PPO learns with some arms in one implementation."""

    implementation: str
    num_envs: int
    epochs: int
    steps_per_second: float


def run_learning_benchmark(
    settings: LearningBenchmarkSettings, *, progress: Callable[[str], object] = lambda words: None
) -> list[LearningRow]:
    """Return medians over turns of steps of arms a second, for each number of arms and epochs.

    Args:
        settings: What is measured.
        progress: Hears of every line that begins.

    Raises:
        RuntimeError: Stable-Baselines3 is not installed.
    """
    rows = []
    for epochs in settings.epochs:
        for count in settings.num_envs:
            progress(f"PPO, {count} arms, {epochs} epochs")
            models = {name: _model(name, count, epochs) for name in _NAMES}
            gathered = models[_NAMES[0]].n_steps * count
            seconds: dict[str, list[float]] = {name: [] for name in models}
            for turn in range(settings.repeats + 1):
                for name, model in models.items():
                    begun = time.perf_counter()
                    model.learn(gathered, reset_num_timesteps=False)
                    if turn:  # the first warms up
                        seconds[name].append(time.perf_counter() - begun)
            rows += [
                LearningRow(name, count, epochs, gathered / statistics.median(seconds[name]))
                for name in models
            ]
    return rows


def _model(name: str, count: int, epochs: int) -> Any:
    """A model of PPO with arms of one implementation; without epochs it gathers alone."""
    from neuromotor.envs import MotorEnv
    from neuromotor.rl.arms import SB3Arms

    library = require("stable_baselines3", "rl")
    options: dict[str, Any] = {"reward": "shaped", "reward_unit": "task", "standardized": True}
    if name == _NAMES[0]:
        arms: Any = SB3Arms(count, "center-out", **options)
    else:
        dummy = require("stable_baselines3.common.vec_env", "rl").DummyVecEnv
        arms = dummy([lambda: MotorEnv("center-out", **options)] * count)
    steps = 40
    model = library.PPO(
        "MlpPolicy",
        arms,
        n_steps=steps,
        batch_size=steps * count // 4,
        n_epochs=max(1, epochs),
        policy_kwargs={"net_arch": [64, 64]},
        device="cpu",
        seed=0,
    )
    if not epochs:
        model.train = lambda: None
    return model
