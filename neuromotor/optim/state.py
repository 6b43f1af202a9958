"""The whole state of a minimisation: what an optimizer carries from one iteration to the next."""

from __future__ import annotations

import copy
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

__all__ = ["LARGEST", "Snapshot", "SnapshotError", "State", "pack", "restore"]

LARGEST = 1e29  # no damping, step or radius that makes sense is beyond it


class SnapshotError(ValueError):
    """A snapshot does not fit the optimizer that should continue from it."""


@dataclass
class State:
    """What every optimizer carries; each method adds its own fields.

    Fields hold tensors, numbers, None and lists of these, so that a state can be saved. A field
    with `metadata={"transient": True}` is not saved, but computed again from the others.

    What comes back from a file must have the types of the annotations: a tensor is a vector like
    `theta`, and all numbers are finite. Metadata says more: `minimum` and `maximum` of numbers,
    `infinite` for a number that may be infinite, and `counts` for one that grows by at most one in
    an iteration. `check` replaces the annotation: it is a function of the value and `theta` that
    returns what is wrong, or None. `disagreement` compares fields.

    Attributes:
        theta: Parameters, (P,); replaced, never changed in place.
        value: Objective at `theta`.
        gradient: Gradient at `theta`, (P,).
        iteration: Number of iterations.
        fresh: Whether value and gradient belong to `theta` and the current draws.
        standstill: Why the last iteration did not change `theta`, if the method says so.
    """

    theta: Tensor
    value: float = field(default=math.inf, metadata={"maximum": math.inf})
    gradient: Tensor = field(init=False)
    iteration: int = field(default=0, metadata={"minimum": 0})
    fresh: bool = False
    standstill: str | None = field(default=None, metadata={"transient": True})

    def __post_init__(self) -> None:
        self.gradient = self.theta.new_zeros(self.theta.shape)

    def move(self, theta: Tensor) -> None:
        """Go to a point where the objective is still to be evaluated."""
        self.theta, self.fresh = theta, False

    def arrive(self, theta: Tensor, value: float, gradient: Tensor) -> None:
        """Go to a point whose value and gradient are known."""
        self.theta, self.value, self.gradient, self.fresh = theta, value, gradient, True

    def disagreement(self) -> str | None:
        """Return which fields contradict each other, in words, or None."""
        for part in fields(self):
            if part.metadata.get("counts") and getattr(self, part.name) > self.iteration + 1:
                return f"`{part.name}` is more than `iteration`"
        return None


@dataclass(frozen=True)
class Snapshot:
    """A minimisation between two iterations; a run that resumes here is equal to the bit.

    Attributes:
        optimizer: Name of the optimizer's class.
        state: The optimizer's state as plain data: tensors, numbers, None, and lists of these.
        run: Counts, seconds, history and the best point, as plain data too.
        settings: Settings of the run, if they were saved with the snapshot.
    """

    optimizer: str
    state: dict[str, Any]
    run: dict[str, Any]
    settings: dict[str, Any] | None = None


def pack(state: State) -> dict[str, Any]:
    """Return a state's lasting fields as plain data that later iterations do not change."""
    return {
        part.name: _plain(getattr(state, part.name))
        for part in fields(state)
        if not part.metadata.get("transient")
    }


def restore(state: State, data: Mapping[str, Any]) -> None:
    """Put packed fields into a newly begun state; if they are refused, the state does not change.

    Raises:
        SnapshotError: The data lacks a field, has an unknown one, is of other sizes or types, or
            holds a number that no minimisation comes to.
    """
    lasting = {part.name: part for part in fields(state) if not part.metadata.get("transient")}
    if not isinstance(data, Mapping) or set(data) != lasting.keys():
        found = sorted(map(str, data)) if isinstance(data, Mapping) else [repr(data)]
        raise SnapshotError(
            f"`resume` must hold the fields {', '.join(sorted(lasting))}, got "
            f"{', '.join(found)}; resume with the optimizer and version that saved it."
        )
    like, theta = state.theta, data["theta"]
    if not isinstance(theta, Tensor) or theta.shape != like.shape or theta.dtype != like.dtype:
        raise SnapshotError(
            f"`resume` must hold {like.shape[0]} parameters of {like.dtype}, got {_shown(theta)}; "
            "resume the run with the controller and dtype that it began with."
        )
    finite = not _diverged(data)
    types_ = get_type_hints(type(state))
    for name, part in lasting.items():
        check = part.metadata.get("check")
        rules = {**part.metadata, "finite": finite}
        if check is None:
            wrong = wanted(data[name], types_[name], like, rules)
        else:
            wrong = check(data[name], like)
        if wrong is not None:
            raise SnapshotError(
                f"`resume` must hold {wrong} as `{name}`, got {_shown(data[name])}; use another "
                "copy of the snapshot."
            )
    made = copy.copy(state)
    for name in lasting:
        setattr(made, name, _on(data[name], like))
    disagreement = made.disagreement()
    if disagreement is not None:
        raise SnapshotError(
            f"`resume` does not agree with itself: {disagreement}; use another copy."
        )
    for name in lasting:
        setattr(state, name, getattr(made, name))


def wanted(value: Any, kind: Any, like: Tensor, rules: Mapping[str, Any]) -> str | None:
    """Return what a value should be, in words, or None if it has the right type.

    Args:
        value: Plain data.
        kind: Type annotation; annotations of other types than plain data are not checked.
        like: A vector of the size and dtype that a tensor must have, (P,).
        rules: `minimum`, `maximum`, `finite` (true by default) and `infinite`.
    """
    parts, origin = get_args(kind), get_origin(kind)
    if origin in (Union, types.UnionType):
        reasons = [wanted(value, part, like, rules) for part in parts]
        return None if None in reasons else " or ".join(str(reason) for reason in reasons)
    if kind is type(None):
        return None if value is None else "None"
    if origin in (list, tuple):
        size = len(parts) if origin is tuple and Ellipsis not in parts else None
        if not isinstance(value, (list, tuple)) or len(value) != (size or len(value)):
            return "a list" if size is None else f"{size} values"
        kinds = parts if size is not None else parts[:1] * len(value)
        reasons = [wanted(x, part, like, rules) for x, part in zip(value, kinds, strict=True)]
        return next((reason for reason in reasons if reason is not None), None)
    if kind is Tensor:
        return _wanted_vector(value, like, rules)
    if kind is bool:
        return None if isinstance(value, bool) else "true or false"
    if kind in (int, float):
        return _wanted_number(value, kind, rules)
    return None


def _wanted_vector(value: Any, like: Tensor, rules: Mapping[str, Any]) -> str | None:
    text = f"{like.shape[0]} numbers of {like.dtype}"
    if not isinstance(value, Tensor) or value.shape != like.shape or value.dtype != like.dtype:
        return text
    if rules.get("finite") and not bool(torch.isfinite(value).all()):
        return f"{text}, all finite"
    if bool((value < rules.get("minimum", -math.inf)).any()):
        return f"{text}, none below {rules['minimum']:g}"
    return None


def _wanted_number(value: Any, kind: type, rules: Mapping[str, Any]) -> str | None:
    low, high = rules.get("minimum", -LARGEST), rules.get("maximum", LARGEST)
    text = f"a{'n integer' if kind is int else ' number'} from {low:g} to {high:g}"
    if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
        return text
    if kind is float and not math.isfinite(value):
        fits = not rules.get("finite", True) or (rules.get("infinite") and value > low)
        return None if fits else text
    return None if low <= value <= high else text


def _diverged(data: Mapping[str, Any]) -> bool:
    """Return whether the objective is not finite; then no other number must be finite."""
    value, gradient = data["value"], data["gradient"]
    if isinstance(value, float) and not math.isfinite(value):
        return True
    return isinstance(gradient, Tensor) and not bool(torch.isfinite(gradient).all())


def _shown(value: Any) -> str:
    """Return a value as an error message shows it."""
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} of {value.dtype}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _plain(value: Any) -> Any:
    """Return a copy, with tuples as lists."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value


def _on(value: Any, like: Tensor) -> Any:
    """Return a copy, with tensors on the device of another."""
    if isinstance(value, Tensor):
        return value.to(like.device, copy=True)
    if isinstance(value, (list, tuple)):
        return [_on(part, like) for part in value]
    return value
