"""Measures how many steps a second the environments make, beside other people's.

All of them take turns in one process, slice by slice, so that a noisy machine disturbs them alike.
The number is the median over the turns. Every environment steps under random actions, with
everything that it observes and computes, and begins anew when a trial ends.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuromotor._checks import check_integer, check_positive

__all__ = ["EnvBenchmarkSettings", "EnvRow", "run_env_benchmark"]

Stepper = Callable[[int], None]  # makes so many calls of `step`
_MUSCLES = "CenterOut-v0, muscles with length and velocity"
_ACTIONS = 64  # random ones, used round and round


@dataclass(frozen=True)
class EnvBenchmarkSettings:
    """What a benchmark of environments measures.

    Attributes:
        num_envs: Numbers of arms of the vector environments.
        repeats: Turns of each environment.
        slice_s: About how long a turn lasts (s).
        peers: Whether MuJoCo's Reacher-v5 and MotorNet take part, where they are installed.

    Raises:
        ValueError: A number is out of range.
    """

    num_envs: tuple[int, ...] = (1, 16, 256, 4096)
    repeats: int = 7
    slice_s: float = 0.3
    peers: bool = True

    def __post_init__(self) -> None:
        for count in self.num_envs:
            check_integer("num_envs", count, minimum=1)
        check_integer("repeats", self.repeats, minimum=1)
        check_positive("slice_s", self.slice_s, "seconds")


@dataclass(frozen=True)
class EnvRow:
    """How fast one environment is in one implementation; a step of N arms counts N steps."""

    env: str
    implementation: str  # single, vector, mujoco or motornet
    num_envs: int
    steps_per_second: float  # median over the turns


def run_env_benchmark(
    settings: EnvBenchmarkSettings, progress: Callable[[str], None] | None = None
) -> list[EnvRow]:
    """Return the steps a second of every environment, all of which take turns."""
    entries = list(_entries(settings))
    calls = []
    for name, implementation, count, step in entries:
        if progress is not None:
            progress(f"{name}, {implementation}, {count}")
        calls.append(_calls_a_slice(step, settings.slice_s))
    rates: list[list[float]] = [[] for _ in entries]
    for _ in range(settings.repeats):
        for (_, _, count, step), number, samples in zip(entries, calls, rates, strict=True):
            start = time.perf_counter()
            step(number)
            samples.append(number * count / (time.perf_counter() - start))
    return [
        EnvRow(name, implementation, count, statistics.median(samples))
        for (name, implementation, count, _), samples in zip(entries, rates, strict=True)
    ]


def _calls_a_slice(step: Stepper, slice_s: float) -> int:
    """Return how many calls take about a slice (s); the calls made here also warm up."""
    calls = 1
    while True:
        start = time.perf_counter()
        step(calls)
        elapsed = time.perf_counter() - start
        if elapsed > 0.2 * slice_s:
            return max(1, round(calls * slice_s / elapsed))
        calls *= 2


def _entries(settings: EnvBenchmarkSettings) -> Iterator[tuple[str, str, int, Stepper]]:
    """Yield each environment's name, implementation and number of arms, and what steps it."""
    import gymnasium

    from neuromotor.envs import environment_ids
    from neuromotor.tasks import CenterOut

    names = [name for name, options in environment_ids().items() if "goal" not in options]
    for name in names:
        yield name, "single", 1, _single(gymnasium.make(name))
        for count in settings.num_envs:
            arms = gymnasium.make_vec(name, num_envs=count, vectorization_mode="vector_entry_point")
            yield name, "vector", count, _vector(arms)
    task = CenterOut(plant=_muscles())
    yield _MUSCLES, "single", 1, _single(gymnasium.make(names[0], task=task))
    for count in settings.num_envs:
        arms = gymnasium.make_vec(
            names[0], num_envs=count, vectorization_mode="vector_entry_point", task=task
        )
        yield _MUSCLES, "vector", count, _vector(arms)
    needed = ("mujoco", "imageio")  # what Gymnasium asks for before it makes a MuJoCo environment
    if settings.peers and all(map(importlib.util.find_spec, needed)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Gymnasium's advice on its own environment
            yield "Reacher-v5", "mujoco", 1, _single(gymnasium.make("Reacher-v5"))
    if settings.peers and importlib.util.find_spec("motornet"):
        for muscle in ("ReluMuscle", "RigidTendonHillMuscle"):
            for count in sorted({1, max(settings.num_envs)}):
                yield f"RandomTargetReach, {muscle}", "motornet", count, _motornet(muscle, count)


def _single(env: Any) -> Stepper:
    """Return what steps one arm."""
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(_ACTIONS)]
    env.reset(seed=0)

    def step(calls: int) -> None:
        for i in range(calls):
            _, _, terminated, truncated, _ = env.step(actions[i % _ACTIONS])
            if terminated or truncated:
                env.reset()

    return step


def _vector(envs: Any) -> Stepper:
    """Return what steps many arms, which begin anew by themselves."""
    envs.action_space.seed(0)
    actions = [envs.action_space.sample() for _ in range(_ACTIONS)]
    envs.reset(seed=0)

    def step(calls: int) -> None:
        for i in range(calls):
            envs.step(actions[i % _ACTIONS])

    return step


def _muscles() -> Any:
    """Return the human arm with both factors of force, as MotorNet's Hill muscles have them."""
    from neuromotor.plants import PLANTS

    return dataclasses.replace(PLANTS["human-muscles"], force_length=True, force_velocity=True)  # type: ignore[type-var]


def _motornet(muscle: str, count: int) -> Stepper:
    """Return what steps MotorNet's arm with six muscles of a kind, without gradients."""
    import torch

    motornet = importlib.import_module("motornet")
    effector = motornet.effector.RigidTendonArm26(muscle=getattr(motornet.muscle, muscle)())
    env = motornet.environment.RandomTargetReach(effector=effector, max_ep_duration=0.4)
    draws = np.random.default_rng(0).uniform(0, 0.2, (_ACTIONS, count, effector.n_muscles))
    actions = torch.from_numpy(draws.astype(np.float32))
    over = True

    def step(calls: int) -> None:
        nonlocal over
        with torch.no_grad():
            for i in range(calls):
                if over:
                    env.reset(options={"batch_size": count})
                _, _, terminated, truncated, _ = env.step(actions[i % _ACTIONS])
                over = bool(np.any(terminated) or np.any(truncated))

    return step
