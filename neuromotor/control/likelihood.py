"""How likely measured trajectories are under an agent that is an LQG, whose estimate nobody sees.

Notation of `lqg`. The true states z = [x[t], ..., x[t - tau]] and the agent's estimate z^ of them
and of the disturbance, before its observation, move together::

    z^ <- z^ + K (H z + omega - H z^),    u = L y^,
    x' = A x + B u (1 + xi) + c + f + zeta,    x^' = A x^ + B u + D d^ + c

where f is what known loads do. The pair is linear in itself, so that a Kalman filter over it gives
the likelihood of what is measured, q = M x + r, step by step. Noise that grows with the command, or
with what is sensed, is not Gaussian: it enters with the variance that it has given everything
measured before, sigma^2 E[u u'], which matches the moments of each step.

Source: Schultheis, Straub & Rothkopf (2021), section 3, for a command that follows the observation
of its own step, with delays.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from neuromotor.control.lqg import LQG

__all__ = ["Measurement", "log_likelihoods"]


class Measurement(NamedTuple):
    """What was measured of R trials before the steps 0 to S - 1, in deviations, k numbers each."""

    values: Tensor  # from what the trajectory of the linearisation gives, (R, S, k)
    jacobian: Tensor  # M, (R, S, k, n)
    variance: Tensor  # of r, (k,), above zero
    pushes: Tensor | None = None  # f, (R, S - 1 or more, n); None is nothing


def log_likelihoods(
    problem: LQG, feedback: Tensor, correction: Tensor, index: Tensor, measured: Measurement
) -> Tensor:
    """Return the log of the density of each trial's measurements, (R,).

    The first state is known, so that measurements count from the second on. Trials of one problem
    share the covariances where no noise grows with anything.

    Args:
        problem: B problems.
        feedback: L, (B, T, m, n + k + 1).
        correction: K, (B, T, N, .).
        index: The problem of each trial, (R,).
        measured: What was measured, T + 1 times at most.

    Raises:
        ValueError: Rounding makes the covariance of a measurement indefinite.
    """
    own, gains, corrections = problem.taken(index), feedback[index], correction[index]
    jacobian = measured.jacobian
    agent = _Agent(own, gains, corrections)
    n, past = own.state.shape[2], own.state.shape[2] * (own.delay_steps + 1)
    mean = own.state.new_zeros(len(index), past + own.estimate_size, 1)
    if problem.coupled:
        shared, back, chosen = agent, torch.arange(len(index)), jacobian
    else:
        first = torch.stack([(index == i).int().argmax() for i in range(len(problem.state))])
        shared, back, chosen = _Agent(problem, feedback, correction), index, jacobian[first]
    spread = mean.new_zeros(len(chosen), mean.shape[1], mean.shape[1])
    noise = torch.diag(measured.variance)
    found = mean.new_zeros(len(index))
    for t in range(measured.values.shape[1] - 1):
        spread = shared.corrected_spread(t, mean, spread)
        mean = agent.correct(t, mean)
        spread = shared.moved_spread(t, mean, spread)
        mean = agent.move(t, mean, constant=True)
        if measured.pushes is not None:
            mean[:, :n, 0] += measured.pushes[:, t]
        look = chosen[:, t + 1]
        seen = look @ spread[:, :n]  # (., k, N)
        factor, info = torch.linalg.cholesky_ex(seen[:, :, :n] @ look.mT + noise)
        if bool(info.any()):
            raise ValueError(
                f"`measurement_noise` must be larger: before step {t + 1} rounding makes the "
                f"covariance of {int((info != 0).sum())} measurements indefinite."
            )
        gain = torch.cholesky_solve(seen, factor).mT
        surprise = measured.values[:, t + 1, :, None] - jacobian[:, t + 1] @ mean[:, :n]
        scaled = torch.linalg.solve_triangular(factor[back], surprise, upper=False)
        logs = factor.diagonal(dim1=1, dim2=2).log().sum(-1)[back]
        found -= 0.5 * scaled.square().sum((1, 2)) + logs
        mean = mean + gain[back] @ surprise
        # Joseph's form, as in `LQG.forward`
        spread = spread - gain @ seen
        spread = spread + (gain @ noise - (look @ spread.mT[:, :n]).mT) @ gain.mT
        spread = 0.5 * (spread + spread.mT)
    steps, size = measured.values.shape[1] - 1, measured.values.shape[2]
    return found - 0.5 * steps * size * math.log(2 * math.pi)


class _Agent(NamedTuple):
    """Problems with their gains, and what a step does to [z, z^], (B, n (tau + 1) + N, .)."""

    problem: LQG
    feedback: Tensor
    correction: Tensor

    @property
    def past(self) -> int:
        """Numbers in z."""
        return self.problem.state.shape[2] * (self.problem.delay_steps + 1)

    def correct(self, t: int, rows: Tensor) -> Tensor:
        """Return rows after the agent's observation, without its noise."""
        truth, estimate = rows[:, : self.past], rows[:, self.past :]
        surprise = self.problem.look(t, truth) - self.problem.look(t, estimate)
        return torch.cat([truth, estimate + self.correction[:, t] @ surprise], dim=1)

    def command(self, t: int, rows: Tensor) -> Tensor:
        """Return rows of the command without its constant, (B, m, .)."""
        n, tail = self.problem.state.shape[2], 2 * self.past
        known = torch.cat([rows[:, self.past : self.past + n], rows[:, tail:]], dim=1)
        return self.feedback[:, t, :, :-1] @ known

    def move(self, t: int, rows: Tensor, *, constant: bool = False) -> Tensor:
        """Return rows one step later, without noise; with the constants those of a mean."""
        one, past = self.problem, self.past
        n, tail = one.state.shape[2], 2 * past
        a, b = one.state[:, t], one.command[:, t]
        command = self.command(t, rows)
        if constant:
            command = command + self.feedback[:, t, :, -1:]
        pushed = b @ command
        if constant:
            pushed = pushed + one.drift[:, t, :, None]
        truth, estimate, disturbance = rows[:, :past], rows[:, past:tail], rows[:, tail:]
        return torch.cat(
            [
                a @ truth[:, :n] + pushed,
                truth[:, : past - n],
                a @ estimate[:, :n] + one.disturbance[:, t] @ disturbance + pushed,
                estimate[:, : past - n],
                one.left(disturbance),
            ],
            dim=1,
        )

    def corrected_spread(self, t: int, mean: Tensor, spread: Tensor) -> Tensor:
        """Return the covariance after the agent's observation; `mean` is that before it."""
        one, past = self.problem, self.past
        variance = one.sensory_variance
        if one.signal_variance is not None:
            truth = torch.cat([mean[:, :past], torch.ones_like(mean[:, :1])], dim=1)
            variance = one.sensory(t, spread[:, :past, :past], truth @ truth.mT)
        spread = self.correct(t, self.correct(t, spread).mT)
        gain = self.correction[:, t]
        spread[:, past:, past:] += (gain * variance[..., None, :]) @ gain.mT
        return spread

    def moved_spread(self, t: int, mean: Tensor, spread: Tensor) -> Tensor:
        """Return the covariance one step later; `mean` is that after the observation."""
        one, n = self.problem, self.problem.state.shape[2]
        after = self.move(t, self.move(t, spread).mT)
        if bool((one.command_variance > 0).any()):
            power = self.command(t, self.command(t, spread).mT).diagonal(dim1=1, dim2=2)
            command = self.command(t, mean) + self.feedback[:, t, :, -1:]
            noise = one.command_variance * (power + command.squeeze(-1).square())
            b = one.command[:, t]
            after[:, :n, :n] += (b * noise[:, None]) @ b.mT
        after[:, :n, :n] += torch.diag_embed(one.plant_variance)
        return after
