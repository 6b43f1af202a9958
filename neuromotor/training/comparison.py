"""Comparisons: several optimizers train one network on one task, and iLQR is the reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import torch
from torch import Tensor

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQR, ILQRResult
from neuromotor.controllers import CommandTable, Controller
from neuromotor.evaluation.against_references import (
    EvaluatedReferences,
    KnownEvaluations,
    evaluate_ilqr,
    reference_rows,
)
from neuromotor.evaluation.bootstrap import ratio_to
from neuromotor.evaluation.performance import (
    HELD_OUT_TRIALS,
    Evaluation,
    Performance,
    controller_runner,
    held_out,
    measure,
    penalties_paid,
    reference_name,
)
from neuromotor.evaluation.references import default_references
from neuromotor.optim import (
    Budget,
    Callback,
    Counts,
    HistoryPoint,
    Optimizer,
    Progress,
    Result,
    Snapshot,
)
from neuromotor.storage.snapshots import load_snapshot
from neuromotor.tasks import Task, Trials
from neuromotor.training.progress_display import live_trainings
from neuromotor.training.single import initial_parameters, make_trials, train, without_factors
from neuromotor.training.teacher import ILQGTeacher

__all__ = [
    "CompareSettings",
    "Comparison",
    "Memory",
    "MethodCallback",
    "MethodRun",
    "compare",
    "refresh_of",
]

MethodCallback = Callable[[str, Progress, float], None]


@dataclass(frozen=True)
class MethodRun:
    """What one method came to.

    Attributes:
        method: Name of the method. iLQR is called `clairvoyant` where trials have loads or noise,
            which it knows.
        controller: What was trained; a `CommandTable` for iLQR.
        parameters: Best parameters, (P,).
        states: States of the trials under these parameters, (B, T + 1, n).
        commands: Commands of the trials under these parameters, (B, T, m).
        performance: How the trials went.
        ratio: Loss divided by iLQR's; NaN where iLQR's is zero.
        counts: Calls of each kind.
        seconds: Wall-clock time.
        converged: Whether the method's own test of an optimum was met.
        reason: Why it stopped, in words.
        history: One point an iteration; empty for iLQR.
        evaluation: On the comparison's `evaluated` trials, if it has them.
        penalties: What the task's penalties came to on these trials, by kind.
    """

    method: str
    controller: Controller
    parameters: Tensor
    states: Tensor
    commands: Tensor
    performance: Performance
    ratio: float
    counts: Counts
    seconds: float
    converged: bool
    reason: str
    history: tuple[HistoryPoint, ...]
    evaluation: Evaluation | None = None
    penalties: Mapping[str, float] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return the method's line of the table."""
        numbers = self.performance.as_dict()
        return {
            "method": self.method,
            "loss": numbers.pop("loss"),
            "ratio": None if math.isnan(self.ratio) else self.ratio,
            **numbers,
            **({"penalties": dict(self.penalties)} if self.penalties else {}),
            **self.counts.as_dict(),
            "seconds": self.seconds,
            "converged": self.converged,
            "reason": self.reason,
            "evaluation": None if self.evaluation is None else self.evaluation.as_dict(),
        }


class Memory(KnownEvaluations, Protocol):
    """Keeps what a comparison has computed, so that a later run of the same one can go on."""

    def snapshot(self, method: str) -> Snapshot | None:
        """Return where a method's training goes on, or None for the start."""
        ...

    def result(self, method: str) -> Result | None:
        """Return what a method's training came to, if it need not go on."""
        ...

    def trained(self, method: str, result: Result) -> None:
        """Keep the end of a method's training, at once."""
        ...


class _Forgetful:
    """A memory that keeps nothing."""

    def snapshot(self, method: str) -> None:
        return None

    def result(self, method: str) -> None:
        return None

    def trained(self, method: str, result: Result) -> None:
        pass

    def evaluation(self, reference: str) -> None:
        return None

    def evaluated(self, reference: str, evaluation: Evaluation) -> None:
        pass


@dataclass(frozen=True)
class CompareSettings:
    """What the numbers of a comparison depend on, beside what is compared and its budget.

    Attributes:
        seed: Seed of the initialisation and of the trials' draws.
        ilqr: Settings of the reference.
        dtype: Precision of everything that is computed.
        device: Device of everything that is computed.
        held_out_trials: How many held-out trials of a random task all methods are evaluated on.
        refresh: Iterations between new draws of the training trials, for all methods, or by name
            and for `others`; 0 for one batch throughout.
        grow: New draws after which a batch is larger by one batch of the task; see `train`.
        antithetic: Whether noise comes in pairs of opposite sign; see `train`.
        expected_noise: Whether the loss is expected over the noise; see `train`.
        teacher: Whose commands the controllers learn in place of the loss; see `train`.
        products: Precision of Gauss-Newton products; see `train`.
        l2: Weight of half the squared norm of the parameters in what is minimised; losses that are
            reported are without it.
        norm_preserving: Weight of the norm-preserving regularizer likewise; see `train`.
        references: Which of `REFERENCES` are evaluated too; `default_references` if None. Those
            that do not exist for the trials are left out, and the comparison says why.
        threads: Torch's threads in each training; see `train`.
    """

    seed: int = 0
    ilqr: ILQR = field(default_factory=ILQR)
    dtype: torch.dtype = torch.float64
    device: torch.device | str = "cpu"
    held_out_trials: int = HELD_OUT_TRIALS
    refresh: Mapping[str, int] | int = 0
    grow: int = 0
    antithetic: bool = False
    expected_noise: bool = False
    teacher: ILQGTeacher | None = None
    products: torch.dtype | None = None
    l2: float = 0.0
    norm_preserving: float = 0.0
    references: Sequence[str] | None = None
    threads: int | None = 1


@dataclass(frozen=True)
class Comparison:
    """iLQR and trained controllers on the same trials.

    Attributes:
        task: What was wanted.
        trials: The batch that all of them ran.
        reference: What iLQR came to.
        runs: The trained controllers, in the order of training.
        evaluated: Trials of each run's `evaluation`: new draws of a random task, the same batch of
            any other task with loads or noise, and none where there is nothing to add.
        references: How other references do on those trials, by name.
        no_references: Of references that do not exist for these trials, why, by name.
    """

    task: Task
    trials: Trials
    reference: MethodRun
    runs: tuple[MethodRun, ...]
    evaluated: Trials | None = None
    references: Mapping[str, Evaluation] = field(default_factory=dict)
    no_references: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table, iLQR first."""
        return [run.row() for run in (self.reference, *self.runs)]

    @property
    def reference_rows(self) -> list[dict[str, Any]]:
        """The other references: method and evaluation, or the reason why there is none."""
        return reference_rows(self.references, self.no_references)


def compare(
    task: Task,
    controller: Controller,
    optimizers: Mapping[str, Optimizer],
    settings: CompareSettings | None = None,
    *,
    budget: Budget,
    parameters: Tensor | None = None,
    callback: MethodCallback | None = None,
    finished: Callable[[MethodRun], None] | None = None,
    memory: Memory | None = None,
    progress: bool = False,
    checkpoints: Path | str | None = None,
    resume: bool = False,
    **changes: Any,
) -> Comparison:
    """Solve every trial by iLQR, then train one initial controller by each optimizer.

    All methods get the same trials, the same initial parameters and the same budget. When the
    budget is interrupted, the comparison holds what has been trained until then.

    Args:
        task: What is wanted.
        controller: What is trained.
        optimizers: Optimizers by name.
        settings: What the numbers depend on; `CompareSettings()` if None.
        budget: Budget of each optimizer.
        parameters: Where all start, (P,), instead of a new initialisation.
        callback: Called after every iteration with method, progress and iLQR's loss, or zero with
            a teacher, since the loss of a lesson is nothing that iLQR's compares with.
        finished: Called with each method's run as soon as it is over, iLQR's first.
        memory: What an earlier run left and this one leaves; what it knows is not done again, and
            the numbers are those of one uninterrupted run.
        progress: Whether to show on stderr how far each method is; see `train`.
        checkpoints: A folder that keeps each method's state, as METHOD.safetensors, every minute
            and when it ends.
        resume: Whether methods go on from what an earlier call with the same arguments left in
            `checkpoints`.
        **changes: Attributes of `CompareSettings` that differ from `settings`, as `seed=1`.

    Raises:
        FileExistsError: A checkpoint exists, and `resume` is false.
        TypeError: `CompareSettings` has no attribute of a name in `changes`.
        ValueError: Task, controller and optimizers do not fit together.

    Warns:
        UserWarning: What `train` warns of.
    """
    settings = replace(settings or CompareSettings(), **changes)
    place: dict[str, Any] = {"dtype": settings.dtype, "device": settings.device}
    lacking = without_factors(task, controller, optimizers)
    if lacking:
        raise ValueError(
            f"`optimizers` must be without {', '.join(lacking)} for this controller "
            f"({type(controller).__name__}), which has no Kronecker factors; those belong to "
            "networks of cells, as ContinuousTimeRNN and Network."
        )
    trials = make_trials(task, controller, settings.seed, **place)
    if parameters is None:
        parameters = initial_parameters(controller, settings.seed, **place)
    start = parameters.to(**place)
    memory = memory or _Forgetful()
    files = _checkpoint_files(checkpoints, optimizers, resume=resume)
    evaluated = trials if trials.disturbed else None
    if task.random:
        evaluated = held_out(task, controller, settings.held_out_trials, **place)
    solution = settings.ilqr.solve(task, trials)
    held_against: EvaluatedReferences | None = None
    if evaluated is not None:
        own = solution if evaluated is trials else None
        held_against = evaluate_ilqr(task, evaluated, settings.ilqr, solution=own, known=memory)
    reference = _reference(task, trials, solution, held_against)
    if finished is not None:
        finished(reference)
    floor = reference.performance.loss
    if held_against is not None:
        names = settings.references
        names = default_references(held_against.trials) if names is None else names
        held_against = held_against.with_others(names, memory)
    runs: list[MethodRun] = []
    for name, optimizer in optimizers.items():
        if budget.interrupted():
            break
        result = memory.result(name)
        if result is None:
            checkpoint = files.get(name)
            snapshot = memory.snapshot(name)
            if snapshot is None and checkpoint is not None and checkpoint.exists():
                snapshot = load_snapshot(checkpoint)
            with live_trainings(budget) if progress else nullcontext() as live:
                told = [] if callback is None else [callback]
                told += [] if live is None else [live.update]
                result = train(
                    task,
                    controller,
                    optimizer,
                    budget=budget,
                    parameters=start,
                    trials=trials,
                    callback=_telling(told, name, 0.0 if settings.teacher else floor),
                    seed=settings.seed,
                    refresh=refresh_of(settings.refresh, name),
                    grow=settings.grow,
                    antithetic=settings.antithetic,
                    expected_noise=settings.expected_noise,
                    teacher=settings.teacher,
                    products=settings.products,
                    l2=settings.l2,
                    norm_preserving=settings.norm_preserving,
                    resume=snapshot,
                    threads=settings.threads,
                    checkpoint=checkpoint,
                )
            memory.trained(name, result)
        run = _trained(task, controller, trials, name, result, floor)
        if held_against is not None:
            runner = controller_runner(task, controller, run.parameters)
            run = replace(run, evaluation=held_against.assess(runner))
        runs.append(run)
        if finished is not None:
            finished(run)
    if held_against is None:
        return Comparison(task, trials, reference, tuple(runs))
    others, missing = held_against.others, held_against.reasons
    return Comparison(task, trials, reference, tuple(runs), evaluated, others, missing)


def _checkpoint_files(
    folder: Path | str | None, methods: Iterable[str], *, resume: bool
) -> dict[str, Path]:
    """Return a file for each method; it may exist only where the comparison goes on."""
    if folder is None:
        if resume:
            raise ValueError("`resume` needs the folder that `checkpoints` names, got None.")
        return {}
    files = {name: Path(folder) / f"{quote(name, safe=' ')}.safetensors" for name in methods}
    there = [path for path in files.values() if path.exists()]
    if there and not resume:
        raise FileExistsError(
            f"{there[0]} exists; go on from it by `resume=True`, or name another `checkpoints`."
        )
    return files


def refresh_of(refresh: Mapping[str, int] | int, method: str) -> int:
    """Return the iterations between new draws for one method, from `CompareSettings.refresh`."""
    return refresh if isinstance(refresh, int) else refresh.get(method, refresh.get("others", 0))


def _reference(
    task: Task, trials: Trials, solution: ILQRResult, held_against: EvaluatedReferences | None
) -> MethodRun:
    """Return the run of the reference, iLQR."""
    table = CommandTable(
        trials=len(trials),
        steps=task.steps,
        command_size=task.plant.command_size,
        dt_s=task.plant.dt_s,
    )
    return MethodRun(
        method=reference_name(trials),
        controller=table,
        parameters=solution.commands.flatten(),
        states=solution.states,
        commands=solution.commands,
        performance=measure(task, trials, solution.states, solution.commands),
        ratio=ratio_to(solution.value, solution.value),
        counts=solution.counts,
        seconds=solution.seconds,
        converged=solution.converged,
        reason=solution.reason,
        history=(),
        evaluation=None if held_against is None else held_against.ideal,
    )


def _telling(told: Sequence[MethodCallback], method: str, floor: float) -> Callback:
    """Return one callback of `train` for all callbacks of `compare`."""

    def tell(progress: Progress) -> None:
        for callback in told:
            callback(method, progress, floor)

    return tell


def _trained(
    task: Task, controller: Controller, trials: Trials, method: str, result: Result, floor: float
) -> MethodRun:
    """Return what a method came to, with its run of the trials."""
    parameters = result.parameters.to(trials.device)
    with torch.no_grad():
        trajectory = ClosedLoop(task, controller).simulate(parameters, trials)
    performance = measure(task, trials, trajectory.states, trajectory.commands)
    return MethodRun(
        method=method,
        controller=controller,
        parameters=parameters,
        states=trajectory.states,
        commands=trajectory.commands,
        performance=performance,
        ratio=ratio_to(performance.loss, floor),
        counts=result.counts,
        seconds=result.seconds,
        converged=result.converged,
        reason=result.reason,
        history=result.history,
        penalties=penalties_paid(task, controller, parameters, trials),
    )
