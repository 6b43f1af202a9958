"""Linear feedback from an estimate of state and disturbance, as in optimal feedback control.

Notation: x is the state, u the command, d the disturbance, tau the delay in steps, and o the
observation; the estimate is z = [x[t], x[t - 1], ..., x[t - tau], d[t]]. One step of a trial::

    prediction   x[t] = A x[t - 1] + B u[t - 1] + D d[t - 1] + c  (or the plant's own step)
                 d[t] = phi d[t - 1], where phi = 1 is a disturbance that stays
    correction   z[t] += K (o[t] - x[t - tau])  (or what the senses give of the past states)
    command      u[t] = k + L [x[t], d[t]]

with the tables of that trial and step. Before the first step, the state is the first state, as in
the closed loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_integer, check_positive
from neuromotor.controllers.controller import ZeroStart, check_parameters
from neuromotor.plants import PLANTS, Plant, step_in_field
from neuromotor.tasks.senses import SENSES, Senses, SensesInUse

__all__ = ["FeedbackWeights", "LinearFeedback"]


@dataclass(frozen=True)
class FeedbackWeights:
    """Tables of a `LinearFeedback`, views of its flat parameter vector; N = n (tau + 1) + d."""

    start: Tensor  # first state, (B, n)
    offset: Tensor  # k, (B, T, m)
    feedback: Tensor  # L, (B, T, m, n + d)
    correction: Tensor  # K, (B, T, N, n), or with as many columns as there are numbers sensed
    state: Tensor  # A, (B, T, n, n)
    command: Tensor  # B, (B, T, n, m)
    disturbance: Tensor  # D, (B, T, n, d)
    drift: Tensor  # c, (B, T, n)
    field: Tensor | None = None  # the force field it believes in, (B, d, 1 + 2 d)

    def flatten(self) -> Tensor:
        """Return all tables as one vector, (P,)."""
        return torch.cat([table.flatten() for table in self.tables().values()])

    def tables(self) -> dict[str, Tensor]:
        """Return the tables that are there, by name."""
        parts = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: part for name, part in parts.items() if part is not None}

    def of_trials(self, which: Tensor) -> FeedbackWeights:
        """Return the tables of some trials, one number an entry; a trial may be there again."""
        return FeedbackWeights(**{name: part[which] for name, part in self.tables().items()})


@dataclass(frozen=True)
class LinearFeedback(ZeroStart):
    """Time-varying linear feedback on a recursive estimate, with tables for each trial.

    The tables are its parameters; `ILQG` designs them. Its memory is the estimate z after the
    step's observation, and the command.

    Attributes:
        trials: Number B of trials, in the order of the batch.
        steps: Number T of steps.
        delay_steps: Steps tau by which the observation lags.
        state_size: Numbers n in a state.
        command_size: Numbers m in a command.
        load: Whether a load is part of the estimate.
        hand_force: Whether a force on the hand is part of the estimate, after the load.
        dt_s: Step length (s); must be the plant's.
        load_size: Numbers in a load; None is as many as in a command.
        hand_size: Numbers in a force on the hand.
        plant: Plant whose own step predicts, as in an extended Kalman filter; if None, A, B, D and
            c predict.
        senses: What is observed, with delays of at most `delay_steps`; None is the state as it was
            `delay_steps` ago. They need `plant`, whose signals they are.
        retention: What is left of the estimated disturbance after a step without news.
        knows_field: Whether it has a table of the force field that it believes in, and in which
            `plant` predicts.

    Raises:
        ValueError: A count is out of range, `dt_s` is not positive, `retention` is not between 0
            and 1, sizes or `dt_s` are not those of `plant`, or `senses` do not fit.

    Example:
        >>> LinearFeedback(trials=8, steps=60, delay_steps=7, load=True).estimate_size
        34
    """

    trials: int
    steps: int
    delay_steps: int = 0
    state_size: int = 4
    command_size: int = 2
    load: bool = False
    hand_force: bool = False
    dt_s: float = 0.01
    load_size: int | None = None
    hand_size: int = 2
    plant: Plant | None = field(default=None, metadata={"registry": PLANTS})
    senses: Senses | None = field(default=None, metadata={"registry": SENSES, "left_out": True})
    retention: float = 1.0
    knows_field: bool = False

    def __post_init__(self) -> None:
        check_fraction("retention", self.retention)
        for name in ("trials", "steps", "state_size", "command_size"):
            check_integer(name, getattr(self, name), minimum=1)
        check_integer("delay_steps", self.delay_steps, minimum=0)
        check_integer("hand_size", self.hand_size, minimum=1)
        if self.load_size is not None:
            check_integer("load_size", self.load_size, minimum=1)
        check_positive("dt_s", self.dt_s, "seconds")
        for name in ("state_size", "command_size", "dt_s") if self.plant is not None else ():
            own, needed = getattr(self, name), getattr(self.plant, name)
            if own != needed:
                raise ValueError(f"`{name}` must be that of `plant`, {needed}, got {own}.")
        if self.senses is not None and self.plant is None:
            raise ValueError("`plant` must be given with `senses`, whose signals are the plant's.")
        if self._channels is not None and self._channels.delay > self.delay_steps:
            raise ValueError(
                f"`delay_steps` must be the longest delay of `senses`, {self._channels.delay}, got "
                f"{self.delay_steps}."
            )

    @cached_property
    def _channels(self) -> SensesInUse | None:
        """The senses on the plant."""
        if self.senses is None or self.plant is None:
            return None
        return SensesInUse.on(self.plant, self.senses, self.delay_steps)

    @property
    def disturbance_size(self) -> int:
        """Numbers d in the estimated disturbance."""
        return self.load * self._loads + self.hand_size * self.hand_force

    @property
    def _loads(self) -> int:
        """Numbers in a load."""
        return self.command_size if self.load_size is None else self.load_size

    @property
    def estimate_size(self) -> int:
        """Numbers N = n (tau + 1) + d in the estimate."""
        return self.state_size * (self.delay_steps + 1) + self.disturbance_size

    @property
    def parameter_count(self) -> int:
        """Numbers in all tables."""
        return sum(shape.numel() for shape in self._shapes())

    def unpack(self, parameters: Tensor) -> FeedbackWeights:
        """Return the tables as views of the flat vector.

        Raises:
            ValueError: `parameters` is not of shape (P,).
        """
        check_parameters(parameters, self.parameter_count)
        shapes = self._shapes()
        parts = torch.split(parameters, [shape.numel() for shape in shapes])
        return FeedbackWeights(
            *(part.view(shape) for part, shape in zip(parts, shapes, strict=True))
        )

    def initial_memory(self, weights: FeedbackWeights, batch: int) -> tuple[Tensor, ...]:
        """Return the estimate before the first observation, (B, N), and no command, (B, m).

        Raises:
            ValueError: `batch` is not the number of trials of the tables.
        """
        if batch != self.trials:
            raise ValueError(
                f"linear feedback for {self.trials} trials cannot run {batch}; use the trials that "
                "it was designed for, or design it anew."
            )
        calm = weights.start.new_zeros(batch, self.disturbance_size)
        estimate = torch.cat([weights.start.repeat(1, self.delay_steps + 1), calm], dim=-1)
        return estimate, weights.start.new_zeros(batch, self.command_size)

    def step(
        self,
        weights: FeedbackWeights,
        memory: tuple[Tensor, ...],
        observation: Tensor,
        target: Tensor,
        t: int,
        noise: Tensor | None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the estimate and command as memory, and the command (B, m)."""
        del target, noise
        if t >= self.steps:
            raise ValueError(f"linear feedback of {self.steps} steps has no step {t}; design more.")
        known, given = weights.correction.shape[-1], observation.shape[-1]
        if given != known:
            raise ValueError(
                f"linear feedback for {known} observed numbers cannot take {given}; design it for "
                "the task's senses, as `ILQG` does."
            )
        estimate, command = memory
        if t > 0:
            estimate = self._predict(weights, estimate, command, t - 1)
        n, seen = self.state_size, self.state_size * self.delay_steps
        if self._channels is None:
            surprise = observation - estimate[:, seen : seen + n]
        else:
            past = estimate
            surprise = observation - self._channels.sensed(
                lambda ago: past[:, n * ago : n * (ago + 1)], lambda name: None
            )
        estimate = estimate + _apply(weights.correction[:, t], surprise)
        now = torch.cat([estimate[:, :n], estimate[:, seen + n :]], dim=-1)
        command = weights.offset[:, t] + _apply(weights.feedback[:, t], now)
        return (estimate, command), command

    def advice(self, weights: FeedbackWeights, observations: Tensor, commands: Tensor) -> Tensor:
        """Return the commands that it would give while others are given, (B, T, m).

        Its estimate knows what is observed and which commands were given instead of its own.

        Args:
            weights: Its tables.
            observations: What is sensed in the trials of the tables, (B, T, f).
            commands: What was commanded, (B, T, m).
        """
        memory, advised = self.initial_memory(weights, len(observations)), []
        for t, observation in enumerate(observations.unbind(1)):
            (estimate, _), own = self.step(weights, memory, observation, observation, t, None)
            memory = estimate, commands[:, t]
            advised.append(own)
        return torch.stack(advised, dim=1)

    def rates(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the estimate and the command as they are: feedback is linear in them."""
        return memory

    def _predict(
        self, weights: FeedbackWeights, estimate: Tensor, command: Tensor, t: int
    ) -> Tensor:
        """Return the estimate one step later, before its observation."""
        n, kept = self.state_size, self.state_size * self.delay_steps
        state, disturbance = estimate[:, :n], estimate[:, kept + n :]
        if self.plant is None:
            after = weights.drift[:, t] + _apply(weights.state[:, t], state)
            after = after + _apply(weights.command[:, t], command)
            after = after + _apply(weights.disturbance[:, t], disturbance)
        else:
            load = disturbance[:, : self._loads] if self.load else None
            force = disturbance[:, -self.hand_size :] if self.hand_force else None
            if weights.field is None:
                after = self.plant.step(state, command, load, force)
            else:
                after = step_in_field(self.plant, state, command, weights.field, load, force)
        return torch.cat([after, estimate[:, :kept], self.retention * disturbance], dim=-1)

    def _shapes(self) -> list[torch.Size]:
        """Return the shapes of the tables, in the order of `FeedbackWeights`."""
        n, m, d = self.state_size, self.command_size, self.disturbance_size
        seen = n if self._channels is None else len(self._channels.labels)
        table = (self.trials, self.steps)
        return [
            torch.Size(shape)
            for shape in (
                (self.trials, n),
                (*table, m),
                (*table, m, n + d),
                (*table, self.estimate_size, seen),
                (*table, n, n),
                (*table, n, m),
                (*table, n, d),
                (*table, n),
                *self._field_shapes(),
            )
        ]

    def _field_shapes(self) -> list[tuple[int, ...]]:
        """The shape of the table of fields, if there is one."""
        d = self.hand_size
        return [(self.trials, d, 1 + 2 * d)] if self.knows_field else []


def _apply(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Multiply matrices (B, i, j) by vectors (B, j)."""
    return (matrices @ vectors.unsqueeze(-1)).squeeze(-1)
