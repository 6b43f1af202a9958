"""Trained controllers that come with the package, each with its card, history and recipe.

An entry is a folder `data/TASK/NAME` of four files: controller.safetensors (float32), card.json
(what it is and how good), history.json (how training went) and recipe.json (how to make it again).
`neuromotor zoo add` writes them out of a finished run; nothing in them is typed by hand but a
card's note.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from neuromotor._checks import did_you_mean

__all__ = ["FOLDER", "card", "history", "names", "path", "recipe"]

FOLDER = Path(__file__).parent / "data"
CONTROLLER = "controller.safetensors"


def names() -> list[str]:
    """Return the names of all entries, as in `center-out/lbfgs`."""
    return sorted(
        file.parent.relative_to(FOLDER).as_posix() for file in FOLDER.glob(f"*/*/{CONTROLLER}")
    )


def path(name: str) -> Path:
    """Return the file of an entry's controller.

    Raises:
        ValueError: There is no such entry; the message names the nearest one.
    """
    return _folder(name) / CONTROLLER


def card(name: str) -> dict[str, Any]:
    """Return what an entry is and how good.

    Returns:
        A table with `name`, `task` and `method`; `training`, the means over the trials trained on
        and the ratio to iLQR; `evaluation`, losses and ratios to references with their 95 %
        intervals, on held-out trials where the task is random, and None where nothing disturbs the
        trials; `seed`, counts of calls (of reinforcement the steps of arms), `seconds`, `machine`,
        `versions` and `date` of the training; `trained_at`, the value or range of each setting in
        it; `usual`, the same as `training` and `evaluation` on the task's default settings, where
        others were trained on; `robustness`, rows of `neuromotor.robustness` for those default
        settings. Losses are those of the shipped float32 weights in float64, `largest_command` is
        in N m or N, or without a unit where muscles are excited. Entries with muscles have no
        references, which would take hours: `usual`, `robustness` and `training`'s ratio are None,
        and there are no ratios in `evaluation`. A `note` says what else one must know, as where the
        network stands among other
        seeds.

    Raises:
        ValueError: There is no such entry.

    Example:
        >>> card("center-out/lbfgs")["method"]
        'lbfgs'
    """
    return _read(name, "card.json")


def history(name: str) -> dict[str, Any]:
    """Return how an entry's training went.

    Returns:
        Lists `calls`, `seconds` and `loss` of the same length, thinned; `loss` is the best so far,
        or, where `fresh` says that the trials were drawn anew, the mean since the last point.

    Raises:
        ValueError: There is no such entry.
    """
    return _read(name, "history.json")


def recipe(name: str) -> list[dict[str, Any]]:
    """Return the trainings that make an entry, first to last.

    Returns:
        A table for each: `command`, and the run's whole `settings`, which `--config` reads too.

    Raises:
        ValueError: There is no such entry.
    """
    stages: list[dict[str, Any]] = _read(name, "recipe.json")["stages"]
    return stages


def _folder(name: str) -> Path:
    known = names()
    if name not in known:
        raise ValueError(f"unknown zoo entry {name!r}; {did_you_mean(name, known)}.")
    return FOLDER / name


def _read(name: str, file: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((_folder(name) / file).read_text(encoding="utf-8"))
    return data
