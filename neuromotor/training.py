"""Training a controller on a task, and saying how well it does there."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers.controller import Controller
from neuromotor.optim import Budget, Callback, Optimizer, Result
from neuromotor.tasks import Task, Trials

__all__ = ["Performance", "initial_parameters", "make_trials", "measure", "train"]


@dataclass(frozen=True)
class Performance:
    """How a batch of trials went, as means over the trials.

    Attributes:
        loss: The task's loss.
        target_error_cm: Distance (cm) of the hand from its target at the last step.
        end_speed_cm_s: Speed (cm/s) of the hand at the last step.
        energy: Time integral of the squared command ((N m)^2 s or N^2 s).
    """

    loss: float
    target_error_cm: float
    end_speed_cm_s: float
    energy: float

    def as_dict(self) -> dict[str, float]:
        """Return the numbers by name, for tables and JSON."""
        return asdict(self)


def measure(task: Task, trials: Trials, states: Tensor, commands: Tensor) -> Performance:
    """Return how trials went, from their states (B, T + 1, n) and commands (B, T, m)."""
    plant = task.plant
    with torch.no_grad():
        final = states[:, -1]
        error = plant.hand_position(final) - plant.hand_position(trials.target)
        return Performance(
            loss=float(task.cost.losses(states, commands, trials.target).mean()),
            target_error_cm=100 * float(error.norm(dim=-1).mean()),
            end_speed_cm_s=100 * float(plant.hand_velocity(final).norm(dim=-1).mean()),
            energy=plant.dt_s * float(commands.square().sum((-2, -1)).mean()),
        )


def make_trials(
    task: Task,
    controller: Controller,
    seed: int,
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Trials:
    """Return a batch of the task's trials, with draws for the controller's private noise if any."""
    generator = torch.Generator().manual_seed(seed)
    trials = task.trials(generator, dtype=dtype, device=device)
    if controller.noise_size:
        trials = trials.with_unit_noise(controller.noise_size, generator, steps=task.steps)
    return trials


def initial_parameters(
    controller: Controller,
    seed: int,
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return a controller's initial parameters, (P,): the same for one seed on every device."""
    generator = torch.Generator().manual_seed(seed)
    return controller.initial_parameters(generator, dtype=dtype, device=device)


def train(
    task: Task,
    controller: Controller,
    optimizer: Optimizer,
    *,
    budget: Budget | None = None,
    seed: int = 0,
    parameters: Tensor | None = None,
    trials: Trials | None = None,
    callback: Callback | None = None,
) -> Result:
    """Train a controller on one fixed batch of a task's trials.

    Args:
        task: What is wanted.
        controller: What is trained.
        optimizer: How.
        budget: When to stop.
        seed: Of the initialisation and of the trials' draws.
        parameters: Where to start, (P,), instead of a new initialisation.
        trials: The batch, instead of a new one.
        callback: Called after every iteration.

    Returns:
        The optimizer's result; its `parameters` are the best ones found.

    Raises:
        ValueError: Task, controller, parameters and trials do not fit together.

    Example:
        >>> from neuromotor import CenterOut, ContinuousTimeRNN, LBFGS
        >>> task, controller = CenterOut(directions=8), ContinuousTimeRNN(layers=(20,))
        >>> result = train(task, controller, LBFGS(), budget=Budget(calls=20))
        >>> result.value < result.history[0].value
        True
    """
    if trials is None:
        trials = make_trials(task, controller, seed)
    if parameters is None:
        parameters = initial_parameters(controller, seed, dtype=trials.dtype, device=trials.device)
    objective = ClosedLoop(task, controller).objective(trials)
    return optimizer.minimize(objective, parameters, budget, callback)
