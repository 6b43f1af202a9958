"""Stationary LQG: gains that do not change, of a problem that goes on for ever.

The steps of `LQG` are repeated until nothing changes: backwards for the feedback, forwards for the
filter and the moments. Its notation serves here too. What grows without end is left out of the
comparison: the cost-to-go of the constant 1 and of the disturbance alone, on which no gain depends.

Source: Todorov (2005), sections 4 and 5, at the fixed point; Qian, Jiang, Jiang & Mazzoni (2013)
for the stationary problem as a model of reaching, in continuous time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuromotor._checks import check_integer, check_positive
from neuromotor.control.lqg import LQG

__all__ = ["StationaryLQG"]


@dataclass(frozen=True)
class StationaryLQG:
    """B problems whose one step is repeated for ever; the expected cost of a step is least.

    Attributes:
        problem: The step, an `LQG` with T = 1 whose `onset_variance` is that of w, the noise of the
            disturbance at every step. The disturbance has `retention` below 1, or there is none.
        tolerance: Gains and moments are there when a step changes none of them by more than this
            fraction of the largest of its trial.
        iterations: Largest number of steps.

    Raises:
        ValueError: A setting is out of range, the problem has more steps than one, or its
            disturbance grows for ever.
    """

    problem: LQG
    tolerance: float = 1e-10
    iterations: int = 10_000

    def __post_init__(self) -> None:
        check_positive("tolerance", self.tolerance)
        check_integer("iterations", self.iterations, minimum=1)
        if self.problem.steps != 1:
            raise ValueError(f"`problem` must have one step, got {self.problem.steps}.")
        if self.problem.disturbance.shape[3] and self.problem.retention >= 1:
            raise ValueError(
                "`problem.retention` must be below 1 with a disturbance, whose variance grows for "
                f"ever otherwise, got {self.problem.retention:g}."
            )

    @property
    def coupled(self) -> bool:
        """Whether the feedback gains depend on the filter."""
        return self.problem.coupled

    def valued_feedback(self, correction: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the best gains L, (B, 1, m, n + k + 1), for a filter, and G, (B, 1, m, m).

        Args:
            correction: Filter gains K, (B, 1, N, .); without them the estimate counts as exact.

        Raises:
            ValueError: No gains keep the cost of a step finite.
        """
        one = self.problem
        n, size = one.command.shape[2], one.estimate_size
        of_y = n + one.disturbance.shape[3] + 1
        cost = one.command.new_zeros(len(one.command), of_y, of_y)
        error_cost = one.command.new_zeros(len(one.command), size, size)
        curvature = torch.zeros_like(one.command_cost[:, 0])
        for turn in range(self.iterations):
            through, noise = error_cost, torch.zeros_like(cost)
            if correction is not None:
                for _, more in one.cost_of_noise(0, error_cost, correction[:, 0]):
                    noise = noise + more
                through = one.through_correction(0, error_cost, correction[:, 0])
            before, last = cost, curvature
            gain, curvature, cost, errors = one.back(0, before, through)
            cost = cost + noise
            if correction is not None:
                error_cost = errors
            # Of the cost of errors only what reaches G counts, a delay late. The rest may settle
            # slowly: a filter is slow for what is hardly disturbed and hardly seen.
            late = turn > 2 * (one.delay_steps + 1)
            if late and self._still(cost[:, :n], before[:, :n]) and self._still(curvature, last):
                return gain[:, None], curvature[:, None]
            if not bool(torch.isfinite(cost).all()):
                break
        raise ValueError(
            "`task` must have a stationary solution for infinite-horizon LQG, but the cost-to-go "
            "grows for ever: commands cannot bring the plant to rest at its target, or their noise "
            "moves it more than they can mend; use less noise, or `ILQG`."
        )

    def filter(self, feedback: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the best filter for given feedback, and the expected costs of both together.

        Args:
            feedback: Gains L, (B, 1, m, n + k + 1).

        Returns:
            Filter gains K (B, 1, N, .), expected costs of a step (B,), mean commands (B, 1, m).

        Raises:
            ValueError: The expected cost of a step grows for ever.
        """
        one = self.problem
        size, k = one.estimate_size, one.disturbance.shape[3]
        spread = one.command.new_zeros(len(one.command), size, size)
        if k:
            whole = one.onset_variance[0] / (1 - one.retention**2)
            spread[:, size - k :, size - k :] = torch.diag(whole)
        moment = spread.new_zeros(len(spread), size + 1, size + 1)
        moment[:, -1, -1] = 1
        cost = spread.new_zeros(len(spread))
        for turn in range(self.iterations):
            last, before = cost, spread
            cost, gain, mean, spread, moment = one.forward(0, spread, moment, feedback[:, 0])
            spread[:, size - k :, size - k :] += torch.diag(one.onset_variance[0])
            # States may wander for ever, such as a limb that follows a target which does.
            late = turn > 2 * (one.delay_steps + 1)
            if late and self._still(spread, before) and self._still(cost, last):
                return gain[:, None], 0.5 * cost, mean[:, None]
            if not bool(torch.isfinite(moment).all() and torch.isfinite(spread).all()):
                break
        raise ValueError(
            "`task` must have a stationary solution for infinite-horizon LQG, but what a "
            "step costs grows for ever: what is sensed does not show all that moves, or noise in "
            "proportion to commands or senses is too strong; use less noise, or `ILQG`."
        )

    def _still(self, after: Tensor, before: Tensor) -> bool:
        """Return whether a step changed nothing, in any trial."""
        change = (after - before).abs().reshape(len(after), -1).amax(1)
        return bool((change <= self.tolerance * after.abs().reshape(len(after), -1).amax(1)).all())
