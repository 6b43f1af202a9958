"""The shortest `neuromotor train` command for given settings, and a run folder's recipe."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuromotor.runs.create import MARKER
from neuromotor.runs.records import read_finished
from neuromotor.runs.settings import RunSettings, gather, resolve
from neuromotor.runs.zoo_entry import Stage
from neuromotor.storage.claims import RunFolderError
from neuromotor.storage.components import SettingsError
from neuromotor.training.comparison import refresh_of

__all__ = ["find_stages", "training_command"]

_OPTIONS = ("budget", "seconds", "seed", "dtype", "device", "threads")  # `--NAME VALUE`


def training_command(settings: RunSettings, task_name: str, out: str, start: str | None) -> str:
    """Return the command that trains with these settings of one optimizer.

    It says what differs from the defaults, and is checked to mean the same.

    Raises:
        SettingsError: No options express the settings.
    """
    (method,) = settings.optimizers
    wanted = settings.as_dict()
    options: dict[str, Any] = {"task": task_name, "optimizers": method}
    assignments: list[str] = []
    while True:
        key, value = _first_difference(
            resolve(gather(None, options, assignments, smoke=False)).as_dict(), wanted
        )
        if not key:
            break
        text = f"{key}={json.dumps(value)}"
        if value is None or key in options or text in assignments:
            raise SettingsError(f"no option expresses `{key}` = {value!r}.")
        if key in _OPTIONS:
            options[key] = value
        else:
            assignments.append(text)
    words = ["neuromotor", "train", task_name, "--optimizer", method]
    for key in _OPTIONS:
        words += [f"--{key}", str(options[key])] if key in options else []
    for text in assignments:
        words += ["--set", text]
    words += ["--start", start] if start else []
    return shlex.join([*words, "--out", out])


def _first_difference(ours: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, Any]:
    """Dotted key and wanted value of the first difference.

    A `type` comes first where another class is wanted, whose keys are others, and else last: the
    same values may have several names.
    """
    other = ours.keys() != wanted.keys()
    for key in sorted(wanted, key=lambda key: (key == "type") != other):
        value, mine = wanted[key], ours.get(key)
        if isinstance(value, Mapping) and isinstance(mine, Mapping):
            inner, found = _first_difference(mine, value)
            if inner:
                return f"{key}.{inner}", found
        elif key not in ours or value != mine:
            return key, value
    return "", None


def find_stages(folder: Path, method: str, out: str) -> list[Stage]:
    """Return the trainings that led to a method's controller in a run folder.

    A training that started from another run's controller (`--start`) comes after that run's.

    Args:
        folder: Run folder of `train` or `compare`, or one seed's of several.
        method: Which of its optimizers.
        out: Run folder that the recipe names.

    Raises:
        RunFolderError: The folder holds no finished run of that method.
    """
    run = read_finished(folder)
    if method not in run.history:
        raise RunFolderError(f"{folder} has no {method!r}, only {', '.join(run.history)}.")
    whole = resolve(gather(folder / MARKER, {}, [], smoke=False))
    refresh = refresh_of(whole.refresh, method)
    methods = {method: whole.optimizers[method]}
    settings = replace(whole, optimizers=methods, refresh=refresh, start=None)
    before: list[Stage] = []
    start = _start(run.summary["command"])
    if start is not None:
        source = Path(start)
        before = find_stages(source.parent.parent, source.stem, f"{out}-start")
        start = f"{out}-start/controllers/{source.name}"
    command = training_command(settings, run.summary["task"], out, start)
    own = Stage(command, settings.as_dict(), run.rows[method], run.history[method], refresh > 0)
    return [*before, own]


def _start(command: str) -> str | None:
    """The value of `--start` in a command."""
    words = shlex.split(command)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--start":
            return following
        if word.startswith("--start="):
            return word.removeprefix("--start=")
    return None
