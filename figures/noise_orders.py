"""Prints how much of what noise adds to a loss is of second order, and how its gradients vary.

`python figures/noise_orders.py ddn/best ddn/gated`, with names of the zoo or controller files.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

import neuromotor as nm
from neuromotor.closed_loop import ClosedLoop
from neuromotor.tasks import Trials
from neuromotor.training.drawing import fresh_trials, mirrored

TRIALS, DRAWS = 200, 20  # held-out trials, and pairs of draws of opposite sign for each
BATCHES, BATCH = 12, 100


def orders(name: str) -> None:
    """Print a network's loss without noise, and what noise adds, in second order and in runs."""
    saved = nm.load_controller(name)
    task = replace(saved.task, pairs=TRIALS)
    trials = task.trials(torch.Generator().manual_seed(7919))
    loop, theta = ClosedLoop(task, saved.controller), saved.parameters
    size = torch.full((task.plant.command_size,), task.noise**2, dtype=torch.float64)
    expected = loop.expected(trials, {"command_noise": size}, probes=4)
    quiet, added = expected.parts(theta)
    many = trials.subset(torch.arange(TRIALS).repeat(DRAWS))
    shape = (TRIALS * DRAWS, task.steps, task.plant.command_size)
    xi = task.noise * torch.randn(shape, generator=torch.Generator().manual_seed(4)).double()
    runs = [replace(many, command_noise=sign * xi) for sign in (1, -1)]
    whole = sum(loop.objective(batch).value(theta) for batch in runs) / 2
    print(f"{name}: {quiet:.3e} without noise; it adds {added:.3e} in second order,", end=" ")
    print(f"{whole - quiet:.3e} in runs")


def spread(name: str) -> None:
    """Print how the gradients of small batches vary: norm of their mean and standard deviation."""
    saved = nm.load_controller(name, dtype=torch.float32)
    task = replace(saved.task, pairs=BATCH)
    loop, theta = ClosedLoop(task, saved.controller), saved.parameters
    size = {"command_noise": torch.full((task.plant.command_size,), task.noise**2)}
    ways: dict[str, Callable[[Trials, int], tuple[float, Tensor]]] = {
        "drawn": lambda trials, _: loop.objective(trials).value_and_gradient(theta),
        "pairs": lambda trials, _: loop.objective(mirrored(trials)).value_and_gradient(theta),
        "expected": lambda trials, k: loop.expected(trials, size, seed=k).value_and_gradient(theta),
    }
    for way, of in ways.items():
        found = []
        for k in range(BATCHES):
            trials = fresh_trials(task, saved.controller, 5, k + 1, dtype=torch.float32)
            found.append(of(trials, k)[1])
        gradients = torch.stack(found)
        mean, deviation = gradients.mean(0).norm(), gradients.var(0).sum().sqrt()
        print(f"{name}, {way}: gradient {mean:.1e}, standard deviation {deviation:.1e}")


if __name__ == "__main__":
    for one in sys.argv[1:] or ["ddn/best"]:
        orders(one)
        spread(one)
