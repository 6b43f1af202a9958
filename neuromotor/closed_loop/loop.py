"""A task and a controller joined: what users and optimizers hold."""

from __future__ import annotations

import math
from typing import cast

from torch import Tensor

from neuromotor.closed_loop.autograd import AutogradObjective
from neuromotor.closed_loop.dynamics import check_trials
from neuromotor.closed_loop.fast import FastObjective, no_passes_for
from neuromotor.closed_loop.simulate import Trajectory, simulate
from neuromotor.controllers.controller import Controller
from neuromotor.controllers.rnn import ContinuousTimeRNN
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["ClosedLoop"]


class ClosedLoop:
    """A task's plant under a controller, with the task's delay and the trials' loads and noise.

    Example:
        >>> import torch
        >>> from neuromotor.controllers import ContinuousTimeRNN
        >>> from neuromotor.tasks import CenterOut
        >>> loop = ClosedLoop(CenterOut(directions=4), ContinuousTimeRNN(layers=(10,)))
        >>> theta = loop.controller.initial_parameters(torch.Generator().manual_seed(0))
        >>> loop.simulate(theta, loop.task.trials()).states.shape
        torch.Size([4, 41, 4])
    """

    def __init__(self, task: Task, controller: Controller) -> None:
        """Join a task and a controller.

        Raises:
            ValueError: Their step lengths or command sizes differ.
        """
        if controller.command_size != task.plant.command_size:
            raise ValueError(
                f"`controller` must give {task.plant.command_size} commands for this plant, got "
                f"{controller.command_size}; set its `command_size`."
            )
        if not math.isclose(controller.dt_s, task.plant.dt_s):
            raise ValueError(
                f"`controller` must have the plant's step of {task.plant.dt_s:g} s, got "
                f"{controller.dt_s:g} s; set its `dt_s`."
            )
        self.task = task
        self.controller = controller

    def simulate(self, parameters: Tensor, trials: Trials) -> Trajectory:
        """Run every trial and return what happened; differentiable in `parameters`.

        Args:
            parameters: Controller parameters, (P,).
            trials: Batch with the plant's state size, of the dtype and device of `parameters`.

        Raises:
            ValueError: Shapes, dtype or device do not fit together.
        """
        return simulate(self.task, self.controller, parameters, trials)

    def losses(self, parameters: Tensor, trials: Trials) -> Tensor:
        """Return each trial's loss, (B,); differentiable in `parameters`."""
        trajectory = self.simulate(parameters, trials)
        return self.task.cost.losses(trajectory.states, trajectory.commands, trials)

    def objective(
        self, trials: Trials, *, fast: bool | None = None
    ) -> AutogradObjective | FastObjective:
        """Return the mean loss over `trials` as a function of the parameters.

        Args:
            trials: The batch.
            fast: Whether derivatives are hand-derived (for a `ContinuousTimeRNN` and a
                `QuadraticCost`, not for subclasses that may override something, nor for plants that
                are observed in part) or by autograd (for anything); by default hand-derived where
                they can be. Both give the same numbers up to rounding.

        Raises:
            ValueError: The trials do not fit the task, there is no fast path for the controller or
                the cost, or the cost's residuals and losses contradict each other.
        """
        check_trials(self.task, trials)
        if fast is None:
            fast = self.hand_derived
        if not fast:
            return AutogradObjective(self.task, self.controller, trials)
        return FastObjective(self.task, cast(ContinuousTimeRNN, self.controller), trials)

    @property
    def hand_derived(self) -> bool:
        """Whether there are hand-derived passes, and with them Kronecker factors."""
        return no_passes_for(self.task, self.controller) is None
