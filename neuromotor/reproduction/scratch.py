"""Trains all networks again by the recipes of the zoo, and goes on where it was stopped."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuromotor import zoo
from neuromotor.reproduction.networks import NAMES, is_finished

__all__ = ["Training", "estimate", "plan", "retrain", "run_command"]

Runner = Callable[[Sequence[str], Path], int]
_STOPPED = (130, 143)  # exit codes of a training that Ctrl-C or SIGTERM ended


@dataclass(frozen=True)
class Training:
    """A network to be trained.

    Attributes:
        name: As in the zoo.
        commands: Arguments of `neuromotor`, one list for each stage, with relative run folders.
        seconds: How long all stages took when the network of the zoo was made.
        calls: Number of calls of the last stage.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    seconds: float
    calls: int

    def runs(self, folder: Path) -> list[Path]:
        """Return the run folders of the stages."""
        return [folder / _value(command, "--out") for command in self.commands]

    def finished(self, folder: Path) -> bool:
        """Return whether there is nothing left to do."""
        return all(is_finished(run) for run in self.runs(folder))


def plan(names: Sequence[str] = NAMES) -> list[Training]:
    """Return how the zoo's networks are made, without those names that the zoo does not have."""
    known = zoo.names()
    return [_training(name, zoo.card(name), zoo.recipe(name)) for name in names if name in known]


def estimate(trainings: Sequence[Training], folder: Path) -> float:
    """Return the seconds that unfinished trainings took when they were made."""
    return sum(one.seconds for one in trainings if not one.finished(folder))


def retrain(
    trainings: Sequence[Training],
    folder: Path,
    *,
    run: Runner | None = None,
    progress: Callable[[str], None] = lambda words: None,
) -> None:
    """Train the networks that are not finished; a stopped training goes on from its checkpoint.

    Args:
        trainings: The trainings, in their order.
        folder: Folder in which the recipes put their run folders.
        run: A function that runs a command in a folder and returns its exit code; by default
            `run_command`, which starts a process.
        progress: A function that is told in words about every training.

    Raises:
        KeyboardInterrupt: A training was stopped; a later call of this function continues it.
        RuntimeError: A training failed.
    """
    run = run or run_command
    folder.mkdir(parents=True, exist_ok=True)
    for place, training in enumerate(trainings, 1):
        for command, out in zip(training.commands, training.runs(folder), strict=True):
            what = f"{place} of {len(trainings)}, {training.name}"
            if is_finished(out):
                progress(f"{what}: finished before")
                continue
            words = _next_command(command, out)
            progress(f"{what}: neuromotor {shlex.join(words)}")
            code = run(words, folder)
            if code in _STOPPED:
                raise KeyboardInterrupt
            if code:
                raise RuntimeError(f"training {training.name} failed with exit code {code}.")


def run_command(words: Sequence[str], folder: Path) -> int:
    """Run `neuromotor` with these arguments in a folder, and return its exit code."""
    command = [sys.executable, "-m", "neuromotor", *words]
    return subprocess.run(command, cwd=folder, check=False).returncode


def _next_command(command: tuple[str, ...], out: Path) -> tuple[str, ...]:
    """Return the command, or the one that resumes what it began before."""
    if (out / "settings.json").is_file():
        return ("train", command[1], "--resume", _value(command, "--out"))
    return command


def _training(name: str, card: dict[str, Any], recipe: list[dict[str, Any]]) -> Training:
    commands = tuple(tuple(shlex.split(stage["command"])[1:]) for stage in recipe)
    return Training(name, commands, card["seconds"], card["calls"])


def _value(command: Sequence[str], option: str) -> str:
    """Return the argument that follows an option."""
    return command[list(command).index(option) + 1]
