"""Merges settings from several places into one table; what comes later wins.

A name (`plant = "human"`) stands for a whole component, so it replaces all that an earlier place
said about another component. A table changes the component that is there already; a table with
another `type` stands for a whole component too. The plant is one setting with two spellings,
`plant` and `task.plant` (`task.reach.plant` for a task around a reach), and a time has several
spellings too (`neuromotor.storage.components.time_stem`): the spelling that comes later wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neuromotor.storage.components import SettingsError, time_stem

__all__ = ["flattened", "merged", "nested"]

_PLANT = "plant"
_ITEMS = {"penalties": "terms"}  # what a list of a setting stands for; else `channels`
_CHANNELS = "channels"


def merged(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all layers as one table, in which later layers win.

    Raises:
        SettingsError: One layer says the same thing twice.
    """
    table: dict[str, Any] = {}
    for layer in layers:
        layer = {key: part for key, part in layer.items() if (key, part) != (_PLANT, None)}
        own = _copied(layer)
        plant = own.pop(_PLANT, None)
        within = _pop_plants(own)
        if len(within) + (plant is not None) > 1:
            raise SettingsError(
                "the plant is given twice, as `plant` and within `task`; leave one of them out."
            )
        if _PLANT not in table and plant is None:  # where it is said within the task it stays there
            _merge(table, _copied(layer))
            continue
        _merge(table, own)
        for spec in _pop_plants(table):
            table[_PLANT] = spec
        for spec in [plant, *within] if plant is not None else within:
            _merge(table, {_PLANT: spec})
    return table


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with dotted keys as tables within tables.

    Example:
        >>> nested({"task": "ddn", "task.pairs": 8})
        {'task': {'type': 'ddn', 'pairs': 8}}
    """
    table: dict[str, Any] = {}
    for key, value in flat.items():
        *places, last = key.split(".")
        place = table
        for part in places:
            place[part] = place = _table(part, place.get(part, {}))
        if isinstance(place.get(last), dict) and isinstance(value, str):
            value = {**place[last], "type": value}
        place[last] = value
    return table


def flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return tables within tables as one table with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        flat |= flattened(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def _table(key: str, spec: Any) -> dict[str, Any]:
    """Return a table that says the same as a name, a number, or the list of a setting's items."""
    if isinstance(spec, dict):
        return spec
    if isinstance(spec, list):
        return {_ITEMS.get(key, _CHANNELS): spec}
    return {"others" if isinstance(spec, int) else "type": spec}


def _pop_plants(table: Mapping[str, Any]) -> list[Any]:
    """Remove the plants from a table's task, and return them."""
    task = table.get("task")
    places = [task, task.get("reach")] if isinstance(task, dict) else []
    found = [place.pop(_PLANT, None) for place in places if isinstance(place, dict)]
    return [spec for spec in found if spec is not None]


def _merge(into: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Merge tables level by level.

    In a table, a name is the `type`, a number is `others` and a list the items (`_ITEMS`).
    """
    spelt = {time_stem(name, part): name for name, part in into.items() if name not in extra}
    for key, value in extra.items():
        other = spelt.get(time_stem(key, value))
        if other is not None:
            into.pop(other, None)
        old = into.get(key)
        if isinstance(value, Mapping) and isinstance(old, dict | str | int | list):
            old = _table(key, old)
            into[key] = value if _renamed(old, value) else old
            if into[key] is old:
                _merge(old, value)
        elif isinstance(value, str) and isinstance(old, dict) and "type" not in old:
            old["type"] = value
        elif isinstance(value, list) and isinstance(old, dict) and key in _ITEMS:
            into[key] = {_ITEMS[key]: value}
        elif isinstance(value, list) and isinstance(old, dict) and _CHANNELS not in old:
            old[_CHANNELS] = value
        else:
            into[key] = value


def _renamed(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether two tables name different components."""
    return "type" in old and "type" in new and old["type"] != new["type"]


def _copied(value: Any) -> Any:
    """Return a copy of tables within tables."""
    if isinstance(value, Mapping):
        return {key: _copied(part) for key, part in value.items()}
    return value
