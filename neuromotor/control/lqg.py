"""Finite-horizon LQG with delayed observation, hidden disturbance and signal-dependent noise.

Feedback gains for a fixed filter and filter gains for fixed feedback are computed in turn, since
under signal-dependent noise each depends on the other. Many problems are solved side by side.

Notation: x is the state, u the command, d the disturbance, tau the longest delay in steps, and o
the observation, by sensors with delays of their own; y = [x, d, 1] is what feedback needs,
z = [x[t], ..., x[t - tau], d[t]] the estimated state, and e the error of its estimate. S and E are
the costs-to-go of y and e, Sigma is the covariance of e, and Z the second moment of the estimate.
rho is the deviation of noise that is proportional to what is sensed, s::

    x' = A x + B u (1 + xi) + D d + c + zeta,   d' = phi d + w,   o = s + omega,
    s = C x[t - delay] + b for each sensor,     var omega = Omega + rho^2 diag(s^2)
    cost       [x, 1]'W [x, 1] + u'R u + 2 u'N [x, 1], summed; the expected loss is half of it
    feedback   u = L y_hat,   L = -G^-1 (B'S A + N),   P = L'G L,   M = I - K H
               G = R + B'S B + sigma^2 diag(B'(S + M'E M) B)
               S <- Q + A'S A - P,   E <- P + A'M'E M A    (backwards)
    filter     K = Sigma H'(H Sigma H' + var omega)^-1,  Sigma <- Sigma - K H Sigma,  then
               Sigma <- A Sigma A' + sigma^2 B diag(E[u u']) B' + noise of zeta and w   (forwards)

A field of uncertain strength pushes with ``sum_r epsilon_r N_r [x, 1]``, epsilon of variance 1 and
drawn anew at every step; each pattern N_r adds ``[x, 1]'N_r'(S + M'E M) N_r [x, 1]`` to the cost of
a state, and ``N_r E[[x, 1][x, 1]'] N_r'`` to the covariance of the error.

Noise that is proportional to what is sensed makes states costly that are sensed later: each sensor
adds ``rho^2 (K'E K)_ii s_i^2`` to the cost of the state that it shows.

Source: Todorov (2005), sections 4 and 5, rewritten for a command that follows the observation of
its own step, as in `closed_loop.simulate`; delay by augmentation and the disturbance as a hidden
state as in Crevecoeur & Scott (2013).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

__all__ = ["LQG", "Sensor"]


@dataclass(frozen=True)
class Sensor:
    """What is sensed of one past state: k numbers.

    Attributes:
        delay_steps: How long ago, tau at most.
        jacobian: C, (B, T, k, n), at the step at which it is sensed.
        value: b, (B, T, k): what is sensed where the state deviates by nothing.
    """

    delay_steps: int
    jacobian: Tensor
    value: Tensor


# fields that have an entry for each problem, and those that may have one
_PARTS = (
    "state",
    "command",
    "disturbance",
    "drift",
    "state_cost",
    "command_cost",
    "mixed_cost",
)
_VARIANCES = (
    "command_variance",
    "plant_variance",
    "sensory_variance",
    "signal_variance",
    "command_power",
)


@dataclass(frozen=True)
class LQG:
    """B linear problems of T steps; n state, m command, k disturbance, N = n (tau + 1) + k.

    The first state is known and zero, as are the states before it.

    Attributes:
        state: A, (B, T, n, n).
        command: B, (B, T, n, m).
        disturbance: D, (B, T, n, k).
        drift: c, (B, T, n).
        state_cost: W, (B, T + 1, n + 1, n + 1).
        command_cost: R, (B, T, m, m).
        mixed_cost: N, (B, T, m, n + 1).
        delay_steps: tau, the longest delay.
        command_variance: sigma^2, (m,); the variances may differ by problem, here (B, m).
        plant_variance: Of zeta, (n,).
        sensory_variance: Diagonal of Omega, above zero; one number for each that is sensed.
        onset_variance: Of d at the first step, then of w, (T, k).
        sensors: What is sensed; without any it is the state as it was tau steps ago.
        signal_variance: rho^2, one number for each that is sensed; None is zero. It needs
            `sensors`.
        retention: phi, what is left of d after a step, before w is added.
        command_power: Mean squares of what else is commanded, whose noise is there too and whose
            effect is not, (B, m); None is nothing.
        state_noise: N of each of r patterns of noise that depends on the state, (B, T, r, n,
            n + 1); None is none.
    """

    state: Tensor
    command: Tensor
    disturbance: Tensor
    drift: Tensor
    state_cost: Tensor
    command_cost: Tensor
    mixed_cost: Tensor
    delay_steps: int
    command_variance: Tensor
    plant_variance: Tensor
    sensory_variance: Tensor
    onset_variance: Tensor
    sensors: tuple[Sensor, ...] = ()
    signal_variance: Tensor | None = None
    retention: float = 1.0
    command_power: Tensor | None = None
    state_noise: Tensor | None = None

    @property
    def steps(self) -> int:
        """Number T of commands."""
        return self.command.shape[1]

    @property
    def estimate_size(self) -> int:
        """Numbers N in the estimated state."""
        return self.command.shape[2] * (self.delay_steps + 1) + self.disturbance.shape[3]

    @property
    def coupled(self) -> bool:
        """Whether the feedback gains depend on the filter."""
        noisy = self.signal_variance is not None and bool((self.signal_variance > 0).any())
        noisy = noisy or (self.state_noise is not None and bool((self.state_noise != 0).any()))
        return noisy or bool((self.command_variance > 0).any())

    @property
    def _parts(self) -> tuple[str, ...]:
        """Fields with an entry for each problem, those that are there."""
        return _PARTS if self.state_noise is None else (*_PARTS, "state_noise")

    @classmethod
    def joined(cls, problems: Sequence[LQG]) -> LQG:
        """Return several problems as one; they share steps, delays and the disturbance's chance."""
        first = problems[0]
        variances: dict[str, Any] = {}
        for name in _VARIANCES:
            own = [(getattr(one, name), len(one.command)) for one in problems]
            if own[0][0] is not None:
                variances[name] = torch.cat([v.expand(size, v.shape[-1]) for v, size in own])
        parts = first._parts
        together: dict[str, Any] = {
            name: torch.cat([getattr(one, name) for one in problems]) for name in parts
        }
        sensors = (
            Sensor(
                same[0].delay_steps,
                torch.cat([sensor.jacobian for sensor in same]),
                torch.cat([sensor.value for sensor in same]),
            )
            for same in zip(*(one.sensors for one in problems), strict=True)
        )
        return replace(first, **together, **variances, sensors=tuple(sensors))

    def taken(self, index: Tensor) -> LQG:
        """Return the problems of these numbers (R,), which may repeat."""
        parts: dict[str, Any] = {name: getattr(self, name)[index] for name in self._parts}
        variances = {name: getattr(self, name) for name in _VARIANCES}
        own: dict[str, Any] = {
            name: v[index] for name, v in variances.items() if v is not None and v.ndim > 1
        }
        sensors = (
            Sensor(one.delay_steps, one.jacobian[index], one.value[index]) for one in self.sensors
        )
        return replace(self, **parts, **own, sensors=tuple(sensors))

    def feedback(self, correction: Tensor | None = None) -> Tensor:
        """Return the best gains L, (B, T, m, n + k + 1), for a filter; see `valued_feedback`."""
        return self.valued_feedback(correction)[0]

    def valued_feedback(self, correction: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the best gains L, (B, T, m, n + k + 1), for a filter, and G, (B, T, m, m).

        G is the second derivative of the expected loss by the command: a command that is off
        by e raises the expected loss by ``e'G e / 2``.

        Args:
            correction: Filter gains K, (B, T, N, .); without them the estimate counts as exact.
        """
        s = self._state_cost(self.steps)
        error_cost = s.new_zeros(len(s), self.estimate_size, self.estimate_size)
        gains, curvatures = [], []
        extra: dict[int, Tensor] = {}  # costs of states for the noise with which they are sensed
        for t in reversed(range(self.steps)):
            if correction is not None and t + 1 < self.steps:
                for delay, cost in self.cost_of_noise(t + 1, error_cost, correction[:, t + 1]):
                    step = t + 1 - delay
                    if step > 0:  # the first state is known, so that it has none
                        extra[step] = extra[step] + cost if step in extra else cost
                if t + 1 in extra:  # sensed at once
                    s = s + extra.pop(t + 1)
                error_cost = self.through_correction(t + 1, error_cost, correction[:, t + 1])
            gain, g, s, before = self.back(t, s, error_cost)
            if t in extra:
                s = s + extra.pop(t)
            if correction is not None:
                error_cost = before
            gains.append(gain)
            curvatures.append(g)
        return torch.stack(gains[::-1], dim=1), torch.stack(curvatures[::-1], dim=1)

    def back(
        self, t: int, cost: Tensor, error_cost: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the best gains of one step, G, and the costs-to-go before it.

        Args:
            t: The step.
            cost: S after the step, (B, n + k + 1, n + k + 1).
            error_cost: M'E M after the step, (B, N, N).

        Returns:
            L (B, m, n + k + 1), G (B, m, m), S (B, n + k + 1, n + k + 1) and E (B, N, N).
        """
        b_t = self.command[:, t]
        n = b_t.shape[1]
        ahead = self._ahead(t)  # A of y
        noise = (b_t * ((cost[:, :n, :n] + error_cost[:, :n, :n]) @ b_t)).sum(1)  # (B, m)
        g = self.command_cost[:, t] + b_t.mT @ cost[:, :n, :n] @ b_t
        g = g + torch.diag_embed(self.command_variance * noise)
        h = b_t.mT @ cost[:, :n] @ ahead + self._with_disturbance(self.mixed_cost[:, t])
        gain = -torch.linalg.solve(g, h)
        p = gain.mT @ g @ gain
        pushed = self._cost_of_push(t, cost[:, :n, :n] + error_cost[:, :n, :n])
        cost = self._state_cost(t) + ahead.mT @ cost @ ahead - p + pushed
        error_cost = self._add_now(self._pull_back(t, error_cost), p[:, :-1, :-1])
        return gain, g, 0.5 * (cost + cost.mT), error_cost

    def filter(self, feedback: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the best filter for given feedback, and the expected losses of both together.

        Args:
            feedback: Gains L, (B, T, m, n + k + 1).

        Returns:
            Filter gains K (B, T, N, .), expected losses (B,), mean commands (B, T, m).
        """
        size, k = self.estimate_size, self.disturbance.shape[3]
        b = self.command
        spread = b.new_zeros(len(b), size, size)  # Sigma
        spread[:, size - k :, size - k :] = torch.diag(self.onset_variance[0])
        moment = b.new_zeros(len(b), size + 1, size + 1)  # Z, with the constant 1
        moment[:, -1, -1] = 1
        cost = b.new_zeros(len(b))
        corrections, means = [], []
        for t in range(self.steps):
            paid, gain, mean, spread, moment = self.forward(t, spread, moment, feedback[:, t])
            cost += paid
            corrections.append(gain)
            means.append(mean)
            if t + 1 < self.steps:
                spread[:, size - k :, size - k :] += torch.diag(self.onset_variance[t + 1])
        cost += self._expected(self.steps, spread, moment)
        return torch.stack(corrections, dim=1), 0.5 * cost, torch.stack(means, dim=1)

    def forward(
        self, t: int, spread: Tensor, moment: Tensor, feedback: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return what one step is expected to cost, its best filter, and the moments after it.

        Args:
            t: The step.
            spread: Sigma before the step's observation, (B, N, N).
            moment: Z before it, with the constant 1, (B, N + 1, N + 1).
            feedback: L, (B, m, n + k + 1).

        Returns:
            Twice the expected cost (B,), K (B, N, .), the mean command (B, m), Sigma and Z of the
            next step, without what is added to the disturbance there.

        Raises:
            ValueError: Rounding makes the covariance of an observation indefinite.
        """
        b_t = self.command[:, t]
        n = b_t.shape[1]
        cost = self._expected(t, spread, moment)
        sensory = torch.diag_embed(self.sensory(t, spread, moment))
        seen = self.look(t, spread)
        surprise = self.look(t, seen.mT).mT + sensory
        factor, info = torch.linalg.cholesky_ex(surprise)
        if bool(info.any()):
            raise ValueError(
                f"`sensory_variance` must be larger: at step {t} rounding makes the covariance "
                f"of {int((info != 0).sum())} observations indefinite."
            )
        gain = torch.cholesky_solve(seen, factor).mT
        moment = moment.clone()
        moment[:, :-1, :-1] += gain @ surprise @ gain.mT
        # Joseph's form, (I - K H) Sigma (I - K H)' + K Omega K', stays positive by itself.
        spread = spread - gain @ seen
        spread = spread + (gain @ sensory - self.look(t, spread.mT).mT) @ gain.mT
        spread = 0.5 * (spread + spread.mT)
        full = self._spaced(feedback)  # L on z and 1
        energy = full @ moment @ full.mT
        by_state = self._spaced(self._with_disturbance(self.mixed_cost[:, t])) @ moment
        cost = cost + (self.command_cost[:, t] * energy).sum((1, 2))
        cost = cost + 2 * (by_state @ full.mT).diagonal(dim1=1, dim2=2).sum(-1)
        mean = (full @ moment[:, :, -1:]).squeeze(-1)

        row, pushed = self._row(t), self._push(t, spread, moment)
        moment = self._carry(row + b_t @ full, moment)
        spread = self._carry(row, spread)
        power = energy.diagonal(dim1=1, dim2=2)
        if self.command_power is not None:
            power = power + self.command_power
        noise = self.command_variance * power
        spread[:, :n, :n] += (b_t * noise.unsqueeze(1)) @ b_t.mT
        spread[:, :n, :n] += torch.diag_embed(self.plant_variance) + pushed
        return cost, gain, mean, spread, moment

    def _cost_of_push(self, t: int, cost: Tensor) -> Tensor | float:
        """Return the cost of y for noise that depends on the state; `cost` is of the next one."""
        if self.state_noise is None:
            return 0.0
        noise = self.state_noise[:, t]  # (B, r, n, n + 1)
        return self._of_y((noise.mT @ cost[:, None] @ noise).sum(1))

    def _push(self, t: int, spread: Tensor, moment: Tensor) -> Tensor | float:
        """Return the covariance of noise that depends on the state, (B, n, n)."""
        if self.state_noise is None:
            return 0.0
        n, noise = self.state.shape[2], self.state_noise[:, t]
        now = [*range(n), moment.shape[1] - 1]
        second = moment[:, now][:, :, now].clone()
        second[:, :n, :n] += spread[:, :n, :n]
        return (noise @ second[:, None] @ noise.mT).sum(1)

    def _ahead(self, t: int) -> Tensor:
        """Matrix that moves y = [x, d, 1] one step without a command, (B, n + k + 1, n + k + 1)."""
        parts = (self.state[:, t], self.disturbance[:, t], self.drift[:, t].unsqueeze(-1))
        top = torch.cat(parts, dim=-1)
        n, size = top.shape[1:]
        stays = torch.eye(size, dtype=top.dtype, device=top.device)[n:]
        return torch.cat([top, self.left(stays).expand(len(top), -1, -1)], dim=1)

    def _row(self, t: int) -> Tensor:
        """How the next state depends on z and 1 without a command, (B, n, N + 1)."""
        parts = (self.state[:, t], self.disturbance[:, t], self.drift[:, t].unsqueeze(-1))
        return self._spaced(torch.cat(parts, dim=-1))

    def _spaced(self, gain: Tensor) -> Tensor:
        """Turn columns for y into columns for z and 1, with zeros for past states."""
        n = self.state.shape[2]
        past = gain.new_zeros(*gain.shape[:-1], n * self.delay_steps)
        return torch.cat([gain[..., :n], past, gain[..., n:]], dim=-1)

    def _carry(self, row: Tensor, moment: Tensor) -> Tensor:
        """Return the second moment of z (and 1) one step later; past states move down by one."""
        n = self.state.shape[2]
        kept, tail = n * self.delay_steps, n * (self.delay_steps + 1)
        row = row[..., : moment.shape[1]]

        def move(rows: Tensor) -> Tensor:
            return torch.cat([row @ rows, rows[:, :kept], self.left(rows[:, tail:])], dim=1)

        return move(move(moment).mT)

    def left(self, rows: Tensor) -> Tensor:
        """Return rows of [d] or [d, 1] one step later, without what is added to d there."""
        if self.retention == 1:
            return rows
        k = self.disturbance.shape[3]
        return torch.cat([self.retention * rows[..., :k, :], rows[..., k:, :]], dim=-2)

    def _pull_back(self, t: int, cost: Tensor) -> Tensor:
        """Return a cost of z one step later as a cost of z now: the transpose of `_carry`."""
        n = self.state.shape[2]
        tail = n * (self.delay_steps + 1)
        row = self._row(t)[..., :-1]

        def move(rows: Tensor) -> Tensor:
            zeros = torch.zeros_like(rows[:, :n])
            kept = torch.cat([rows[:, n:tail], zeros, self.left(rows[:, tail:])], 1)
            return row.mT @ rows[:, :n] + kept

        return move(move(cost).mT)

    def through_correction(self, t: int, cost: Tensor, gain: Tensor) -> Tensor:
        """Return ``M'E M`` with M = I - K H."""
        for _ in range(2):
            pulled = gain.mT @ cost
            cost = cost.clone()
            for past, rows, sensor in self._placed():
                part = pulled[:, rows]
                cost[:, past] -= part if sensor is None else sensor.jacobian[:, t].mT @ part
            cost = cost.mT
        return cost

    def _placed(self) -> Iterator[tuple[slice, slice, Sensor | None]]:
        """Yield where each sensor looks in z, and where what it gives lies in the observation."""
        n = self.state.shape[2]
        if not self.sensors:
            yield slice(n * self.delay_steps, n * (self.delay_steps + 1)), slice(0, n), None
        start = 0
        for sensor in self.sensors:
            stop = start + sensor.jacobian.shape[2]
            past = slice(n * sensor.delay_steps, n * (sensor.delay_steps + 1))
            yield past, slice(start, stop), sensor
            start = stop

    def look(self, t: int, rows: Tensor) -> Tensor:
        """Return ``H rows``: what is sensed at a step of z, each column for itself."""
        parts = [
            rows[:, past] if sensor is None else sensor.jacobian[:, t] @ rows[:, past]
            for past, _, sensor in self._placed()
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def sensory(self, t: int, spread: Tensor, moment: Tensor) -> Tensor:
        """Return the variance of omega, (k,) or (B, k)."""
        if self.signal_variance is None:
            return self.sensory_variance
        second, mean = spread + moment[:, :-1, :-1], moment[:, :-1, -1:]
        squares = []
        for past, _, sensor in self._placed():
            if sensor is None:
                raise ValueError("`sensors` must say what is sensed where noise depends on that.")
            c, b = sensor.jacobian[:, t], sensor.value[:, t]
            square = ((c @ second[:, past, past]) * c).sum(-1)
            squares.append(square + 2 * b * (c @ mean[:, past]).squeeze(-1) + b.square())
        return self.sensory_variance + self.signal_variance * torch.cat(squares, dim=-1)

    def cost_of_noise(
        self, t: int, error_cost: Tensor, gain: Tensor
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield what the noise with which states are sensed at a step makes them cost.

        Args:
            t: The step.
            error_cost: E, (B, N, N).
            gain: K, (B, N, .).

        Yields:
            How many steps ago the state was, and its cost, one of y.
        """
        if self.signal_variance is None:
            return
        pull = (gain * (error_cost @ gain)).sum(1)  # diagonal of K'E K, (B, k)
        for _, rows, sensor in self._placed():
            if sensor is not None:
                weight = self.signal_variance[..., rows] * pull[:, rows]
                sensed = torch.cat([sensor.jacobian[:, t], sensor.value[:, t, :, None]], dim=-1)
                yield sensor.delay_steps, self._of_y(sensed.mT @ (weight[..., None] * sensed))

    def _add_now(self, cost: Tensor, p: Tensor) -> Tensor:
        """Add a cost of [x, d] to a cost of z."""
        n, tail = self.state.shape[2], self.state.shape[2] * (self.delay_steps + 1)
        cost = cost.clone()
        cost[:, :n, :n] += p[:, :n, :n]
        cost[:, :n, tail:] += p[:, :n, n:]
        cost[:, tail:, :n] += p[:, n:, :n]
        cost[:, tail:, tail:] += p[:, n:, n:]
        return cost

    def _state_cost(self, t: int) -> Tensor:
        """Return Q of y, (B, n + k + 1, n + k + 1)."""
        return self._of_y(self.state_cost[:, t])

    def _of_y(self, cost: Tensor) -> Tensor:
        """Turn a cost of x and 1 into one of y."""
        return self._with_disturbance(self._with_disturbance(cost).mT)

    def _with_disturbance(self, rows: Tensor) -> Tensor:
        """Turn columns for x and 1 into columns for y, with zeros for the disturbance."""
        blank = rows.new_zeros(*rows.shape[:-1], self.disturbance.shape[3])
        return torch.cat([rows[..., :-1], blank, rows[..., -1:]], dim=-1)

    def _expected(self, t: int, spread: Tensor, moment: Tensor) -> Tensor:
        """Return the expected penalty of the state at a step, (B,)."""
        n, weights = self.state.shape[2], self.state_cost[:, t]
        second = (spread + moment[:, :-1, :-1])[:, :n, :n]
        linear = 2 * (weights[:, :n, -1] * moment[:, :n, -1]).sum(-1)
        return (weights[:, :n, :n] * second).sum((1, 2)) + linear + weights[:, -1, -1]
