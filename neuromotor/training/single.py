"""Training one controller on one task by one optimizer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from neuromotor._checks import check_integer
from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers.controller import Controller
from neuromotor.optim import (
    Budget,
    Callback,
    MixedPrecision,
    Objective,
    Optimizer,
    Resampled,
    Result,
    Snapshot,
)
from neuromotor.tasks import Task, Trials
from neuromotor.training import distributed

__all__ = [
    "initial_parameters",
    "make_trials",
    "train",
    "without_factors",
]


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


def without_factors(
    task: Task, controller: Controller, optimizers: Mapping[str, Optimizer]
) -> list[str]:
    """Return which optimizers need Kronecker factors that the controller's loop does not have."""
    if ClosedLoop(task, controller).hand_derived:
        return []
    return [name for name, one in optimizers.items() if getattr(one, "needs_factors", False)]


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
    refresh: int = 0,
    products: torch.dtype | None = None,
    resume: Snapshot | None = None,
) -> Result:
    """Train a controller on a batch of a task's trials: one for all, or a new one now and then.

    Within `neuromotor.training.distributed.run` the trials are shared out over processes.

    Args:
        task: What is wanted.
        controller: What is trained.
        optimizer: How.
        budget: When to stop.
        seed: Of the initialisation and of the trials' draws.
        parameters: Where to start, (P,), instead of a new initialisation.
        trials: The batch, instead of a new one.
        callback: Called after every iteration.
        refresh: Iterations between new draws of the trials, the first batch being `trials`; 0
            keeps that one.
        products: Precision of Gauss-Newton products, as `torch.float32` for half their time; the
            trials' own if None.
        resume: Where to go on: a snapshot of the same training, from `Progress.snapshot`.

    Returns:
        The optimizer's result; its `parameters` are the best ones found, with `refresh` the last.

    Raises:
        ValueError: Task, controller, optimizer, parameters, trials and snapshot do not fit
            together.

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
    check_integer("refresh", refresh, minimum=0)
    loop, first = ClosedLoop(task, controller), trials

    def objective_of(batch: Trials) -> Objective:
        objective = distributed.objective(loop, batch)
        if products is None or products == batch.dtype:
            return objective
        return MixedPrecision(objective, distributed.objective(loop, batch.to(dtype=products)))

    def draw(number: int) -> Objective:
        if number == 0:
            return objective_of(first)
        own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        batch = make_trials(task, controller, own, dtype=first.dtype, device=first.device)
        return objective_of(batch)

    objective = Resampled(draw, refresh) if refresh else draw(0)
    return optimizer.minimize(objective, parameters, budget, callback, resume=resume)
