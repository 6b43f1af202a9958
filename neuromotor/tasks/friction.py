"""Friction that begins on the way: the hand dips into something viscous within a reach."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from neuromotor._checks import check_number, check_numbers
from neuromotor.tasks.reach_experiments import ReachExperiment
from neuromotor.tasks.trials import Trials

__all__ = ["Friction"]


@dataclass(frozen=True)
class Friction(ReachExperiment):
    """Reaches in which viscous friction grips the hand from a step on, with trials without it.

    From `onset_step` to the end a force ``-b v`` acts against the velocity v of the hand. Nothing
    tells the controller. What the friction does to the velocity is exact at any step
    (`plants.carried_in_field`): it takes energy, and never turns the hand around.

    A mass that the hand lifts on the way is another matter. Its inertia acts on the acceleration,
    and a plant's step takes forces; its weight alone is a `Trials.hand_force`.

    Source: loads that depend on the hand's velocity, Shadmehr & Mussa-Ivaldi (1994), there from the
    start of a reach; that it begins on the way, and the numbers, are ours.

    Attributes:
        reach: The reach that is slowed down.
        friction_ns_m: b (N s/m); None is 10 times the plant's `load_scale`.
        factors: Multiples of b, zero or more; every target meets each.
        onset_step: First step in which there is friction; 200 ms.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> trials = Friction().trials()
        >>> trials.field.shape, trials.field_on.shape
        (torch.Size([16, 2, 5]), torch.Size([16, 60, 1]))
    """

    friction_ns_m: float | None = field(default=None, metadata={"in_use": "friction_in_use"})
    factors: tuple[float, ...] = (0.0, 1.0)
    onset_step: int = 20

    def __post_init__(self) -> None:
        if self.friction_ns_m is not None:
            check_number("friction_ns_m", self.friction_ns_m, "N s/m", minimum=0.0)
        check_numbers("factors", self.factors, minimum=0.0)
        self._check_step("onset_step", self.onset_step)

    @property
    def friction_in_use(self) -> float:
        """Friction b (N s/m), the plant's scale in it unless `friction_ns_m` is given."""
        return 10.0 * self.plant.load_scale if self.friction_ns_m is None else self.friction_ns_m

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return one trial a target and factor, factors fastest."""
        plain, count, axes = self.calm_reach.trials(), len(self.factors), self.plant.hand_size
        size = self.friction_in_use * torch.tensor(self.factors, dtype=torch.float64)
        field = torch.zeros(len(plain) * count, axes, 1 + 2 * axes, dtype=torch.float64)
        drag = -size[:, None, None] * torch.eye(axes, dtype=torch.float64)
        field[:, :, 1 + axes :] = drag.repeat(len(plain), 1, 1)
        on = (torch.arange(self.steps) >= self.onset_step).to(field)
        trials = Trials(
            initial_state=plain.initial_state.repeat_interleave(count, dim=0),
            target=plain.target.repeat_interleave(count, dim=0),
            field=field,
            field_on=on[None, :, None].repeat(len(field), 1, 1),
            condition=torch.arange(len(field)),
        )
        return self.reach.with_chance(trials, generator).to(dtype=dtype, device=device)
