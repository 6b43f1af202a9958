"""Gives the environments their names in Gymnasium.

Gymnasium 1.0 has given up the entry points by which packages announced their environments, so
`import neuromotor` registers them.
"""

from __future__ import annotations

import gymnasium

from neuromotor.extensions import ExtensionError
from neuromotor.tasks import TASKS, Task

__all__ = ["NAMESPACE", "environment_ids", "register_environments"]

NAMESPACE = "neuromotor"
_SINGLE = "neuromotor.envs.single:MotorEnv"
_VECTOR = "neuromotor.envs.vector:MotorVectorEnv"


def environment_ids() -> dict[str, dict[str, object]]:
    """Return every registered id and its settings: each task, and the same with goals.

    Tasks with senses of their own have none with goals.
    """
    ids: dict[str, dict[str, object]] = {}
    for name, task in TASKS.items():
        ids |= _ids(name, task)
    return ids


def register_environments() -> None:
    """Register every task's environments in Gymnasium; those that are there already stay.

    A task that is registered later brings its own.
    """
    for name, task in TASKS.items():
        _register(name, task)
    TASKS.check, TASKS.entered = _check_ids, _register


def _register(name: str, task: Task) -> None:
    for env_id, settings in _ids(name, task).items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                id=env_id,
                entry_point=_SINGLE,
                vector_entry_point=_VECTOR,
                kwargs=settings,
            )


def _check_ids(name: str, task: Task) -> None:
    """Raise where another task's environments have the names that this one's would have."""
    taken = {i: found["task"] for i, found in environment_ids().items() if found["task"] != name}
    for env_id in _ids(name, task).keys() & taken.keys():
        raise ExtensionError(
            f"`name` must not be {name!r}: its environment would be {env_id}, which is that of the "
            f"task {taken[env_id]!r}; choose another name."
        )


def _ids(name: str, task: Task) -> dict[str, dict[str, object]]:
    """Return the environments of one task, and their settings."""
    title = f"{NAMESPACE}/{_title(name, task)}"
    ids: dict[str, dict[str, object]] = {f"{title}-v0": {"task": name}}
    if getattr(task, "senses", None) is None:  # goals are states, which channels do not show
        ids[f"{title}Goal-v0"] = {"task": name, "goal": True}
    return ids


def _title(name: str, task: Task) -> str:
    """Return `center-out` as CenterOut; a class's own spelling, such as DDN, is kept."""
    title = "".join(word[:1].upper() + word[1:] for word in name.split("-"))
    own = type(task).__name__
    return own + title[len(own) :] if title.lower().startswith(own.lower()) else title
