"""A potential that tells a learner early what a state will cost, without changing what is best.

Source: Ng, Harada & Russell (1999), *Policy invariance under reward transformations*, theorem 1: a
reward ``r + gamma F(x') - F(x)`` has the best policy of r, whatever F. Here F is minus the least
cost that is left on a linear plant with the task's own cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuromotor.closed_loop.dynamics import advance, linearize_plant
from neuromotor.control import Uncertainty
from neuromotor.tasks import SensesInUse, Task, Trials
from neuromotor.tasks.cost import weighed_features

__all__ = ["CostToGo"]


class CostToGo:
    """The least cost that is left at a step, ``(x - x*)' P[t] (x - x*) / 2``.

    P solves the Riccati equation of the plant linearised at rest at the mean target, without delay,
    loads, fields and noise, for the weights of the task's cost. The cost of the state at the step
    itself is not in it: it has been paid already.

    A cost that weighs features of the state (`CursorCost`) counts to second order about rest at the
    mean target, with the mean weights of the task's trials, and without what it asks of rates of
    force. That is further from the cost that is left, and the best policy stays what it is.

    Attributes:
        matrices: P, (T + 1, n, n); zero at the last step.
        gains: The best command is ``u = -gains[t] (x - x*)``, (T, m, n).
    """

    def __init__(self, task: Task) -> None:
        """Solve the equation.

        Raises:
            ValueError: The task's cost is neither a plain `QuadraticCost` nor one that weighs
                features.
        """
        self._task = task
        drawn = task.trials(torch.Generator().manual_seed(0))
        goal = drawn.target.double().mean(dim=0, keepdim=True)
        a, b = _at_rest(task, goal)
        costs, energy = _costs(task, drawn, goal), task.cost.energy_weight
        self._moves, self._costs, self._energy = (a, b), costs, energy
        steps, n, m = task.steps, a.shape[0], b.shape[1]
        self.matrices: NDArray[np.float64] = np.zeros((steps + 1, n, n))
        self.gains: NDArray[np.float64] = np.zeros((steps, m, n))
        for t in reversed(range(steps)):
            ahead = self.matrices[t + 1] + costs[t + 1]
            curvature = energy * np.eye(m) + b.T @ ahead @ b
            gain = np.linalg.pinv(curvature, hermitian=True) @ (b.T @ ahead @ a)
            left = a.T @ ahead @ (a - b @ gain)
            self.gains[t] = gain
            self.matrices[t] = 0.5 * (left + left.T)

    def at(self, state: Sequence[Any], goal: Sequence[Any], step: Any) -> Any:
        """Return the cost that is left.

        Args:
            state: n components.
            goal: The state that is wanted at the step, n components.
            step: Commands given so far, 0 to T; a number, or one for each of N arms, (N,).
        """
        found = self.matrices[step]
        matrix: Any = found.tolist() if found.ndim == 2 else np.moveaxis(found, 0, -1)
        errors = [x - y for x, y in zip(state, goal, strict=True)]
        total: Any = 0.0
        for i, error in enumerate(errors):
            row: Any = 0.5 * matrix[i][i] * error
            for j in range(i):
                row = row + matrix[i][j] * errors[j]
            total = total + error * row
        return total

    def sensitivity(self, delay_steps: int = 0) -> NDArray[np.float64]:
        """Return what a command that is off costs: by e at a step, ``e' G e / 2``, (T, m, m).

        The best feedback mends the difference once it is seen.

        Args:
            delay_steps: Steps before that; 0 where a controller knows what it commands.
        """
        a, b = self._moves
        steps, m = self.gains.shape[:2]
        found = np.tile(self._energy * np.eye(m), (steps, 1, 1))
        for t in range(steps):
            moved, last = b, min(t + 1 + delay_steps, steps)
            for later in range(t + 1, last + 1):
                found[t] += moved.T @ self._costs[later] @ moved
                if later < last:
                    moved = a @ moved
            found[t] += moved.T @ self.matrices[last] @ moved
        return found

    @cached_property
    def prices(self) -> NDArray[np.float64]:
        """What another command at a step costs by its effect and by its noise, (T, m, m).

        Who commands knows the effect. Signal-dependent noise, of the task's size, is mended only
        after the task's delay.
        """
        noise = Uncertainty.from_trials(self._task.trials()).command_noise
        share = np.broadcast_to(noise, self.gains.shape[1])
        blind = self.sensitivity(SensesInUse.of(self._task).delay)
        return self.sensitivity() + np.outer(share, share) * np.eye(len(share)) * blind

    @property
    def taper(self) -> NDArray[np.float64]:
        """The size of commands that cost the same at each step, one at the cheapest, (T,)."""
        price = np.trace(self.prices, axis1=1, axis2=2)
        sizes: NDArray[np.float64] = np.sqrt(price.min() / price)
        return sizes

    @torch.no_grad()
    def run(self) -> tuple[Trials, torch.Tensor, torch.Tensor]:
        """Run the feedback ``u = -gains (x - x*)`` through the task's trials, drawn with seed 0.

        It sees the state without delay or noise, and knows no load before it acts.

        Returns:
            The trials; the states, (B, T + 1, n); the commands, (B, T, m).
        """
        task = self._task
        trials = task.trials(torch.Generator().manual_seed(0))
        state = trials.initial_state
        states, commands = [state], []
        for t, gain in enumerate(torch.from_numpy(self.gains).to(state)):
            goal = trials.target if trials.wanted is None else trials.wanted[:, t]
            command = (goal - state) @ gain.T
            state = advance(task.plant, state, command, trials, t)
            states.append(state)
            commands.append(command)
        return trials, torch.stack(states, dim=1), torch.stack(commands, dim=1)

    @cached_property
    def unit(self) -> float:
        """The mean loss of `run`: a return of -1 is about what a good controller gets.

        Raises:
            ValueError: That loss is zero or not finite.
        """
        trials, states, commands = self.run()
        loss = float(self._task.cost.losses(states, commands, trials).mean())
        if not 0 < loss < np.inf:
            raise ValueError(
                "`reward_unit` must be a number for this task: the linear feedback whose loss is "
                f"the unit has a loss of {loss:.3g}."
            )
        return loss


def _costs(task: Task, drawn: Trials, goal: torch.Tensor) -> NDArray[np.float64]:
    """The curvature of the task's cost by the state at each step, (T + 1, n, n), at a goal."""
    features = weighed_features(task.cost, "a shaped reward")
    if features is None:
        weights = task.cost.state_weights.double().cpu().numpy()
        return np.stack([np.diag(row) for row in weights])
    weights = task.cost.weights(drawn).double().mean(dim=0).cpu().numpy()
    slopes = torch.func.jacrev(features)(goal[0]).numpy()
    return np.stack([slopes.T @ (row[:, None] * slopes) for row in weights])


def _at_rest(task: Task, goal: torch.Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The Jacobians of the plant's step by state and command, at rest at a goal, (1, n)."""
    here = Trials(initial_state=goal, target=goal)
    command = goal.new_zeros(1, 1, task.plant.command_size)
    jacobian = linearize_plant(task.plant, here, goal[:, None], command)[0, 0].numpy()
    n = task.plant.state_size
    return jacobian[:, :n], jacobian[:, n:]
