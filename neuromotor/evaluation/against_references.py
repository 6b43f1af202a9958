"""Controllers held against references on one batch of trials."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from torch import Tensor

from neuromotor.control import ILQR, ILQRResult
from neuromotor.evaluation.bootstrap import bootstrap_interval
from neuromotor.evaluation.performance import (
    Evaluation,
    Runner,
    assess,
    ilqr_runner,
    known_runner,
    measure,
    reference_name,
)
from neuromotor.evaluation.references import assess_references, no_reference
from neuromotor.tasks import Task, Trials

__all__ = ["EvaluatedReferences", "KnownEvaluations", "evaluate_ilqr", "reference_rows"]

_BOUND = "bound"  # iLQR's name in `KnownEvaluations`, whatever the trials are


class KnownEvaluations(Protocol):
    """Evaluations that an earlier, unfinished run left, and the place where new ones go."""

    def evaluation(self, reference: str) -> Evaluation | None:
        """Return a reference's evaluation, if it is known."""
        ...

    def evaluated(self, reference: str, evaluation: Evaluation) -> None:
        """Take notice of a reference's evaluation."""
        ...


@dataclass(frozen=True)
class EvaluatedReferences:
    """How references do on one batch of trials.

    Attributes:
        task: What is wanted.
        trials: B trials, which every reference ran.
        ilqr: The solver of every trajectory.
        bound: The name of iLQR; see `reference_name`.
        ideal: The evaluation of iLQR.
        others: The evaluations of other references by name, with their ratios to iLQR.
        reasons: Why other references do not exist for the trials, by name.
    """

    task: Task
    trials: Trials
    ilqr: ILQR
    bound: str
    ideal: Evaluation
    others: Mapping[str, Evaluation] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """The evaluations of all references by name, iLQR's first."""
        return {self.bound: self.ideal, **self.others}

    def with_others(
        self, names: Iterable[str], known: KnownEvaluations | None = None
    ) -> EvaluatedReferences:
        """Return these references with others, which are evaluated unless they are known.

        Args:
            names: Which of `REFERENCES`, in order. Those that do not exist for the trials are left
                out, and `reasons` says why.
            known: Evaluations of an earlier run.
        """
        names = list(names)
        reasons = no_reference(names, self.task, self.trials)
        ideal = _losses({self.bound: self.ideal}, self.trials)

        def evaluate(name: str) -> Evaluation:
            return assess_references(self.task, self.trials, [name], ideal, ilqr=self.ilqr)[name]

        others = {n: _recall(n, known, evaluate) for n in names if n not in reasons}
        return replace(self, others=others, reasons=reasons)

    def assess(self, run: Runner) -> Evaluation:
        """Return how well `run` does on the trials, with its ratios to all references."""
        return assess(self.task, self.trials, run, _losses(self.evaluations, self.trials))


def evaluate_ilqr(
    task: Task,
    trials: Trials,
    ilqr: ILQR,
    *,
    solution: ILQRResult | None = None,
    responses: bool = True,
    known: KnownEvaluations | None = None,
) -> EvaluatedReferences:
    """Return how well iLQR does on trials, as the first of the references for them.

    Args:
        task: What is wanted.
        trials: B trials.
        ilqr: The solver.
        solution: Its solution of these trials, if there is one already.
        responses: Whether iLQR's responses to loads are measured too, which takes a second
            solution, that of the same trials without loads.
        known: Evaluations of an earlier run.
    """

    def evaluate(_: str) -> Evaluation:
        found = ilqr.solve(task, trials) if solution is None else solution
        if responses:
            solve = ilqr_runner(task, ilqr)
            return assess(task, trials, known_runner(trials, found.states, found.commands, solve))
        return Evaluation(
            losses=found.losses,
            loss=bootstrap_interval(found.losses),
            ratios={},
            performance=measure(task, trials, found.states, found.commands),
            response=None,
        )

    ideal = _recall(_BOUND, known, evaluate)
    return EvaluatedReferences(task, trials, ilqr, reference_name(trials), ideal)


def reference_rows(
    evaluations: Mapping[str, Evaluation], reasons: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return a row for each reference: its evaluation, or the reason why there is none.

    Args:
        evaluations: By name.
        reasons: By name.
    """
    found = [{"method": name, "evaluation": one.as_dict()} for name, one in evaluations.items()]
    missing = [{"method": n, "evaluation": None, "reason": why} for n, why in reasons.items()]
    return [*found, *missing]


def _losses(evaluations: Mapping[str, Evaluation], trials: Trials) -> dict[str, Tensor]:
    """The trials' losses under each reference, on the trials' device."""
    return {name: one.losses.to(trials.device) for name, one in evaluations.items()}


def _recall(
    name: str, known: KnownEvaluations | None, evaluate: Callable[[str], Evaluation]
) -> Evaluation:
    """A known evaluation, or a new one, which is remembered."""
    if known is None:
        return evaluate(name)
    evaluation = known.evaluation(name)
    if evaluation is None:
        evaluation = evaluate(name)
        known.evaluated(name, evaluation)
    return evaluation
