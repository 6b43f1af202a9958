"""What every training begins with: a batch of trials and the initial weights, each from a seed."""

from __future__ import annotations

import torch
from torch import Tensor

from neuromotor._checks import check_seed
from neuromotor.controllers import Controller
from neuromotor.tasks import Task, Trials

__all__ = ["initial_parameters", "make_trials"]


def make_trials(
    task: Task,
    controller: Controller,
    seed: int,
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Trials:
    """Return a batch of the task's trials, with draws for the controller's private noise if any."""
    check_seed("seed", seed)
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
    check_seed("seed", seed)
    generator = torch.Generator().manual_seed(seed)
    return controller.initial_parameters(generator, dtype=dtype, device=device)
