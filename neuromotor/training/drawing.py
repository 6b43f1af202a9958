"""What trainings draw: batches of trials and the initial weights, each from a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from neuromotor._checks import check_seed
from neuromotor.controllers import Controller
from neuromotor.tasks import Task, Trials

__all__ = ["fresh_trials", "initial_parameters", "make_trials", "mirrored"]


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


def fresh_trials(
    task: Task,
    controller: Controller,
    seed: int,
    number: int,
    *,
    grow: int = 0,
    antithetic: bool = False,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Trials:
    """Return the trials of a training's draw of a number, 1 and up.

    Args:
        task: Whose trials.
        controller: What runs them.
        seed: Of the training.
        number: Of the draw.
        grow: Draws after which a batch is larger by one batch of the task; 0 never.
        antithetic: Whether half of the trials are `mirrored`.
        dtype: Dtype of all parts.
        device: Device of all parts.
    """
    count = 1 + number // grow if grow else 1
    seeds = np.random.SeedSequence([seed, number]).generate_state(count)
    batches = [make_trials(task, controller, int(own), dtype=dtype, device=device) for own in seeds]
    trials = batches[0] if count == 1 else Trials.concatenate(batches)
    return mirrored(trials) if antithetic else trials


def mirrored(trials: Trials) -> Trials:
    """Return as many trials, the second half of which repeats the first with the opposite noise.

    All draws of noise change their sign, loads stay. The effects of noise of odd orders cancel
    within each pair, so that a mean over trials varies less from draw to draw. Its expectation
    stays the same, since noise of either sign is equally likely. Of an odd number of trials the
    middle one has no partner.

    Source: antithetic variates, Hammersley & Morton (1956).

    Args:
        trials: B trials.
    """
    if len(trials) == 1:
        return trials
    half = trials.subset(slice(0, (len(trials) + 1) // 2))
    other = trials.subset(slice(0, len(trials) // 2))
    noise = {name: -part for name, part in other.present().items() if name.endswith("_noise")}
    return Trials.concatenate([half, replace(other, **noise)])
