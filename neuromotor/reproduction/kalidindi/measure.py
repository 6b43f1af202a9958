"""What one trained network does: rotations of its signals, and how its hand answers the loads.

Trials are run without noise, which stands for an average over many. Windows and settings are those
of Kalidindi et al. (2021): 70 to 370 ms after the load, or 0 to 300 ms of movement; units are
divided by their range plus 5e-4, other signals by their range; the mean over conditions is taken
away; six components, four of muscles, two of kinematics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor.analysis import RecordingError, Rotations, rotations_of
from neuromotor.closed_loop import ClosedLoop, Trajectory
from neuromotor.controllers.controller import unit_rates
from neuromotor.tasks import PostureLoads, ReachHold, Task
from neuromotor.zoo.saved_controller import SavedController

__all__ = ["Behaviour", "Measured", "behaviour_of", "measured", "rotations_in"]

Array = NDArray[np.float64]
SOFT = {"output layer": 5e-4, "input layer": 5e-4, "muscles": 0.0, "kinematics": 0.0}
COMPONENTS = {"output layer": 6, "input layer": 6, "muscles": 4, "kinematics": 2}
_AFTER_LOAD_STEPS = (7, 37)  # 70 to 370 ms
_OF_MOVEMENT_STEPS = (0, 30)  # 0 to 300 ms
_MOVING = 0.05  # of the hand's peak speed: movement has begun; ours
_ACTIVE = 0.05  # of a muscle's largest change: it has answered; ours


@dataclass(frozen=True)
class Behaviour:
    """How the hand answers constant loads, means and medians over their directions.

    Attributes:
        displacement_cm: Largest distance of the hand from where it was.
        reversal_ms: When it is there, after the load.
        muscles_ms: When the first muscle has changed by a twentieth of its largest change.
        end_error_cm: Distance at the end of the trial.
        axis_deg: Axis of the output units' preferred loads, in the plane of shoulder and elbow
            torque, by the mean of doubled angles.
        axis_strength: Length of that mean, from 0 to 1.
    """

    displacement_cm: float
    reversal_ms: float
    muscles_ms: float
    end_error_cm: float
    axis_deg: float
    axis_strength: float


@dataclass(frozen=True)
class Measured:
    """One network.

    Attributes:
        rotations: By signal; a signal that varies in too few dimensions is left out.
        behaviour: How it answers loads; None for reaches.
        error_cm: Mean distance of the hand from its target at the end.
    """

    rotations: dict[str, Rotations]
    behaviour: Behaviour | None
    error_cm: float


def measured(saved: SavedController, task: Task, *, surrogates: int, seed: int = 0) -> Measured:
    """Return what a network does on a task's trials, without noise.

    Args:
        saved: The network.
        task: `PostureLoads` or `ReachHold`.
        surrogates: Surrogates of each null.
        seed: Random seed of the surrogates.
    """
    quiet: Any = replace(task, noise=0.0, repeats=1)  # type: ignore[type-var]
    trials = quiet.trials()
    controller: Any = saved.controller
    if controller.noise_size:
        controller = replace(controller, private_noise=0.0)
    with torch.no_grad():
        run = ClosedLoop(quiet, controller).simulate(saved.parameters.double(), trials)
        rates = [part.numpy() for part in unit_rates(controller, run.memory)]
    plant = quiet.plant
    states = run.states.numpy()
    signals = {
        "output layer": rates[-1],
        "input layer": rates[0],
        "muscles": states[:, 1:, plant.state_parts["activation"]],
        "kinematics": states[:, 1:, :4],
    }
    hand = plant.hand_position(run.states)
    error = (hand[:, -1] - plant.hand_position(trials.end)).norm(dim=-1)
    windows = _after_loads(quiet) if isinstance(quiet, PostureLoads) else _movements(quiet, run)
    behaviour = None
    if isinstance(quiet, PostureLoads):
        behaviour = behaviour_of(quiet, hand.numpy(), signals)
    cut = {
        name: np.stack([values[trial, first : first + 30] for trial, first in windows])
        for name, values in signals.items()
    }
    found = rotations_in(cut, plant.dt_s, surrogates=surrogates, seed=seed)
    return Measured(found, behaviour, 100 * float(error.mean()))


def rotations_in(
    courses: dict[str, Array], dt_s: float, *, surrogates: int, seed: int = 0
) -> dict[str, Rotations]:
    """Return the rotations of each signal with the study's settings.

    Args:
        courses: By signal, (conditions, times, numbers).
        dt_s: Step between two times (s).
        surrogates: Surrogates of each null.
        seed: Random seed of the surrogates.

    Returns:
        By signal; one that varies in too few dimensions is left out.
    """
    found = {}
    for name, values in courses.items():
        try:
            found[name] = rotations_of(
                np.asarray(values, np.float64),
                np.asarray(dt_s * np.arange(values.shape[1]), np.float64),
                components=COMPONENTS[name],
                soft=SOFT[name],
                surrogates=surrogates,
                seed=seed,
            )
        except RecordingError:
            continue
    return found


def _after_loads(task: PostureLoads) -> list[tuple[int, int]]:
    """Trial and first step of each window after a load; the trial without one is left out."""
    first = task.onset_step + _AFTER_LOAD_STEPS[0]
    return [(trial, first) for trial in range(task.directions)]


def _movements(task: ReachHold, run: Trajectory) -> list[tuple[int, int]]:
    """The same of reaches to the farthest targets, from the onset of movement on."""
    speed = task.plant.hand_velocity(run.states).norm(dim=-1).numpy()
    far = int(np.argmax(task.radii_m)) * task.directions
    found = []
    for trial in range(far, far + task.directions):
        own = speed[trial, task.hold_steps :]
        begun = int(np.argmax(own >= _MOVING * own.max()))
        first = task.hold_steps + begun + _OF_MOVEMENT_STEPS[0] - 1  # rates precede the state
        found.append((trial, min(max(first, 0), task.steps - _OF_MOVEMENT_STEPS[1])))
    return found


def behaviour_of(task: PostureLoads, hand: Array, signals: dict[str, Array]) -> Behaviour:
    """Return how the hand and the muscles answer, and which loads the units prefer.

    Args:
        task: The loads.
        hand: Positions (m) of the hand, (B, T + 1, 2).
        signals: `muscles` and `output layer` after each step, (B, T, .).
    """
    onset, count, step_ms = task.onset_step, task.directions, 1e3 * task.plant.dt_s
    away = np.linalg.norm(hand[:count] - hand[:count, onset : onset + 1], axis=-1)
    answer = away[:, onset : task.return_step]
    change = np.abs(signals["muscles"][:count] - signals["muscles"][:count, onset - 1 : onset])
    after = change[:, onset : task.return_step]
    active = after >= _ACTIVE * np.maximum(after.max(1, keepdims=True), 1e-12)
    active &= after.max(1, keepdims=True) > 0
    first = np.where(active.any(1), active.argmax(1) + 1.0, np.inf).min(1)  # of any muscle
    answered = first[np.isfinite(first)]
    window = slice(onset + _AFTER_LOAD_STEPS[0], onset + _AFTER_LOAD_STEPS[1])
    rates = signals["output layer"][:count, window].mean(1)  # (directions, units)
    circle = np.exp(1j * task.angles.numpy())
    preferred = np.angle((rates * circle[:, None]).sum(0))
    doubled = np.exp(2j * preferred).mean()
    return Behaviour(
        displacement_cm=100 * float(answer.max(1).mean()),
        reversal_ms=step_ms * float(np.median(answer.argmax(1))),
        muscles_ms=step_ms * float(np.median(answered)) if len(answered) else float("nan"),
        end_error_cm=100 * float(away[:, -1].mean()),
        axis_deg=float(np.degrees(np.angle(doubled)) / 2 % 180),
        axis_strength=float(abs(doubled)),
    )
