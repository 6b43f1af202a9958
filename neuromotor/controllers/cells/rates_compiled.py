"""The memory before the first step, for pieces of cells whose memory is their rates alone."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

__all__ = ["start", "start_adjoint", "start_tangent"]


def start(initial: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the parts of the memory before the first step, of learnt rates (units,)."""
    return [initial]


def start_tangent(initial: NDArray[Any], change: NDArray[Any]) -> list[NDArray[Any]]:
    """Return how they change."""
    del initial
    return [change]


def start_adjoint(initial: NDArray[Any], pulls: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the derivative by the initial rates."""
    del initial
    return pulls[0]
