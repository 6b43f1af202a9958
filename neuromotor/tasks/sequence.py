"""Several reaches in a row: the targets are shown one after the other, then one cue starts all."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.tasks.center_out import CenterOut
from neuromotor.tasks.chance import default_generator
from neuromotor.tasks.cost import QuadraticCost, at_every_step
from neuromotor.tasks.ranges import Range
from neuromotor.tasks.reach_experiments import REACHES, ReachExperiment
from neuromotor.tasks.trials import Trials

__all__ = ["ReachSequence"]

_FEWEST, _MOST = 2, 4  # targets in a row


def _default_reach() -> CenterOut:
    """8 directions, 50 ms of delay, 2.1 s for all of a trial (our choice)."""
    return CenterOut(directions=8, steps=210, delay_steps=5)


@dataclass(frozen=True)
class ReachSequence(ReachExperiment):
    """Two to four targets in a row; their order and times are shown before one go cue.

    The hand rests at the centre. From `target_step` on the targets are shown one after the other,
    each for as long as the hand will have to get to it. Then the centre is shown again, for a hold
    that is drawn for each trial. The go cue, an input of its own (`Trials.cue`), steps from 0 to 1,
    and the hand must be at the first target after the first time, at the second after the second
    time more, and so on, and rest at each for `dwell_steps`; at the last one to the end. Until the
    cue every step's error from the centre counts, then the errors at the dwells, and energy
    throughout. With `visible` the controller need not remember: from the go cue on it is shown the
    target that is due next.

    Source: two reaches after one go cue, Zimnik & Churchland (2021), whose targets stay visible.
    That they are shown one after the other, and the times, are ours.

    Attributes:
        reach: The reach; its `steps` are those of the whole trial, its error weights those of every
            step that counts.
        targets: Number of targets in a row, 2 to 4. No target follows on itself.
        sequences: Trials in a batch, each with targets, times and hold of its own.
        target_step: First step at which the first target is shown.
        reach_steps: Shortest and longest time to a target in steps, drawn uniformly for each.
        hold_steps: Shortest and longest hold from the end of the last target to the go cue, drawn
            uniformly.
        dwell_steps: Steps for which the hand rests at a target before it goes on.
        visible: Whether the target that is due next is shown from the go cue on.

    Raises:
        ValueError: A number is out of range, the longest times do not fit into the trial, or a
            target is out of reach.

    Example:
        >>> trials = ReachSequence(sequences=5).trials()
        >>> trials.cue.shape, trials.input_size
        (torch.Size([5, 210, 1]), 9)
    """

    reach: CenterOut = field(default_factory=_default_reach, metadata={"registry": REACHES})
    targets: int = 2
    sequences: int = 64
    target_step: int = 5
    reach_steps: tuple[int, int] = (35, 45)
    hold_steps: tuple[int, int] = (0, 10)
    dwell_steps: int = 10
    visible: bool = False

    def __post_init__(self) -> None:
        check_integer("targets", self.targets, minimum=_FEWEST)
        if self.targets > _MOST:
            raise ValueError(f"`targets` must be {_FEWEST} to {_MOST}, got {self.targets}.")
        check_integer("sequences", self.sequences, minimum=1)
        check_integer("target_step", self.target_step, minimum=0)
        for name, least in (("reach_steps", 1), ("hold_steps", 0)):
            shortest, longest = getattr(self, name)
            check_integer(name, shortest, minimum=least)
            check_integer(name, longest, minimum=shortest)
        check_integer("dwell_steps", self.dwell_steps, minimum=1)
        if self.dwell_steps >= self.reach_steps[0]:
            raise ValueError(
                "`dwell_steps` must be below the shortest of `reach_steps`, which includes the "
                f"rest at the target before, got {self.dwell_steps} for {self.reach_steps[0]}."
            )
        if not isinstance(self.visible, bool):
            raise TypeError(f"`visible` must be True or False, got {self.visible!r}.")
        for name, wrong in (
            ("repeats", self.reach.repeats != 1),
            ("directions", self.reach.directions < 2),
        ):
            if wrong:
                raise ValueError(
                    f"`reach.{name}` must be {'1' if name == 'repeats' else '2 or more'} for "
                    f"sequences, which are drawn, got {getattr(self.reach, name)}."
                )
        needed = self.target_step + self.hold_steps[1] + self.dwell_steps
        needed += 2 * self.targets * self.reach_steps[1]
        if needed > self.steps:
            raise ValueError(
                f"`reach.steps` must be {needed} or more, to show {self.targets} targets and to "
                f"reach them in the longest times, got {self.steps}."
            )
        self.trials()

    @property
    def cost(self) -> QuadraticCost:
        """Squared error of the state at every step, where the trials count it, and energy."""
        return at_every_step(self.reach)

    @property
    def random(self) -> bool:
        """True: targets, times and holds are drawn."""
        return True

    def ranges(self) -> dict[str, list[Range]]:
        """Return between which values times and holds are drawn; see `neuromotor.tasks.ranges`."""
        return {
            "reach_steps": [Range("reach_steps", *self.reach_steps)],
            "hold_steps": [Range("hold_steps", *self.hold_steps)],
        }

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return drawn sequences; `condition` is the targets' numbers as digits, first one first.

        The digits are to the base of the number of directions.

        Args:
            generator: Source of the draws; None is a new one of seed 0.
            dtype: Dtype of all parts.
            device: Device of all parts.
        """
        generator = generator or default_generator()
        order, times, hold = self._draw(generator)  # (B, K), (B, K), (B,)
        places = self.calm_reach.trials()
        start = places.initial_state[:1].expand(self.sequences, -1)
        stops = torch.cat([start[:, None], places.target[order]], dim=1)  # (B, 1 + K, n)
        seen = self.target_step + times.cumsum(1)  # when each is no longer shown
        go = seen[:, -1] + hold
        due = go[:, None] + times.cumsum(1)
        before, after = torch.arange(self.steps), torch.arange(self.steps + 1)

        # Which stop is shown, 0 for the centre, and which one the hand must be at.
        shown = 1 + (before >= seen[..., None]).sum(1)  # (B, T)
        shown = torch.where((before >= self.target_step) & (shown <= self.targets), shown, 0)
        leave = due[:, :-1, None] + self.dwell_steps
        goal = torch.where(after > go[:, None], 1 + (after >= leave).sum(1), 0)  # (B, T + 1)
        if self.visible:
            shown = torch.where(before >= go[:, None], goal[:, 1:], shown)
        there = after >= due.gather(1, (goal - 1).clamp(min=0))
        counted = ((goal == 0) | there)[..., None]
        digits = self.reach.directions ** torch.arange(self.targets - 1, -1, -1)
        trials = Trials(
            initial_state=start.contiguous(),
            target=stops[:, -1],
            shown_target=_chosen(stops, shown),
            cue=(before >= go[:, None])[..., None].to(stops),
            wanted=_chosen(stops, goal),
            counted=counted.to(stops).expand(-1, -1, stops.shape[2]).contiguous(),
            condition=(order * digits).sum(1),
        )
        return self.reach.with_chance(trials, generator).to(dtype=dtype, device=device)

    def _draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Numbers of the targets and times to them in steps, (B, K), and holds, (B,)."""
        shape, many = (self.sequences, self.targets), self.reach.directions
        first = torch.randint(many, (self.sequences, 1), generator=generator)
        on = torch.randint(1, many, (self.sequences, self.targets - 1), generator=generator)
        order = torch.cat([first, on], dim=1).cumsum(1) % many
        shortest, longest = self.reach_steps
        times = torch.randint(shortest, longest + 1, shape, generator=generator)
        shortest, longest = self.hold_steps
        hold = torch.randint(shortest, longest + 1, (self.sequences,), generator=generator)
        return order, times, hold


def _chosen(stops: Tensor, number: Tensor) -> Tensor:
    """The stop of each step, (B, T, n), of stops (B, 1 + K, n) by their numbers (B, T)."""
    return stops.gather(1, number[..., None].expand(-1, -1, stops.shape[2]))
