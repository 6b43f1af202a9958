"""The recipe of a policy that `neuromotor rl` trained, for its entry in the zoo."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from neuromotor.rl import ALGORITHMS
from neuromotor.runs.recipes import assignments, changes
from neuromotor.runs.reinforcement import LEARNING_FILE, LearningSettings, learning_settings
from neuromotor.runs.zoo_entry import Stage
from neuromotor.storage.claims import RunFolderError
from neuromotor.storage.files import parse_json, read_text
from neuromotor.tasks import TASKS

__all__ = ["is_learning", "learning_command", "learning_stage"]

_NUMBERS = ("steps", "seconds", "seed", "threads")  # `--NAME VALUE`


def is_learning(folder: Path) -> bool:
    """Return whether a folder is a run of `neuromotor rl`."""
    return (folder / LEARNING_FILE).is_file()


def learning_command(settings: LearningSettings, out: str) -> str:
    """Return the command that trains one algorithm from one seed with these settings."""
    ((name, algorithm),) = settings.algorithms.items()
    usual = learning_settings({"task": settings.name, "algorithms": name})
    given = changes("task", settings.task, TASKS[settings.name])
    given |= changes(name, algorithm, ALGORITHMS[name])
    given |= {
        key: settings.given[key]
        for key in (*_NUMBERS, "tests")
        if settings.given[key] != usual.given[key]
    }
    words = ["neuromotor", "rl", settings.name, "--algorithm", name]
    for key in _NUMBERS:
        words += [f"--{key}", str(given.pop(key))] if key in given else []
    for text in assignments(given):
        words += ["--set", text]
    return shlex.join([*words, "--out", out])


def learning_stage(folder: Path, title: str, out: str) -> Stage:
    """Return the training of one policy in a run folder.

    What a card counts as calls are its steps of arms.

    Args:
        folder: Run folder of `neuromotor rl`.
        title: Algorithm and seed, as in `ppo-0`.
        out: Run folder that the recipe names.

    Raises:
        RunFolderError: The folder holds no finished training of that title.
    """
    results = sorted(path.stem for path in folder.glob("results/*.json"))
    if title not in results:
        raise RunFolderError(
            f"{folder} has no finished {title!r}, only {', '.join(results) or 'unfinished ones'}."
        )
    row = parse_json(read_text(folder / f"results/{title}.json"))
    name = row["algorithm"]
    raw: dict[str, Any] = parse_json(read_text(folder / LEARNING_FILE))
    own = {**raw, "algorithms": [name], "seed": row["seed"], "seeds": 1}
    for other in raw["algorithms"]:
        if other != name:
            del own[other]
    settings = learning_settings(own)
    curve = row["curve"]
    return Stage(
        learning_command(settings, out),
        settings.given,
        {
            "method": name,
            "values": 0,
            "gradients": 0,
            "products": 0,
            "calls": row["steps"],
            "seconds": row["seconds"],
            "reason": row["reason"],
        },
        {
            "calls": [point["steps"] for point in curve],
            "seconds": [point["seconds"] for point in curve],
            "loss": [point["loss"] for point in curve],
        },
        fresh=True,
    )
