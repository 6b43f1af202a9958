"""Prints what noise adds to a network's loss: in runs, as it is expected, and in second order.

    python figures/noise_orders.py ddn/best ddn/gated   # names of the zoo or controller files
    python figures/noise_orders.py --smoke --out /tmp/figures

Prints the numbers of docs/optimizers.md, and writes noise_orders.json into `--out`, if it is given.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

import neuromotor as nm
from neuromotor.closed_loop import ClosedLoop


def orders(name: str, count: int, draws: int) -> dict[str, float]:
    """Print a network's loss without noise, and what noise adds, in three ways.

    Args:
        name: Of the zoo, or a file.
        count: Held-out trials.
        draws: Pairs of draws of opposite sign for each.
    """
    saved = nm.load_controller(name)
    task = replace(saved.task, pairs=count)
    trials = task.trials(torch.Generator().manual_seed(7919))
    loop, theta = ClosedLoop(task, saved.controller), saved.parameters
    size = torch.full((task.plant.command_size,), task.noise**2, dtype=torch.float64)
    still = replace(trials, command_noise=torch.zeros_like(trials.command_noise))
    (quiet, added), (_, second) = (
        loop.expected(batch, {"command_noise": size}, probes=4).parts(theta)
        for batch in (trials, still)  # without draws, commands are those without noise
    )
    many = trials.subset(torch.arange(count).repeat(draws))
    shape = (count * draws, task.steps, task.plant.command_size)
    xi = task.noise * torch.randn(shape, generator=torch.Generator().manual_seed(4)).double()
    runs = [replace(many, command_noise=sign * xi) for sign in (1, -1)]
    whole = sum(loop.objective(batch).value(theta) for batch in runs) / 2
    print(
        f"{name}: {quiet:.2e} without noise, which adds {added:.2e} by the expectation, "
        f"{second:.2e} in second order, {whole - quiet:.2e} in runs"
    )
    return {"quiet": quiet, "expected": added, "second_order": second, "runs": whole - quiet}


def main() -> None:
    """Print the numbers of each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=["ddn/best"])
    parser.add_argument("--out", type=Path, help="folder for noise_orders.json")
    parser.add_argument("--smoke", action="store_true", help="a tiny version, within a minute")
    options = parser.parse_args()
    count, draws = (8, 2) if options.smoke else (200, 20)
    found = {name: orders(name, count, draws) for name in options.networks}
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(found, indent=2)
        (options.out / "noise_orders.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
