"""Training one controller on one task by one optimizer."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_number
from neuromotor.closed_loop import ClosedLoop
from neuromotor.closed_loop.blas import torch_threads
from neuromotor.closed_loop.expected import noise_variances
from neuromotor.closed_loop.transport import loop_norm_change
from neuromotor.controllers import CONTROLLERS, Controller
from neuromotor.optim import (
    Budget,
    Callback,
    MixedPrecision,
    Objective,
    Optimizer,
    Penalized,
    Progress,
    Resampled,
    Result,
    Snapshot,
)
from neuromotor.storage.components import SettingsError, encode
from neuromotor.storage.snapshots import save_snapshot
from neuromotor.tasks import TASKS, Task, Trials
from neuromotor.training import distributed
from neuromotor.training.drawing import fresh_trials, initial_parameters, make_trials, mirrored
from neuromotor.training.progress_display import live_trainings
from neuromotor.training.teacher import ILQGTeacher, Taught

__all__ = [
    "Keeper",
    "initial_parameters",
    "make_trials",
    "minimize",
    "train",
    "without_factors",
]


def without_factors(
    task: Task, controller: Controller, optimizers: Mapping[str, Optimizer]
) -> list[str]:
    """Return which optimizers need Kronecker factors that the controller's loop does not have."""
    if ClosedLoop(task, controller).has_factors:
        return []
    return [name for name, one in optimizers.items() if getattr(one, "needs_factors", False)]


def train(
    task: Task,
    controller: Controller,
    optimizer: Optimizer,
    *,
    budget: Budget | None = None,
    seed: int = 0,
    parameters: Tensor | None = None,
    trials: Trials | None = None,
    callback: Callback | None = None,
    refresh: int = 0,
    grow: int = 0,
    antithetic: bool = False,
    expected_noise: bool = False,
    teacher: ILQGTeacher | None = None,
    products: torch.dtype | None = None,
    l2: float = 0.0,
    norm_preserving: float = 0.0,
    resume: Snapshot | None = None,
    threads: int | None = 1,
    progress: bool = False,
    checkpoint: Path | str | None = None,
    checkpoint_s: float = 60.0,
) -> Result:
    """Train a controller on a batch of a task's trials, which can be drawn anew now and then.

    Within `neuromotor.training.distributed.run` the trials are divided among the processes.

    Args:
        task: What is wanted.
        controller: What is trained.
        optimizer: The method that trains it.
        budget: When to stop.
        seed: Seed of the initialisation and of the trials' draws.
        parameters: Where to start, (P,), instead of a new initialisation.
        trials: The batch, instead of a new one.
        callback: Called after every iteration.
        refresh: Iterations between new draws of the trials, the first batch being `trials`; 0
            keeps that one.
        grow: New draws after which a batch is larger by one batch of the task; 0 never.
        antithetic: Whether the second half of every batch repeats the first with draws of noise of
            the opposite sign (`training.drawing.mirrored`).
        expected_noise: Whether the loss is that expected over the noise by a loop that answers to
            it linearly (`closed_loop.expected`), instead of that of the draws. The draws then say
            only how large noise and commands are, so that a batch may stay.
        teacher: Whose commands the controller learns (`training.teacher`), in place of the loss of
            the trials; the result's value and history are then those of the lessons, which are
            weighed command errors. The teacher says how often there is a new lesson, not
            `refresh`, and `trials` say no more than the precision.
        products: Precision of Gauss-Newton products, as `torch.float32` for half their time; the
            trials' own if None.
        l2: Weight of half the squared norm of the parameters, which is added to the loss.
        norm_preserving: Weight of the norm-preserving regularizer of Pascanu, Mikolov & Bengio
            (2013), which is added to the loss (`closed_loop.transport`). It comes by autograd,
            which takes several times as long as a compiled loop.
        resume: Where the training goes on: a snapshot of the same training, from
            `Progress.snapshot` or `load_snapshot(checkpoint)`.
        threads: How many threads torch uses meanwhile on the CPU. One is the fastest for networks
            of this size, and much the fastest where other programs run too. None changes nothing.
        progress: Whether stderr shows how far the training is: by a live line on a terminal, and
            elsewhere by a line every ten seconds.
        checkpoint: A file that keeps the whole state of the training while it runs and at the end.
            An existing file is replaced only when the training goes on from it (`resume`).
        checkpoint_s: Seconds between two checkpoints.

    Returns:
        The optimizer's result; its `parameters` are the best ones found, with `refresh` the last.

    Raises:
        FileExistsError: `checkpoint` exists, and the training does not go on from anywhere.
        ValueError: Task, controller, optimizer, parameters, trials and snapshot do not fit
            together.

    Warns:
        UserWarning: The task or the controller cannot be saved, as its class is not registered; or
            the trials have noise and `refresh` is 0, so that their draws are learnt by heart.

    Example:
        >>> from neuromotor import CenterOut, ContinuousTimeRNN, LBFGS
        >>> task, controller = CenterOut(directions=8), ContinuousTimeRNN(layers=(20,))
        >>> result = train(task, controller, LBFGS(), budget=Budget(calls=20))
        >>> result.value < result.history[0].value
        True
    """
    registries: tuple[tuple[object, Mapping[str, Any]], ...] = (
        (task, TASKS),
        (controller, CONTROLLERS),
    )
    for part, registry in registries:
        try:
            encode(part, registry)
        except SettingsError as error:
            warnings.warn(f"`save_controller` will refuse this: {error}", stacklevel=2)
    keeper = None if checkpoint is None else Keeper(Path(checkpoint), checkpoint_s, resume)
    if trials is None:
        trials = make_trials(task, controller, seed)
    if parameters is None:
        parameters = initial_parameters(controller, seed, dtype=trials.dtype, device=trials.device)
    check_integer("refresh", refresh, minimum=0)
    check_integer("grow", grow, minimum=0)
    if grow and not refresh:
        raise ValueError(
            f"`grow` counts new draws of the trials and needs `refresh`, got {grow} without; use "
            "`refresh=1`."
        )
    if antithetic:
        trials = mirrored(trials)
    if teacher is not None:
        _check_teacher(trials, products)
    check_number("l2", l2, minimum=0.0)
    check_number("norm_preserving", norm_preserving, minimum=0.0)
    noisy = any(name.endswith("_noise") for name in trials.present())
    if expected_noise:
        _check_expected(noisy, teacher, distributed.processes())
    if noisy and not refresh and teacher is None and not expected_noise:
        warnings.warn(
            "every iteration sees the same draws of noise, which training learns by heart; "
            "`refresh=1` draws new ones each time.",
            stacklevel=2,
        )
    loop, first = ClosedLoop(task, controller), trials

    variances = noise_variances(trials)

    def objective_of(batch: Trials, number: int) -> Objective:
        objective: Objective
        if expected_noise:
            objective = loop.expected(batch, variances, seed=number)
        else:
            objective = distributed.objective(loop, batch)
        if products is not None and products != batch.dtype:
            single = distributed.objective(loop, batch.to(dtype=products))
            objective = MixedPrecision(objective, single)
        if not (l2 or norm_preserving):
            return objective
        penalty = loop_norm_change(task, controller, batch) if norm_preserving else None
        return Penalized(objective, l2, penalty, norm_preserving)

    def draw(number: int) -> Objective:
        if number == 0:
            return objective_of(first, 0)
        drawn: dict[str, Any] = {"grow": grow, "antithetic": antithetic}
        place: dict[str, Any] = {"dtype": first.dtype, "device": first.device}
        fresh = fresh_trials(task, controller, seed, number, **drawn, **place)
        return objective_of(fresh, number)

    def prepared() -> Objective:
        if teacher is not None:
            return Taught(task, controller, teacher, seed, dtype=first.dtype)
        loop.prepare(trials, products=getattr(optimizer, "needs_products", False))
        return Resampled(draw, refresh) if refresh else draw(0)

    return minimize(
        optimizer,
        prepared,
        parameters,
        budget,
        callback,
        keeper=keeper,
        resume=resume,
        threads=threads,
        progress=progress,
    )


def _check_expected(noisy: bool, teacher: ILQGTeacher | None, processes: int) -> None:
    """Raise where a training on the expected loss cannot do what is asked for."""
    if not noisy:
        raise ValueError(
            "`expected_noise` must be False for trials without noise, whose loss is what it is."
        )
    if teacher is not None:
        raise ValueError("`expected_noise` must be False with a `teacher`, whose lessons are runs.")
    if processes > 1:
        raise ValueError(
            f"`expected_noise` must be False in a training over several processes, got {processes}."
        )


def _check_teacher(trials: Trials, products: torch.dtype | None) -> None:
    """Raise where a training with a teacher cannot do what is asked for."""
    if products is not None:
        raise ValueError("`products` must be None with a `teacher`, whose lessons have no others.")
    if trials.device.type != "cpu":
        raise ValueError(f"`trials` must be on the cpu with a `teacher`, got {trials.device}.")
    if distributed.processes() > 1:
        raise ValueError(
            "`teacher` must be None in a training over several processes, which share out trials "
            f"and no lessons; got {distributed.processes()} processes."
        )


def minimize(
    optimizer: Optimizer,
    objective: Callable[[], Objective],
    parameters: Tensor,
    budget: Budget | None,
    callback: Callback | None = None,
    *,
    keeper: Keeper | None = None,
    resume: Snapshot | None = None,
    threads: int | None = 1,
    progress: bool = False,
) -> Result:
    """Minimise with what every training has beside: a callback, checkpoints, a display, threads.

    Args:
        optimizer: The method.
        objective: Returns what is minimised; called once, with the threads chosen.
        parameters: Where to start, (P,).
        budget: When to stop.
        callback: Called after every iteration.
        keeper: Keeps the state in a file, or None.
        resume: As for `train`.
        threads: As for `train`.
        progress: As for `train`.
    """
    with torch_threads(threads), ExitStack() as stack:
        told = [] if callback is None else [callback]
        if keeper is not None:
            told.append(keeper)
        if progress:
            live = stack.enter_context(live_trainings(budget or Budget()))
            told.append(lambda at: live.update(type(optimizer).__name__, at))
        result = optimizer.minimize(
            objective(), parameters, budget, _telling(told) if told else None, resume=resume
        )
        if keeper is not None:
            keeper.save()
    return result


def _telling(told: Sequence[Callback]) -> Callback:
    """Return one callback that calls several."""

    def tell(progress: Progress) -> None:
        for callback in told:
            callback(progress)

    return tell


class Keeper:
    """Keeps the state of a training in a file; a callback.

    Args:
        path: The file.
        every_s: Seconds between two times that it is written.
        resume: Where the training goes on, if it does.

    Raises:
        FileExistsError: The file exists, and the training does not go on from anywhere.
    """

    def __init__(self, path: Path, every_s: float, resume: Snapshot | None) -> None:
        check_number("checkpoint_s", every_s, "seconds", minimum=0.0)
        if path.exists() and resume is None:
            raise FileExistsError(
                f"{path} exists; go on from it by `resume=load_snapshot({str(path)!r})`, delete "
                "it, or name another `checkpoint`."
            )
        self._path, self._every_s = path, every_s
        self._saved_at = time.monotonic()
        self._latest: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        """Keep the state, if it is time."""
        self._latest = progress
        if time.monotonic() - self._saved_at >= self._every_s:
            self.save()

    def save(self) -> None:
        """Write the last state."""
        if self._latest is not None:
            save_snapshot(self._path, self._latest.snapshot())
        self._saved_at = time.monotonic()
