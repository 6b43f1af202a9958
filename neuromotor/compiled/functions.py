"""Functions of one number that plants and cells share, for whatever kind of number it is.

A plant's physics is written once, on components: floats for a single arm, numpy arrays for many,
tensors where autograd follows, and compiled scalars in the loops of `closed_loop`. What such code
calls is either here or marked as a `component` itself, so that the compiler knows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch

__all__ = [
    "COMPONENTS",
    "chosen",
    "component",
    "exponential",
    "hyperbolic_tangent",
    "number",
    "power",
    "sine_and_cosine",
    "square_root",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])
COMPONENTS: list[Callable[..., Any]] = []


def component(function: _Function) -> _Function:
    """Mark a function on components, so that compiled loops may call it; used as a decorator.

    Its body may use arithmetic, tuples, and other components, and no number that is written out:
    ``2 * x`` would make float64 of a float32; ``number(2.0, x) * x`` does not.
    """
    COMPONENTS.append(function)
    return function


def sine_and_cosine(x: Any) -> tuple[Any, Any]:
    """Return sine and cosine of an angle (rad): a float, an array or a tensor."""
    if isinstance(x, float):
        return math.sin(x), math.cos(x)
    if isinstance(x, torch.Tensor):
        return torch.sin(x), torch.cos(x)
    return np.sin(x), np.cos(x)


def hyperbolic_tangent(x: Any) -> Any:
    """Return the tanh of a float, an array or a tensor."""
    if isinstance(x, float):
        return math.tanh(x)
    return torch.tanh(x) if isinstance(x, torch.Tensor) else np.tanh(x)


def exponential(x: Any) -> Any:
    """Return e^x of a float, an array or a tensor."""
    if isinstance(x, float):
        return math.exp(x)
    return torch.exp(x) if isinstance(x, torch.Tensor) else np.exp(x)


def power(x: Any, exponent: Any) -> Any:
    """Return ``x ** exponent`` of a number that is not negative: a float, an array or a tensor."""
    return x**exponent


def square_root(x: Any) -> Any:
    """Return the root of a number that is not negative: a float, an array or a tensor."""
    if isinstance(x, float):
        return math.sqrt(x)
    return torch.sqrt(x) if isinstance(x, torch.Tensor) else np.sqrt(x)


def number(value: float, like: Any) -> Any:
    """Return a constant that does not change the precision of what it is combined with."""
    del like
    return value


def chosen(x: Any, above: Any, otherwise: Any) -> Any:
    """Return `above` where x is above zero, and else `otherwise`; all of one kind of number."""
    if isinstance(x, float):
        return above if x > 0 else otherwise
    kit = torch if isinstance(x, torch.Tensor) else np
    return kit.where(x > 0, above, otherwise)
