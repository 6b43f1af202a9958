"""Names of the environments in Gymnasium, without importing it before the user does.

Gymnasium 1.0 has given up the entry points by which packages announced their environments, and
`import neuromotor` shall not cost an import of Gymnasium. So the names are registered right away
where Gymnasium is there already, and otherwise as soon as it has been imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from neuromotor.tasks import TASKS, Task

__all__ = ["NAMESPACE", "announce", "environment_ids", "register_environments"]

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
            "observe": ("state",),
        }
    return ids


def register_environments() -> None:
    """Register every task's environments in Gymnasium; those that are there already stay."""
    import gymnasium

    for env_id, settings in environment_ids().items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                id=env_id,
                entry_point=_SINGLE,
                vector_entry_point=_VECTOR,
                kwargs=settings,
            )


def announce() -> None:
    """Register now if Gymnasium is there, or else when it comes."""
    if "gymnasium" in sys.modules:
        register_environments()
    elif not any(isinstance(finder, _WhenGymnasiumComes) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhenGymnasiumComes())


class _WhenGymnasiumComes(MetaPathFinder):
    """Finds Gymnasium as others find it, and registers once it is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "gymnasium":
            return None
        sys.meta_path.remove(self)
        try:
            spec = find_spec(fullname)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            spec.loader = _Registering(spec.loader)
        return spec


class _Registering(Loader):
    """A loader that registers after the import of Gymnasium is done."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)  # resources, sources and whatever else it offers

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        register_environments()


def _title(name: str, task: Task) -> str:
    """`center-out` as CenterOut; a task's own spelling, such as DDN, goes before."""
    title = "".join(word[:1].upper() + word[1:] for word in name.split("-"))
    own = type(task).__name__
    return own + title[len(own) :] if title.lower().startswith(own.lower()) else title
