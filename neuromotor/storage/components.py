"""Components to and from plain data (TOML, JSON): plants, tasks, controllers, optimizers.

The dataclasses themselves are the schema. A component is written as the name of a preset, or as a
table whose ``type`` names one and whose other keys replace its fields; a field that is itself a
component carries its registry of presets in its metadata. A field that is written as None keeps no
component at all.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

import pydantic

from neuromotor._checks import did_you_mean, lookup

__all__ = ["SettingsError", "decode", "encode"]


class SettingsError(ValueError):
    """A setting is unknown, misspelt, of the wrong type or out of range."""


def encode(component: object, registry: Mapping[str, object]) -> dict[str, Any]:
    """Return a component as plain data with every field written out.

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
    same_class = [name for name, preset in registry.items() if type(preset) is type(component)]
    if not same_class:
        raise SettingsError(
            f"{type(component).__name__} cannot be written to a file: it is not registered "
            f"({did_you_mean(type(component).__name__, registry)})."
        )
    equal = [name for name in same_class if registry[name] == component]
    data: dict[str, Any] = {"type": (equal or same_class)[0]}
    for field in dataclasses.fields(_dataclass(component)):
        value = getattr(component, field.name)
        inner = field.metadata.get("registry")
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
    fields = {f.name: f for f in dataclasses.fields(component)}
    hints = typing.get_type_hints(type(component))
    changes: dict[str, Any] = {}
    for key, value in settings.items():
        path = f"{where}.{key}"
        if key not in fields:
            raise SettingsError(f"unknown setting `{path}`; {did_you_mean(key, fields)}.")
        inner = fields[key].metadata.get("registry")
        if inner is not None and value is not None:
            changes[key] = decode(value, inner, path, getattr(component, key))
        else:
            changes[key] = _checked(value, hints[key], path)
    try:
        return dataclasses.replace(component, **changes)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"in `{where}`: {error}") from error


def _preset(name: object, registry: Mapping[str, Any], where: str) -> Any:
    """A preset by name."""
    if not isinstance(name, str):
        raise SettingsError(f"`{where}` must be a name, got {name!r}.")
    try:
        return lookup(where.removesuffix(".type"), name, registry)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _checked(value: object, hint: Any, where: str) -> Any:
    """A plain value of the field's type."""
    try:
        return pydantic.TypeAdapter(hint).validate_python(value)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(
            f"`{where}` has the wrong type: {first['msg'][0].lower()}{first['msg'][1:]}, "
            f"got {value!r}."
        ) from error


def _plain(value: object) -> Any:
    """Tuples as lists, everything else as it is."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _dataclass(component: object) -> Any:
    """The component itself, after a check that it is a dataclass instance."""
    if not dataclasses.is_dataclass(component) or isinstance(component, type):
        raise SettingsError(f"{component!r} is not a component with settings.")
    return component
