"""Every task by every algorithm: one run of `neuromotor rl` each, and the table of all.

Each task has its own run folder within the table's. A table that was stopped goes on with the first
task that is not finished.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuromotor.rl import LearningPoint
from neuromotor.runs.beginning import begin_folder
from neuromotor.runs.reinforcement import (
    LEARNING_FILE,
    LearningSettings,
    learning_settings,
    run_learning,
    unable,
)
from neuromotor.storage.claims import claimed
from neuromotor.storage.components import SettingsError
from neuromotor.storage.files import parse_json, read_text, write_json
from neuromotor.tasks import TASKS

__all__ = ["EVERY", "run_table", "table_text"]

EVERY = "all"  # in place of a task's name


def run_table(
    raw: Mapping[str, Any],
    folder: Path,
    *,
    smoke: bool = False,
    resume: bool = False,
    force: bool = False,
    say: Callable[[str], None] = lambda words: None,
    watch: Callable[[str, LearningPoint, int], None] = lambda title, point, steps: None,
) -> dict[str, Any]:
    """Train on every task as `run_learning` does, and return the table.

    An algorithm that cannot learn a task has the reason in its place.

    Args:
        raw: Settings as `learning_settings` takes them, without `task`, for every task.
        folder: Where the table and a run folder for each task are written.
        smoke: As of `learning_settings`.
        resume: Whether what is in the folder is gone on with.
        force: Whether results of an earlier table in the folder are removed.
        say: As of `run_learning`.
        watch: As of `run_learning`.

    Returns:
        `tasks`, by name: the `reference` and its loss, the `medians` of each algorithm and those
        `refused`; `interrupted` and its `signal`.

    Raises:
        RunFolderError: The folder holds something else, or other settings.
        SettingsError: A setting is wrong for every task.
    """
    shared = {name: value for name, value in raw.items() if name != "task" and value is not None}
    if shared.get("plant") is not None:
        raise SettingsError("`plant` must be left out for all tasks, which have their own arms.")
    given = learning_settings(shared, smoke=smoke).given | {"task": EVERY}
    found: dict[str, Any] = {"tasks": {}, "interrupted": False, "signal": None}
    with claimed(folder):
        begin_folder(
            folder / LEARNING_FILE,
            given,
            (),
            defaults={},
            may_change=("seconds", "threads"),
            resume=resume,
            force=force,
        )
        for name in TASKS:
            own, path = folder / name, folder / name / "summary.json"
            done = parse_json(read_text(path)) if resume and path.is_file() else None
            if done is None or done["interrupted"]:
                settings = learning_settings({**given, "task": name})
                refused = unable(settings)
                settings = _without(settings, refused)
                for algorithm, reason in refused.items():
                    say(f"{name}: {algorithm} cannot learn it: {reason}")
                if settings.algorithms:
                    done = run_learning(
                        settings,
                        own,
                        resume=resume and (own / LEARNING_FILE).is_file(),
                        force=force,
                        say=lambda words, name=name: say(f"{name}: {words}"),  # type: ignore[misc]
                        watch=lambda title, point, steps, name=name: watch(  # type: ignore[misc]
                            f"{name}, {title}", point, steps
                        ),
                    )
                else:
                    done = {"reference": None, "medians": [], "interrupted": False, "signal": None}
                done = {**done, "refused": refused}
                own.mkdir(exist_ok=True)
                write_json(path, done)
            found["tasks"][name] = {key: done[key] for key in ("reference", "medians", "refused")}
            found |= {key: done[key] for key in ("interrupted", "signal")}
            if found["interrupted"]:
                break
        write_json(folder / "summary.json", found)
        text = table_text(found, given["algorithms"])
        (folder / "table.md").write_text(text + "\n", encoding="utf-8")
    return found


def table_text(found: Mapping[str, Any], algorithms: list[str]) -> str:
    """Return the table of `run_table` as Markdown: a row a task, a column an algorithm."""
    lines = [
        "| task | reference | " + " | ".join(f"`{name}`" for name in algorithms) + " |",
        "|---|---" + "|---:" * len(algorithms) + "|",
    ]
    for name, row in found["tasks"].items():
        cells = {one["algorithm"]: _cell(one) for one in row["medians"]}
        reference = row["reference"]
        against = f"{reference['name']}, {reference['loss']:.3g}" if reference else ""
        shown = " | ".join(cells.get(one, "refused") for one in algorithms)
        lines.append(f"| `{name}` | {against} | {shown} |")
    return "\n".join(lines)


def _cell(row: Mapping[str, Any]) -> str:
    """Median and range of the ratios of an algorithm, and where its policies began."""
    spread = ""
    if row["seeds"] > 1:
        spread = f" ({_number(row['lowest'])} to {_number(row['highest'])})"
    return f"{_number(row['ratio'])}{spread}, from {_number(row['untrained'])}"


def _number(value: float | None) -> str:
    """Three digits of a number, without an exponent; there is none where the limb flies off."""
    if value is None:
        return "flies off"
    return f"{float(f'{value:.3g}'):,.10g}"


def _without(settings: LearningSettings, refused: Mapping[str, str]) -> LearningSettings:
    """Return the settings without some algorithms."""
    left = {name: one for name, one in settings.algorithms.items() if name not in refused}
    given = {name: value for name, value in settings.given.items() if name not in refused}
    return replace(settings, algorithms=left, given=given | {"algorithms": list(left)})
