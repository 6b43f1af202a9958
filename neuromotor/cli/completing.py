"""What the Tab key offers: names of components, and the settings that `--set` reaches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import typer

from neuromotor.runs.settings import setting_paths
from neuromotor.tasks import TASKS

__all__ = ["named", "set_words"]

_CHOSEN = ("task", "controller", "optimizers", "optimizer")


def named(registry: Mapping[str, Any]) -> Callable[[str], list[str]]:
    """Return what completes the names of a registry, also after a comma."""

    def words(incomplete: str) -> list[str]:
        before, comma, begun = incomplete.rpartition(",")
        return [before + comma + name for name in registry if name.startswith(begun)]

    return words


def set_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the settings that go on from what is typed, each with its equals sign.

    They are those of the task, the controller and the optimizers that stand before it.
    """
    chosen: dict[str, Any] = {
        key: value for key in _CHOSEN if isinstance(value := ctx.params.get(key), str)
    }
    for word in ctx.args:  # where an option still waits for its value, arguments are left over
        if word in TASKS:
            chosen.setdefault("task", word)
    if "optimizer" in chosen:
        chosen["optimizers"] = chosen.pop("optimizer")
    if "optimizers" in chosen:
        chosen["optimizers"] = chosen["optimizers"].split(",")
    if ctx.command.name == "rl":
        from neuromotor.runs.reinforcement import learning_paths

        names = learning_paths(chosen.get("task"), ctx.params.get("algorithm"))
    else:
        names = setting_paths(chosen)
    return [f"{name}=" for name in names if name.startswith(incomplete)]
