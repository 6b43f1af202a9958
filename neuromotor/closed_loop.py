"""The one place where controller and plant meet, and where the loop is differentiated.

Notation: theta controller parameters, x state, u command, o observation, tau delay in steps,
r residuals with ``loss = |r|^2 / 2``, J = dr/dtheta over a batch of B trials, G = J^T J / B.

Order of one step t (Sutskever 2013, section 6.5)::

    o[t] = x[max(t - tau, 0)] + sensory noise
    u[t] = controller(o[t], x*)
    x[t + 1] = plant(x[t], u[t] (1 + xi[t]) + load[t], hand force[t]) + plant noise[t]
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor.controllers.controller import Controller
from neuromotor.plants.plant import Plant
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["ClosedLoop", "ClosedLoopObjective", "Trajectory", "advance", "check_trials"]


@dataclass(frozen=True)
class Trajectory:
    """What happened in a batch of B trials of T steps.

    Attributes:
        states: Before each step and after the last, (B, T + 1, n).
        commands: What the controller asked for, without noise and loads, (B, T, m).
        observations: What the controller saw, (B, T, n).
        memory: The controller's memory after each step, one tensor a part, (B, T, .); for a
            `ContinuousTimeRNN` the activations v of each layer.
    """

    states: Tensor
    commands: Tensor
    observations: Tensor
    memory: tuple[Tensor, ...]


class ClosedLoop:
    """A task's plant under a controller, with the task's delay and the trials' loads and noise.

    Example:
        >>> from neuromotor.controllers import ContinuousTimeRNN
        >>> from neuromotor.tasks import CenterOut
        >>> loop = ClosedLoop(CenterOut(directions=4), ContinuousTimeRNN(layers=(10,)))
        >>> theta = loop.controller.initial_parameters(torch.Generator().manual_seed(0))
        >>> loop.simulate(theta, loop.task.trials()).states.shape
        torch.Size([4, 41, 4])
    """

    def __init__(self, task: Task, controller: Controller) -> None:
        """Join a task and a controller.

        Raises:
            ValueError: Their step lengths or command sizes differ.
        """
        if controller.command_size != task.plant.command_size:
            raise ValueError(
                f"`controller` must give {task.plant.command_size} commands for this plant, got "
                f"{controller.command_size}; set its `command_size`."
            )
        if not math.isclose(controller.dt_s, task.plant.dt_s):
            raise ValueError(
                f"`controller` must have the plant's step of {task.plant.dt_s:g} s, got "
                f"{controller.dt_s:g} s; set its `dt_s`."
            )
        self.task = task
        self.controller = controller

    def simulate(self, parameters: Tensor, trials: Trials) -> Trajectory:
        """Run every trial and return what happened; differentiable in `parameters`.

        Args:
            parameters: Controller parameters, (P,).
            trials: Batch with the plant's state size, of the dtype and device of `parameters`.

        Raises:
            ValueError: Shapes, dtype or device do not fit together.
        """
        task, controller = self.task, self.controller
        check_trials(task, trials)
        if parameters.dtype != trials.dtype or parameters.device != trials.device:
            raise ValueError(
                f"`parameters` must share dtype and device with the trials ({trials.dtype}, "
                f"{trials.device}), got {parameters.dtype}, {parameters.device}; use `.to(...)`."
            )
        weights = controller.unpack(parameters)
        memory = controller.initial_memory(weights, len(trials))
        states, commands, observations = [trials.initial_state], [], []
        memories: list[tuple[Tensor, ...]] = []
        for t in range(task.steps):
            observation = states[max(t - task.delay_steps, 0)]
            if trials.sensory_noise is not None:
                observation = observation + trials.sensory_noise[:, t]
            unit_noise = None if trials.unit_noise is None else trials.unit_noise[:, t]
            memory, command = controller.step(
                weights, memory, observation, trials.target, t, unit_noise
            )
            states.append(advance(task.plant, states[-1], command, trials, t))
            commands.append(command)
            observations.append(observation)
            memories.append(memory)
        return Trajectory(
            states=torch.stack(states, dim=1),
            commands=torch.stack(commands, dim=1),
            observations=torch.stack(observations, dim=1),
            memory=tuple(torch.stack(part, dim=1) for part in zip(*memories, strict=True)),
        )

    def losses(self, parameters: Tensor, trials: Trials) -> Tensor:
        """Return each trial's loss, (B,); differentiable in `parameters`."""
        trajectory = self.simulate(parameters, trials)
        return self.task.cost.losses(trajectory.states, trajectory.commands, trials.target)

    def objective(self, trials: Trials) -> ClosedLoopObjective:
        """Return the mean loss over `trials` as a function of the parameters."""
        return ClosedLoopObjective(self, trials)


class ClosedLoopObjective:
    """Mean loss over fixed trials: value, gradient and Gauss-Newton product, by autograd."""

    def __init__(self, loop: ClosedLoop, trials: Trials) -> None:
        check_trials(loop.task, trials)
        self.loop = loop
        self.trials = trials

    def value(self, parameters: Tensor) -> float:
        """Return the mean loss; infinity where the simulation overflows."""
        with torch.no_grad():
            value = float(self.loop.losses(parameters, self.trials).mean())
        return value if math.isfinite(value) else math.inf

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the mean loss and its gradient, (P,)."""
        theta = parameters.detach().requires_grad_(True)
        loss = self.loop.losses(theta, self.trials).mean()
        (gradient,) = torch.autograd.grad(loss, theta)
        value = float(loss.detach())
        return (value if math.isfinite(value) else math.inf), gradient

    def linearize(self, parameters: Tensor) -> ClosedLoopLinearization:
        """Return the loop at a point, for any number of Gauss-Newton products."""
        return ClosedLoopLinearization(self, parameters)


class ClosedLoopLinearization:
    """The residuals at one point, graph kept: each product is two passes over it.

    The tangent pass ``J v`` is the derivative of the adjoint pass ``w -> J^T w``, which is linear
    in w (Pearlmutter 1994's R-operator, by double reverse mode).
    """

    def __init__(self, objective: ClosedLoopObjective, parameters: Tensor) -> None:
        loop, trials = objective.loop, objective.trials
        self._batch = len(trials)
        self._theta = parameters.detach().requires_grad_(True)
        trajectory = loop.simulate(self._theta, trials)
        self._residuals = loop.task.cost.residuals(
            trajectory.states, trajectory.commands, trials.target
        )
        self._weights = torch.zeros_like(self._residuals, requires_grad=True)
        (self._adjoint,) = torch.autograd.grad(
            self._residuals, self._theta, self._weights, create_graph=True
        )
        residuals = self._residuals.detach()
        value = float(residuals.square().sum()) / (2 * self._batch)
        self.value = value if math.isfinite(value) else math.inf
        self.gradient = self._pull_back(residuals)

    def product(self, vector: Tensor) -> Tensor:
        """Return ``G v = J^T J v / B``, (P,), of a vector (P,)."""
        (tangent,) = torch.autograd.grad(
            self._adjoint, self._weights, vector, retain_graph=True, materialize_grads=True
        )
        return self._pull_back(tangent)

    def _pull_back(self, weights: Tensor) -> Tensor:
        """``J^T w / B``."""
        (gradient,) = torch.autograd.grad(
            self._residuals, self._theta, weights, retain_graph=True, materialize_grads=True
        )
        return gradient / self._batch


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
    after = plant.step(state, command, load, force)
    return after if trials.plant_noise is None else after + trials.plant_noise[:, t]


def check_trials(task: Task, trials: Trials) -> None:
    """Raise unless a batch fits a task: state and command sizes, and steps of loads and noise."""
    plant = task.plant
    if trials.initial_state.shape[1] != plant.state_size:
        raise ValueError(
            f"`trials.initial_state` must have {plant.state_size} numbers a trial for this plant, "
            f"got {trials.initial_state.shape[1]}."
        )
    for name in ("load", "command_noise"):
        part = getattr(trials, name)
        if part is not None and part.shape[2] != plant.command_size:
            raise ValueError(
                f"`trials.{name}` must have {plant.command_size} numbers a step for this plant, "
                f"got {part.shape[2]}."
            )
    if trials.steps is not None and trials.steps != task.steps:
        raise ValueError(
            f"`trials` must cover the task's {task.steps} steps with their loads and noise, "
            f"got {trials.steps}."
        )
