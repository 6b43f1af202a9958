"""What one trained network does: rotations of its signals, and how its hand answers the loads.

Trials are run without noise, which stands for an average over many. Windows and settings are those
of Kalidindi et al. (2021): 70 to 370 ms after the load, or 0 to 300 ms of movement to all targets,
the near ones and the far; units are divided by their range plus 5e-4, other signals by their range
plus 1e-3; the mean over conditions is taken away. Muscles and kinematics are those that the network
senses, which are late. Six components, four of the kinematics: so many as their published analysis
of networks takes, and as give their numbers for monkeys (their text has four of the muscles and two
of the kinematics).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor.analysis import RecordingError, Rotations, rotations_of
from neuromotor.analysis.rotation_nulls import CovarianceMatched, covariance_matched_test_of
from neuromotor.analysis.tuning import Tuning, cosine_tuning
from neuromotor.closed_loop import ClosedLoop, Trajectory
from neuromotor.controllers.controller import unit_rates
from neuromotor.tasks import PostureLoads, ReachHold, Task
from neuromotor.zoo.saved_controller import SavedController

__all__ = [
    "Behaviour",
    "Measured",
    "answer_of_hand",
    "behaviour_of",
    "matched_in",
    "measured",
    "preferred_deg",
    "rotations_in",
]

Array = NDArray[np.float64]
_T = TypeVar("_T")
SOFT = {"output layer": 5e-4, "input layer": 5e-4, "muscles": 1e-3, "kinematics": 1e-3}
COMPONENTS = {"output layer": 6, "input layer": 6, "muscles": 6, "kinematics": 4}
SENSED = ("muscles", "kinematics")  # as late as the network's senses
_STEPS = 30  # of 10 ms
_AFTER_LOAD_STEPS = (7, 7 + _STEPS)  # 70 to 370 ms
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
        muscle_loads_deg: The load that each muscle answers most, in that plane, by a cosine; empty
            for a plant without muscles.
    """

    displacement_cm: float
    reversal_ms: float
    muscles_ms: float
    end_error_cm: float
    axis_deg: float
    axis_strength: float
    muscle_loads_deg: tuple[float, ...] = ()


@dataclass(frozen=True)
class Measured:
    """One network.

    Attributes:
        rotations: By signal; a signal that varies in too few dimensions is left out.
        matched: The same signals against covariance-matched permutations; empty where no surrogates
            were wanted.
        behaviour: How it answers loads; None for reaches.
        error_cm: Mean distance of the hand from its target at the end.
        courses: By signal, what was analysed, (conditions, 30, numbers).
        layers: Units in each layer.
        reach_muscles: Tuning of the muscles to the direction of reaches; None for loads.
    """

    rotations: dict[str, Rotations]
    matched: dict[str, CovarianceMatched]
    behaviour: Behaviour | None
    error_cm: float
    courses: dict[str, Array]
    layers: tuple[int, ...] = ()
    reach_muscles: Tuning | None = None


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
    signals = {"output layer": rates[-1], "input layer": rates[0]}
    if "activation" in plant.state_parts:
        signals["muscles"] = states[:, 1:, plant.state_parts["activation"]]
    signals["kinematics"] = states[:, 1:, :4]
    hand = plant.hand_position(run.states)
    error = (hand[:, -1] - plant.hand_position(trials.end)).norm(dim=-1)
    loads = isinstance(quiet, PostureLoads)
    windows = _after_loads(quiet) if loads else _movements(quiet, run)
    late = {name: quiet.delay_steps if name in SENSED else 0 for name in signals}
    cut = {
        name: np.stack(
            [values[trial, max(first - late[name], 0) :][:_STEPS] for trial, first in windows]
        )
        for name, values in signals.items()
    }
    return Measured(
        rotations=rotations_in(cut, plant.dt_s, surrogates=surrogates, seed=seed),
        matched=matched_in(cut, plant.dt_s, permutations=surrogates, seed=seed),
        behaviour=behaviour_of(quiet, hand.numpy(), signals) if loads else None,
        error_cm=100 * float(error.mean()),
        courses=cut,
        layers=tuple(controller.layers),
        reach_muscles=None if loads else _reach_muscles(quiet, signals.get("muscles")),
    )


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
    return _of_each(rotations_of, courses, dt_s, surrogates=surrogates, seed=seed)


def matched_in(
    courses: dict[str, Array], dt_s: float, *, permutations: int, seed: int = 0
) -> dict[str, CovarianceMatched]:
    """Return the covariance-matched test of each signal that `rotations_in` has rotations of.

    Args:
        courses: By signal, (conditions, times, numbers).
        dt_s: Step between two times (s).
        permutations: Of conditions, signal by signal; none gives an empty result.
        seed: Random seed of these.
    """
    if not permutations:
        return {}
    test = covariance_matched_test_of
    return _of_each(test, courses, dt_s, permutations=permutations, seed=seed)


def _of_each(
    analysis: Callable[..., _T], courses: dict[str, Array], dt_s: float, **settings: int
) -> dict[str, _T]:
    """Analyse each signal with the study's components; one of too few dimensions is left out."""
    found = {}
    for name, values in courses.items():
        try:
            found[name] = analysis(
                np.asarray(values, np.float64),
                np.asarray(dt_s * np.arange(values.shape[1]), np.float64),
                components=COMPONENTS[name],
                soft=SOFT[name],
                **settings,
            )
        except RecordingError:
            continue
    return found


def _after_loads(task: PostureLoads) -> list[tuple[int, int]]:
    """Trial and first step of each window after a load; the trial without one is left out."""
    first = task.onset_step + _AFTER_LOAD_STEPS[0]
    return [(trial, first) for trial in range(task.directions)]


def _movements(task: ReachHold, run: Trajectory) -> list[tuple[int, int]]:
    """The same of all reaches, from the onset of movement on; that which stays home is left out."""
    speed = task.plant.hand_velocity(run.states).norm(dim=-1).numpy()
    found = []
    for trial in range(len(task.radii_m) * task.directions):
        own = speed[trial, task.hold_steps :]
        begun = int(np.argmax(own >= _MOVING * own.max()))
        first = task.hold_steps + begun - 1  # rates precede the state
        found.append((trial, min(max(first, 0), task.steps - _STEPS)))
    return found


def _reach_muscles(task: ReachHold, muscles: Array | None) -> Tuning | None:
    """Tuning of muscles to the direction of the farthest targets, while the hand reaches."""
    if muscles is None:
        return None
    far = int(np.argmax(task.radii_m)) * task.directions
    own = muscles[far : far + task.directions]
    mean = own[:, task.hold_steps : task.hold_steps + task.reach_steps].mean(1)
    return cosine_tuning(task.angles.numpy(), mean, bootstraps=0, shuffles=500)


def behaviour_of(task: PostureLoads, hand: Array, signals: dict[str, Array]) -> Behaviour:
    """Return how the hand and the muscles answer, and which loads the units prefer.

    Args:
        task: The loads.
        hand: Positions (m) of the hand, (B, T + 1, 2).
        signals: `output layer` and, where the plant has any, `muscles` after each step, (B, T, .).
    """
    onset, count = task.onset_step, task.directions
    displacement, reversal = answer_of_hand(hand[:count, onset : task.return_step], task.plant.dt_s)
    window = slice(onset + _AFTER_LOAD_STEPS[0], onset + _AFTER_LOAD_STEPS[1])
    rates = signals["output layer"][:count, window].mean(1)  # (directions, units)
    doubled = np.exp(2j * np.radians(preferred_deg(rates))).mean()
    muscles = signals.get("muscles")
    loads = () if muscles is None else preferred_deg(muscles[:count, window].mean(1))
    return Behaviour(
        displacement_cm=displacement,
        reversal_ms=reversal,
        muscles_ms=float("nan") if muscles is None else _muscles_begin(task, muscles),
        end_error_cm=100
        * float(np.linalg.norm(hand[:count, -1] - hand[:count, onset], axis=-1).mean()),
        axis_deg=float(np.degrees(np.angle(doubled)) / 2 % 180),
        axis_strength=float(abs(doubled)),
        muscle_loads_deg=tuple(float(one) for one in loads),
    )


def answer_of_hand(hand: Array, dt_s: float) -> tuple[float, float]:
    """Return how far the hand was pushed (cm, mean over loads), and when it turned (ms, median).

    Args:
        hand: Positions (m) from the load on, (loads, T, 2).
        dt_s: Step between two times (s).
    """
    away = np.linalg.norm(hand - hand[:, :1], axis=-1)
    return 100 * float(away.max(1).mean()), 1e3 * dt_s * float(np.median(away.argmax(1)))


def preferred_deg(values: Array) -> Array:
    """Return the angle (deg) of the cosine through values at evenly spaced angles, (angles, N)."""
    circle = np.exp(2j * np.pi * np.arange(len(values)) / len(values))
    return np.asarray(np.degrees(np.angle((values * circle[:, None]).sum(0))), np.float64)


def _muscles_begin(task: PostureLoads, muscles: Array) -> float:
    """Return when the first muscle answers (ms after the load, median over loads).

    An answer is a difference from the trial without a load, since muscles may drift by themselves.
    """
    onset, count = task.onset_step, task.directions
    change = np.abs(muscles[:count] - muscles[count : count + 1])
    after = change[:, onset : task.return_step]
    active = after >= _ACTIVE * np.maximum(after.max(1, keepdims=True), 1e-12)
    active &= after.max(1, keepdims=True) > 0
    first = np.where(active.any(1), active.argmax(1) + 1.0, np.inf).min(1)  # of any muscle
    answered = first[np.isfinite(first)]
    return 1e3 * task.plant.dt_s * float(np.median(answered)) if len(answered) else float("nan")
