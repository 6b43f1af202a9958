"""Checks that all rooms share: of arguments, and of what a component's class declares."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

__all__ = [
    "check_below_one",
    "check_finite_tensor",
    "check_fraction",
    "check_integer",
    "check_number",
    "check_numbers",
    "check_positive",
    "check_seed",
    "declares",
    "did_you_mean",
    "lookup",
    "up_to_date",
    "whole_steps",
]

_ROUNDING = 1e-6  # of a step, relative: 0.35 s are 35 steps of 10 ms, whatever floats say


def check_number(name: str, value: object, unit: str = "", *, minimum: float | None = None) -> None:
    """Raise unless `value` is a finite real number that is at least `minimum`."""
    expected = f"a finite number{_of(unit)}"
    if minimum is not None:
        expected += f", {minimum:g} or more"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"`{name}` must be {expected}, got {value!r}.")
    if not math.isfinite(value) or (minimum is not None and value < minimum):
        raise ValueError(f"`{name}` must be {expected}, got {value!r}.")


def check_numbers(
    name: str, values: Sequence[object], unit: str = "", *, minimum: float | None = None
) -> None:
    """Raise unless there is a number or more, and each is as `check_number` wants it."""
    if not values:
        raise ValueError(f"`{name}` must hold at least one number, got none.")
    for value in values:
        check_number(name, value, unit, minimum=minimum)


def check_positive(name: str, value: object, unit: str = "") -> None:
    """Raise unless `value` is a finite real number above zero."""
    check_number(name, value, unit)
    if isinstance(value, int | float) and value <= 0:
        raise ValueError(f"`{name}` must be a positive number{_of(unit)}, got {value!r}.")


def check_share(name: str, value: object) -> None:
    """Raise unless `value` is a finite real number from 0 to 1."""
    check_number(name, value, minimum=0.0)
    if isinstance(value, int | float) and value > 1:
        raise ValueError(f"`{name}` must be from 0 to 1, got {value!r}.")


def check_below_one(name: str, value: object) -> None:
    """Raise unless `value` is a finite real number from 0 to 1, 1 left out."""
    check_number(name, value, minimum=0.0)
    if isinstance(value, int | float) and value >= 1:
        raise ValueError(f"`{name}` must be below 1, got {value!r}.")


def check_fraction(name: str, value: object) -> None:
    """Raise unless `value` is a finite real number from 0 to 1."""
    check_number(name, value, minimum=0.0)
    if isinstance(value, int | float) and value > 1:
        raise ValueError(f"`{name}` must be at most 1, got {value!r}.")


def check_integer(name: str, value: object, *, minimum: int) -> None:
    """Raise unless `value` is an integer that is at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{name}` must be a whole number, {minimum} or more, got {value!r}.")
    if value < minimum:
        raise ValueError(f"`{name}` must be a whole number, {minimum} or more, got {value!r}.")


def check_seed(name: str, value: object, *, count: int = 1) -> None:
    """Raise unless `value` is the first of `count` whole numbers that generators take as seeds."""
    check_integer(name, value, minimum=0)
    if isinstance(value, int) and value + count > 2**63:
        raise ValueError(f"`{name}` must be a whole number below 2**63, got {value!r}.")


def whole_steps(name: str, seconds: object, dt_s: float) -> int:
    """Return a time as a number of steps; raise unless it is a whole one."""
    check_number(name, seconds, "seconds")
    count = float(seconds) / dt_s  # type: ignore[arg-type]
    check_number(name, count)
    steps = round(count)
    if abs(count - steps) > _ROUNDING * max(1, abs(steps)):
        near = " or ".join(f"{int(count + more) * dt_s:.6g}" for more in (0, 1))
        raise ValueError(
            f"`{name}` must be a whole number of steps of {dt_s:g} s, got {seconds:g} s; the "
            f"nearest are {near} s."
        )
    return steps


def check_finite_tensor(
    name: str, value: object, shape: tuple[int | None, ...], *, hint: str = ""
) -> None:
    """Raise unless `value` is a finite float32 or float64 tensor of `shape` (None: any size)."""
    wanted = "(" + ", ".join("*" if n is None else str(n) for n in shape) + ")"
    hint = f" {hint}" if hint else ""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"`{name}` must be a torch tensor of shape {wanted}, got {type(value).__name__}.{hint}"
        )
    if value.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"`{name}` must have a floating-point dtype, float32 or float64, got {value.dtype}; "
            f"use `.double()`.{hint}"
        )
    matches = value.ndim == len(shape) and all(
        wanted_size is None or size == wanted_size
        for size, wanted_size in zip(value.shape, shape, strict=True)
    )
    if not matches:
        raise ValueError(f"`{name}` must have shape {wanted}, got {tuple(value.shape)}.{hint}")
    if not bool(torch.isfinite(value).all()):
        bad = int((~torch.isfinite(value)).sum())
        raise ValueError(f"`{name}` must be finite, got {bad} infinite or NaN entries.{hint}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Words an ending for an error: the nearest known name, or all of them."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}? (known: {', '.join(names)})"
    return f"known: {', '.join(names)}"


def lookup(kind: str, name: str, table: Mapping[str, T]) -> T:
    """Return `table[name]`, or raise a `ValueError` that names the nearest valid entry."""
    if name not in table:
        raise ValueError(f"unknown {kind} {name!r}; {did_you_mean(name, table)}.")
    return table[name]


def declares(component: object, name: str) -> bool:
    """Return whether a component's own class declares a capability, and it holds.

    A fast form repeats what the methods of a class do, and a subclass may override any of them. So
    what a class inherits does not count: a subclass that still does the same declares it anew.

    Args:
        component: An instance.
        name: A class attribute or property that is true where the capability is there.
    """
    return name in vars(type(component)) and bool(getattr(component, name))


def up_to_date(component: object, name: str, other: str) -> bool:
    """Return whether a method is there and was overridden wherever another one was.

    What a method says about `other` holds for the class that defines it, and for subclasses that
    leave `other` alone.
    """
    for owner in type(component).__mro__:
        if name in vars(owner):
            return True
        if other in vars(owner):
            return False
    return False


def _of(unit: str) -> str:
    return f" of {unit}" if unit else ""
