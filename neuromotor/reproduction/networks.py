"""Where the reproduction takes trained networks from: the zoo, or run folders of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neuromotor import zoo
from neuromotor.closed_loop import ClosedLoop, Trajectory
from neuromotor.controllers import ContinuousTimeRNN, Controller
from neuromotor.runs.records import read_finished
from neuromotor.storage.claims import RunFolderError
from neuromotor.tasks import TASKS, Postural, Task, Trials
from neuromotor.training.single import initial_parameters
from neuromotor.zoo.saved_controller import SavedController, load_controller

__all__ = ["NAMES", "Networks", "Trained", "is_finished", "run_name"]

NAMES = (
    "center-out/ahf",
    "center-out/best",
    "center-out/lbfgs",
    "postural/ahf",
    "postural/best",
    "postural/lbfgs",
    "ddn/ahf",
    "ddn/best",
    "ddn/lbfgs",
    "ddn-robust/best",
    "ddn-robust/lbfgs",
    "ddn-delay/best",
    "ddn-delay/lbfgs",
    "center-out/brain-like",
    "postural/brain-like",
    "ddn-robust/brain-like",
)
REFERENCE_FILES = ("ilqr", "clairvoyant")  # command tables beside a run's trained controllers


@dataclass(frozen=True)
class Trained:
    """A trained network and how it came about.

    Attributes:
        name: As in `NAMES`.
        saved: Architecture, parameters, task.
        method: Name of the optimizer; of several stages, the last one's.
        history: Lists `calls` and `loss` of the training.
        calls: Values, gradients and products of all stages.
        seconds: Wall-clock time of all stages.
    """

    name: str
    saved: SavedController
    method: str
    history: dict[str, list[float]]
    calls: int
    seconds: float

    @property
    def task(self) -> Task:
        """The task that it was trained on; the fixed postures and loads where it had drawn ones.

        Raises:
            ValueError: The file names none.
        """
        if self.saved.task is None:
            raise ValueError(f"{self.name} names no task; train it with `neuromotor train`.")
        task = self.saved.task
        if isinstance(task, Postural) and task.random:
            return Postural(
                plant=task.plant,
                delay_steps=task.delay_steps,
                senses=task.senses,
                penalties=task.penalties,
            )
        return task

    @property
    def controller(self) -> Controller:
        """The architecture."""
        return self.saved.controller

    @cached_property
    def parameters(self) -> Tensor:
        """Parameters in float64, (P,)."""
        return self.saved.parameters.double()

    def run(self, task: Task, trials: Trials) -> Trajectory:
        """Return what happens when it does a task."""
        with torch.no_grad():
            return ClosedLoop(task, self.controller).simulate(self.parameters, trials)


@dataclass(frozen=True)
class Networks:
    """Trained networks by name.

    Attributes:
        folder: Run folders as the zoo's recipes name them, `center-out-ahf` for center-out/ahf (and
            `center-out-ahf-start` for the training that it went on from); None is the zoo.
        untrained: Whether networks that are missing are replaced by untrained ones, to try out
            what is done with them.
    """

    folder: Path | None = None
    untrained: bool = False

    def names(self) -> list[str]:
        """Return which of `NAMES` there are."""
        if self.folder is None:
            known = zoo.names()
            return [name for name in NAMES if name in known]
        return [name for name in NAMES if is_finished(self.folder / run_name(name))]

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return which of these are not there."""
        known = NAMES if self.untrained else self.names()
        return [name for name in names if name not in known]

    def get(self, name: str) -> Trained:
        """Return a network.

        Raises:
            CheckpointError: Its file cannot be read.
            ValueError: It is not there.
        """
        if self.missing([name]):
            place = "the zoo" if self.folder is None else str(self.folder)
            known = ", ".join(self.names()) or "none of the reproduction's networks"
            raise ValueError(f"{name} is not in {place}, which holds {known}.")
        if name not in self.names():
            return _untrained(name)
        if self.folder is None:
            card = zoo.card(name)
            return Trained(
                name=name,
                saved=load_controller(zoo.path(name)),
                method=card["method"],
                history=zoo.history(name),
                calls=card["calls"],
                seconds=card["seconds"],
            )
        return _from_runs(name, self.folder / run_name(name))


def run_name(name: str) -> str:
    """Return the name of the run folder that the recipe of a network leaves."""
    return name.replace("/", "-")


def is_finished(run: Path) -> bool:
    """Return whether a run folder is there and was not interrupted."""
    try:
        read_finished(run)
    except RunFolderError:
        return False
    return True


def _untrained(name: str) -> Trained:
    """A small network with small commands."""
    controller = ContinuousTimeRNN(layers=(20, 20))
    weights = 0.3 * initial_parameters(controller, seed=0)
    saved = SavedController(controller, weights, TASKS[name.partition("/")[0]], {})
    return Trained(name, saved, "untrained", {"calls": [1, 2], "loss": [1.0, 1.0]}, 0, 0.0)


def _from_runs(name: str, run: Path) -> Trained:
    """A network from its run folder and those that it started from."""
    folders = [run]
    while (before := folders[0].with_name(f"{folders[0].name}-start")).is_dir():
        folders.insert(0, before)
    history: dict[str, list[float]] = {"calls": [], "loss": []}
    calls, seconds = 0, 0.0
    row: dict[str, Any] = {}
    for folder in folders:
        finished = read_finished(folder)
        trained = [row for name, row in finished.rows.items() if name not in REFERENCE_FILES]
        if len(trained) != 1:
            raise ValueError(f"{folder} must be the run of one method, got {len(trained)}.")
        row = trained[0]
        own = finished.history[row["method"]]
        history["calls"] += [calls + count for count in own["calls"]]
        history["loss"] += own["loss"]
        calls, seconds = calls + row["calls"], seconds + row["seconds"]
    file = run / "controllers" / f"{row['method']}.safetensors"
    return Trained(name, load_controller(file), row["method"], history, calls, seconds)
