"""Which networks the study trains, and where trained ones come from.

They come from a folder, from those that come with the package (two layers of 200 units), or from a
training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch

from neuromotor.closed_loop.blas import torch_threads
from neuromotor.controllers import CONTROLLERS
from neuromotor.controllers.network import RecurrentNetwork
from neuromotor.optim import Adam, Budget, Progress
from neuromotor.optim.state import SnapshotError
from neuromotor.plants import PointMass
from neuromotor.reproduction.data import DATA
from neuromotor.storage.snapshots import load_snapshot
from neuromotor.tasks import SENSES, TASKS, PostureLoads, Task
from neuromotor.tasks.penalties import Penalties, penalties_of
from neuromotor.tasks.postural import HAND_FORCE_N
from neuromotor.tasks.senses import Channel, Senses
from neuromotor.tasks.task import input_size
from neuromotor.training.single import make_trials, train
from neuromotor.zoo.saved_controller import SavedController, load_controller, save_controller

__all__ = ["CONDITIONS", "Condition", "Effort", "network", "suitable_rate", "task_of"]

Say = Callable[[str], None]
SHIPPED = DATA / "kalidindi2021"  # networks that come with the package


@dataclass(frozen=True)
class Condition:
    """One kind of network of the study.

    Attributes:
        name: Of its files.
        title: In tables.
        task: Preset of the task.
        controller: Preset of the network.
        changes: Fields of the task that differ from the preset.
        muscles: Whether commands are excitations, which are not negative; else forces.
    """

    name: str
    title: str
    task: str
    controller: str = "kalidindi-2021"
    changes: Mapping[str, Any] = field(default_factory=dict)
    muscles: bool = True

    @property
    def reaches(self) -> bool:
        """Whether it is the reach task."""
        return self.task == "reach-hold"


_HAND = {"senses": SENSES["kalidindi-2021-hand"]}
# The control of the axis of preferred loads: a mass without the mechanics of a limb. It has no
# muscles, and forces of 0.7 N, which at the hand are about 0.2 N m at the joints. Ours.
_POINT_MASS = {
    "plant": PointMass(),
    "load_nm": HAND_FORCE_N,
    "senses": Senses(
        channels=(
            Channel("joint_position", scale=10.0, relative=True),
            Channel("joint_velocity", scale=2.5),
        ),
        target=(Channel("joint_position", scale=5.0, relative=True),),
    ),
    "penalties": Penalties(
        tuple(one for one in penalties_of(TASKS["posture-loads"]).terms if one.of != "muscles")
    ),
}
# The published code says of its joint friction (N m s/rad) that lower values are possible.
_LOW_FRICTION = {
    "plant": replace(PostureLoads().plant, viscosity=((0.05, 0.02), (0.02, 0.05)))  # type: ignore[type-var]
}
CONDITIONS = {
    one.name: one
    for one in (
        Condition("posture", "posture", "posture-loads"),
        Condition("reach", "reach", "reach-hold"),
        Condition("posture-no-rec", "posture, NO-REC", "posture-loads", "kalidindi-2021-no-rec"),
        Condition("reach-no-rec", "reach, NO-REC", "reach-hold", "kalidindi-2021-no-rec"),
        Condition("posture-0ms", "posture, no delay", "posture-loads", changes={"delay_steps": 0}),
        Condition("posture-100ms", "posture, 100 ms", "posture-loads", changes={"delay_steps": 10}),
        Condition("reach-0ms", "reach, no delay", "reach-hold", changes={"delay_steps": 0}),
        Condition("reach-100ms", "reach, 100 ms", "reach-hold", changes={"delay_steps": 10}),
        Condition("posture-hand", "posture, hand sensed", "posture-loads", changes=_HAND),
        Condition("reach-hand", "reach, hand sensed", "reach-hold", changes=_HAND),
        Condition(
            "posture-low-friction", "posture, low friction", "posture-loads", changes=_LOW_FRICTION
        ),
        Condition(
            "posture-no-rec-low-friction",
            "posture, NO-REC, low friction",
            "posture-loads",
            "kalidindi-2021-no-rec",
            _LOW_FRICTION,
        ),
        Condition(
            "point-mass",
            "posture, point mass",
            "posture-loads",
            changes=_POINT_MASS,
            muscles=False,
        ),
    )
}


@dataclass(frozen=True)
class Effort:
    """How much is trained and drawn.

    Attributes:
        seeds: Networks of each condition.
        units: Units in each of the two layers; 500 in the study.
        calls: Updates of a training; about 2,000 in the study.
        surrogates: Surrogates of each null.
        learning_rate: Of Adam, at its largest. The study has 1e-4 to 3e-4 for 500 units.
        trains: Whether networks that are not in the folder are trained. Else a condition of which
            the folder has none is that of the networks that come with the package, if any do.
    """

    seeds: int = 5
    units: int = 500
    calls: int = 2000
    surrogates: int = 100
    learning_rate: float = 3e-4
    trains: bool = True

    def seeds_of(self, condition: Condition, folder: Path) -> list[int]:
        """Return the seeds of a condition's networks, of which some may lie in a folder."""
        seeds = list(range(self.seeds))
        if self.trains:
            return seeds
        own = [seed for seed in seeds if _path(folder, condition, seed).exists()]
        return own or [seed for seed in seeds if _path(SHIPPED, condition, seed).exists()]

    def method(self) -> Adam:
        """Return the study's optimizer, with a learning rate that falls to zero (ours)."""
        return Adam(learning_rate=self.learning_rate, clip_norm=None, warmup=0.0)


def suitable_rate(units: int) -> float:
    """Return a learning rate of Adam for two layers of some units: 3e-4 at 500, more for fewer."""
    return min(2e-3, 3e-4 * math.pow(500 / units, 1.3))


def _path(folder: Path, condition: Condition, seed: int) -> Path:
    """Where a network lies in a folder."""
    return folder / f"{condition.name}-{seed}.safetensors"


def task_of(condition: Condition) -> Task:
    """Return a condition's task."""
    return replace(TASKS[condition.task], **condition.changes)  # type: ignore[type-var]


def network(
    condition: Condition, seed: int, effort: Effort, folder: Path, say: Say
) -> SavedController:
    """Return a trained network from a folder, where a training puts it, or from the package.

    A stopped training goes on. Networks of the package are not copied into the folder, where a
    later training would take their place as done.

    Args:
        condition: Which.
        seed: Of the training.
        effort: How much.
        folder: Where the networks lie, as NAME-SEED.safetensors.
        say: Told how the training goes.
    """
    path = _path(folder, condition, seed)
    if path.exists():
        return load_controller(path)
    if not effort.trains:
        return load_controller(_path(SHIPPED, condition, seed))
    task = task_of(condition)
    controller = _controller(condition, task, effort.units)
    checkpoint = folder / f"{condition.name}-{seed}.checkpoint.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    told = 0

    def tell(progress: Progress) -> None:
        nonlocal told
        if progress.counts.calls >= told:
            told += max(1, effort.calls // 10)
            say(
                f"{path.stem}: {progress.counts.calls} of {effort.calls} updates, "
                f"loss {progress.point.value:.3g}"
            )

    try:
        with torch_threads(1):
            result = train(
                task,
                controller,
                effort.method(),
                budget=Budget(calls=effort.calls),
                seed=seed,
                trials=make_trials(task, controller, seed, dtype=torch.float32),
                refresh=1,
                callback=tell,
                checkpoint=checkpoint,
                resume=load_snapshot(checkpoint) if checkpoint.exists() else None,
            )
    except SnapshotError as error:
        raise SnapshotError(
            f"{checkpoint} is of another training or version, and cannot be gone on with: {error} "
            "Or remove the file, and this network's training begins anew."
        ) from error
    if not math.isfinite(result.value):
        raise ValueError(f"the training of {path.stem} came to no finite loss: {result.reason}.")
    about = {"seed": seed, "updates": result.counts.calls, "seconds": result.seconds}
    save_controller(path, controller, result.parameters, task=task, info=about)
    checkpoint.unlink(missing_ok=True)
    return load_controller(path)


def _controller(condition: Condition, task: Task, units: int) -> RecurrentNetwork:
    """The network with the sizes of its task."""
    preset: Any = CONTROLLERS[condition.controller]
    sizes = {
        "layers": (units, units),
        "input_size": input_size(task, task.trials()),
        "command_size": task.plant.command_size,
        "dt_s": task.plant.dt_s,
        **({} if condition.muscles else {"squash": None}),
    }
    names = {one.name for one in fields(preset)}
    made: RecurrentNetwork = replace(preset, **{k: v for k, v in sizes.items() if k in names})
    return made
