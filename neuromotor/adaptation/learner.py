"""What every learner from trial to trial offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from neuromotor.adaptation.practice import Addition, Outcome, Practice
from neuromotor.extensions import Registry

__all__ = ["LEARNERS", "Learner", "Unlearning"]


class Learner(Protocol):
    """Settings of a learner; what it has learnt is a state, which it never changes in place.

    A learner is a frozen dataclass. Its state may be anything; what it says of R subjects has their
    number as first axis.
    """

    def begin(self, practice: Practice) -> Any:
        """Return the state before the first trial.

        Raises:
            ValueError: It cannot learn in this practice; the message says why.
        """
        ...

    def before(self, practice: Practice, state: Any, target: Tensor) -> Addition:
        """Return what it changes in a trial, of which it knows each subject's target, (R,)."""
        ...

    def after(self, practice: Practice, state: Any, outcome: Outcome) -> Any:
        """Return the state after a trial."""
        ...


@dataclass(frozen=True)
class Unlearning:
    """A learner that learns nothing: a control for every measure of adaptation."""

    def begin(self, practice: Practice) -> None:
        """Return no state."""

    def before(self, practice: Practice, state: None, target: Tensor) -> Addition:
        """Change nothing."""
        return Addition()

    def after(self, practice: Practice, state: None, outcome: Outcome) -> None:
        """Return no state."""


LEARNERS: Registry[Learner] = Registry("learner", members=("begin", "before", "after"))
