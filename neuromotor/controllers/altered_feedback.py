"""Feedback that is cut, frozen, delayed or replayed for some steps, for any controller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_finite_tensor, check_integer, lookup
from neuromotor.controllers.around import AroundController
from neuromotor.controllers.controller import Controller, unit_rates

__all__ = ["FEEDBACK_CHANGES", "AlteredFeedback", "FeedbackChange"]

FEEDBACK_CHANGES = {
    "cut": "zeros",
    "freeze": "what was seen last before the window",
    "delay": "what was observed some steps earlier",
    "replay": "given observations",
}


@dataclass(frozen=True, eq=False)
class FeedbackChange:
    """What a controller sees in a window of steps in place of its observation.

    A cut gives zeros, to an estimator too: it takes them for an observation of the state zero. A
    delay comes on top of the task's own. Target and cues are told as always.

    Attributes:
        kind: `cut`, `freeze`, `delay` or `replay`.
        first_step: First step of the window, from 0.
        last_step: Last step of the window.
        delay_steps: Length of a delay, in steps.
        replay: Observations of all steps that a replay shows, (B, T, n), such as those of a
            recording of unperturbed trials.

    Raises:
        TypeError: `replay` is no floating-point tensor.
        ValueError: The kind is unknown, a step is out of range, or what the kind needs is missing.

    Example:
        >>> FeedbackChange("delay", 10, 19, delay_steps=5).as_dict()["kind"]
        'delay'
    """

    kind: str
    first_step: int
    last_step: int
    delay_steps: int = 0
    replay: Tensor | None = None

    def __post_init__(self) -> None:
        lookup("change of feedback", self.kind, FEEDBACK_CHANGES)
        check_integer("first_step", self.first_step, minimum=0)
        check_integer("last_step", self.last_step, minimum=self.first_step)
        check_integer("delay_steps", self.delay_steps, minimum=1 if self.kind == "delay" else 0)
        if (self.replay is not None) != (self.kind == "replay"):
            raise ValueError("`replay` must be given for the kind 'replay', and for no other.")
        if self.delay_steps and self.kind != "delay":
            raise ValueError(f"`delay_steps` belongs to the kind 'delay', got {self.kind!r}.")
        if self.replay is not None:
            check_finite_tensor("replay", self.replay, (None, None, None), hint="(B, T, n).")

    def as_dict(self) -> dict[str, Any]:
        """Return what it is as plain data, without the observations of a replay."""
        return {
            "kind": self.kind,
            "first_step": self.first_step,
            "last_step": self.last_step,
            **({"delay_steps": self.delay_steps} if self.kind == "delay" else {}),
        }


@dataclass(frozen=True, eq=False)
class AlteredFeedback(AroundController):
    """A controller whose feedback is changed; otherwise it is the controller itself.

    Memory is the controller's, then what it saw, (B, n), then the observations that a delay looks
    back to. `controller_memory` takes the two apart.

    Attributes:
        controller: Whose feedback is changed.
        change: How, and when.
    """

    controller: Controller
    change: FeedbackChange

    def unpack(self, parameters: Tensor) -> Any:
        """Return the controller's weights."""
        return self.controller.unpack(parameters)

    def initial_memory(self, weights: Any, batch: int) -> tuple[Tensor, ...]:
        """Return the controller's memory; nothing was seen yet."""
        nothing = torch.zeros(batch, 0)
        return (*self.controller.initial_memory(weights, batch), nothing, nothing)

    def step(
        self,
        weights: Any,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the memory after the step, and the command (B, m) on what was seen.

        Raises:
            ValueError: A replay has another shape than the trials.
        """
        change, size = self.change, observation.shape[-1]
        *own, last, past = memory
        if t == 0:
            last, past = observation, observation.repeat(1, change.delay_steps + 1)
        else:
            past = torch.cat([observation, past[:, :-size]], dim=-1)
        seen = observation
        if change.first_step <= t <= change.last_step:
            if change.kind == "cut":
                seen = torch.zeros_like(observation)
            elif change.kind == "freeze":
                seen = last
            elif change.kind == "delay":
                seen = past[:, -size:]
            else:
                seen = self._replayed(observation, t)
        after, command = self.controller.step(weights, tuple(own), seen, target, t, noise)
        return (*after, seen, past), command

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the controller's rates, and what was seen as it is."""
        return (*unit_rates(self.controller, memory[:-2]), *memory[-2:])

    def controller_memory(self, memory: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the controller's own memory, and what it saw."""
        return memory[:-2], memory[-2]

    def _replayed(self, observation: Tensor, t: int) -> Tensor:
        """What is shown at a step in place of an observation, (B, n)."""
        replay = self.change.replay
        if replay is None or replay.shape[::2] != observation.shape or t >= replay.shape[1]:
            count, size = observation.shape
            shape = None if replay is None else tuple(replay.shape)
            raise ValueError(
                f"`replay` must have shape ({count}, {t + 1} or more, {size}) for these trials, "
                f"got {shape}."
            )
        return replay[:, t].to(observation)
