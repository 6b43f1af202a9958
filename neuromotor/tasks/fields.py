"""Force fields on the hand in the plane that experiments on adaptation use, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from neuromotor._checks import check_number, check_numbers
from neuromotor.extensions import Registry

__all__ = ["FIELDS", "CurlField", "DivergentField", "HandField", "LinearField", "across"]


class HandField(Protocol):
    """A force field on the hand, which may depend on where a reach starts and where it goes."""

    def matrix(self, start: Tensor, direction: Tensor) -> Tensor:
        """Return the field as `Trials.field` has it, (B, 2, 5).

        Args:
            start: Where the hand begins (m), (B, 2).
            direction: Of the target from there, of length 1, (B, 2).
        """
        ...


def across(direction: Tensor) -> Tensor:
    """Return the unit vector to the left of a direction, (..., 2)."""
    return torch.stack([-direction[..., 1], direction[..., 0]], dim=-1)


@dataclass(frozen=True)
class CurlField:
    """A force across the hand's velocity: ``F = b [[0, -1], [1, 0]] v``. It does no work.

    Attributes:
        strength_ns_m: b (N s/m), positive to the left of the movement.

    Raises:
        ValueError: The strength is no number.
    """

    strength_ns_m: float = 13.0

    def __post_init__(self) -> None:
        check_number("strength_ns_m", self.strength_ns_m, "N s/m")

    def matrix(self, start: Tensor, direction: Tensor) -> Tensor:
        """Return the field, (B, 2, 5); see `HandField.matrix`."""
        b = self.strength_ns_m
        return LinearField((0.0, -b, b, 0.0)).matrix(start, direction)


@dataclass(frozen=True)
class LinearField:
    """A force that is linear in the hand's velocity: ``F = D v``.

    The default is the saddle of Shadmehr & Mussa-Ivaldi (1994), which drives some movements on,
    holds others back, and pushes those between aside.

    Attributes:
        drag_ns_m: D (N s/m), row by row.

    Raises:
        ValueError: D does not have four numbers.
    """

    drag_ns_m: tuple[float, float, float, float] = (-10.1, -11.2, -11.2, 11.1)

    def __post_init__(self) -> None:
        check_numbers("drag_ns_m", self.drag_ns_m, "N s/m")
        if len(self.drag_ns_m) != 4:
            raise ValueError(
                f"`drag_ns_m` must have four numbers, two rows of two, got {len(self.drag_ns_m)}."
            )

    def matrix(self, start: Tensor, direction: Tensor) -> Tensor:
        """Return the field, (B, 2, 5); see `HandField.matrix`."""
        field = start.new_zeros(len(start), 2, 5)
        field[:, :, 3:] = start.new_tensor(self.drag_ns_m).reshape(2, 2)
        return field


@dataclass(frozen=True)
class DivergentField:
    """A force away from the straight line to the target: ``F = k s s'(p - p0)``.

    s is the unit vector across. What is a hair off the line is driven further off; people meet it
    by stiffness across the movement (Burdet et al. 2001, with 300 to 500 N/m).

    Attributes:
        stiffness_n_m: k (N/m).

    Raises:
        ValueError: The stiffness is negative.
    """

    stiffness_n_m: float = 300.0

    def __post_init__(self) -> None:
        check_number("stiffness_n_m", self.stiffness_n_m, "N/m", minimum=0.0)

    def matrix(self, start: Tensor, direction: Tensor) -> Tensor:
        """Return the field, (B, 2, 5); see `HandField.matrix`."""
        side = across(direction)
        wall = self.stiffness_n_m * side.unsqueeze(-1) * side.unsqueeze(-2)
        field = start.new_zeros(len(start), 2, 5)
        field[:, :, 0] = -(wall @ start.unsqueeze(-1)).squeeze(-1)
        field[:, :, 1:3] = wall
        return field


FIELDS: Registry[HandField] = Registry(
    "field",
    {"curl": CurlField(), "saddle": LinearField(), "divergent": DivergentField()},
    members=("matrix",),
)
