"""Reaching in a curl force field, with catch trials and force channels.

Notation: p and v are the position and the velocity of the hand, b is the strength, and s the unit
vector across the reach.

    field    F = b [[0, -1], [1, 0]] v: to the left of v, it does no work
    channel  F = -s s^T (k (p - p_start) + c v): walls along the straight line to the target
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from neuromotor._checks import check_number, lookup
from neuromotor.plants import field_force
from neuromotor.tasks.chance import in_plane
from neuromotor.tasks.reach_experiments import ReachExperiment
from neuromotor.tasks.trials import Trials

__all__ = ["ForceField"]

Kind = Literal["field", "catch", "channel"]
_KINDS = {"field": "the curl field", "catch": "no field", "channel": "walls"}


@dataclass(frozen=True)
class ForceField(ReachExperiment):
    """Reaches in a velocity-dependent curl field; some trials without it, some between walls.

    The field bends the hand's path sideways; a controller that has learnt it errs the other way in
    catch trials, and presses against a channel's walls with the force that would cancel it. Nothing
    tells the controller which trial it is in.

    Source: Shadmehr & Mussa-Ivaldi (1994) for fields and catch trials; Scheidt et al. (2000) for
    channels. Strengths are ours and suit an arm of `load_scale` 1; human work has 13 to 15 N s/m on
    a heavier limb and walls of several thousand N/m. What a field does to the velocity is exact at
    any step (`plants.carried_in_field`); walls must be soft enough for steps of 10 ms.

    Attributes:
        reach: The reach that is bent.
        strength_ns_m: b (N s/m), positive to the left of the movement; None is 5 times the
            plant's `load_scale`.
        kinds: What each target is met with, one trial an entry: `field`, `catch` or `channel`. One
            catch trial in five by default.
        stiffness_n_m: k of the walls (N/m); None is 500 times the plant's `load_scale`.
        damping_ns_m: c of the walls (N s/m); None is 15 times the plant's `load_scale`.

    Raises:
        ValueError: A number is out of range, or a kind is unknown.
    """

    strength_ns_m: float | None = field(default=None, metadata={"in_use": "strength_in_use"})
    kinds: tuple[Kind, ...] = ("field", "field", "field", "field", "catch")
    stiffness_n_m: float | None = None
    damping_ns_m: float | None = None

    def __post_init__(self) -> None:
        if self.strength_ns_m is not None:
            check_number("strength_ns_m", self.strength_ns_m, "N s/m")
        if not self.kinds:
            raise ValueError("`kinds` must name at least one kind of trial, got none.")
        for kind in self.kinds:
            lookup("kind of trial", kind, _KINDS)
        for name in ("stiffness_n_m", "damping_ns_m"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), minimum=0.0)

    @property
    def strength_in_use(self) -> float:
        """Strength of the field b (N s/m), the plant's scale in it unless it is given."""
        return self._scaled(self.strength_ns_m, 5.0)

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return one trial a target and kind, kinds fastest."""
        plain = self.calm_reach.trials()
        start = self.plant.hand_position(plain.initial_state[0])
        fields = [
            self._field(kind, angle, start)
            for angle in self.reach.angles.tolist()
            for kind in self.kinds
        ]
        trials = Trials(
            initial_state=plain.initial_state.repeat_interleave(len(self.kinds), dim=0),
            target=plain.target.repeat_interleave(len(self.kinds), dim=0),
            field=torch.stack(fields),
            condition=torch.arange(len(fields)),
        )
        return self.reach.with_chance(trials, generator).to(dtype=dtype, device=device)

    def trials_of(self, kind: Kind, values: Tensor) -> Tensor:
        """Return the entries of one kind of trial from a tensor over the batch, (B, ...)."""
        which = torch.tensor([own == kind for own in self.kinds], device=values.device)
        which = which.repeat(self.reach.directions).repeat_interleave(self.reach.repeats)
        return values[which]

    def adaptation(self, trials: Trials, states: Tensor) -> Tensor:
        """Return what part of the field each channel trial's force on the walls would cancel, (C,).

        The slope of the walls' force on the force that the field would have at that velocity: 0
        before learning, 1 after it is complete (as Smith, Ghazizadeh & Shadmehr 2006).

        Args:
            trials: A batch of this task.
            states: What became of it, (B, T + 1, n).

        Raises:
            ValueError: The trials are not this task's.
        """
        expected = self.reach.directions * len(self.kinds) * self.reach.repeats
        if trials.field is None or len(trials) != expected:
            raise ValueError(
                f"`trials` must be of this task, with a field and {expected} of them, got "
                f"{len(trials)} {'without' if trials.field is None else 'with'} a field."
            )
        states = self.trials_of("channel", states)
        walls = self.trials_of("channel", trials.field)
        pressed = field_force(self.plant, states, walls[:, None])
        velocity = self.plant.hand_velocity(states)
        turned = torch.stack([-velocity[..., 1], velocity[..., 0]], dim=-1)
        ideal = self.strength_in_use * in_plane(turned, self.plant.hand_size)
        return (pressed * ideal).sum((1, 2)) / ideal.square().sum((1, 2))

    def _field(self, kind: str, angle: float, start: Tensor) -> Tensor:
        """One trial's field [1, p, v] to force, (d, 1 + 2 d), of forces along x and y."""
        axes = self.plant.hand_size
        field = torch.zeros(axes, 1 + 2 * axes, dtype=torch.float64)
        position, velocity = field[:, 1 : 1 + axes], field[:, 1 + axes :]
        if kind == "field":
            velocity[0, 1], velocity[1, 0] = -self.strength_in_use, self.strength_in_use
        elif kind == "channel":
            across = in_plane(_tensor([-math.sin(angle), math.cos(angle)]), axes)
            wall = torch.outer(across, across)
            stiffness = self._scaled(self.stiffness_n_m, 500.0) * wall
            field[:, 0] = stiffness @ start
            position[:] = -stiffness
            velocity[:] = -self._scaled(self.damping_ns_m, 15.0) * wall
        return field

    def _scaled(self, given: float | None, usual: float) -> float:
        return usual * self.plant.load_scale if given is None else given


def _tensor(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
