"""Components to and from plain data (TOML, JSON): plants, tasks, controllers, optimizers.

The dataclasses themselves are the schema. A component is written as the name of a preset, or as a
table whose ``type`` names one and whose other keys replace its fields; a field that is itself a
component carries its registry of presets in its metadata, a field that holds several components of
one class that class (`item`). A field that is written as None, in TOML as "none", is none at all.

What a task counts in steps of its plant can be given as a time too. `delay_steps` is also
`delay_s`, in seconds, or `delay`, a text with its unit; `onset_step` is `onset_s` or `onset`; and
`steps`, the whole trial, is `duration_s` or `duration`.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import pydantic

from neuromotor._checks import did_you_mean, lookup, whole_steps
from neuromotor.extensions.registry import Registry, source_of

__all__ = [
    "SettingsError",
    "UnknownNameError",
    "UnknownSettingError",
    "decode",
    "encode",
    "needs_of",
    "setting_names",
    "time_stem",
    "with_times",
]

T = TypeVar("T")

_NOTHING = "none"
_TIME = re.compile(r"\s*(?P<number>[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?)\s*(?P<unit>ms|s)\s*", re.I)


class SettingsError(ValueError):
    """A setting is unknown, misspelt, of the wrong type or out of range."""


class UnknownNameError(SettingsError):
    """A name is not among the registered presets."""


class UnknownSettingError(SettingsError):
    """A component has no setting of that name.

    Args:
        path: The setting, with dots between levels.
        known: Settings beside it.
        elsewhere: Settings further away, with dots between levels.
    """

    def __init__(self, path: str, known: Iterable[str], elsewhere: Iterable[str] = ()) -> None:
        self.path, self.known = path, sorted(set(known))
        super().__init__(f"unknown setting `{path}`; {self._hint(list(elsewhere))}")

    def _hint(self, elsewhere: list[str]) -> str:
        """Return the nearest name: the same name elsewhere, or else the most similar one."""
        word = self.path.rpartition(".")[2]
        exact = [name for name in elsewhere if name.rpartition(".")[2] == word]
        if exact:
            return f"did you mean {' or '.join(map(repr, dict.fromkeys(exact)))}?"
        alike = {name: _likeness(word, name) for name in (*self.known, *elsewhere)}
        best = max(alike, key=lambda name: (alike[name], name in self.known), default="")
        if best in self.known or alike.get(best, 0.0) < 0.6:
            return f"{did_you_mean(word, self.known)}."
        return f"did you mean {best!r}? (known here: {', '.join(self.known)})."


def encode(component: object, registry: Mapping[str, object]) -> dict[str, Any]:
    """Return a component as plain data with every field written out.

    Its `type` is the preset of its class that it differs least from; or, where it has an attribute
    `own_type`, that: a name from which its registry makes one (`Registry.otherwise`).

    Args:
        component: A frozen dataclass whose class is among the presets.
        registry: Presets by name.

    Raises:
        SettingsError: No preset has the component's class.

    Example:
        >>> from neuromotor.plants import INTEGRATORS, RK4
        >>> encode(RK4(), INTEGRATORS)
        {'type': 'rk4'}
    """
    own = type(component)
    presets = {name: preset for name, preset in registry.items() if type(preset) is own}
    own_type = getattr(component, "own_type", None)
    if not presets and own_type is None:
        raise SettingsError(_not_registered(own, registry))
    fields = dataclasses.fields(_dataclass(component))

    def differences(name: str) -> int:
        preset = presets[name]
        return sum(getattr(preset, f.name) != getattr(component, f.name) for f in fields)

    data: dict[str, Any] = {"type": own_type or min(presets, key=differences)}
    for field in fields:
        value = getattr(component, field.name)
        inner = field.metadata.get("registry")
        if value is None and field.metadata.get("left_out"):
            continue
        data[field.name] = encode(value, inner) if inner and value is not None else _plain(value)
    return data


def decode(
    spec: object, registry: Mapping[str, Any], where: str, base: object | None = None
) -> Any:
    """Return the component that plain data describe.

    Args:
        spec: A preset's name, or a table of settings with an optional ``type``.
        registry: Presets by name.
        where: Name of the setting, for errors.
        base: What a table without ``type`` changes; the registry's first preset if absent.

    Raises:
        SettingsError: A name or key is unknown, or a value has the wrong type or range.

    Example:
        >>> from neuromotor.plants import PLANTS
        >>> decode({"type": "human", "dt_s": 0.005}, PLANTS, "plant").dt_s
        0.005
    """
    if isinstance(spec, str):
        return _preset(spec, registry, where)
    first = _listed(next(iter(registry.values()), base))
    if isinstance(spec, list | tuple) and first is not None:
        spec, base = {first: spec}, None
    if not isinstance(spec, Mapping):
        raise SettingsError(
            f"`{where}` must be a name or a table of settings, got {spec!r}; "
            f"{did_you_mean(str(spec), registry)}."
        )
    settings = dict(spec)
    if "type" in settings:
        base = _preset(settings.pop("type"), registry, f"{where}.type")
    elif base is None:
        base = next(iter(registry.values()))
    component = _dataclass(base)
    fields = {f.name for f in dataclasses.fields(component)}
    times = _times_of(component)
    for key in settings:
        if key not in fields and key not in times:
            raise UnknownSettingError(f"{where}.{key}", fields, _below(component, where))
    changes = _changes(settings, type(component), where, component, times)
    try:
        return dataclasses.replace(component, **changes)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"in `{where}`: {error}") from error


def _changes(
    settings: Mapping[str, Any],
    kind: type,
    where: str,
    base: object | None,
    times: Mapping[str, str],
) -> dict[str, Any]:
    """Return the values of the fields that a table sets.

    Args:
        settings: The table, whose keys are known.
        kind: The component's class.
        where: Name of the setting, for errors.
        base: The component whose fields are changed, if there is one.
        times: Other names of fields, which take times.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    changes: dict[str, Any] = {}
    given: dict[str, str] = {}  # key that sets each field
    for key in settings:
        name = key if key in fields else times[key]
        if name in given:
            raise SettingsError(
                f"`{where}.{key}` and `{where}.{given[name]}` are the same; give one."
            )
        given[name] = key
    for name, key in sorted(given.items(), key=lambda item: item[1] not in fields):
        path, value, metadata = f"{where}.{key}", settings[key], fields[name].metadata
        old = getattr(base, name, None)
        if key != name and "text" in metadata:
            value = _seconds(value, path, with_unit=True)
        elif key != name:  # the plant, whose steps are counted, is known by now
            value = _in_steps(value, _dt_s(base, changes), path, with_unit=key[-2:] != "_s")
        if _is_nothing(value, hints[name], metadata.get("registry", ())):
            changes[name] = None
        elif "registry" in metadata:
            changes[name] = decode(value, metadata["registry"], path, old)
        elif "item" in metadata:
            changes[name] = _items(value, metadata["item"], path)
        else:
            changes[name] = _checked(value, hints[name], path, old)
    return changes


def _is_nothing(value: object, hint: object, presets: Collection[str]) -> bool:
    """Return whether a value is None, in TOML the word `none`, and may be."""
    kinds = typing.get_args(hint)
    if type(None) not in kinds:
        return False
    return value is None or (value == _NOTHING and str not in kinds and _NOTHING not in presets)


def _items(value: object, kind: type, where: str) -> tuple[Any, ...]:
    """Return components of one class, each from a table or from the value of its first field."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    texts = {f.metadata["text"]: name for name, f in fields.items() if "text" in f.metadata}
    first = next(iter(fields))
    if not isinstance(value, list | tuple):
        raise SettingsError(
            f"`{where}` must be a list of tables, as in [{{{first} = ...}}], got {value!r}."
        )
    items = []
    for number, spec in enumerate(value):
        path = f"{where}[{number}]"
        table = dict(spec) if isinstance(spec, Mapping) else {first: spec}
        for key in table:
            if key not in fields and key not in texts:
                raise UnknownSettingError(f"{path}.{key}", [*fields, *texts])
        changes = _changes(table, kind, path, None, texts)
        if first not in changes:
            raise SettingsError(f"`{path}` must have `{first}`, got {table!r}.")
        try:
            items.append(kind(**changes))
        except (TypeError, ValueError) as error:
            raise SettingsError(f"in `{path}`: {error}") from error
    return tuple(items)


def _listed(component: object) -> str | None:
    """Return the first field of a component where it holds items: a list may stand for them."""
    if not dataclasses.is_dataclass(component):
        return None
    fields = dataclasses.fields(component)
    return fields[0].name if fields and "item" in fields[0].metadata else None


def needs_of(*parts: tuple[object, Mapping[str, object]]) -> list[dict[str, str]]:
    """Return what must be loaded before components can be decoded, for the file that holds them.

    Args:
        *parts: Components, each with the registry that it is encoded by.

    Returns:
        `Source.as_dict` of each module that brings one of them or a part of it; empty where all
        came with neuromotor.
    """
    found: dict[str, dict[str, str]] = {}
    for component, registry in parts:
        source = source_of(component, encode(component, registry)["type"], registry)
        if source is not None:
            found[source.use] = source.as_dict()
        for field in dataclasses.fields(_dataclass(component)):
            inner, value = field.metadata.get("registry"), getattr(component, field.name)
            if inner and value is not None:
                found |= {need["use"]: need for need in needs_of((value, inner))}
    return list(found.values())


def with_times(task: T, **times: object) -> T:
    """Return a task, or a reach, with what it counts in steps given as times.

    Args:
        task: A task with a plant.
        **times: `delay_s=0.05` or `delay="50 ms"` for `delay_steps`, likewise for every other
            field whose name ends in `_steps` or `_step`; `duration_s` or `duration` for `steps`.
            A field that holds several takes a list of times.

    Raises:
        SettingsError: The task has no such time, or it is no whole number of the plant's steps.

    Example:
        >>> from neuromotor import CenterOut
        >>> task = with_times(CenterOut(directions=8), delay="50 ms", duration_s=0.6)
        >>> task.delay_steps, task.steps
        (5, 60)
    """
    known = _times_of(task)
    for name in times:
        if name not in known:
            raise SettingsError(
                f"`{name}` is no time of {type(task).__name__}; {did_you_mean(name, known)}."
            )
    changed: T = decode(times, {}, "task", task)
    return changed


def time_stem(key: str, value: object) -> str:
    """Return the name that all spellings of a time share, the key itself for anything else.

    Example:
        >>> [time_stem("delay_steps", 5), time_stem("delay_s", 0.05), time_stem("delay", "50 ms")]
        ['delay (time)', 'delay (time)', 'delay (time)']
    """
    items = value if isinstance(value, list | tuple) and value else [value]
    if all(isinstance(item, str) and _TIME.fullmatch(item) for item in items):
        return f"{key.removesuffix('_s')} (time)"
    stem = "duration" if key == "steps" else re.sub("_(steps?|s)$", "", key)
    return key if stem == key else f"{stem} (time)"


def setting_names(component: object) -> Iterator[str]:
    """Yield the names of all settings of a component, with dots between levels."""
    for field in dataclasses.fields(_dataclass(component)):
        yield field.name
        inner = getattr(component, field.name)
        if field.metadata.get("registry") and inner is not None:
            yield from (f"{field.name}.{name}" for name in setting_names(inner))
    yield from _times_of(component)


def _below(component: object, where: str) -> list[str]:
    return [f"{where}.{name}" for name in setting_names(component)]


def _likeness(word: str, name: str) -> float:
    return difflib.SequenceMatcher(None, word, name.rpartition(".")[2]).ratio()


def _times_of(component: object) -> dict[str, str]:
    """Return every name of a time, with the field that counts it in steps."""
    if getattr(component, "plant", None) is None:
        return {}
    fields = [field.name for field in dataclasses.fields(_dataclass(component))]
    times: dict[str, str] = {}
    for name in fields:
        times |= {time: name for time in _spellings(name) if time not in fields}
    return times


def _spellings(name: str) -> list[str]:
    """Return the names of a number of steps as a time: in seconds, and with a unit."""
    stem = "duration" if name == "steps" else re.sub("_steps?$", "", name)
    return [] if stem == name else [f"{stem}_s", stem]


def _dt_s(component: Any, changes: Mapping[str, Any]) -> float:
    """Return the length (s) of the steps of a changed task."""
    for name in ("plant", *(field.name for field in dataclasses.fields(component))):
        found = changes.get(name)
        dt_s = getattr(found, "dt_s", None) or getattr(getattr(found, "plant", None), "dt_s", None)
        if dt_s is not None:
            return float(dt_s)
    return float(component.plant.dt_s)


def _in_steps(value: object, dt_s: float, where: str, *, with_unit: bool) -> Any:
    """Return a time, or a list of times, as numbers of steps."""
    if isinstance(value, list | tuple):
        return [_in_steps(item, dt_s, where, with_unit=with_unit) for item in value]
    seconds = _seconds(value, where, with_unit=with_unit)
    try:
        return whole_steps(where, seconds, dt_s)
    except (TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error


def _seconds(value: object, where: str, *, with_unit: bool) -> Any:
    """Return a time in seconds: of a text with its unit, or as it is where it needs none."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        return float(match["number"]) * (0.001 if match["unit"].lower() == "ms" else 1.0)
    if with_unit:
        raise SettingsError(
            f'`{where}` must be a time with its unit, as in "50 ms" or "0.05 s", '
            f"got {value!r}; a number of seconds is `{where}_s`."
        )
    return value


def _preset(name: object, registry: Mapping[str, Any], where: str) -> Any:
    """Return a preset by its name."""
    if not isinstance(name, str):
        raise SettingsError(f"`{where}` must be a name, got {name!r}.")
    try:
        if name not in registry and isinstance(registry, Registry):
            made = registry.otherwise(name)
            if made is not None:
                return made
    except ValueError as error:
        raise SettingsError(f"in `{where}`: {error}") from error
    try:
        found = lookup(where.removesuffix(".type"), name, registry)
    except ValueError as error:
        raise UnknownNameError(str(error)) from error
    if isinstance(found, type):
        raise SettingsError(_registered_class(name, found))
    return found


def _not_registered(own: type, registry: Mapping[str, object]) -> str:
    """Return an error's text about a class that no preset has."""
    for name, preset in registry.items():
        if preset is own:
            return _registered_class(name, own)
    return (
        f"{own.__name__} cannot be written to a file: no instance of it is registered. Register "
        f'one by a name of your choice, as in `neuromotor.register("my-name", {own.__name__}())` '
        f"(registered here: {', '.join(sorted(registry))})."
    )


def _registered_class(name: str, own: type) -> str:
    return (
        f"{name!r} is registered as the class {own.__name__}; register an instance, whose fields "
        f"are the defaults: `{own.__name__}()`."
    )


def _checked(value: object, hint: Any, where: str, default: object) -> Any:
    """Return a value of the field's type; truth values, numbers and texts stay what they are."""
    try:
        checked = pydantic.TypeAdapter(hint).validate_python(value)
        if _same_kind(value, checked):
            return checked
        wrong = f"it cannot be {value!r}"
    except pydantic.ValidationError as error:
        message = error.errors()[0]["msg"].replace("tuple", "list")
        wrong = f"{message[0].lower()}{message[1:]}, got {value!r}"
    name = where.rpartition(".")[2]
    way_out = (
        "" if default is None else f"; its default is {json.dumps(_plain(default), default=str)}"
    )
    for time in _spellings(name)[:1] if isinstance(value, str | float) else ():
        way_out = f"; a time goes into `{where.removesuffix(name)}{time}`, in seconds"
    raise SettingsError(f"`{where}` has the wrong type: {wrong}{way_out}.")


def _same_kind(value: object, checked: object) -> bool:
    """Return whether no truth value or text became a number, or the reverse, at any depth."""
    if isinstance(value, list | tuple) and isinstance(checked, list | tuple):
        return all(map(_same_kind, value, checked))
    if isinstance(value, str):
        return not isinstance(checked, int | float)
    return isinstance(value, bool) == isinstance(checked, bool)


def _plain(value: object) -> Any:
    """Return tuples as lists, items in them as tables, and everything else as it is."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {f: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {
            f.name: encode(part, f.metadata["registry"])
            if "registry" in f.metadata
            else _plain(part)
            for f, part in parts.items()
            if part is not None
        }
    return value


def _dataclass(component: object) -> Any:
    """Return the component itself, after a check that it is a dataclass instance."""
    if not dataclasses.is_dataclass(component) or isinstance(component, type):
        raise SettingsError(f"{component!r} is not a component with settings.")
    return component
