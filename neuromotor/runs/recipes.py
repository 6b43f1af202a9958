"""The `neuromotor train` command for given settings, and the recipe of a run folder."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from neuromotor import zoo
from neuromotor.controllers import CONTROLLERS
from neuromotor.runs.create import MARKER
from neuromotor.runs.merging import flattened
from neuromotor.runs.records import read_finished
from neuromotor.runs.settings import RunSettings, gather, resolve
from neuromotor.runs.zoo_entry import Stage
from neuromotor.storage.claims import RunFolderError
from neuromotor.storage.components import SettingsError, encode
from neuromotor.training.comparison import refresh_of

__all__ = ["assignments", "changes", "find_stages", "training_command"]

_OPTIONS = ("budget", "seconds", "seed", "dtype", "device", "threads")  # `--NAME VALUE`


def training_command(settings: RunSettings, out: str, start: str | None) -> str:
    """Return the command that trains with these settings of one optimizer.

    It gives what differs from the defaults. The settings that it means are checked to be the same.

    Raises:
        SettingsError: No options express the settings.
    """
    (method,) = settings.optimizers
    named = {"task": settings.task_name, "optimizers": method}
    given: dict[str, Any] = {}

    def meant() -> RunSettings:
        options = {**named, **{key: given[key] for key in _OPTIONS if key in given}}
        return resolve(gather(None, options, assignments(given), smoke=False))

    given |= changes("task", settings.task, meant().task)
    if type(settings.controller) is not type(meant().controller):
        given["controller.type"] = encode(settings.controller, CONTROLLERS)["type"]
    base = meant()  # whose controller suits the task
    given |= changes("controller", settings.controller, base.controller)
    given |= changes(method, settings.optimizers[method], base.optimizers[method])
    given |= changes("ilqr", settings.ilqr, base.ilqr)
    wanted, usual = settings.as_dict(), base.as_dict()
    taught = wanted.get("teacher") or {}
    given |= {f"teacher.{key}": value for key, value in taught.items()}
    parts = {"task", "controller", "optimizers", method, "ilqr", "teacher", "needs"}
    given |= {key: wanted[key] for key in wanted.keys() - parts if wanted[key] != usual.get(key)}
    impossible = [key for key, value in given.items() if value is None and "." not in key]
    if not impossible:
        found = flattened(meant().as_dict())
        impossible = [key for key, value in flattened(wanted).items() if found.get(key) != value]
    if impossible:
        key = impossible[0]
        raise SettingsError(f"no option expresses `{key}` = {flattened(wanted)[key]!r}.")
    words = ["neuromotor", "train", settings.task_name, "--optimizer", method]
    for key in _OPTIONS:
        words += [f"--{key}", str(given[key])] if key in given else []
    for text in assignments(given):
        words += ["--set", text]
    for need in wanted.get("needs", []):
        words += ["--use", need["use"]]
    words += ["--start", start] if start else []
    return shlex.join([*words, "--out", out])


def assignments(given: Mapping[str, Any]) -> list[str]:
    """Return a text for `--set` for everything that has no option of its own."""
    return [f"{key}={_toml(value)}" for key, value in given.items() if key not in _OPTIONS]


def _toml(value: Any) -> str:
    """Return a value on one line of TOML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    return "none" if value is None else json.dumps(value)


def _items(values: Any) -> list[dict[str, Any]]:
    """Return the tables of components in a tuple, without what is left out."""
    tables = [{one.name: getattr(item, one.name) for one in fields(item)} for item in values]
    return [{key: part for key, part in table.items() if part is not None} for table in tables]


def changes(where: str, wanted: Any, base: Any) -> dict[str, Any]:
    """Return what turns one component into another one of its class, by dotted key.

    A component within it is described by a preset, where that takes fewer words.
    """
    found: dict[str, Any] = {}
    for field in fields(wanted):
        key, value, old = f"{where}.{field.name}", *(getattr(c, field.name) for c in (wanted, base))
        registry = field.metadata.get("registry")
        if value == old:
            continue
        if registry is None or value is None:
            found[key] = _items(value) if "item" in field.metadata and value else value
            continue
        name = encode(value, registry)["type"]
        preset = {f"{key}.type": name, **changes(key, value, registry[name])}
        changed = changes(key, value, old) if type(old) is type(value) else preset
        found |= preset if len(preset) <= len(changed) else changed
    return found


def find_stages(folder: Path, method: str, out: str) -> list[Stage]:
    """Return the trainings that led to a method's controller in a run folder.

    A training that started from another run's controller (`--start`) comes after that run's; one
    that started from a controller of the zoo says so and no more, since its recipe is there.

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
    if start is not None and start not in zoo.names():
        source = Path(start)
        before = find_stages(source.parent.parent, source.stem, f"{out}-start")
        start = f"{out}-start/controllers/{source.name}"
    command = training_command(settings, out, start)
    own = Stage(command, settings.as_dict(), run.rows[method], run.history[method], refresh > 0)
    return [*before, own]


def _start(command: str) -> str | None:
    """Return the value of `--start` in a command."""
    words = shlex.split(command)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--start":
            return following
        if word.startswith("--start="):
            return word.removeprefix("--start=")
    return None
