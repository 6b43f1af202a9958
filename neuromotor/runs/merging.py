"""Settings from several places in one table, later ones winning.

A name (`plant = "human"`) stands for a whole component: what an earlier place said of another one
that it named is gone. A table changes the component that there is; with another `type` it stands
for a whole one too. The plant is one setting with two spellings, `plant` and `task.plant`
(`task.reach.plant` for a reach with something done to it), and so is a time
(`neuromotor.storage.components.time_stem`): the spelling that comes later wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neuromotor.storage.components import SettingsError, time_stem

__all__ = ["flattened", "merged", "nested"]

_PLANT = "plant"


def merged(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all layers as one table, later ones winning.

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
            place[part] = place = _table(place.get(part, {}))
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


def _table(spec: Any) -> dict[str, Any]:
    """A table that says what a name or a number says."""
    if isinstance(spec, dict):
        return spec
    return {"others" if isinstance(spec, int) else "type": spec}


def _pop_plants(table: Mapping[str, Any]) -> list[Any]:
    """Take the plants out of a table's task."""
    task = table.get("task")
    places = [task, task.get("reach")] if isinstance(task, dict) else []
    found = [place.pop(_PLANT, None) for place in places if isinstance(place, dict)]
    return [spec for spec in found if spec is not None]


def _merge(into: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Merge tables level by level; a name meets a table as its `type`, a number as `others`."""
    spelt = {time_stem(name, part): name for name, part in into.items() if name not in extra}
    for key, value in extra.items():
        other = spelt.get(time_stem(key, value))
        if other is not None:
            into.pop(other, None)
        old = into.get(key)
        if isinstance(value, Mapping) and isinstance(old, dict | str | int):
            old = _table(old)
            into[key] = value if _renamed(old, value) else old
            if into[key] is old:
                _merge(old, value)
        elif isinstance(value, str) and isinstance(old, dict) and "type" not in old:
            old["type"] = value
        else:
            into[key] = value


def _renamed(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two tables name different components."""
    return "type" in old and "type" in new and old["type"] != new["type"]


def _copied(value: Any) -> Any:
    """Tables within tables as new ones."""
    if isinstance(value, Mapping):
        return {key: _copied(part) for key, part in value.items()}
    return value
