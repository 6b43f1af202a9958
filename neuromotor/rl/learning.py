"""Learns a policy by reinforcement, and holds it against optimal control as it goes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from neuromotor._checks import check_integer, check_seed, lookup
from neuromotor.closed_loop import simulate
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.control import ILQR
from neuromotor.controllers import Controller, PolicyNetwork
from neuromotor.evaluation.bootstrap import ratio_to
from neuromotor.evaluation.performance import held_out, measure
from neuromotor.evaluation.references import REFERENCES, assess_references
from neuromotor.evaluation.robustness import default_reference
from neuromotor.optim.objective import or_infinity
from neuromotor.rl.algorithms import ALGORITHMS, Algorithm
from neuromotor.rl.learners import learner_of
from neuromotor.storage.snapshots import load_tree, save_tree
from neuromotor.storage.tensor_file import CheckpointError
from neuromotor.tasks import Task, Trials
from neuromotor.zoo.saved_controller import load_controller

__all__ = ["LearningPoint", "LearningRun", "Yardstick", "learn", "yardstick"]

_FORMAT = "neuromotor.learning"
TESTED = 400  # held-out trials of a random task


@dataclass(frozen=True)
class Yardstick:
    """What a policy is held against: trials that no training saw, and a reference's loss on them.

    Attributes:
        trials: B trials.
        name: Of the reference.
        loss: Its mean loss.
    """

    trials: Trials
    name: str
    loss: float


@dataclass(frozen=True)
class LearningPoint:
    """Where a training stands.

    Attributes:
        steps: Steps of all arms so far.
        seconds: Wall-clock time, lessons too, without the tests.
        loss: Mean loss of the policy without exploration on the yardstick's trials; infinite where
            the limb flies off.
        ratio: The same in ratio to the reference.
        target_error_cm: Mean distance of the hand from its target at the end (cm).
    """

    steps: int
    seconds: float
    loss: float
    ratio: float
    target_error_cm: float


@dataclass(frozen=True)
class LearningRun:
    """What a training came to.

    Attributes:
        algorithm: Its settings.
        controller: The policy as a controller of the closed loop.
        parameters: Its parameters at the end, (P,).
        reference: The name of the reference.
        curve: One point a test, the last one at the end.
        reason: Why it stopped, in words.
    """

    algorithm: Algorithm
    controller: Controller
    parameters: Tensor
    reference: str
    curve: tuple[LearningPoint, ...]
    reason: str

    def row(self) -> dict[str, Any]:
        """Return its end as plain data."""
        end = asdict(self.curve[-1])
        return {
            "reference": self.reference,
            **end,
            "parameters": self.controller.parameter_count,
            "teacher": getattr(self.algorithm, "teacher", ""),
            "start": getattr(self.algorithm, "start", ""),
            "reason": self.reason,
        }


def yardstick(task: Task, *, trials: int = TESTED, reference: str | None = None) -> Yardstick:
    """Return trials that no training saw, and the reference's mean loss on them.

    Args:
        task: What is wanted.
        trials: Their number, of a task that draws them.
        reference: A name in `evaluation.references.REFERENCES`, or a saved controller: a file or a
            name of the zoo. None is `ilqg` where something disturbs the trials and its design knows
            that, else `ilqr`, which may take minutes where muscles move the arm.

    Raises:
        ValueError: It is no reference for the trials, or its loss on them is not finite.
    """
    batch = held_out(task, PolicyNetwork(), trials)
    name = reference or default_reference(task, batch)
    if name == "ilqr":
        return Yardstick(batch, name, float(ILQR().solve(task, batch).value))
    if name not in REFERENCES:
        saved = load_controller(name)
        done = simulate(task, saved.controller, saved.parameters, batch)
        loss = measure(task, batch, done.states, done.commands).loss
        if not math.isfinite(loss):
            raise ValueError(
                f"`reference` must move the limb on {type(task).__name__}'s trials, and under "
                f"{name} it flies off; give another one."
            )
        return Yardstick(batch, name, loss)
    found = assess_references(task, batch, [name], {})[name]
    return Yardstick(batch, name, float(found.losses.mean()))


@torch_threads()
def learn(
    task: Task,
    algorithm: Algorithm | str = "ppo",
    *,
    steps: int = 8_000_000,
    seconds: float | None = None,
    seed: int = 0,
    tests: int = 40,
    against: Yardstick | None = None,
    callback: Callable[[LearningPoint], None] | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> LearningRun:
    """Train a policy on a task by reinforcement.

    The rewards are the task's cost with a potential (`neuromotor.envs.CostToGo`), in the unit of
    the task; observations are the state, the target and the time, of order one.

    Args:
        task: What is wanted.
        algorithm: Settings, or a name in `ALGORITHMS`.
        steps: Steps of all arms in all; rounded up to whole trials of all arms.
        seconds: When to stop at the latest, after the stretch between two tests that runs then.
        seed: Of weights, trials and exploration.
        tests: How often it is held against the reference.
        against: From `yardstick`, which is called if absent.
        callback: Hears of every test.
        interrupted: Asked after every test whether to stop.
        checkpoint: File that is written after every test, to go on from.
        resume: Whether to go on from `checkpoint`.

    Raises:
        CheckpointError: The checkpoint cannot be read, or is of another training.
        FileExistsError: `checkpoint` exists and `resume` is false.
        RuntimeError: Stable-Baselines3 is not installed.
        ValueError: A setting is out of range.
    """
    if isinstance(algorithm, str):
        algorithm = lookup("algorithm", algorithm, ALGORITHMS)
    check_integer("steps", steps, minimum=1)
    check_integer("tests", tests, minimum=1)
    check_seed("seed", seed)
    against = against or yardstick(task)
    learner = learner_of(task, algorithm, seed)
    stretch = -(-steps // (tests * learner.least)) * learner.least
    settings = {"algorithm": _plain(algorithm), "seed": seed, "steps": steps, "tests": tests}
    points: list[LearningPoint] = []
    spent = 0.0
    if resume and checkpoint is not None:
        spent, points = _restored(learner, checkpoint, settings)
    elif checkpoint is not None and checkpoint.exists():
        raise FileExistsError(f"{checkpoint} exists; resume from it, or choose another file.")

    def test() -> None:
        controller, parameters = learner.policy()
        done = simulate(task, controller, parameters, against.trials)
        found = measure(task, against.trials, done.states, done.commands)
        points.append(
            LearningPoint(
                steps=learner.steps,
                seconds=spent,
                loss=or_infinity(found.loss),
                ratio=ratio_to(or_infinity(found.loss), against.loss),
                target_error_cm=or_infinity(found.target_error_cm),
            )
        )
        if callback is not None:
            callback(points[-1])

    if not points:
        begun = time.perf_counter()
        learner.begin(_seed(seed, tests))
        spent = time.perf_counter() - begun
        test()
    reason = "all steps are done"
    while learner.steps < steps:
        if interrupted():
            reason = "interrupted"
            break
        if seconds is not None and spent >= seconds:
            reason = "the time is up"
            break
        begun = time.perf_counter()
        learner.advance(stretch, learner.steps / steps, _seed(seed, learner.steps // stretch))
        spent += time.perf_counter() - begun
        test()
        state = None if checkpoint is None else learner.state()
        if state is not None and checkpoint is not None:
            curve = [asdict(point) for point in points]
            save_tree(
                checkpoint,
                _FORMAT,
                {"settings": settings, "state": state, "curve": curve, "seconds": spent},
            )
    controller, parameters = learner.policy()
    return LearningRun(algorithm, controller, parameters, against.name, tuple(points), reason)


def _restored(
    learner: Any, checkpoint: Path, settings: dict[str, Any]
) -> tuple[float, list[LearningPoint]]:
    """Let a training go on from its checkpoint; return its time and its curve so far."""
    data = load_tree(checkpoint, _FORMAT, "a checkpoint of `neuromotor rl`")
    if data["settings"] != settings:
        raise CheckpointError(
            f"{checkpoint} is of a training with other settings; give those that it began with."
        )
    learner.restore(data["state"])
    return data["seconds"], [LearningPoint(**point) for point in data["curve"]]


def _plain(algorithm: Algorithm) -> dict[str, Any]:
    """Settings as JSON gives them back."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(algorithm).items()}


def _seed(seed: int, stretch: int) -> int:
    """A seed of its own for each stretch of a training."""
    return int(np.random.SeedSequence([seed, stretch]).generate_state(1)[0])
