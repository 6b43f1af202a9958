"""A network's read-out fitted to what a teacher commands, round after round.

In the first round the teacher moves the limb, and the network watches. In every later one the
network moves it, and the teacher says what it would have commanded in the states that came of
that. Each round's steps are added to those of the rounds before, and ridge regression gives the
read-out.

Source: Ross, Gordon & Bagnell (2011), algorithm 3.1, with beta = 1 in the first round and 0 in all
later ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number, check_seed, lookup
from neuromotor.closed_loop import ClosedLoop, Trajectory
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.control import ILQG, ILQR
from neuromotor.controllers import CommandTable, Controller
from neuromotor.controllers.controller import unit_rates
from neuromotor.optim.result import Stopwatch
from neuromotor.problems.readout import NormalEquations, check_readout, with_readout
from neuromotor.tasks import SensesInUse, Task, Trials
from neuromotor.training.single import initial_parameters, make_trials

__all__ = ["TEACHERS", "Imitation", "Round", "imitate"]

_FAR = 5.0  # commands this many times the teacher's largest own one come of a limb that flew off


@dataclass(frozen=True)
class Round:
    """What the network does after a round.

    Attributes:
        number: 0 for the first.
        loss: Mean loss on the next round's trials, which it has not seen yet if the task is
            random; infinite where it lets the limb fly off.
        teacher_loss: That of the teacher's own movements in these trials.
        error: Root mean square difference between the network's commands and the teacher's on the
            steps that the round added, after the fit (N m or N).
        steps: How many of these steps counted.
    """

    number: int
    loss: float
    teacher_loss: float
    error: float
    steps: int


@dataclass(frozen=True)
class Imitation:
    """What imitation came to.

    Attributes:
        controller: The network.
        parameters: Those of the round with the smallest loss, (P,).
        rounds: All rounds.
        best: Number of that round.
        seconds: Wall-clock time.
    """

    controller: Controller
    parameters: Tensor
    rounds: tuple[Round, ...]
    best: int
    seconds: float


class _Lesson(NamedTuple):
    """A teacher on the trials of one round."""

    shown: Trajectory  # the teacher's own movement
    commands: Callable[[Trajectory], Tensor]  # what it commands in the states of another


@torch.no_grad()
def imitate(
    task: Task,
    controller: Controller,
    *,
    teacher: str = "ilqr",
    rounds: int = 5,
    ridge: float = 1e-8,
    seed: int = 0,
    parameters: Tensor | None = None,
    callback: Callable[[Round], None] | None = None,
    threads: int | None = 1,
) -> Imitation:
    """Fit a network's read-out to a teacher, by ridge regression.

    A step counts up to where the limb has flown off: where the teacher would command more than five
    times the largest command of its own movements.

    Args:
        task: What is wanted. A random task draws new trials for every round.
        controller: A network with a linear read-out, such as a `Reservoir`.
        teacher: "ilqr", whose feedback knows the limb's state, loads and noise as they are, or
            "ilqg", which knows no more than the network and estimates.
        rounds: How often the read-out is fitted, the first time from the teacher's own movements.
        ridge: Weight of the squared read-out weights beside the mean squared error (in N m or N).
        seed: Seed of the initialisation and of the trials.
        parameters: Where to start, (P,), instead of a new initialisation; all but the read-out
            stay.
        callback: Called after every round.
        threads: How many threads torch uses meanwhile.

    Raises:
        ValueError: The controller has no linear read-out, the teacher is unknown or does not suit
            the task, a number is out of range, or no round gives a finite loss.

    Example:
        >>> from neuromotor import CenterOut
        >>> from neuromotor.controllers import Reservoir
        >>> found = imitate(CenterOut(directions=4), Reservoir(layers=(40,)), rounds=2)
        >>> len(found.rounds)
        2
    """
    check_readout(controller)
    check_integer("rounds", rounds, minimum=1)
    check_number("ridge", ridge, minimum=0.0)
    check_seed("seed", seed)
    make = lookup("teacher", teacher, TEACHERS)
    theta = initial_parameters(controller, seed) if parameters is None else parameters.double()
    loop, equations, watch = ClosedLoop(task, controller), NormalEquations(), Stopwatch()
    found: list[tuple[Round, Tensor]] = []
    with torch_threads(threads):
        trials = _drawn(task, controller, seed, 0)
        lesson = make(task, trials)
        moved = lesson.shown
        rates = _rates(controller, theta, moved, _told(task, trials))
        for number in range(rounds):
            limit = _FAR * float(lesson.shown.commands.abs().max())
            wanted = lesson.commands(moved)
            counts = _counts(wanted, limit)
            equations.add(rates.nan_to_num(), wanted.nan_to_num(), counts)
            weights, biases = equations.solve(ridge)
            theta = with_readout(controller, theta, weights, biases)
            off = (rates @ weights.T + biases - wanted)[counts > 0]
            if task.random:
                trials = _drawn(task, controller, seed, number + 1)
                lesson = make(task, trials)
            moved = loop.simulate(theta, trials)
            rates = unit_rates(controller, moved.memory)[-1]
            one = Round(
                number,
                _loss(task, moved, trials),
                _loss(task, lesson.shown, trials),
                float(off.square().mean().sqrt()),
                int(counts.sum()),
            )
            found.append((one, theta))
            if callback is not None:
                callback(one)
    best = min(range(rounds), key=lambda one: found[one][0].loss)
    if not math.isfinite(found[best][0].loss):
        raise ValueError(
            "`controller` lets the limb fly off after every round; try a larger `ridge`, more "
            "units or more rounds."
        )
    return Imitation(
        controller, found[best][1], tuple(one for one, _ in found), best, watch.seconds
    )


def _drawn(task: Task, controller: Controller, seed: int, number: int) -> Trials:
    """Return the trials of a round."""
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return make_trials(task, controller, own)


def _loss(task: Task, moved: Trajectory, trials: Trials) -> float:
    """Return the mean loss, infinite where a trial overflows."""
    losses = task.cost.losses(moved.states, moved.commands, trials)
    return float(losses.nan_to_num(nan=math.inf).mean())


def _told(task: Task, trials: Trials) -> Tensor:
    """Return what the controller is told of target and cues at every step, (B, T, g + c)."""
    senses = SensesInUse.of(task)
    told = senses.told_over_time(trials)
    return senses.told(trials.target)[:, None].expand(-1, task.steps, -1) if told is None else told


def _rates(controller: Controller, theta: Tensor, watched: Trajectory, told: Tensor) -> Tensor:
    """Return the rates of a network that watches a movement, (B, T, N)."""
    weights = controller.unpack(theta)
    memory = controller.initial_memory(weights, len(told))
    noise = told.new_zeros(len(told), controller.noise_size)
    rates = []
    for t in range(told.shape[1]):
        seen = watched.observations[:, t]
        memory, _ = controller.step(weights, memory, seen, told[:, t], t, noise)
        rates.append(unit_rates(controller, memory)[-1])
    return torch.stack(rates, dim=1)


def _counts(wanted: Tensor, limit: float) -> Tensor:
    """Return 1 for the steps before a limb has flown off, and 0 for those after, (B, T)."""
    well = (wanted.nan_to_num(nan=math.inf).abs() <= limit).all(dim=-1)
    return well.double().cumprod(dim=1)


def _ilqr(task: Task, trials: Trials) -> _Lesson:
    """The optimal movement of each trial, and its feedback gains around that."""
    best = ILQR().solve(task, trials)
    table = CommandTable(
        trials=len(trials),
        steps=task.steps,
        command_size=task.plant.command_size,
        dt_s=task.plant.dt_s,
    )
    shown = ClosedLoop(task, table).simulate(best.commands.flatten(), trials)

    def commands(moved: Trajectory) -> Tensor:
        away = (moved.states - best.states)[:, :-1]
        return best.commands + torch.einsum("btmn,btn->btm", best.gains, away)

    return _Lesson(shown, commands)


def _ilqg(task: Task, trials: Trials) -> _Lesson:
    """The optimal feedback controller, which estimates from what the network senses."""
    design = ILQG().design(task, trials)
    feedback, told = design.controller, _told(task, trials)
    shown = ClosedLoop(task, feedback).simulate(design.parameters, trials)

    def commands(moved: Trajectory) -> Tensor:
        weights = feedback.unpack(design.parameters)
        memory, found = feedback.initial_memory(weights, len(trials)), []
        for t in range(task.steps):
            seen = moved.observations[:, t]
            (estimate, _), command = feedback.step(weights, memory, seen, told[:, t], t, None)
            found.append(command)
            memory = estimate, moved.commands[:, t]  # it knows what the limb was told
        return torch.stack(found, dim=1)

    return _Lesson(shown, commands)


TEACHERS: dict[str, Callable[[Task, Trials], _Lesson]] = {"ilqr": _ilqr, "ilqg": _ilqg}
