"""Registries: the presets of each kind of component by name, and who brought each of them.

A room makes a `Registry` for each kind of component that has names, beside the components
themselves. `register` finds the registry that a component belongs into by what the component
offers, so that it needs no list of kinds of its own.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import json
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

__all__ = [
    "ExtensionError",
    "Registry",
    "Source",
    "bringing",
    "lacking",
    "register",
    "registries",
    "source_of",
]

T = TypeVar("T")

_OWN = __name__.partition(".")[0]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_MISSING = object()
_registries: dict[str, Registry[Any]] = {}
_bringing: list[Source] = []  # what is being loaded now, the innermost last


class ExtensionError(ValueError):
    """A module of components cannot be used, or a component cannot be registered."""


@dataclass(frozen=True)
class Source:
    """What brings a component.

    Attributes:
        use: What `--use` takes: the name of a file or of a module.
        module: The module, as Python calls it.
        package: The installed distribution that the module belongs to; empty for none.
        version: Its version; empty where it has none.
    """

    use: str
    module: str
    package: str = ""
    version: str = ""

    @classmethod
    def of_module(cls, module: str, use: str | None = None) -> Source:
        """Return the source that a module is."""
        root = module.partition(".")[0]
        package = version = ""
        with suppress(importlib.metadata.PackageNotFoundError):
            found = importlib.metadata.distribution(root)
            package, version = found.name, found.version
        if use is None:
            loaded = sys.modules.get(root)
            file = getattr(loaded, "__file__", None)
            alone = file is not None and not hasattr(loaded, "__path__") and not package
            use = Path(str(file)).name if alone else module
        return cls(use, module, package, version)

    def as_dict(self) -> dict[str, str]:
        """Return what a file says of it."""
        root = sys.modules.get(self.module.partition(".")[0])
        version = self.version or str(getattr(root, "__version__", ""))
        data = {"use": self.use, "package": self.package, "version": version}
        return {key: value for key, value in data.items() if value}


class Registry(dict[str, T]):
    """The presets of one kind of component by name.

    Args:
        kind: What they are, in words: `plant`, `task`.
        presets: The presets that come with neuromotor.
        members: What every component of the kind has, and together no other kind: names of methods
            and fields.
        settings: Whether components are dataclasses, whose fields are settings.
        reserved: Names that no component can have.

    Attributes:
        sources: Who brought what did not come with neuromotor.
        check: Called before a component is entered, with its name and itself; it may raise.
        entered: Called after it was entered, likewise.
        otherwise: Makes a component of a name that is no preset's, such as the name of a file;
            None where it cannot.
    """

    def __init__(
        self,
        kind: str,
        presets: Mapping[str, T] = MappingProxyType({}),
        *,
        members: Sequence[str],
        settings: bool = True,
        reserved: Collection[str] = (),
    ) -> None:
        super().__init__(presets)
        self.kind, self.members, self.settings = kind, tuple(members), settings
        self.reserved = frozenset(reserved)
        self.sources: dict[str, Source] = {}
        self.check: Callable[[str, T], object] = lambda name, component: None
        self.entered: Callable[[str, T], object] = lambda name, component: None
        self.otherwise: Callable[[str], T | None] = lambda name: None
        _registries[kind] = self

    def __delitem__(self, name: str) -> None:
        """Forget a component, and who brought it."""
        super().__delitem__(name)
        self.sources.pop(name, None)

    def fits(self, component: object) -> bool:
        """Return whether a component offers what this kind does."""
        return all(
            inspect.getattr_static(component, name, _MISSING) is not _MISSING
            for name in self.members
        )

    def enter(self, name: str, component: T, source: Source) -> None:
        """Enter a component by a new name; the same component again changes nothing.

        A class or function that its module defines anew takes the place of the old one.

        Raises:
            ExtensionError: The name is taken, or can be none.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ExtensionError(
                f"`name` must be letters, digits, hyphens and underscores, and begin with a "
                f"letter, as in 'my-{self.kind.replace(' ', '-')}', got {name!r}."
            )
        if name in self.reserved:
            raise ExtensionError(
                f"`name` must not be {name!r}, which is a setting of every run; choose another."
            )
        self.check(name, component)
        if name in self:
            old = self[name]
            if old is component or (type(old) is type(component) and repr(old) == repr(component)):
                return
            if not _defined_anew(old, component):
                whose = self.sources[name].use if name in self.sources else _OWN
                raise ExtensionError(
                    f"`name` must be new, but {name!r} is taken by the {self.kind} "
                    f"{_described(old)} of {whose}; choose another name."
                )
        self[name], self.sources[name] = component, source
        try:
            self.entered(name, component)
        except ExtensionError:
            del self[name]
            raise


def registries() -> dict[str, Registry[Any]]:
    """Return all registries by kind: `plant`, `task`, `controller`, `optimizer` and so on."""
    return dict(_registries)


def register(name: str, component: object, *, kind: str | None = None) -> str:
    """Give a component a name, by which commands, settings, files and environments know it.

    Args:
        name: Letters, digits, hyphens and underscores.
        component: A plant, task, controller, optimizer, integrator or other component; an
            instance, whose fields are the defaults, or a class that needs no arguments. A
            reference is a function. A task brings its environments with it, arm parameters bring
            the arm.
        kind: What it is, where it could be several kinds.

    Returns:
        The kind that it was registered as.

    Raises:
        ExtensionError: The name is taken by something else, the component is of no known kind or
            has no settings, or the class needs arguments.

    Example:
        >>> import neuromotor as nm
        >>> nm.register("heavy-mass", nm.PointMass(mass=5.0))
        'plant'
    """
    if _bringing:
        source = _bringing[-1]
    else:
        source = Source.of_module(str(sys._getframe(1).f_globals.get("__name__", "__main__")))
    if isinstance(component, type):
        component = _instance(component)
    registry = _registry_for(component, kind)
    if registry.settings and not dataclasses.is_dataclass(component):
        raise ExtensionError(
            f"`component` must be a dataclass, whose fields are its settings, got "
            f"{_described(component)}; put `@dataclass(frozen=True)` above the class."
        )
    registry.enter(name, component, source)
    return registry.kind


def _instance(component: type) -> object:
    """Return an instance of a class, which has its defaults."""
    try:
        return component()
    except TypeError as error:
        raise ExtensionError(
            f"`component` must be an instance where its class needs arguments ({error}); give "
            f"`{component.__name__}(...)`, whose fields are then the defaults."
        ) from error


def _registry_for(component: object, kind: str | None) -> Registry[Any]:
    """Return the one registry that a component belongs into."""
    if kind is not None and kind not in _registries:
        raise ExtensionError(f"`kind` must be one of {', '.join(_registries)}, got {kind!r}.")
    known = _registries if kind is None else {kind: _registries[kind]}
    found = [registry for registry in known.values() if registry.fits(component)]
    if not found:
        kinds = "; ".join(f"a {one} has {', '.join(r.members)}" for one, r in known.items())
        raise ExtensionError(
            f"`component` must be of a kind that neuromotor knows, got {_described(component)}: "
            f"{kinds}."
        )
    if len(found) > 1:
        kinds = " or ".join(sorted(f"kind={registry.kind!r}" for registry in found))
        raise ExtensionError(f"`component` could be several kinds; say which by {kinds}.")
    return found[0]


@contextmanager
def bringing(source: Source) -> Iterator[None]:
    """Note that whatever is registered meanwhile is brought by a source; undo it on an error."""
    before = [(one, dict(one), dict(one.sources)) for one in _registries.values()]
    _bringing.append(source)
    try:
        yield
    except BaseException:
        for registry, presets, sources in before:
            registry.clear()
            registry.update(presets)
            registry.sources = sources
        raise
    finally:
        _bringing.pop()


def source_of(
    component: object, name: str = "", registry: Mapping[str, object] | None = None
) -> Source | None:
    """Return who brought a component; None where it came with neuromotor.

    Args:
        component: The component.
        name: Its preset's name.
        registry: Presets by name.
    """
    if isinstance(registry, Registry) and name in registry.sources:
        return registry.sources[name]
    owner = _owner(component)
    if owner.__module__.partition(".")[0] == _OWN:
        return None
    for known in _registries.values():
        for other, source in known.sources.items():
            if _owner(known[other]) is owner:
                return source
    return Source.of_module(owner.__module__)


def lacking(needs: object) -> str:
    """Say which modules a file needs; empty where it needs none but neuromotor.

    Args:
        needs: A list of what `Source.as_dict` gave, or the JSON text of one; anything else counts
            as nothing.
    """
    if isinstance(needs, str):
        try:
            needs = json.loads(needs)
        except (ValueError, RecursionError):
            return ""
    words = []
    here = [source for registry in _registries.values() for source in registry.sources.values()]
    for need in needs if isinstance(needs, list) else []:
        use = need.get("use") if isinstance(need, dict) else None
        if not isinstance(use, str) or not use.isprintable():
            continue
        version = f" {need['version']}" if isinstance(need.get("version"), str) else ""
        package = need.get("package")
        present = [one for one in here if use == one.use or package == one.package != ""]
        if present:
            now = present[0].as_dict().get("version")
            words.append(
                f"It was made with `{use}`{version}, and {now or 'another version'} is here."
            )
        elif use == "__main__":
            words.append("It needs what the program that saved it registered.")
        elif isinstance(package, str):
            words.append(
                f"It needs the package `{package}`{version}: install it, or, where it does not "
                f"announce its components, pass `--use {use}`."
            )
        else:
            stem = use.removesuffix(".py")
            words.append(
                f"It needs `{stem}`{version}: pass `--use {use}`, set NEUROMOTOR_USE={use}, or in "
                f'Python call `neuromotor.use("{use}")` first.'
            )
    return " ".join(words)


def _owner(component: object) -> Any:
    """Return the class or function that says what a component does."""
    if dataclasses.is_dataclass(component) and inspect.isfunction(
        getattr(component, "compute", None)
    ):
        return component.compute  # type: ignore[union-attr]  # a section of the report
    return component if inspect.isfunction(component) else type(component)


def _defined_anew(old: object, new: object) -> bool:
    """Return whether both are one definition that was run twice, as a cell of a notebook is."""
    one, two = _owner(old), _owner(new)
    same = (one.__module__, one.__qualname__) == (two.__module__, two.__qualname__)
    return same and one is not two


def _described(component: object) -> str:
    text = repr(component)
    return text if len(text) < 60 else f"{type(component).__name__}(...)"
