"""Learning by gradients: after each trial, one step of an optimizer on what the trial cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from neuromotor.adaptation.practice import Addition, Outcome, Practice
from neuromotor.closed_loop import simulate
from neuromotor.controllers.controller import belongs_to_trials
from neuromotor.optim import OPTIMIZERS, Adam, Optimizer

__all__ = ["GradientSteps", "GradientState"]


@dataclass(frozen=True)
class GradientState:
    """The controller's parameters, and the optimizer that changes them.

    Attributes:
        parameters: (P,).
        trainer: What steps; it keeps the optimizer's own memory.
    """

    parameters: torch.nn.Parameter
    trainer: Any


@dataclass(frozen=True)
class GradientSteps:
    """One step of an optimizer after each trial, down the gradient of the mean loss of R subjects.

    The gradient goes through the limb and the field, as if the learner knew both. The subjects are
    draws of noise for one network, which all of them share.

    Attributes:
        optimizer: What steps.
    """

    optimizer: Optimizer = field(
        default_factory=lambda: Adam(learning_rate=1e-4, warmup=0.0),
        metadata={"registry": OPTIMIZERS},
    )

    def begin(self, practice: Practice) -> GradientState:
        """Return the parameters before the first trial; see `Learner.begin`.

        Raises:
            ValueError: The controller has tables for its trials, and cannot learn from others, or
                the optimizer takes no modules.
        """
        if belongs_to_trials(practice.controller):
            raise ValueError(
                "`controller` must be one that learns, such as a network, got a "
                f"{type(practice.controller).__name__}, which is designed for its trials; take "
                "another learner."
            )
        if not hasattr(self.optimizer, "over"):
            raise ValueError(
                f"`optimizer` must take steps on modules, got a {type(self.optimizer).__name__}."
            )
        parameters = torch.nn.Parameter(practice.parameters.detach().clone())
        return GradientState(parameters, self.optimizer.over([parameters]))

    def before(self, practice: Practice, state: GradientState, target: Tensor) -> Addition:
        """Take the parameters as they are now; see `Learner.before`."""
        weights = practice.controller.unpack(state.parameters.detach())
        return Addition(None, practice.controller, weights)

    def after(self, practice: Practice, state: GradientState, outcome: Outcome) -> GradientState:
        """Take one step; see `Learner.after`."""
        task, trials = practice.task, outcome.trials

        def forward() -> tuple[Tensor, Tensor]:
            done = simulate(task, practice.controller, state.parameters, trials)
            residuals = task.cost.residuals(done.states, done.commands, trials)
            return residuals, 0.5 * residuals.square().sum() / len(trials)

        state.trainer.step(forward)
        return state
