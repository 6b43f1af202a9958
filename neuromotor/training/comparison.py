"""Several optimizers on one task from one initialisation, held against iLQR's separate optima."""

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

from neuromotor._live import live_trainings
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
    reference_name,
)
from neuromotor.evaluation.references import default_references
from neuromotor.optim import Budget, Counts, HistoryPoint, Optimizer, Progress, Result, Snapshot
from neuromotor.storage.snapshots import load_snapshot
from neuromotor.tasks import Task, Trials
from neuromotor.training.single import initial_parameters, make_trials, train, without_factors

__all__ = ["Comparison", "Memory", "MethodRun", "compare", "refresh_of"]

MethodCallback = Callable[[str, Progress, float], None]


@dataclass(frozen=True)
class MethodRun:
    """What one method came to.

    Attributes:
        method: Its name; iLQR's is `clairvoyant` where trials have loads or noise, which it knows.
        controller: What was trained; a `CommandTable` for iLQR.
        parameters: Best parameters, (P,).
        states: Under them, (B, T + 1, n).
        commands: Under them, (B, T, m).
        performance: How the trials went.
        ratio: Loss divided by iLQR's; NaN where iLQR's is zero.
        counts: Calls of each kind.
        seconds: Wall-clock time.
        converged: Whether the method's own test of an optimum was met.
        reason: Why it stopped, in words.
        history: One point an iteration; empty for iLQR.
        evaluation: On the comparison's `evaluated` trials, if it has them.
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

    def row(self) -> dict[str, Any]:
        """Return the method's line of the table."""
        numbers = self.performance.as_dict()
        return {
            "method": self.method,
            "loss": numbers.pop("loss"),
            "ratio": None if math.isnan(self.ratio) else self.ratio,
            **numbers,
            **self.counts.as_dict(),
            "seconds": self.seconds,
            "converged": self.converged,
            "reason": self.reason,
            "evaluation": None if self.evaluation is None else self.evaluation.as_dict(),
        }


class Memory(KnownEvaluations, Protocol):
    """What an earlier, unfinished run of the same comparison came to, and where this one's goes."""

    def snapshot(self, method: str) -> Snapshot | None:
        """Return where a method's training goes on, or None for the start."""
        ...

    def result(self, method: str) -> Result | None:
        """Return what a method's training came to, if it need not go on."""
        ...

    def trained(self, method: str, result: Result) -> None:
        """Take notice of the end of a method's training, at once."""
        ...


class _Forgetful:
    """No memory."""

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
class _Options:
    """What `train` is told beside the comparison's shared pieces."""

    seed: int
    refresh: int
    products: torch.dtype | None
    memory: Memory
    threads: int | None = 1
    progress: bool = False
    checkpoint: Path | None = None


@dataclass(frozen=True)
class Comparison:
    """iLQR and trained controllers on the same trials.

    Attributes:
        task: What was wanted.
        trials: The batch that all of them ran.
        reference: iLQR.
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
    *,
    budget: Budget,
    seed: int = 0,
    ilqr: ILQR | None = None,
    parameters: Tensor | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    callback: MethodCallback | None = None,
    finished: Callable[[MethodRun], None] | None = None,
    held_out_trials: int = HELD_OUT_TRIALS,
    refresh: Mapping[str, int] | int = 0,
    products: torch.dtype | None = None,
    references: Sequence[str] | None = None,
    memory: Memory | None = None,
    threads: int | None = 1,
    progress: bool = False,
    checkpoints: Path | str | None = None,
    resume: bool = False,
) -> Comparison:
    """Solve every trial by iLQR, then train one initial controller by each optimizer.

    All methods get the same trials, the same initial parameters and the same budget. Where the
    budget says that it was interrupted, what there is comes back.

    Args:
        task: What is wanted.
        controller: What is trained.
        optimizers: By name.
        budget: For each optimizer.
        seed: Of the initialisation and of the trials' draws.
        ilqr: The reference's settings.
        parameters: Where all start, (P,), instead of a new initialisation.
        dtype: Of all of it.
        device: Of all of it.
        callback: Called after every iteration with method, progress and iLQR's loss.
        finished: Called with each method's run as soon as it is over, iLQR's first.
        held_out_trials: How many held-out trials of a random task all methods are evaluated on.
        refresh: Iterations between new draws of the training trials, for all methods or by name
            and for `others`; 0 for one batch throughout.
        products: Precision of Gauss-Newton products; see `train`.
        references: Which of `REFERENCES` are evaluated too; `default_references` if None. Those
            that do not exist for the trials are left out, and the comparison says why.
        memory: What an earlier run left and this one leaves; what it knows is not done again, and
            the numbers are those of one uninterrupted run.
        threads: Torch's threads in each training; see `train`.
        progress: Whether to show on stderr how far each method is; see `train`.
        checkpoints: A folder that keeps each method's state, as METHOD.safetensors, every minute
            and when it ends.
        resume: Whether methods go on from what an earlier call with the same arguments left in
            `checkpoints`.

    Raises:
        FileExistsError: A checkpoint exists, and `resume` is false.
        ValueError: Task, controller and optimizers do not fit together.
    """
    lacking = without_factors(task, controller, optimizers)
    if lacking:
        raise ValueError(
            f"`optimizers` must be without {', '.join(lacking)} for this controller and cost, "
            "which have no Kronecker factors; those belong to a plain ContinuousTimeRNN and "
            "QuadraticCost."
        )
    trials = make_trials(task, controller, seed, dtype=dtype, device=device)
    if parameters is None:
        parameters = initial_parameters(controller, seed, dtype=dtype, device=device)
    start = parameters.to(dtype=dtype, device=device)
    memory = memory or _Forgetful()
    files = _checkpoint_files(checkpoints, optimizers, resume=resume)
    evaluated = trials if trials.disturbed else None
    if task.random:
        evaluated = held_out(task, controller, held_out_trials, dtype=dtype, device=device)
    solver = ilqr or ILQR()
    solution = solver.solve(task, trials)
    held_against: EvaluatedReferences | None = None
    if evaluated is not None:
        own = solution if evaluated is trials else None
        held_against = evaluate_ilqr(task, evaluated, solver, solution=own, known=memory)
    reference = _reference(task, trials, solution, held_against)
    if finished is not None:
        finished(reference)
    if held_against is not None:
        if references is None:
            references = default_references(held_against.trials)
        held_against = held_against.with_others(references, memory)
    runs: list[MethodRun] = []
    for name, optimizer in optimizers.items():
        if budget.interrupted():
            break
        shared = _Options(seed, refresh_of(refresh, name), products, memory)
        options = replace(shared, threads=threads, progress=progress, checkpoint=files.get(name))
        run = _train(
            task, controller, trials, start, name, optimizer, budget, reference, callback, options
        )
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
    """A file for each method, that may exist only where the comparison goes on."""
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
    """Return one method's iterations between new draws, out of what `compare` takes."""
    return refresh if isinstance(refresh, int) else refresh.get(method, refresh.get("others", 0))


def _reference(
    task: Task, trials: Trials, solution: ILQRResult, held_against: EvaluatedReferences | None
) -> MethodRun:
    """What iLQR came to."""
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


def _train(
    task: Task,
    controller: Controller,
    trials: Trials,
    start: Tensor,
    name: str,
    optimizer: Optimizer,
    budget: Budget,
    reference: MethodRun,
    callback: MethodCallback | None,
    options: _Options,
) -> MethodRun:
    """One optimizer from the shared start."""
    floor = reference.performance.loss
    result = options.memory.result(name)
    if result is None:
        resume = options.memory.snapshot(name)
        if resume is None and options.checkpoint is not None and options.checkpoint.exists():
            resume = load_snapshot(options.checkpoint)
        with live_trainings(budget) if options.progress else nullcontext() as live:
            shown = None if live is None else live.update

            def tell(progress: Progress) -> None:
                for told in (callback, shown):
                    if told is not None:
                        told(name, progress, floor)

            result = train(
                task,
                controller,
                optimizer,
                budget=budget,
                parameters=start,
                trials=trials,
                callback=tell,
                seed=options.seed,
                refresh=options.refresh,
                products=options.products,
                resume=resume,
                threads=options.threads,
                checkpoint=options.checkpoint,
            )
        options.memory.trained(name, result)
    result = replace(result, parameters=result.parameters.to(start.device))
    with torch.no_grad():
        trajectory = ClosedLoop(task, controller).simulate(result.parameters, trials)
    performance = measure(task, trials, trajectory.states, trajectory.commands)
    return MethodRun(
        method=name,
        controller=controller,
        parameters=result.parameters,
        states=trajectory.states,
        commands=trajectory.commands,
        performance=performance,
        ratio=ratio_to(performance.loss, floor),
        counts=result.counts,
        seconds=result.seconds,
        converged=result.converged,
        reason=result.reason,
        history=result.history,
    )
