"""Films of balls that bounce in a box, of which the next picture is to be predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_positive
from neuromotor.problems.problem import Sequences

__all__ = ["BouncingBalls"]

_BOX = 10.0  # side of the box; lengths are in this unit, as in the films of the source


@dataclass(frozen=True)
class BouncingBalls:
    """Predict the next picture of balls that bounce off the walls and off each other.

    Balls of equal mass fly straight on; at a wall the speed towards it turns round, and two that
    touch exchange their speeds along the line between their centres. A pixel is the brightest of
    exp(-(d / r)^8) over the balls, where d is the distance to the centre and r the radius: nearly 1
    within and 0 outside. There is no right or wrong, so that this problem has a loss alone: the
    Kullback-Leibler divergence, summed over pixels and over pictures.

    Source: Sutskever (2013), section 4.5.1; Sutskever, Hinton & Taylor (2009), section 5.1. Sizes
    of box and balls and the speed are our choice where these leave them open.

    Attributes:
        size: Pixels of a side; the source says 15 in one place and 18 in another.
        balls: How many.
        steps: Pictures of a film.
        radius: Of a ball; the box is 10 wide.
        speed: Way of a ball from one picture to the next.

    Raises:
        ValueError: A setting is out of range, or the balls are too large for the box.
    """

    size: int = 15
    balls: int = 3
    steps: int = 30
    radius: float = 1.2
    speed: float = 0.5

    loss: ClassVar[str] = "logistic"
    distinct: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_integer("size", self.size, minimum=2)
        check_integer("balls", self.balls, minimum=1)
        check_integer("steps", self.steps, minimum=2)
        check_positive("radius", self.radius)
        check_positive("speed", self.speed)
        if self.balls * (2 * self.radius) ** 2 > 0.4 * _BOX**2:
            raise ValueError(
                f"`radius` must leave the balls room in a box {_BOX:g} wide, got {self.radius:g} "
                f"for {self.balls} of them; choose fewer or smaller ones."
            )

    @property
    def lag(self) -> int:
        """Pictures of a film."""
        return self.steps

    @property
    def input_size(self) -> int:
        """Pixels of a picture."""
        return self.size**2

    @property
    def output_size(self) -> int:
        """Pixels of a picture."""
        return self.size**2

    def sequences(
        self, count: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
    ) -> Sequences:
        """Return random films; the picture after each is its target."""
        pictures = self._pictures(self.places(count, generator)).to(dtype)
        counted = torch.ones(count, self.steps - 1, dtype=dtype)
        judged = torch.zeros_like(counted, dtype=torch.bool)
        return Sequences(pictures[:, :-1], pictures[:, 1:], counted, judged)

    def places(self, count: int, generator: torch.Generator) -> Tensor:
        """Return the centres of the balls of random films, (B, T, balls, 2)."""
        place = self._apart(count, generator)
        angle = 2 * torch.pi * torch.rand(count, self.balls, generator=generator).double()
        velocity = self.speed * torch.stack([angle.cos(), angle.sin()], dim=-1)
        film, parts = [place], 10  # steps between two pictures, so that balls hardly overlap
        for _ in range(self.steps - 1):
            for _ in range(parts):
                place = place + velocity / parts
                velocity = self._bounced(place, velocity)
            film.append(place)
        return torch.stack(film, dim=1)

    def _apart(self, count: int, generator: torch.Generator) -> Tensor:
        """Random places, drawn again until no two balls touch."""
        low, high = self.radius, _BOX - self.radius
        place = torch.zeros(count, self.balls, 2, dtype=torch.float64)
        redo = torch.ones(count, dtype=torch.bool)
        while bool(redo.any()):
            drawn = torch.rand(int(redo.sum()), self.balls, 2, generator=generator)
            place[redo] = low + (high - low) * drawn.double()
            gaps = (place[:, :, None] - place[:, None]).norm(dim=-1)
            gaps = gaps + 4 * self.radius * torch.eye(self.balls)
            redo = (gaps < 2 * self.radius).any(-1).any(-1)
        return place

    def _bounced(self, place: Tensor, velocity: Tensor) -> Tensor:
        """Velocities after walls and other balls, where balls that part are left alone."""
        low, high = place < self.radius, place > _BOX - self.radius
        velocity = torch.where(low, velocity.abs(), velocity)
        velocity = torch.where(high, -velocity.abs(), velocity)
        for i in range(self.balls):
            for j in range(i):
                line = place[:, i] - place[:, j]
                distance = line.norm(dim=-1, keepdim=True).clamp(min=1e-9)
                line = line / distance
                closing = ((velocity[:, i] - velocity[:, j]) * line).sum(-1, keepdim=True)
                hit = (distance < 2 * self.radius) & (closing < 0)
                change = torch.where(hit, closing, torch.zeros_like(closing)) * line
                velocity = velocity.clone()
                velocity[:, i] -= change
                velocity[:, j] += change
        return velocity

    def _pictures(self, places: Tensor) -> Tensor:
        """Pixels, (B, T, size^2), of centres (B, T, balls, 2)."""
        ticks = (torch.arange(self.size, dtype=torch.float64) + 0.5) * _BOX / self.size
        grid = torch.stack(torch.meshgrid(ticks, ticks, indexing="ij"), dim=-1).flatten(0, 1)
        squares = (grid - places[..., None, :]).square().sum(-1) / self.radius**2
        return torch.exp(-(squares**4)).amax(dim=-2)
