"""Losses and errors of a controller on trials that it was not trained on, with intervals.

Held-out trials come from one fixed seed, so every controller meets the same draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_seed
from neuromotor.closed_loop import ClosedLoop
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.closed_loop.penalties import penalties_of_run
from neuromotor.control import ILQR
from neuromotor.controllers import Controller
from neuromotor.evaluation.bootstrap import Interval, bootstrap_interval
from neuromotor.evaluation.load_responses import LoadResponse, load_response
from neuromotor.plants import actuated
from neuromotor.storage.files import finite_data
from neuromotor.tasks import Task, Trials
from neuromotor.tasks.penalties import muscle_penalties, penalties_of

__all__ = [
    "Evaluation",
    "HELD_OUT_SEED",
    "HELD_OUT_TRIALS",
    "Performance",
    "Runner",
    "assess",
    "command_unit",
    "controller_runner",
    "held_out",
    "ilqr_runner",
    "known_runner",
    "measure",
    "penalties_paid",
    "reference_name",
]


@dataclass(frozen=True)
class Performance:
    """How a batch of trials went, as means over the trials but for the largest command.

    Attributes:
        loss: The task's loss.
        target_error_cm: Distance (cm) of the hand from its target at the last step.
        end_speed_cm_s: Speed (cm/s) of the hand at the last step.
        energy: Time integral of the squared command ((N m)^2 s or N^2 s).
        largest_command: Largest that any actuator gave in any trial (N m or N), within the plant's
            `command_limit` if it has one; NaN of a run that an older version left.
    """

    loss: float
    target_error_cm: float
    end_speed_cm_s: float
    energy: float
    largest_command: float = math.nan

    def as_dict(self) -> dict[str, float]:
        """Return the numbers by name, for tables and JSON."""
        return asdict(self)


def measure(task: Task, trials: Trials, states: Tensor, commands: Tensor) -> Performance:
    """Return how trials went, from their states (B, T + 1, n) and commands (B, T, m)."""
    plant = task.plant
    with torch.no_grad():
        final = states[:, -1]
        error = plant.hand_position(final) - plant.hand_position(trials.end)
        return Performance(
            loss=float(task.cost.losses(states, commands, trials).mean()),
            target_error_cm=100 * float(error.norm(dim=-1).mean()),
            end_speed_cm_s=100 * float(plant.hand_velocity(final).norm(dim=-1).mean()),
            energy=plant.dt_s * float(commands.square().sum((-2, -1)).mean()),
            largest_command=float(actuated(plant, commands).abs().max()),
        )


def penalties_paid(
    task: Task, controller: Controller, parameters: Tensor, trials: Trials
) -> dict[str, float]:
    """Return what each kind of a task's penalties comes to, a mean over trials, by kind.

    That of muscles is part of the task's loss; the others come to it in training.

    Args:
        task: Whose penalties; without any, the result is empty.
        controller: What pays them.
        parameters: Its parameters, (P,).
        trials: B trials.
    """
    kinds = penalties_of(task).kinds
    if not kinds:
        return {}
    with torch.no_grad():
        own = parameters.to(trials.initial_state)
        happened = ClosedLoop(task, controller).simulate(own, trials)
        paid = penalties_of_run(task, controller, own, happened)
    found = {kind: float(values.mean()) for kind, values in paid.items()}
    if "muscles" in kinds:
        found["muscles"] = float(muscle_penalties(task, happened.states).mean())
    return {kind: found[kind] for kind in kinds}


HELD_OUT_TRIALS = 1000
HELD_OUT_SEED = 6_704_001  # far from the small seeds that trainings use

Runner = Callable[[Trials], tuple[Tensor, Tensor]]  # trials to states and commands


@dataclass(frozen=True)
class Evaluation:
    """What a controller came to on a batch of trials.

    Attributes:
        losses: Each trial's loss, (B,).
        loss: Their mean with its 95 % bootstrap interval over trials.
        ratios: By reference, mean loss divided by that reference's on the same trials, with its
            interval.
        performance: Means over the trials.
        response: How the hand answered the loads; None where there are none.
    """

    losses: Tensor
    loss: Interval
    ratios: dict[str, Interval]
    performance: Performance
    response: LoadResponse | None

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers by name, for tables and JSON."""
        return {
            "trials": len(self.losses),
            "loss": self.loss.as_dict(),
            "ratios": {name: ratio.as_dict() for name, ratio in self.ratios.items()},
            "means": finite_data(self.performance.as_dict()),
            "response": None if self.response is None else self.response.as_dict(),
        }


def held_out(
    task: Task,
    controller: Controller,
    trials: int = HELD_OUT_TRIALS,
    *,
    seed: int = HELD_OUT_SEED,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Trials:
    """Return trials that no training has seen, with draws for the controller's private noise.

    A task without anything random has its one batch only, which comes back whole.

    Args:
        task: What is wanted.
        controller: What will run them.
        trials: Number of trials of a random task.
        seed: Seed of all draws.
        dtype: Dtype of all parts.
        device: Device of all parts.

    Raises:
        ValueError: `trials` is not positive.
    """
    check_integer("trials", trials, minimum=1)
    check_seed("seed", seed)
    generator = torch.Generator().manual_seed(seed)
    batches = [task.trials(generator, dtype=dtype, device=device)]
    if task.random:
        while sum(map(len, batches)) < trials:
            batches.append(task.trials(generator, dtype=dtype, device=device))
        batches = [Trials.concatenate(batches).subset(slice(trials))]
    (batch,) = batches
    if controller.noise_size:
        batch = batch.with_unit_noise(controller.noise_size, generator, steps=task.steps)
    return batch


@torch_threads()
def assess(
    task: Task, trials: Trials, run: Runner, references: Mapping[str, Tensor] | None = None
) -> Evaluation:
    """Return how well `run` does on trials.

    Args:
        task: What is wanted.
        trials: B trials.
        run: Turns trials into states (B, T + 1, n) and commands (B, T, m). Called once more, with
            the loads taken away, where there are any.
        references: Each trial's loss, (B,), under each of the references.
    """
    with torch.no_grad():
        states, commands = run(trials)
        losses = task.cost.losses(states, commands, trials)
        response = None
        if trials.loaded:
            response = load_response(task.plant, trials, states, run(trials.without_loads())[0])
    return Evaluation(
        losses=losses,
        loss=bootstrap_interval(losses),
        ratios={
            name: bootstrap_interval(losses, divide_by=theirs)
            for name, theirs in (references or {}).items()
        },
        performance=measure(task, trials, states, commands),
        response=response,
    )


def command_unit(task: Task) -> str:
    """Return the unit of the commands of a task's plant: N m of torques, N of forces."""
    return task.plant.command_labels[0].rpartition("(")[2].rstrip(")")


def controller_runner(task: Task, controller: Controller, parameters: Tensor) -> Runner:
    """Return what runs a controller with its parameters, (P,)."""
    loop = ClosedLoop(task, controller)

    def run(trials: Trials) -> tuple[Tensor, Tensor]:
        trajectory = loop.simulate(parameters.to(trials.initial_state), trials)
        return trajectory.states, trajectory.commands

    return run


def known_runner(trials: Trials, states: Tensor, commands: Tensor, run: Runner) -> Runner:
    """Return a runner that has run these very trials already, and runs others by `run`."""
    return lambda batch: (states, commands) if batch is trials else run(batch)


def ilqr_runner(task: Task, ilqr: ILQR) -> Runner:
    """Return what solves every trial by itself."""

    def run(trials: Trials) -> tuple[Tensor, Tensor]:
        solution = ilqr.solve(task, trials)
        return solution.states, solution.commands

    return run


def reference_name(trials: Trials) -> str:
    """Return iLQR's name: `clairvoyant` where it knows loads or noise ahead, as nobody can."""
    return "clairvoyant" if trials.disturbed else "ilqr"
