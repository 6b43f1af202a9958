"""Tracing an ellipse with the cursor: a path that counts all along, and a pace that is free on it.

Distance from the path counts at every step, and the cursor is to pass the ends of the ellipse's
axes at even times, a quarter of a lap each. Between these the pace is free; and by symmetry both
motion at a constant speed and motion that follows the power law pass them at just these times, so
that they favour neither.

Notation: p is the cursor in the axes of the ellipse, whose half axes are a and b. With
q = (p_x / a)^2 + (p_y / b)^2, the distance from the path is to first order (Taubin 1991)

    e = sqrt(q) (sqrt(q) - 1) / |(p_x / a^2, p_y / b^2)|
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Self

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_positive
from neuromotor.tasks import CursorReach, Trials
from neuromotor.tasks.cursor_cost import CursorCost
from neuromotor.tasks.cursor_reach import VIA_S

__all__ = ["EllipseTracing", "TracingCost"]

_QUARTERS = 4


@dataclass(frozen=True)
class TracingCost(CursorCost):
    """The cost of `CursorCost`, with distances from points on the way, and from a path.

    The feature of `target` is the distance of the cursor from `via`, and the first one of
    `displacement` the distance from the ellipse.

    Attributes:
        via: Where the cursor is to be (m), (T + 1, 2), where the weights of `target` count.
        center: Of the ellipse (m), (2,).
        half_axes_m: Its half axes (m).
        turn_deg: Direction of the first of these, from x.
    """

    via: Tensor = field(default_factory=lambda: torch.zeros(1, 2))
    center: Tensor = field(default_factory=lambda: torch.zeros(2))
    half_axes_m: tuple[float, float] = (0.1, 0.05)
    turn_deg: float = 0.0

    def features(self, states: Tensor) -> Tensor:
        """Return z, (..., T + 1, 12), of states (..., T + 1, 12)."""
        parts, cursor = self.plant.state_parts, self.plant.cursor(states)
        features = super().features(states).clone()
        features[..., parts["target"]] = cursor - self.via.to(cursor)
        features[..., parts["displacement"].start] = self.off_path(cursor)
        return features

    def off_path(self, cursor: Tensor) -> Tensor:
        """Return signed distances from the ellipse (m), (...), of positions (..., 2)."""
        angle = math.radians(self.turn_deg)
        turn = cursor.new_tensor(
            [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        )
        scaled = (cursor - self.center.to(cursor)) @ turn / cursor.new_tensor(self.half_axes_m)
        size = scaled.norm(dim=-1)
        slope = (scaled / cursor.new_tensor(self.half_axes_m)).norm(dim=-1)
        off: Tensor = size * (size - 1) / slope.clamp(min=1e-9)
        return off


@dataclass(frozen=True)
class EllipseTracing(CursorReach):
    """Laps round an ellipse about home, anticlockwise, with the cursor.

    All else is as in `CursorReach`: arm, senses, noise and weights. The error weight is that of the
    distance from the path; make it from those conditions by `of`.

    Attributes:
        half_axes_m: Half axes of the ellipse (m).
        turn_deg: Direction of the first of these, from x.
        lap_s: Time of a lap (s).
        laps: Number of laps.

    Raises:
        ValueError: A number is out of range, or laps and steps do not fit together.
    """

    half_axes_m: tuple[float, float] = (0.08, 0.03)
    turn_deg: float = 45.0
    lap_s: float = 1.0
    laps: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("error_weight", self.error_weight, "1/s")
        for half in self.half_axes_m:
            check_positive("half_axes_m", half, "m")
        check_number("turn_deg", self.turn_deg, "degrees")
        check_positive("lap_s", self.lap_s, "seconds")
        check_integer("laps", self.laps, minimum=1)
        if self.steps != round(self.laps * self.lap_s / self.plant.dt_s):
            raise ValueError(
                f"`steps` must be those of {self.laps} laps of {self.lap_s:g} s, got {self.steps}; "
                "use `EllipseTracing.of`."
            )

    @classmethod
    def of(
        cls,
        world: CursorReach,
        half_axes_m: tuple[float, float],
        turn_deg: float,
        lap_s: float,
        laps: int,
    ) -> Self:
        """Return laps round an ellipse under the conditions of `world`."""
        shared = {one.name: getattr(world, one.name) for one in fields(CursorReach)}
        shared["steps"] = round(laps * lap_s / world.plant.dt_s)
        return cls(**shared, half_axes_m=half_axes_m, turn_deg=turn_deg, lap_s=lap_s, laps=laps)

    @property
    def cost(self) -> TracingCost:
        """The cost of `TracingCost`."""
        paid, plant, dt_s = super().cost, self.plant, self.plant.dt_s
        weights, parts = paid.state_weights.clone(), plant.state_parts
        for part in ("velocity", "torque", "target"):  # what counts at the end of a reach
            weights[:, parts[part]] = 0.0
        weights[:, parts["displacement"].start] = dt_s * self.error_weight
        via = torch.zeros(self.steps + 1, 2, dtype=torch.float64)
        for quarter in range(1, _QUARTERS * self.laps + 1):
            step = round(quarter * self.lap_s / _QUARTERS / dt_s)
            via[step] = self._corner(quarter)
            weights[step, parts["target"]] = VIA_S * self.error_weight
        return TracingCost(
            weights,
            paid.energy_weight,
            plant=plant,
            force_rate_weight=paid.force_rate_weight,
            via=via,
            center=self.home,
            half_axes_m=self.half_axes_m,
            turn_deg=self.turn_deg,
        )

    def traced(self, count: int = 1) -> Trials:
        """Return trials that begin at rest at the end of the first axis, without noise."""
        start = self._corner(0)
        rest = self.plant.rest_state(self.plant.configuration_at(start)).expand(count, -1)
        return Trials(initial_state=rest, target=rest, condition=torch.arange(count))

    def by_points(self, count: int = 1) -> Trials:
        """Return the same for who is told points on the way (`CursorReach.through`), without noise.

        The ellipse itself is not told, and costs nothing to leave.
        """
        many = _QUARTERS * self.laps + 2  # so that the last lap does not end differently
        corners = torch.stack([self._corner(number) for number in range(many + 1)])
        quarter = self.lap_s / _QUARTERS / self.plant.dt_s
        step = (quarter * torch.arange(1, many + 1)).round().long()
        return self.through(corners.expand(count, -1, -1), step.expand(count, -1))

    def _corner(self, quarter: int) -> Tensor:
        """The end of an axis that is passed after so many quarters of a lap (m), (2,)."""
        angle = math.radians(self.turn_deg + 90 * quarter)
        half = self.half_axes_m[quarter % 2]
        return self.home + half * self.home.new_tensor([math.cos(angle), math.sin(angle)])
