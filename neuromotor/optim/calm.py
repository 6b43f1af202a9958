"""A first step for networks whose random commands throw the arm about."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from neuromotor.optim.run import Run
from neuromotor.optim.state import State

__all__ = ["CalmState", "calmer"]


@dataclass
class CalmState(State):
    """State of a method that can begin calmly.

    Attributes:
        calm: Whether the calm start is over.
    """

    calm: bool = True

    def calm_down(self, run: Run) -> bool:
        """Make the calm start if it is due; return whether that moved the point."""
        if self.calm:
            return False
        self.calm = True
        calm = calmer(run, self.theta, self.value)
        if calm is None:
            return False
        self.move(calm)
        return True


def calmer(run: Run, theta: Tensor, value: float) -> Tensor | None:
    """Return parameters with a smaller readout, if that lowers the objective by a tenth at least.

    The readout is scaled by 0.3 again and again, a value each, while that goes on; None where it
    does not help or the objective does not name its readout.

    Args:
        run: Whose objective it is.
        theta: Where to start, (P,); not changed.
        value: Objective there.
    """
    readout = run.objective.readout
    best: Tensor | None = None
    while readout is not None:
        trial = (theta if best is None else best).clone()
        trial[readout] *= 0.3
        reached = run.objective.value(trial)
        if not reached < 0.9 * value:
            break
        best, value = trial, reached
    return best
