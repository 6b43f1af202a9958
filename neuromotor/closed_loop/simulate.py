"""A controller and a plant run together, step by step; plain torch, differentiable by autograd.

Order of one step t (Sutskever 2013, section 6.5), with delay tau in steps::

    o[t] = what the task's senses give (`tasks.senses`); without senses of its own
           x[max(t - tau, 0)] + sensory noise, of which the plant's `feedback` is given
    u[t] = controller(o[t], x* or the target shown at t, with the cues of t if there are any)
    x[t + 1] = plant(x[t], u[t] (1 + xi[t]) + load[t], hand force[t] + field) + plant noise[t]

A field that depends on velocity acts within the step (`plants.carried_in_field`); a plant's
`command_limit` bounds ``u (1 + xi)``, not the load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from neuromotor._showing import TableInNotebooks, plot_trials
from neuromotor.closed_loop.dynamics import advance, check_trials
from neuromotor.controllers.controller import Controller
from neuromotor.plants.plant import Plant
from neuromotor.tasks.senses import SensesInUse
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Trajectory", "check_inputs", "run", "simulate"]


@dataclass(frozen=True)
class Trajectory(TableInNotebooks):
    """What happened in a batch of B trials of T steps.

    Attributes:
        states: Before each step and after the last, (B, T + 1, n).
        commands: What the controller asked for, without noise and loads, (B, T, m).
        observations: What the controller sensed, (B, T, f) of the f numbers of the task's senses.
        memory: The controller's memory after each step, one tensor a part, (B, T, .); for a
            `ContinuousTimeRNN` the activations v of each layer.
        plant: What moved, which gives the quantities their names and units.
    """

    states: Tensor
    commands: Tensor
    observations: Tensor
    memory: tuple[Tensor, ...]
    plant: Plant | None = field(default=None, repr=False, compare=False)

    def plot(self, axes: Sequence[Axes] | None = None) -> NDArray[Any]:
        """Draw hand paths, the hand's speed and the commands, and return the three axes.

        Args:
            axes: Three axes to draw on, or None for a new figure.

        Raises:
            ValueError: The trajectory does not know its plant, or `axes` are not three.
        """
        plant = self.plant
        if plant is None:
            raise ValueError(
                "the trajectory must know its `plant` to be drawn, as those of "
                "`ClosedLoop.simulate` do; use `dataclasses.replace(trajectory, plant=plant)`."
            )
        states = self.states.detach().cpu()
        hand, velocity = plant.hand_position(states), plant.hand_velocity(states)
        return plot_trials(
            hand.numpy() if plant.hand_size == 2 else None,
            velocity.norm(dim=-1).numpy(),
            self.commands.detach().cpu().numpy(),
            plant.command_labels,
            plant.dt_s,
            axes,
        )


def simulate(task: Task, controller: Controller, parameters: Tensor, trials: Trials) -> Trajectory:
    """Run every trial and return what happened; differentiable in `parameters`.

    Args:
        task: Plant, number of steps and feedback delay.
        controller: What decides.
        parameters: Its parameters, (P,).
        trials: Batch with the plant's state size, of the dtype and device of `parameters`.

    Raises:
        ValueError: Shapes, dtype or device do not fit together.
    """
    check_inputs(task, parameters, trials)
    return run(task, controller, controller.unpack(parameters), trials)


def run(
    task: Task, controller: Controller, weights: Any, trials: Trials, push: Tensor | None = None
) -> Trajectory:
    """Run every trial with a controller's unpacked weights; see `simulate`.

    A push, (B, T, m), is added to the commands on their way to the plant.
    """
    memory = controller.initial_memory(weights, len(trials))
    states, commands, observations = [trials.initial_state], [], []
    memories: list[tuple[Tensor, ...]] = []
    senses = SensesInUse.of(task)
    goal, told = senses.told(trials.target), senses.told_over_time(trials)

    def ago(steps: int) -> Tensor:
        return states[max(len(states) - 1 - steps, 0)]

    def draws(name: str) -> Tensor | None:
        part: Tensor | None = getattr(trials, name)
        return None if part is None else part[:, len(states) - 1]

    for t in range(task.steps):
        observation = senses.sensed(ago, draws)
        unit_noise = None if trials.unit_noise is None else trials.unit_noise[:, t]
        target = goal if told is None else told[:, t]
        memory, command = controller.step(weights, memory, observation, target, t, unit_noise)
        given = command if push is None else command + push[:, t]
        states.append(advance(task.plant, states[-1], given, trials, t))
        commands.append(command)
        observations.append(observation)
        memories.append(memory)
    return Trajectory(
        states=torch.stack(states, dim=1),
        commands=torch.stack(commands, dim=1),
        observations=torch.stack(observations, dim=1),
        memory=tuple(torch.stack(part, dim=1) for part in zip(*memories, strict=True)),
        plant=task.plant,
    )


def check_inputs(task: Task, parameters: Tensor, trials: Trials) -> None:
    """Raise unless parameters, trials and task fit together."""
    check_trials(task, trials)
    if parameters.dtype != trials.dtype or parameters.device != trials.device:
        raise ValueError(
            f"`parameters` must share dtype and device with the trials ({trials.dtype}, "
            f"{trials.device}), got {parameters.dtype}, {parameters.device}; use `.to(...)`."
        )
