"""A first step for networks whose random commands throw the arm about."""

from __future__ import annotations

from torch import Tensor

from neuromotor.optim.run import Run

__all__ = ["calmer"]


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
