"""What tasks share in which the hand waits for a go cue and then reaches."""

from __future__ import annotations

import torch
from torch import Tensor

from neuromotor._checks import check_integer

__all__ = ["check_steps", "check_time", "wait_then_reach"]


def wait_then_reach(
    steps: int, go: Tensor, reach_steps: int, start: Tensor, target: Tensor
) -> dict[str, Tensor]:
    """Return the parts of `Trials` that say where the hand should be, and when that counts.

    Until the go cue every step's error from the start counts; for `reach_steps` from there on none
    does; then every step's error from the target, to the end.

    Args:
        steps: Steps T of a trial.
        go: First step of each trial's go cue, (B,); above T in trials without.
        reach_steps: Steps from there until the hand must be at the target.
        start: State at the start, (B, n).
        target: State to be reached, (B, n).

    Returns:
        `initial_state`, `target`, `wanted`, (B, T + 1, n), and `counted` of the same shape.
    """
    after = torch.arange(steps + 1)
    moves = (after > go[:, None])[..., None]  # the cue of a step acts on the state after it
    reached = (after >= go[:, None] + reach_steps)[..., None]
    counted = (~moves | reached).to(start).expand(-1, -1, start.shape[1])
    return {
        "initial_state": start,
        "target": target,
        "wanted": torch.where(moves, target[:, None], start[:, None]),
        "counted": counted.contiguous(),
    }


def check_steps(name: str, pair: tuple[int, int]) -> None:
    """Raise unless a shortest and a longest time are whole numbers, 0 or more, in order."""
    shortest, longest = pair
    check_integer(name, shortest, minimum=0)
    check_integer(name, longest, minimum=shortest)


def check_time(needed: int, steps: int, parts: str) -> None:
    """Raise unless a trial has time for all of its parts."""
    if needed > steps:
        raise ValueError(
            f"`reach.steps` must be {needed} or more for {parts} together, got {steps}."
        )
