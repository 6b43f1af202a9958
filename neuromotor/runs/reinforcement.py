"""Trainings by reinforcement, over algorithms and seeds, in one folder.

The folder holds learning.json (the settings), and of each training its result, its policy as a
controller and, until it is finished, its checkpoint. So a run that was stopped goes on where it
was.
"""

from __future__ import annotations

import itertools
import math
import shlex
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from neuromotor._checks import check_integer, check_number, check_seed
from neuromotor.rl import ALGORITHMS, Algorithm, LearningPoint, LearningRun, learn, yardstick
from neuromotor.rl.learners import learner_of
from neuromotor.runs.beginning import begin_folder
from neuromotor.runs.drawing import drawing
from neuromotor.runs.execute import interruptible, machine, versions
from neuromotor.runs.settings import task_of
from neuromotor.storage.claims import claimed
from neuromotor.storage.components import (
    SettingsError,
    UnknownSettingError,
    decode,
    encode,
    setting_names,
)
from neuromotor.storage.files import finite_data, parse_json, read_text, write_json
from neuromotor.tasks import TASKS, Task
from neuromotor.zoo.saved_controller import save_controller

__all__ = [
    "LEARNING_FILE",
    "LearningSettings",
    "learning_paths",
    "learning_settings",
    "run_learning",
    "titled",
    "unable",
]

LEARNING_FILE = "learning.json"
_DEFAULTS: dict[str, Any] = {
    "task": "center-out",
    "plant": None,  # the task's own
    "algorithms": ["ppo"],
    "steps": 8_000_000,
    "seconds": None,
    "seed": 0,
    "seeds": 1,
    "tests": 40,
    "reference": None,  # ilqg or ilqr, or that of `_MEASURES`
    "threads": 1,
}
# Where ILQG cannot be designed, and iLQR knows far more of what is to come than a policy can.
_MEASURES = {"cursor-reach": "cursor-reach/best"}
_MAY_CHANGE = ("seconds", "threads")


@dataclass(frozen=True)
class LearningSettings:
    """Everything that such a run depends on, checked.

    Attributes:
        task: What is wanted.
        name: Of the task.
        algorithms: Their settings by name.
        given: The settings as plain data, whole.
    """

    task: Task
    name: str
    algorithms: dict[str, Algorithm]
    given: dict[str, Any]


def learning_settings(raw: Mapping[str, Any], *, smoke: bool = False) -> LearningSettings:
    """Return checked settings; what is left open has its default.

    Args:
        raw: `task` and `plant` (names or tables), `algorithms` (a list or a text with commas), a
            table for each algorithm, and the numbers that `neuromotor.rl.learn` takes.
        smoke: Whether the sizes that are not given are tiny.

    Raises:
        SettingsError: A key or name is unknown, or a value has the wrong type or range.
    """
    settings = {**_DEFAULTS, **{name: value for name, value in raw.items() if value is not None}}
    if smoke:
        tiny = {"steps": 2000, "tests": 2}
        settings |= {name: value for name, value in tiny.items() if raw.get(name) is None}
    names = settings["algorithms"]
    if isinstance(names, str):
        names = [word.strip() for word in names.split(",") if word.strip()]
    if not isinstance(names, list) or not names:
        raise SettingsError(f"`algorithms` must be a list of names, got {names!r}.")
    algorithms = {}
    for name in names:
        base = decode(name, ALGORITHMS, "algorithm")
        table = settings.get(name, {})
        if isinstance(table, Mapping):
            table = {key: value for key, value in table.items() if key != "type"}
            if smoke:
                table = {"arms": 8, "layers": [8], **table}
        algorithms[name] = decode(table, ALGORITHMS, name, base)
    for key in raw:
        if key not in _DEFAULTS and key not in algorithms:
            raise UnknownSettingError(key, {*_DEFAULTS, *algorithms})
    try:
        for name in ("steps", "seeds", "tests", "threads"):
            check_integer(name, settings[name], minimum=1)
        check_seed("seed", settings["seed"], count=settings["seeds"])
        if not isinstance(settings["reference"], str | None):
            raise TypeError(f"`reference` must be a name or a file, got {settings['reference']!r}.")
        if settings["seconds"] is not None:
            check_number("seconds", settings["seconds"], "seconds", minimum=0.0)
    except (TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error
    task_name, task = task_of(settings["task"], settings["plant"])
    given = {
        **{name: settings[name] for name in _DEFAULTS},
        "task": encode(task, TASKS),
        "plant": None,
        "reference": settings["reference"] or _MEASURES.get(task_name),
        "algorithms": list(algorithms),
        **{name: encode(one, {name: one}) for name, one in algorithms.items()},
    }
    return LearningSettings(task, task_name, algorithms, given)


def learning_paths(task: str | None = None, algorithms: str | None = None) -> list[str]:
    """Return all settings of such a run, with dots between levels.

    Args:
        task: A name; that of the default where it is unknown.
        algorithms: Names with commas; all where none is known.
    """
    chosen = [name for name in (algorithms or "").split(",") if name in ALGORITHMS]
    found = TASKS.get(task or "", TASKS[_DEFAULTS["task"]])
    return [
        *_DEFAULTS,
        *(f"task.{part}" for part in setting_names(found)),
        *(
            f"{name}.{field.name}"
            for name in chosen or ALGORITHMS
            for field in fields(ALGORITHMS[name])
        ),
    ]


def run_learning(
    settings: LearningSettings,
    folder: Path,
    *,
    resume: bool = False,
    force: bool = False,
    say: Callable[[str], None] = lambda words: None,
    watch: Callable[[str, LearningPoint, int], None] = lambda title, point, steps: None,
) -> dict[str, Any]:
    """Make all trainings and return the summary, which is written into the folder too.

    The first Ctrl-C or SIGTERM ends the training that runs after its stretch between two tests.

    Args:
        settings: What is trained.
        folder: Where everything is written.
        resume: Whether what is in the folder is gone on with.
        force: Whether the results of an earlier run in the folder are removed.
        say: Hears of every training that ends.
        watch: Hears of every test: the training, where it stands, and its steps in all.

    A limb that flies off has no finite loss: None stands for its numbers.

    Raises:
        RunFolderError: The folder holds something else, or other settings.
        SettingsError: An algorithm cannot learn the task.
    """
    given = settings.given
    for name, reason in unable(settings).items():
        raise SettingsError(f"`{name}` must be left out for {settings.name}: {reason}")
    with interruptible() as interrupted, claimed(folder):
        begin_folder(
            folder / LEARNING_FILE,
            given,
            ("results", "controllers", "checkpoints", "figures"),
            defaults=_DEFAULTS,
            may_change=_MAY_CHANGE,
            resume=resume,
            force=force,
        )
        against = yardstick(settings.task, reference=given["reference"])
        rows: list[dict[str, Any]] = []
        seeds = range(given["seed"], given["seed"] + given["seeds"])
        for (name, algorithm), seed in itertools.product(settings.algorithms.items(), seeds):
            if interrupted():
                break
            title = f"{name}-{seed}"
            result = folder / f"results/{title}.json"
            if resume and result.is_file():
                rows.append(_numbers(parse_json(read_text(result))))
                continue
            checkpoint = folder / f"checkpoints/{title}.safetensors"
            found = learn(
                settings.task,
                algorithm,
                steps=given["steps"],
                seconds=given["seconds"],
                seed=seed,
                tests=given["tests"],
                against=against,
                callback=lambda point, title=title: watch(title, point, given["steps"]),  # type: ignore[misc]
                interrupted=interrupted,
                checkpoint=checkpoint,
                resume=resume and checkpoint.is_file(),
            )
            row = _kept(found, name, seed, folder, settings)
            if found.reason != "interrupted":
                write_json(result, finite_data(row))
            say(_sentence(row))
            rows.append(row)
        summary: dict[str, Any] = {
            "task": settings.name,
            "command": shlex.join(["neuromotor", *sys.argv[1:]]),
            "versions": versions(),
            "machine": machine(),
            "reference": {"name": against.name, "loss": against.loss},
            "rows": [{k: v for k, v in row.items() if k != "curve"} for row in rows],
            "medians": medians(rows),
            "interrupted": interrupted(),
            "signal": interrupted.signal,
            "settings": given,
        }
        if rows:
            with drawing(say):
                from neuromotor.plotting import save_figures
                from neuromotor.runs.figures import plot_learning

                save_figures({"learning": plot_learning(rows, against.name)}, folder / "figures")
        summary = finite_data(summary)
        write_json(folder / "summary.json", summary)
    return summary


def unable(settings: LearningSettings) -> dict[str, str]:
    """Return the algorithms that cannot learn the task, and why not."""
    found = {}
    for name, algorithm in settings.algorithms.items():
        try:
            learner_of(settings.task, algorithm, settings.given["seed"])
        except ValueError as error:
            found[name] = str(error)
    return found


def medians(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each algorithm: over its seeds, medians, and the range of the ratio."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["algorithm"], []).append(row)
    return [
        {
            "algorithm": name,
            "teacher": own[0].get("teacher", ""),
            "start": own[0].get("start", ""),
            "seeds": len(own),
            "untrained": statistics.median(row["curve"][0]["ratio"] for row in own),
            "ratio": statistics.median(row["ratio"] for row in own),
            "lowest": min(row["ratio"] for row in own),
            "highest": max(row["ratio"] for row in own),
            "target_error_cm": statistics.median(row["target_error_cm"] for row in own),
            "steps": statistics.median(row["steps"] for row in own),
            "seconds": statistics.median(row["seconds"] for row in own),
        }
        for name, own in groups.items()
    ]


def _kept(
    found: LearningRun, name: str, seed: int, folder: Path, settings: LearningSettings
) -> dict[str, Any]:
    """Save the policy of a training; return its row."""
    row = {"algorithm": name, "seed": seed, **found.row()}
    path = folder / f"controllers/{name}-{seed}.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_controller(
        path,
        found.controller,
        found.parameters.float(),
        task=settings.task,
        info={"method": name, **finite_data(row), "settings": settings.given},
        overwrite=True,
    )
    return {**row, "curve": [asdict(point) for point in found.curve]}


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as it was before JSON, which has None for losses that are not finite."""
    measured = ("loss", "ratio", "target_error_cm")
    points = [row, *row["curve"]]
    found = [{**one, **{key: math.inf for key in measured if one[key] is None}} for one in points]
    return {**found[0], "curve": found[1:]}


def titled(row: Mapping[str, Any]) -> str:
    """Return an algorithm's name, with its teacher or its start if it had one."""
    for word, key in (("after", "teacher"), ("from", "start")):
        if row.get(key):
            return f"{row['algorithm']} {word} {row[key]}"
    return str(row["algorithm"])


def _sentence(row: Mapping[str, Any]) -> str:
    """Say what a training came to."""
    came = f"{row['ratio']:.4g} x {row['reference']}"
    if not math.isfinite(row["ratio"]):
        came = "the limb flies off"
    return (
        f"{titled(row)}, seed {row['seed']}: {came} after {row['steps']} steps, "
        f"{row['seconds']:.0f} s ({row['reason']})"
    )
