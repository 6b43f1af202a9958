"""Prints what noise adds to a network's loss: in runs, as it is expected, and in second order.

`python figures/noise_orders.py ddn/best ddn/gated`, with names of the zoo or controller files.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import torch

import neuromotor as nm
from neuromotor.closed_loop import ClosedLoop

TRIALS, DRAWS = 200, 20  # held-out trials, and pairs of draws of opposite sign for each


def orders(name: str) -> None:
    """Print a network's loss without noise, and what noise adds, in three ways."""
    saved = nm.load_controller(name)
    task = replace(saved.task, pairs=TRIALS)
    trials = task.trials(torch.Generator().manual_seed(7919))
    loop, theta = ClosedLoop(task, saved.controller), saved.parameters
    size = torch.full((task.plant.command_size,), task.noise**2, dtype=torch.float64)
    still = replace(trials, command_noise=torch.zeros_like(trials.command_noise))
    (quiet, added), (_, second) = (
        loop.expected(batch, {"command_noise": size}, probes=4).parts(theta)
        for batch in (trials, still)  # without draws, commands are those without noise
    )
    many = trials.subset(torch.arange(TRIALS).repeat(DRAWS))
    shape = (TRIALS * DRAWS, task.steps, task.plant.command_size)
    xi = task.noise * torch.randn(shape, generator=torch.Generator().manual_seed(4)).double()
    runs = [replace(many, command_noise=sign * xi) for sign in (1, -1)]
    whole = sum(loop.objective(batch).value(theta) for batch in runs) / 2
    print(
        f"{name}: {quiet:.2e} without noise, which adds {added:.2e} by the expectation, "
        f"{second:.2e} in second order, {whole - quiet:.2e} in runs"
    )


if __name__ == "__main__":
    for one in sys.argv[1:] or ["ddn/best"]:
        orders(one)
