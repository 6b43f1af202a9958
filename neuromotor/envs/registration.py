"""Gives the environments their names in Gymnasium.

Gymnasium 1.0 has given up the entry points by which packages announced their environments, so
`import neuromotor` registers them.
"""

from __future__ import annotations

import gymnasium

from neuromotor.tasks import TASKS, Task

__all__ = ["NAMESPACE", "environment_ids", "register_environments"]

NAMESPACE = "neuromotor"
_SINGLE = "neuromotor.envs.single:MotorEnv"
_VECTOR = "neuromotor.envs.vector:MotorVectorEnv"


def environment_ids() -> dict[str, dict[str, object]]:
    """Return every registered id and its settings: each task, and the same with goals."""
    ids: dict[str, dict[str, object]] = {}
    for name, task in TASKS.items():
        title = _title(name, task)
        ids[f"{NAMESPACE}/{title}-v0"] = {"task": name}
        ids[f"{NAMESPACE}/{title}Goal-v0"] = {
            "task": name,
            "goal": True,
        }
    return ids


def register_environments() -> None:
    """Register every task's environments in Gymnasium; those that are there already stay."""
    for env_id, settings in environment_ids().items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                id=env_id,
                entry_point=_SINGLE,
                vector_entry_point=_VECTOR,
                kwargs=settings,
            )


def _title(name: str, task: Task) -> str:
    """Return `center-out` as CenterOut; a class's own spelling, such as DDN, is kept."""
    title = "".join(word[:1].upper() + word[1:] for word in name.split("-"))
    own = type(task).__name__
    return own + title[len(own) :] if title.lower().startswith(own.lower()) else title
