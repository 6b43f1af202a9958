"""What every experiment is: conditions, a schedule, measures, and what nature shows in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

from neuromotor.experiments.findings import (
    CannotBeAskedError,
    Findings,
    Judgement,
    Nature,
    judge,
)
from neuromotor.experiments.session import Session
from neuromotor.extensions import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENTS", "Experiment", "put_through", "what_is_found"]


class Experiment(ABC):
    """An experiment on reaching; a subclass is a frozen dataclass, whose fields are its conditions.

    One of your own is registered as every component is (`neuromotor.register`), and used by
    `neuromotor experiment NAME --use FILE`.

    Attributes:
        title: In tables and figures.
        question: What is varied, and what is measured, in one or two sentences.
        nature: What people or monkeys show, measure by measure.
    """

    title: ClassVar[str]
    question: ClassVar[str]
    nature: ClassVar[tuple[Nature, ...]]

    @abstractmethod
    def conduct(self, session: Session) -> Findings:
        """Put a subject through the experiment.

        Args:
            session: The subject, the conditions that all experiments share, and chance.

        Raises:
            CannotBeAskedError: The subject cannot take part; the message says why.
        """

    @abstractmethod
    def draw(self, found: Findings, figure: Figure) -> None:
        """Draw the findings onto an empty figure, in the manner of the experiment's paper."""

    def quick(self) -> Self:
        """Return the same with fewer repeats, for a first look."""
        return self


def what_is_found(experiment: Experiment, session: Session) -> Findings | str:
    """Return what a subject does in an experiment, or why it cannot take part."""
    try:
        return experiment.conduct(session)
    except CannotBeAskedError as error:
        return str(error)


def put_through(
    experiment: Experiment, session: Session
) -> tuple[Findings | None, tuple[Judgement, ...]]:
    """Return what a subject does in an experiment, and how that compares with nature.

    A subject that cannot take part has no findings; the judgements say why.
    """
    found = what_is_found(experiment, session)
    judgements = judge(experiment.nature, found)
    return (None if isinstance(found, str) else found), judgements


EXPERIMENTS: Registry[Experiment] = Registry(
    "experiment", members=("conduct", "nature", "question")
)
