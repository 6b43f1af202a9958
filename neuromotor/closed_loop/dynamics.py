"""One step of a plant within its trials, and its Jacobians along whole trajectories.

The step is here twice: `advance` takes tensors, and serves any plant and autograd;
`advance_components` takes floats or numpy arrays, and is faster.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neuromotor.plants.channel import (
    field_between_walls,
    held_in_channel,
    in_channel,
    wall_force,
)
from neuromotor.plants.field import in_field, step_in_field
from neuromotor.plants.plant import Plant, check_plant
from neuromotor.tasks.senses import SensesInUse
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import TRIAL_PARTS, Trials

__all__ = [
    "StepDraws",
    "advance",
    "advance_components",
    "channel_force",
    "check_trials",
    "linearize_plant",
    "roll_out",
]

CHUNK = 16384  # trial-steps


def advance(plant: Plant, state: Tensor, command: Tensor, trials: Trials, t: int | slice) -> Tensor:
    """Return the states after step `t`, (..., B, n), with the trials' noise and loads of that step.

    Args:
        plant: What moves.
        state: (..., B, n); with a slice of steps (B, steps, n).
        command: Commands without noise, (..., B, m) or (B, steps, m).
        trials: The batch.
        t: Step, or a slice of steps of a whole trajectory.
    """
    if trials.command_noise is not None:
        command = command * (1 + trials.command_noise[:, t])
    load = None if trials.load is None else trials.load[:, t]
    force = None if trials.hand_force is None else trials.hand_force[:, t]
    field = trials.field_at(t)
    if field is None:
        after = plant.step(state, command, load, force)
    else:
        if trials.channel is not None:
            field = _between_walls(field, _by_step(trials.channel, t))
        after = step_in_field(plant, state, command, field, load, force)
    if trials.plant_noise is not None:
        after = after + trials.plant_noise[:, t]
    if trials.channel is None:
        return after
    return held_in_channel(plant, after, _by_step(trials.channel, t))


def _by_step(channel: Tensor, t: int | slice) -> Tensor:
    """Channels (B, 1 + d), with an axis of steps where there are several."""
    return channel if isinstance(t, int) else channel[:, None]


def _between_walls(field: Tensor, channel: Tensor) -> Tensor:
    """`field_between_walls` of tensors."""
    rows = field_between_walls([row.unbind(-1) for row in field.unbind(-2)], channel.unbind(-1))
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def channel_force(plant: Plant, states: Tensor, commands: Tensor, trials: Trials) -> Tensor:
    """Return the force (N) with which the hand presses on the walls of its channel, (B, T).

    Positive along the channel's normal n; zero where a trial has no channel. It is the mean over a
    step.

    Args:
        plant: What moves.
        states: Before each step and after the last, (B, T + 1, n).
        commands: (B, T, m).
        trials: The batch, with channels.

    Raises:
        ValueError: The trials have no channel.
    """
    if trials.channel is None:
        raise ValueError("`trials` must have a `channel` for the force on it, got none.")
    free = advance(plant, states[:, :-1], commands, replace(trials, channel=None), slice(None))
    return -wall_force(plant, free, _by_step(trials.channel, slice(None)))


class StepDraws(NamedTuple):
    """The parts of `Trials` that act on the plant in one step, in components; None is zero.

    The field has d rows of 1 + 2 d components.
    """

    load: Any = None
    hand_force: Any = None
    field: Any = None
    field_on: Any = None
    channel: Any = None
    command_noise: Any = None
    plant_noise: Any = None


def advance_components(plant: Any, form: Any, state: Any, command: Any, draws: StepDraws) -> Any:
    """Return what `advance` does, in components.

    Args:
        plant: What moves.
        form: Its step and hand on components, such as `plants.plant.Components`.
        state: n floats, arrays or tensors.
        command: m of them, without noise.
        draws: What acts in this step.
    """
    if draws.command_noise is not None:
        command = [u * (1 + xi) for u, xi in zip(command, draws.command_noise, strict=True)]
    force, field = draws.hand_force, draws.field
    if field is not None:
        if draws.field_on is not None:
            field = [[draws.field_on[0] * entry for entry in row] for row in field]
        place = form.hand(state)[: len(field)]
        pull = [row[0] + _dot(row[1:], place) for row in field]
        force = pull if force is None else [f + g for f, g in zip(force, pull, strict=True)]
    after = form.step(state, command, draws.load, force)
    if field is not None:
        if draws.channel is not None:
            field = field_between_walls(field, draws.channel)
        after = in_field(plant, after, field)
    if draws.plant_noise is not None:
        after = [x + zeta for x, zeta in zip(after, draws.plant_noise, strict=True)]
    if draws.channel is not None:
        after = in_channel(plant, form.hand, after, draws.channel)
    return after


def _dot(row: Any, place: Any) -> Any:
    """The sum of the products of a row's first components with a place's."""
    first, *others = (a * x for a, x in zip(row, place, strict=False))
    return sum(others, start=first)


def roll_out(plant: Plant, trials: Trials, commands: Tensor) -> Tensor:
    """Return the states (B, T + 1, n) under open-loop commands (B, T, m)."""
    states = [trials.initial_state]
    for t in range(commands.shape[1]):
        states.append(advance(plant, states[-1], commands[:, t], trials, t))
    return torch.stack(states, dim=1)


def check_trials(task: Task, trials: Trials) -> None:
    """Raise unless a batch fits a task: sizes of its plant, and steps of loads and noise."""
    plant = task.plant
    check_plant(plant)
    if trials.initial_state.shape[1] != plant.state_size:
        raise ValueError(
            f"`trials.initial_state` must have {plant.state_size} numbers a trial for this plant, "
            f"got {trials.initial_state.shape[1]}."
        )
    sizes = {"command": plant.command_size, "load": plant.load_size, "hand": plant.hand_size}
    sizes["senses"] = SensesInUse.of(task).draws
    for name, part in trials.present().items():
        size = sizes.get(TRIAL_PARTS[name].size or "")
        if size is not None and part.shape[2] != size:
            whose = "these senses" if TRIAL_PARTS[name].size == "senses" else "this plant"
            raise ValueError(
                f"`trials.{name}` must have {size} numbers a step for {whose}, got {part.shape[2]}."
            )
    if trials.field is not None and trials.field.shape[1] != plant.hand_size:
        raise ValueError(
            f"`trials.field` must have {plant.hand_size} rows for this plant's hand, got "
            f"{trials.field.shape[1]}."
        )
    if trials.channel is not None and trials.channel.shape[1] != 1 + plant.hand_size:
        raise ValueError(
            f"`trials.channel` must have {1 + plant.hand_size} numbers a trial for this plant's "
            f"hand, got {trials.channel.shape[1]}."
        )
    if trials.steps is not None and trials.steps != task.steps:
        raise ValueError(
            f"`trials` must cover the task's {task.steps} steps with their loads and noise, "
            f"got {trials.steps}."
        )


def linearize_plant(
    plant: Plant,
    trials: Trials,
    states: Tensor,
    commands: Tensor,
    out: Tensor | None = None,
) -> Tensor:
    """Return J = d x[t+1] / d (x[t], u[t]) along trajectories, (B, T, n, n + m).

    Steps do not depend on each other, so one reverse pass gives one row of all their Jacobians;
    `CHUNK` trial-steps at a time, so that what autograd keeps stays in cache.

    Args:
        plant: What moves.
        trials: B trials, whose loads and noise belong to the steps.
        states: Before each step, (B, T, n).
        commands: (B, T, m).
        out: Where the result goes, if given.
    """
    batch, steps, n = states.shape
    if out is None:
        out = states.new_empty(batch, steps, n, n + commands.shape[2])
    chunk = max(1, CHUNK // batch)
    for start in range(0, steps, chunk):
        part = slice(start, min(start + chunk, steps))
        with torch.enable_grad():
            inputs = torch.cat([states[:, part], commands[:, part]], dim=-1)
            inputs = inputs.detach().requires_grad_(True)
            after = advance(plant, inputs[..., :n], inputs[..., n:], trials, part)
            for i in range(n):
                (row,) = torch.autograd.grad(after[..., i].sum(), inputs, retain_graph=i < n - 1)
                out[:, part, i] = row
    return out
