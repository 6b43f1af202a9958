"""Measurements of trained networks, for the tables and the figures alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from neuromotor.closed_loop import Trajectory
from neuromotor.evaluation.load_responses import correction_latencies, load_onsets
from neuromotor.evaluation.performance import held_out
from neuromotor.reproduction.networks import Trained
from neuromotor.tasks import DDN, CenterOut, Task, Trials

__all__ = [
    "Disturbed",
    "disturbed",
    "distance_cm",
    "reaching_task",
    "robust_trials",
    "strongest_effect_cm",
]


@dataclass(frozen=True)
class Disturbed:
    """Trials of one network with a disturbance and, draw by draw, without it.

    Attributes:
        trials: B trials with `load`.
        run: What happened.
        calm: What happens without the load.
        onsets: Steps at which the loads start, (B,).
        error_cm: Distance of the hand from its target at the end, (B,).
        calm_error_cm: The same without the load, (B,).
        latency_ms: When commands begin to answer, (B,); NaN where they do not.
    """

    trials: Trials
    run: Trajectory
    calm: Trajectory
    onsets: Tensor
    error_cm: Tensor
    calm_error_cm: Tensor
    latency_ms: Tensor


def disturbed(trained: Trained, task: Task, trials: Trials) -> Disturbed:
    """Run a network on trials of a task, with their loads and without."""
    plant = task.plant
    run, calm = trained.run(task, trials), trained.run(task, trials.without_loads())
    return Disturbed(
        trials=trials,
        run=run,
        calm=calm,
        onsets=load_onsets(trials),
        error_cm=distance_cm(task, run.states[:, -1], trials.target),
        calm_error_cm=distance_cm(task, calm.states[:, -1], trials.target),
        latency_ms=correction_latencies(trials, run.commands, calm.commands, plant.dt_s),
    )


def distance_cm(task: Task, states: Tensor, others: Tensor) -> Tensor:
    """Return the distance (cm) between the hands of two sets of states, (...)."""
    hand = task.plant.hand_position
    distance: Tensor = 100 * (hand(states) - hand(others)).norm(dim=-1)
    return distance


def strongest_effect_cm(task: Task, states: Tensor, calm: Tensor) -> float:
    """Return the median over trials of the largest distance that a load moves the hand (cm).

    Args:
        task: Its plant has the hand.
        states: With the load, (B, T + 1, n).
        calm: The same trials without it.
    """
    return float(distance_cm(task, states, calm).amax(-1).median())


def reaching_task(task: DDN, directions: int = 64) -> CenterOut:
    """Return center-out reaches with duration, delay and weights of a DDN task.

    Its loads and noise are left out: the reaches of Sutskever (2013), figure 6.5.
    """
    return CenterOut(
        plant=task.plant,
        directions=directions,
        steps=task.steps,
        delay_steps=task.delay_steps,
        energy_weight=task.energy_weight,
        error_weight=task.error_weight,
        velocity_weight=task.velocity_weight,
    )


def robust_trials(trained: Trained, count: int) -> tuple[DDN, Trials]:
    """Return held-out trials with delay and disturbance, but no noise, and their task."""
    task = trained.task
    if not isinstance(task, DDN):
        raise ValueError(f"{trained.name} must have been trained on a DDN task, got {task}.")
    task = replace(task, noise=0.0, disturbance_nm=None)
    return task, held_out(task, trained.controller, count)
