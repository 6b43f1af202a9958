"""Reaches to a target that is no longer shown: remembered for a while, or recalled by a symbol.

They are the motor counterparts of the problems of memory in `neuromotor.problems`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.tasks.center_out import CenterOut
from neuromotor.tasks.chance import default_generator
from neuromotor.tasks.cost import QuadraticCost, at_every_step
from neuromotor.tasks.reach_experiments import REACHES, ReachExperiment
from neuromotor.tasks.trials import Trials
from neuromotor.tasks.waiting import check_steps, check_time, wait_then_reach

__all__ = ["CuedReach", "MemoryReach"]


def _default_reach() -> CenterOut:
    """8 directions, 50 ms of delay, 1.5 s for all of a trial (our choice)."""
    return CenterOut(directions=8, steps=150, delay_steps=5)


class _Shown(NamedTuple):
    go: Tensor  # first step of each trial's go cue, (B,)
    direction: Tensor  # which one it asks for, (B,)
    place: Tensor  # direction that is shown at each step, -1 for the centre, (B, T)
    cue: Tensor  # (B, T, c)


@dataclass(frozen=True)
class _Remembered(ReachExperiment):
    """What both tasks share: drawn trials, of which every one counts as in `wait_then_reach`."""

    reach: CenterOut = field(default_factory=_default_reach, metadata={"registry": REACHES})
    repeats: int = 8
    target_step: int = 5
    show_steps: int = 15
    hold_steps: tuple[int, int] = (20, 60)
    reach_steps: int = 50

    def __post_init__(self) -> None:
        check_integer("repeats", self.repeats, minimum=1)
        if self.reach.repeats != 1:
            raise ValueError(
                "`reach.repeats` must be left out: each target has the task's own `repeats`; got "
                f"{self.reach.repeats}."
            )
        check_integer("target_step", self.target_step, minimum=0)
        check_integer("show_steps", self.show_steps, minimum=1)
        check_steps("hold_steps", self.hold_steps)
        check_integer("reach_steps", self.reach_steps, minimum=1)
        needed = self._shown_until + self.hold_steps[1] + self.reach_steps
        parts = "`target_step`, all `show_steps`, the longest of `hold_steps` and `reach_steps`"
        check_time(needed, self.steps, parts)

    @property
    def cost(self) -> QuadraticCost:
        """Squared error of the state at every step, where the trials count it, and energy."""
        return at_every_step(self.reach)

    @property
    def random(self) -> bool:
        """True: holds, and what else differs, are drawn."""
        return True

    @property
    @abstractmethod
    def _shown_until(self) -> int:
        """First step at which nothing is shown any more."""

    @abstractmethod
    def _shown(self, generator: torch.Generator) -> _Shown:
        """What is shown in each trial."""

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return `repeats` trials a target; `condition` counts the targets that are reached for.

        Args:
            generator: Source of the draws; None is a new one of seed 0.
            dtype: Dtype of all parts.
            device: Device of all parts.
        """
        generator = generator or default_generator()
        happens = self._shown(generator)
        plain = self.calm_reach.trials()
        start = plain.initial_state[:1].expand(len(happens.go), -1).contiguous()
        places = torch.cat([plain.target, plain.initial_state[:1]])  # the centre is the last, -1
        trials = Trials(
            **wait_then_reach(
                self.steps, happens.go, self.reach_steps, start, places[happens.direction]
            ),
            shown_target=places[happens.place],
            cue=happens.cue.to(start),
            condition=happens.direction,
        )
        return self.reach.with_chance(trials, generator).to(dtype=dtype, device=device)

    def _go_steps(self, count: int, generator: torch.Generator) -> Tensor:
        """First step of each trial's cue, (count,)."""
        shortest, longest = self.hold_steps
        hold = torch.randint(shortest, longest + 1, (count,), generator=generator)
        return self._shown_until + hold

    def _directions(self) -> Tensor:
        """Number of each trial's target, (B,)."""
        return torch.arange(self.reach.directions).repeat_interleave(self.repeats)


@dataclass(frozen=True)
class MemoryReach(_Remembered):
    """Reaches to a target that was shown for a moment, after a hold and a go cue.

    The hand starts at rest at the centre, which is also shown as the target. From `target_step` on
    the target is shown for `show_steps`, then the centre again, to the end. The go cue, an input of
    its own (`Trials.cue`), steps from 0 to 1 after a hold that is drawn for each trial. Until then
    every step's error from the start counts; for `reach_steps` from there on nothing but energy
    does; then every step's error from the target, to the end. A controller without memory cannot
    know where the target was.

    Source: memory-guided reaches after an instructed delay, whose target goes off before the go
    cue; times are our choice. `InstructedDelay` is the same with a target that stays.

    Attributes:
        reach: The reach; its `steps` are those of the whole trial, its error weights those of
            every step that counts.
        repeats: Trials of each target in a batch, each with a hold of its own.
        target_step: First step at which the target is shown.
        show_steps: Steps for which it is shown.
        hold_steps: Shortest and longest hold from there to the go cue, drawn uniformly.
        reach_steps: Steps from the go cue until the hand must be at the target.

    Raises:
        ValueError: A number is out of range, the longest hold leaves no time to reach, or a target
            is out of reach.

    Example:
        >>> trials = MemoryReach(repeats=2).trials(torch.Generator().manual_seed(1))
        >>> trials.cue.shape, trials.input_size
        (torch.Size([16, 150, 1]), 9)
    """

    @property
    def _shown_until(self) -> int:
        return self.target_step + self.show_steps

    def _shown(self, generator: torch.Generator) -> _Shown:
        direction = self._directions()
        go = self._go_steps(len(direction), generator)
        now = torch.arange(self.steps)
        shown = (now >= self.target_step) & (now < self._shown_until)
        place = torch.where(shown, direction[:, None], -1)
        return _Shown(go, direction, place, (now >= go[:, None])[..., None])


@dataclass(frozen=True)
class CuedReach(_Remembered):
    """Several targets are shown, each with a symbol; a symbol then says which one to reach to.

    The hand starts at rest at the centre. From `target_step` on, `targets` different targets are
    shown one after the other, for `show_steps` each. With each comes a symbol, in an order that is
    drawn for each trial. Then the centre is shown again, to the end. After a hold the go cue comes,
    and with it one of the symbols, which both stay: the hand must get to the target that came with
    that symbol. What counts is as in `MemoryReach`. The cue (`Trials.cue`) has 1 + `targets`
    numbers: go, and a one at the place of the symbol.

    Source: associative retrieval (Ba et al. 2016, section 4.1), whose pairs are letters and digits;
    the limb, and the times, are our choice.

    Attributes:
        reach: See `MemoryReach`.
        repeats: Trials of each target that is asked for, each with other targets, an order and a
            hold of its own.
        target_step: First step at which the first target is shown.
        show_steps: Steps for which each target is shown.
        hold_steps: Shortest and longest hold from the last target to the go cue, drawn uniformly.
        reach_steps: See `MemoryReach`.
        targets: How many are shown, 2 or more.

    Raises:
        ValueError: A number is out of range, there are fewer directions than targets, the longest
            hold leaves no time to reach, or a target is out of reach.

    Example:
        >>> trials = CuedReach(repeats=2).trials(torch.Generator().manual_seed(1))
        >>> trials.cue.shape, trials.input_size
        (torch.Size([16, 150, 3]), 11)
    """

    targets: int = 2

    def __post_init__(self) -> None:
        check_integer("targets", self.targets, minimum=2)
        if self.targets > self.reach.directions:
            raise ValueError(
                f"`targets` must be at most the {self.reach.directions} directions of the reach, "
                f"got {self.targets}."
            )
        super().__post_init__()

    @property
    def _shown_until(self) -> int:
        return self.target_step + self.targets * self.show_steps

    def _shown(self, generator: torch.Generator) -> _Shown:
        direction = self._directions()
        count, many = len(direction), self.targets
        go = self._go_steps(count, generator)
        # The others: the first of a random order of all directions, less the one that is asked for.
        order = torch.rand(count, self.reach.directions, generator=generator)
        order[torch.arange(count), direction] = -1.0
        chosen = order.argsort(dim=1)[:, :many]  # the one that is asked for comes first
        turns, symbols = (
            torch.rand(count, many, generator=generator).argsort(dim=1) for _ in range(2)
        )
        pairs = chosen.gather(1, turns), symbols.gather(1, turns)  # in the order they are shown
        now = torch.arange(self.steps)
        item = (now - self.target_step).div(self.show_steps, rounding_mode="floor")
        shown = ((now >= self.target_step) & (item < many))[None]
        item = item.clamp(0, many - 1).expand(count, -1)
        place = torch.where(shown, pairs[0].gather(1, item), -1)
        started = now >= go[:, None]
        symbol = torch.where(started, symbols[:, :1], pairs[1].gather(1, item))
        ones = torch.nn.functional.one_hot(symbol, many) * (shown | started)[..., None]
        cue = torch.cat([started[..., None].long(), ones], dim=-1)
        return _Shown(go, direction, place, cue)
