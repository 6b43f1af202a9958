"""Trials of a controller as a data set for learning without an environment, in Minari's format.

Minari writes and reads the files itself (HDF5 and JSON): https://minari.farama.org.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor._checks import check_integer, check_seed
from neuromotor._extras import require
from neuromotor._version import __version__
from neuromotor.closed_loop import simulate
from neuromotor.controllers import Controller
from neuromotor.envs import MotorVectorEnv, environment_ids
from neuromotor.evaluation.references import reference_controller
from neuromotor.storage.components import encode
from neuromotor.tasks import TASKS, Task, Trials

__all__ = ["Episodes", "drawn_trials", "episodes", "needs_minari", "write_dataset"]

_AT_ONCE = 200  # trials that are run at once


@dataclass(frozen=True)
class Episodes:
    """N trials of T steps as an environment shows them.

    Attributes:
        observations: Before each step and after the last, (N, T + 1, k).
        actions: (N, T, m).
        rewards: (N, T); they add up to minus the loss with the reward `loss`.
        terminations: Whether a trial ended, (N, T).
        truncations: Whether it was cut off, (N, T).
        conditions: Of each trial, (N,).
        options: Of the environment.
    """

    observations: NDArray[Any]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float64]
    terminations: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    conditions: NDArray[np.int64]
    options: dict[str, Any]

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def steps(self) -> int:
        """Steps of all trials together."""
        return self.rewards.size


def drawn_trials(task: Task, count: int, seed: int) -> Trials:
    """Return trials of a task: drawn anew until there are enough, or its own again and again.

    Args:
        task: What is wanted.
        count: How many.
        seed: Of all draws.

    Raises:
        ValueError: A number is out of range.
    """
    check_integer("trials", count, minimum=1)
    check_seed("seed", seed)
    generator = torch.Generator().manual_seed(seed)
    batches, have = [], 0
    while have < count:
        batches.append(task.trials(generator))
        have += len(batches[-1])
    return Trials.concatenate(batches).subset(slice(0, count))


def episodes(
    task: Task,
    trials: Trials,
    controller: Controller | str = "ilqg",
    parameters: Tensor | None = None,
    *,
    heard: Callable[[float], None] = lambda share: None,
    **options: Any,
) -> Episodes:
    """Run a controller's trials in the task's environment.

    Args:
        task: What is wanted.
        trials: N trials.
        controller: A reference's name, or a controller.
        parameters: The controller's, (P,).
        heard: Hears which share of the trials is run.
        **options: Fields of `EnvOptions`. Without `command_limit` it is the environment's own, or
            what the controller commands where that is more.

    Raises:
        ValueError: There is no such reference for the trials, or the controller commands more than
            `command_limit`, or fails in a trial.
    """
    if not isinstance(controller, str) and parameters is None:
        raise ValueError("`parameters` must be given with a controller, got None.")
    parts = []
    for start in range(0, len(trials), _AT_ONCE):
        some = trials.subset(slice(start, start + _AT_ONCE))
        actor: Any = controller
        weights: Any = parameters
        if isinstance(controller, str):
            actor, weights = reference_controller(task, some, controller)
        parts.append(simulate(task, actor, weights, some).commands.detach().numpy())
        heard(min(1.0, (start + _AT_ONCE) / len(trials)))
    commands = np.concatenate(parts)
    envs, options = _roomy(task, commands, options)
    meaning = envs.options.actions
    actions = (commands - np.array(meaning.middle)) / np.array(meaning.half)
    actions = actions.astype(np.float32)
    first, infos = envs.reset(options={"trials": trials})
    seen, steps = [first], commands.shape[1]
    rewards, (ends, cuts) = np.zeros(commands.shape[:2]), np.zeros((2, *commands.shape[:2]), bool)
    for t in range(steps):
        now, rewards[:, t], ends[:, t], cuts[:, t], _ = envs.step(actions[:, t])
        seen.append(now)
        if t < steps - 1 and bool(ends[:, t].any()):
            raise ValueError(
                "`controller` must keep the plant within its bounds, got one that fails in "
                f"{int(ends[:, t].sum())} trials at step {t}."
            )
    return Episodes(
        np.stack(seen, axis=1), actions, rewards, ends, cuts, infos["condition"], options
    )


def _roomy(
    task: Task, commands: NDArray[np.float64], options: dict[str, Any]
) -> tuple[MotorVectorEnv, dict[str, Any]]:
    """Environments that can give the commands, (N, T, m), and their options."""
    envs = MotorVectorEnv(len(commands), task, autoreset_mode="Disabled", **options)
    limits = envs.options.limits
    low, high = commands.min(axis=(0, 1)), commands.max(axis=(0, 1))
    if (low >= np.array(limits.low)).all() and (high <= np.array(limits.high)).all():
        return envs, options
    largest = float(np.abs(commands).max())
    if options.get("command_limit") is not None or task.plant.command_bounds is not None:
        raise ValueError(
            f"`command_limit` must be at least what the controller commands, {largest:.4g}, "
            f"got {max(limits.high):.4g}."
        )
    options = {**options, "command_limit": float(np.ceil(100 * largest) / 100)}
    return MotorVectorEnv(len(commands), task, autoreset_mode="Disabled", **options), options


def needs_minari() -> None:
    """Raise unless Minari and h5py are there, before anything is run.

    Raises:
        RuntimeError: One is not installed.
    """
    for module in ("h5py", "minari"):
        require(module, "minari")


def write_dataset(
    done: Episodes,
    task: Task,
    name: str,
    *,
    root: Path | None = None,
    algorithm: str = "",
    description: str = "",
    seed: int | None = None,
) -> Path:
    """Write episodes as a data set that `minari.load_dataset(name)` reads; return its folder.

    Args:
        done: From `episodes`.
        task: Theirs.
        name: Of the data set, as in `neuromotor/ddn/ilqg-v0`.
        root: Folder of all data sets; None is Minari's own, MINARI_DATASETS_PATH.
        algorithm: What the data set says of where the actions come from.
        description: In words.
        seed: Of the trials.

    Raises:
        FileExistsError: There is a data set of this name.
        RuntimeError: Minari is not installed.
        ValueError: Minari refuses the name.
    """
    needs_minari()
    minari = require("minari", "minari")
    buffers = require("minari.data_collector", "minari")
    where = require("minari.storage.datasets_root_dir", "minari")
    told = f"{description} Seed of the trials: {seed}." if seed is not None else description
    buffer = [
        buffers.EpisodeBuffer(
            observations=done.observations[i],
            actions=done.actions[i],
            rewards=done.rewards[i],
            terminations=done.terminations[i],
            truncations=done.truncations[i],
            infos={"condition": np.full(done.rewards.shape[1] + 1, done.conditions[i])},
        )
        for i in range(len(done))
    ]
    with _rooted(root):
        folder = Path(where.get_dataset_path(name))
        if folder.exists():
            raise FileExistsError(f"{folder} exists; choose another name, as with the next -v.")
        env = gymnasium.make(_id_of(task), **_settings(task, done.options))
        minari.create_dataset_from_buffers(
            dataset_id=name,
            buffer=buffer,
            env=env,
            eval_env=env,
            algorithm_name=algorithm,
            description=told.strip(),
            requirements=[f"neuromotor=={__version__}"],
            code_permalink="",
            author="",
            author_email="",
        )
    return folder


@contextmanager
def _rooted(root: Path | None) -> Iterator[None]:
    """Let Minari keep its data sets in a folder for a while."""
    key = "MINARI_DATASETS_PATH"
    before = os.environ.get(key)
    if root is not None:
        os.environ[key] = str(root)
    try:
        yield
    finally:
        if before is not None:
            os.environ[key] = before
        elif root is not None:
            del os.environ[key]


def _id_of(task: Task) -> str:
    """The id of a task's environment, or of one of the same class."""
    kinds = {name: type(one) for name, one in TASKS.items()}
    name = next((n for n, one in TASKS.items() if one == task), None)
    name = name or next(n for n, kind in kinds.items() if kind is type(task))
    return next(i for i, found in environment_ids().items() if found == {"task": name})


def _settings(task: Task, options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `gymnasium.make` that JSON can hold."""
    known = {name for name, one in TASKS.items() if one == task}
    return dict(options) | ({} if known else {"task": encode(task, TASKS)})
