"""Feedback error learning: the corrections of a trial become the commands of the next.

Notation: g are Gaussian basis functions of the planned velocity of the hand, W what is learnt, c
the correction, the controller's command less that of its plan::

    added[t] = W' g(v[t]),     W <- A W + B sum_t g(v[t]) c[t + lag]' / sum_t |g(v[t])|^2

Source: Kawato, Furukawa & Suzuki (1987), feedback error learning; the basis functions of velocity
are those of Thoroughman & Shadmehr (2000).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_integer, check_positive
from neuromotor.adaptation.practice import Addition, Outcome, Practice

__all__ = ["ErrorFeedback", "ErrorFeedbackState"]


@dataclass(frozen=True)
class ErrorFeedbackState:
    """What an `ErrorFeedback` learner knows.

    Attributes:
        weights: W of each subject, (R, functions, m).
        bases: g of each target's plan, (K, T, functions).
    """

    weights: Tensor
    bases: Tensor


@dataclass(frozen=True)
class ErrorFeedback:
    """Commands over basis functions of the planned velocity, taught by the controller's feedback.

    It needs to know neither the field nor the limb, and generalises to other targets as far as the
    basis functions are wide.

    Attributes:
        rate: B: which part of the correction is learnt from one trial.
        retention: A: which part is kept from trial to trial.
        centers: Basis functions along each axis of velocity; their centres are a grid.
        width: Their width, as a multiple of the distance of two centres (ours).
        lag_s: By how much a correction comes later than what it corrects (s); ours.

    Raises:
        ValueError: A number is out of range.
    """

    rate: float = 0.2
    retention: float = 0.99
    centers: int = 7
    width: float = 1.0
    lag_s: float = 0.1

    def __post_init__(self) -> None:
        check_fraction("rate", self.rate)
        check_fraction("retention", self.retention)
        check_integer("centers", self.centers, minimum=2)
        check_positive("width", self.width)
        if self.lag_s < 0:
            raise ValueError(f"`lag_s` must be zero or more seconds, got {self.lag_s!r}.")

    def begin(self, practice: Practice) -> ErrorFeedbackState:
        """Return the state before the first trial; see `Learner.begin`."""
        velocity = practice.planned_velocity
        fastest = float(velocity.norm(dim=-1).max())
        line = torch.linspace(-fastest, fastest, self.centers).to(velocity)
        grid = torch.cartesian_prod(line, line)
        apart = 2 * fastest / (self.centers - 1)
        distance = (velocity[:, :, None] - grid).square().sum(-1)
        bases = torch.exp(-distance / (2 * (self.width * apart) ** 2))
        # nothing where the hand is still: a field of velocity does nothing there
        still = torch.exp(-grid.square().sum(-1) / (2 * (self.width * apart) ** 2))
        size = practice.task.plant.command_size
        weights = velocity.new_zeros(practice.subjects, len(grid), size)
        return ErrorFeedbackState(weights, bases - still)

    def before(self, practice: Practice, state: ErrorFeedbackState, target: Tensor) -> Addition:
        """Add what is learnt; see `Learner.before`."""
        return Addition(state.bases[target] @ state.weights)

    def after(
        self, practice: Practice, state: ErrorFeedbackState, outcome: Outcome
    ) -> ErrorFeedbackState:
        """Learn from the corrections; see `Learner.after`."""
        own = outcome.trajectory.commands - outcome.added
        correction = own - practice.plan.commands[outcome.target]
        lag = round(self.lag_s / practice.task.plant.dt_s)
        bases = state.bases[outcome.target]
        taught, earlier = correction[:, lag:], bases[:, : bases.shape[1] - lag]
        size = earlier.square().sum((1, 2))
        step = earlier.mT @ taught / size.clamp(min=1e-12)[:, None, None]
        return replace(state, weights=self.retention * state.weights + self.rate * step)
