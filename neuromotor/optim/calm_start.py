"""A calm start: the readout of a network is scaled down, so that random commands stay small."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from neuromotor.optim.run import Run
from neuromotor.optim.state import State

__all__ = ["CalmState", "with_smaller_readout"]


@dataclass
class CalmState(State):
    """State of a method that can begin with a calm start.

    Attributes:
        calm: Whether the calm start is over.
    """

    calm: bool = True

    def start_calmly(self, run: Run) -> bool:
        """Make the calm start if it is due, and return whether that moved the parameters."""
        if self.calm:
            return False
        self.calm = True
        smaller = with_smaller_readout(run, self.theta, self.value)
        if smaller is None:
            return False
        self.move(smaller)
        return True


def with_smaller_readout(run: Run, theta: Tensor, value: float) -> Tensor | None:
    """Return parameters with a smaller readout, or None if that does not help.

    The readout is scaled by 0.3 again and again, as long as each time lowers the objective by a
    tenth at least; each try costs a value. An objective that does not name its readout gives None.

    Args:
        run: The minimisation with its objective.
        theta: Parameters to start from, (P,); they are not changed.
        value: Objective at `theta`.
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
