"""Kronecker factors of the Gauss-Newton matrix from a tape, for any network of cells and any plant.

One run writes on a tape what went into every linear map and what came out of it. Autograd pulls
random residuals of unit variance back to what came out. The covariance of the gradient of such
residuals is the Gauss-Newton matrix. For each map it is a Kronecker product if inputs do not depend
on derivatives, nor steps on each other; we assume both.

Source: Martens & Grosse (2015), equation 1 and section 3, with the loss's own residuals.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from neuromotor._checks import declares
from neuromotor.closed_loop.objective import Place, drawn_residuals
from neuromotor.closed_loop.penalties import Matrices, NetworkPenalties
from neuromotor.closed_loop.simulate import Trajectory, check_inputs, run
from neuromotor.controllers.cells import Tape
from neuromotor.controllers.controller import Controller, WritesTape
from neuromotor.optim.objective import KroneckerBlock
from neuromotor.tasks.cost import features_of, weighed_features
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["recorded_factors", "tape_blocks"]


@torch.enable_grad()
def recorded_factors(
    task: Task,
    controller: Controller,
    parameters: Tensor,
    trials: Trials,
    generator: torch.Generator,
    place: Place | None = None,
    penalties: NetworkPenalties | None = None,
) -> tuple[KroneckerBlock, ...]:
    """Return the factors of each map, with the draws that compiled loops make.

    Args:
        task: Plant and cost.
        controller: One that writes on a tape (`controllers.controller.writes_tape`).
        parameters: (P,).
        trials: B trials.
        generator: Source of the random residuals.
        place: Where the trials stand in a larger batch; residuals are drawn for all of that.
        penalties: On the network, if there are any.
    """
    check_inputs(task, parameters, trials)
    theta = parameters.detach().requires_grad_(True)
    tape, network = Tape(), cast(WritesTape, controller)
    weights = network.unpack(theta)
    trajectory = run(task, controller, network.recorded(weights, tape), trials)
    place = place or Place(0, len(trials))
    pulled = _random_pull(task, trajectory, trials, generator, place)
    if penalties is not None and penalties.on_rates:
        rates = penalties.of_memory(trajectory.memory)
        pulled = pulled + penalised_pull(penalties, rates, Matrices.of(weights), generator, place)
    return tape_blocks(network, tape, pulled)


def tape_blocks(network: WritesTape, tape: Tape, pulled: Tensor) -> tuple[KroneckerBlock, ...]:
    """Return the factors of every map on a tape.

    Args:
        network: What wrote the tape.
        tape: Of one run, its graph kept.
        pulled: What is pulled back: random residuals times what they belong to, summed.
    """
    blocks = []
    pulls = iter(
        torch.autograd.grad(
            pulled, [one for part in tape.products.values() for one in part], materialize_grads=True
        )
    )
    for where, products in tape.products.items():
        pull = torch.cat([next(pulls) for _ in products])
        seen = torch.cat(tape.inputs[where])
        places = network.places(where).to(seen.device)
        if places.shape[1] > seen.shape[1]:
            seen = torch.cat([seen, seen.new_ones(len(seen), 1)], dim=1)
        blocks.append(KroneckerBlock(places, pull.T @ pull, seen.T @ seen / len(seen)))
    return tuple(blocks)


def _random_pull(
    task: Task, happened: Trajectory, trials: Trials, generator: torch.Generator, place: Place
) -> Tensor:
    """Residuals of the mean loss, each times a standard normal number, summed."""
    cost, batch = task.cost, len(trials)
    features = features_of(cost)
    if features is None and not declares(cost, "follows_equations"):
        residuals: Tensor = cost.residuals(happened.states, happened.commands, trials)[:, None]
        return (_draws(residuals, generator, place) * residuals).sum() / math.sqrt(batch)
    weights = (cost.weights(trials) / batch).sqrt()
    energy = math.sqrt(cost.energy_weight / batch)
    own = weighed_features(cost, "Kronecker factors")
    weighed = happened.states if own is None else own(happened.states)
    states = _draws(weighed, generator, place) * weights * weighed
    commands = _draws(happened.commands, generator, place) * energy * happened.commands
    if features is None or not features.drive_weight:
        return states.sum() + commands.sum()
    driven = features.drives(happened.states, happened.commands)
    drives = _draws(driven, generator, place) * math.sqrt(features.drive_weight / batch) * driven
    return states.sum() + commands.sum() + drives.sum()


def penalised_pull(
    penalties: NetworkPenalties,
    rates: list[Tensor],
    matrices: Matrices,
    generator: torch.Generator,
    place: Place,
) -> Tensor:
    """Return the penalties' residuals of the mean loss, each times a normal number, summed."""
    steps, batch, _ = rates[0].shape

    def drawn(units: int) -> Tensor:
        return drawn_residuals(steps, batch, units, generator, place)

    fixed = Matrices([one.detach() for one in matrices.recurrent], [])
    pulls = penalties.random_pulls([one.detach() for one in rates], fixed, drawn)
    pairs = zip(pulls, rates, strict=True)
    return torch.stack([(pull * one).sum() for pull, one in pairs]).sum() / math.sqrt(batch)


def _draws(like: Tensor, generator: torch.Generator, place: Place) -> Tensor:
    """Standard normal numbers, (B, T, .)."""
    batch, steps, size = like.shape
    return drawn_residuals(steps, batch, size, generator, place).transpose(0, 1).to(like)
