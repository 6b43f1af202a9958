"""Instructed-delay center-out: the target is shown, the hand waits for a go cue, then reaches."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_integer
from neuromotor.tasks.center_out import CenterOut
from neuromotor.tasks.chance import default_generator
from neuromotor.tasks.cost import QuadraticCost, at_every_step
from neuromotor.tasks.reach_experiments import REACHES, ReachExperiment
from neuromotor.tasks.trials import Trials
from neuromotor.tasks.waiting import check_steps, check_time, wait_then_reach

__all__ = ["InstructedDelay"]


def _default_reach() -> CenterOut:
    """8 directions, 50 ms of delay, 1.5 s for all of a trial (our choice)."""
    return CenterOut(directions=8, steps=150, delay_steps=5)


@dataclass(frozen=True)
class InstructedDelay(ReachExperiment):
    """Reaches to a target that is shown ahead of a go cue, which comes at a random time.

    The hand starts at rest at the centre, which is also shown as the target at first. At
    `target_step` the target appears. The go cue, an input of its own beside the target
    (`Trials.cue`), steps from 0 to 1 after a hold that is drawn for each trial. Until then
    every step's error from the start counts; for `reach_steps` from the go cue on nothing but
    energy does; then every step's error from the target, to the end. In catch trials the cue never
    comes, and the hand must stay.

    Source: the instructed delay of Crammond & Kalaska (2000) and Churchland et al. (2012), before
    center-out reaches. Published delays differ widely; ours lie around the 500 ms that Kaufman et
    al. (2016), figure 1, show. Times, and that every step counts alike, are our choice.

    Attributes:
        reach: The reach; its `steps` are those of the whole trial, its error weights those of
            every step that counts.
        repeats: Trials of each target in a batch, each with a hold of its own.
        target_step: First step at which the target is shown.
        hold_steps: Shortest and longest hold from there to the go cue, drawn uniformly.
        reach_steps: Steps from the go cue until the hand must be at the target.
        catch_fraction: Probability that a trial is a catch trial.

    Raises:
        ValueError: A number is out of range, the longest hold leaves no time to reach, or a target
            is out of reach.

    Example:
        >>> trials = InstructedDelay(repeats=2).trials(torch.Generator().manual_seed(1))
        >>> trials.cue.shape, trials.input_size
        (torch.Size([16, 150, 1]), 9)
    """

    reach: CenterOut = field(default_factory=_default_reach, metadata={"registry": REACHES})
    repeats: int = 8
    target_step: int = 10
    hold_steps: tuple[int, int] = (30, 70)
    reach_steps: int = 50
    catch_fraction: float = 0.0

    def __post_init__(self) -> None:
        check_integer("repeats", self.repeats, minimum=1)
        if self.reach.repeats != 1:
            raise ValueError(
                "`reach.repeats` must be left out: each target has the task's own `repeats`, each "
                f"with a hold of its own; got {self.reach.repeats}."
            )
        check_integer("target_step", self.target_step, minimum=0)
        check_steps("hold_steps", self.hold_steps)
        check_integer("reach_steps", self.reach_steps, minimum=1)
        check_fraction("catch_fraction", self.catch_fraction)
        needed = self.target_step + self.hold_steps[1] + self.reach_steps
        parts = "`target_step`, the longest of `hold_steps` and `reach_steps`"
        check_time(needed, self.steps, parts)

    @property
    def cost(self) -> QuadraticCost:
        """Squared error of the state at every step, where the trials count it, and energy."""
        return at_every_step(self.reach)

    @property
    def random(self) -> bool:
        """True: holds and catch trials are drawn."""
        return True

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return `repeats` trials a target; `condition` counts targets, then those of catch trials.

        Args:
            generator: Source of the draws; None is a new one of seed 0.
            dtype: Dtype of all parts.
            device: Device of all parts.
        """
        generator = generator or default_generator()
        plain = self.calm_reach.trials()
        start = plain.initial_state.repeat_interleave(self.repeats, dim=0)
        target = plain.target.repeat_interleave(self.repeats, dim=0)
        go = self._go_steps(len(start), generator)
        directions = torch.arange(self.reach.directions).repeat_interleave(self.repeats)
        before = torch.arange(self.steps)
        shown = (before >= self.target_step)[:, None]
        trials = Trials(
            **wait_then_reach(self.steps, go, self.reach_steps, start, target),
            shown_target=torch.where(shown, target[:, None], start[:, None]),
            cue=(before >= go[:, None])[..., None].to(start),
            condition=directions + self.reach.directions * (go > self.steps),
        )
        return self.reach.with_chance(trials, generator).to(dtype=dtype, device=device)

    def _go_steps(self, count: int, generator: torch.Generator) -> Tensor:
        """First step of each trial's cue, (count,); after the end in catch trials."""
        shortest, longest = self.hold_steps
        hold = torch.randint(shortest, longest + 1, (count,), generator=generator)
        caught = torch.rand(count, generator=generator) < self.catch_fraction
        return torch.where(caught, self.steps + 1, self.target_step + hold)
