"""Between which values the settings of a task lie over its trials.

A task whose trials are drawn says so by a method `ranges`, which returns by name of a setting the
`Range` or ranges of its values, or none where the setting does not matter to a network; every other
number has one value. What a network was trained on is stated with this, and a task that lies
outside is found.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuromotor.tasks.task import Task

__all__ = ["Range", "ignored", "numbers", "outside", "ranges"]


@dataclass(frozen=True)
class Range:
    """Lowest and highest value that a setting takes over a task's trials.

    Attributes:
        name: Of the setting, with dots between levels.
        low: Lowest value.
        high: Highest value.
        unit: Where one name can mean two units, as of forces and torques; else the name says it.
    """

    name: str
    low: float
    high: float
    unit: str = ""

    def __str__(self) -> str:
        values = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        return f"{values} {self.unit}".rstrip()

    def covers(self, other: Range) -> bool:
        """Whether another range of the same setting and unit lies within this one."""
        same = (self.name, self.unit) == (other.name, other.unit)
        slack = 1e-9 * max(abs(self.low), abs(self.high))
        return same and self.low - slack <= other.low and other.high <= self.high + slack


def ranges(task: Task) -> list[Range]:
    """Return between which values each number of a task's settings lies over its trials.

    Args:
        task: A dataclass, like every task of this package.

    Example:
        >>> from neuromotor.tasks import Postural
        >>> [str(item) for item in ranges(Postural()) if item.name == "load_size"]
        ['0.7 N']
    """
    own = _own(task)
    told = _BATCH | own.keys()
    rest = (row for row in numbers(task) if row[0].partition("[")[0] not in told)
    found = [Range(name, value, value) for name, value, _ in rest]
    return [item for items in own.values() for item in items] + found


def outside(trained: Task, task: Task) -> list[str]:
    """Return a sentence for each setting of a task that lies outside those of a training.

    Args:
        trained: What a network was trained on.
        task: What it is to run.

    Example:
        >>> from neuromotor.tasks import Postural
        >>> outside(Postural(), Postural(load_size=1.0))
        ['`load_size` is 1 N; this network was trained at 0.7 N.']
    """
    if type(trained) is not type(task):
        names = type(task).__name__, type(trained).__name__
        return [f"The task is {names[0]}; this network was trained on {names[1]}."]
    words = dict(_words(trained))
    changed = {name: word for name, word in _words(task) if word != words.get(name, word)}
    unmet = ignored(trained)
    there, said = ranges(trained), []
    for here in ranges(task):
        if here.name in unmet or any(here.name.startswith(f"{name}.") for name in changed):
            continue
        known = [item for item in there if item.name == here.name]
        if here.name.endswith("directions") and known and known[0].low >= _DENSE:
            continue
        if not any(item.covers(here) for item in known):
            at = f"at {' or '.join(map(str, known))}" if known else "without one"
            said.append(f"`{here.name}` is {here}; this network was trained {at}.")
    for name, word in changed.items():
        said.append(f"`{name}` is {word}; this network was trained with {words[name]}.")
    return said


def ignored(task: Task) -> set[str]:
    """Return the settings that do not matter to a network, or that other settings' ranges hold."""
    unmet = _BATCH | {name for name, items in _own(task).items() if not items}
    senses = getattr(task, "senses", None)
    if senses is not None and senses.own_delays:  # the task's own delay is nobody's
        unmet |= {"delay_steps", "reach.delay_steps"}
    return unmet


def numbers(component: Any, prefix: str = "") -> Iterator[tuple[str, float, bool]]:
    """Yield name, value and whether it counts something, of every number among settings.

    A number of a tuple is named by its place, as in `shoulder_deg[1]`, also of a component in one,
    as in `senses.channels[0].noise`. Where a setting is None and the metadata of its field name a
    property `in_use`, the number is that property's.
    """
    for field in dataclasses.fields(component):
        if field.metadata.get("training"):
            continue
        name, value = f"{prefix}{field.name}", getattr(component, field.name)
        if value is None and "in_use" in field.metadata:
            value = getattr(component, field.metadata["in_use"])
        for place, item in _components(name, value):
            yield from numbers(item, f"{place}.")
        if not dataclasses.is_dataclass(value):
            count = re.search(r"\bint\b", str(field.type)) is not None
            yield from ((place, item, count) for place, item in _leaves(name, value))


_DENSE = 16  # evenly spaced directions, 22.5 degrees apart, that stand for all others between them
# How many trials there are, which a network does not meet.
_BATCH = {"draws", "pairs", "repeats", "sequences"}


def _components(name: str, value: object) -> Iterator[tuple[str, Any]]:
    """A value that has settings of its own, or those in a tuple of such values."""
    if dataclasses.is_dataclass(value):
        yield name, value
    elif isinstance(value, tuple):
        for place, item in enumerate(value):
            if dataclasses.is_dataclass(item):
                yield f"{name}[{place}]", item


def _leaves(name: str, value: object) -> Iterator[tuple[str, float]]:
    """Numbers of a value, which may be a tuple of them, or of tuples."""
    if isinstance(value, tuple):
        for place, item in enumerate(value):
            yield from _leaves(f"{name}[{place}]", item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def _own(task: Task) -> Mapping[str, Sequence[Range]]:
    """What the task itself says, by name of the setting."""
    own: Mapping[str, Sequence[Range]] = task.ranges() if hasattr(task, "ranges") else {}
    return own


def _words(component: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every setting that is a word, and the kinds of components within."""
    own = () if prefix else _own(component)
    for field in dataclasses.fields(component):
        name, value = f"{prefix}{field.name}", getattr(component, field.name)
        if name in own or field.metadata.get("training"):
            continue
        for place, item in _components(name, value):
            yield place, type(item).__name__
            yield from _words(item, f"{place}.")
        if dataclasses.is_dataclass(value):
            continue
        if "registry" in field.metadata and value is None:
            yield name, "none"
        elif isinstance(value, str | bool):
            yield name, str(value)
        elif isinstance(value, tuple) and value and all(isinstance(item, str) for item in value):
            yield name, ", ".join(value)
