"""Reaches with a cursor as experiments on people have them, for one controller of them all.

One set of costs, noise and delays holds for every condition: reaches over any distance in a given
time or in one's own, round targets and bars, targets that jump, cursors that are displaced, pushes
and loads. A controller sees cursor and target on a screen, feels its joints, and is told how much
time there is and what shape the target has. `CursorReach.trials` draws a mixture of all these for
training; `reaches` makes the trials of an experiment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_fraction, check_integer, check_number, check_positive
from neuromotor._showing import TableInNotebooks
from neuromotor.plants.cursor_arm import CursorArm
from neuromotor.tasks.chance import check_chance, check_delay, default_generator, with_chance
from neuromotor.tasks.cost import check_weights
from neuromotor.tasks.cursor_cost import CursorCost
from neuromotor.tasks.penalties import PENALTIES_FIELD, Penalties, check_penalties
from neuromotor.tasks.senses import SENSES, Senses, SensesInUse, check_senses
from neuromotor.tasks.trials import Trials

__all__ = ["CursorReach"]

_CUES = 4  # whether time is free, the time left (s), and the two factors of the target's shape


@dataclass(frozen=True)
class CursorReach(TableInNotebooks):
    """Reaches of a cursor to a target, in a given time or in one's own.

    Where the time is given, errors count from `arrival_s` to the end; where it is free they count
    all along, `free_share` as much. The loss is that of `CursorCost`, integrated over time. Beside
    what `senses` give, a controller is told four cues: whether time is free (1 or 0), the time left
    until arrival (s), and the factors on the distance along x and y (1 of a round target).

    Attributes:
        plant: The arm behind the cursor.
        steps: Number of steps.
        delay_steps: Delay of those channels that have none of their own.
        error_weight: Weight (1/s) of the time integral of half the squared distance (m) between
            cursor and target.
        velocity_weight: The same of the hand's velocity (m/s).
        torque_weight: The same of the torques (N m).
        torque_rate_weight: The same of their rates (N m/s), at every step.
        force_rate_weight: The same of the rates of these (N m/s^2), at every step: what Wong, Cluff
            & Kuo (2021) call force rate.
        work_weight: Weight (1/J) of the mechanical work that the joints do and absorb, at every
            step.
        energy_weight: The same of the squared command (1/s), at every step.
        free_share: Share of the weights that counts at every step where time is free.
        noise: Standard deviation of the signal-dependent noise, as a fraction of the command.
        senses: Channels that the controller senses.
        believed_load_nm: Standard deviation (N m) of a load that an optimal controller expects.
        believed_jump_m: Standard deviation (m) of the target's and of the cursor's displacement in
            a step that it expects.
        pairs: Trials in a batch that `trials` draws.
        distance_m: Shortest and longest distance (m) of the targets that it draws.
        arrival_s: Shortest and longest time (s) that it gives.
        free: Share of its trials whose time is free.
        bars: Share of its trials whose target is a bar along x or y, up to ten times as long as
            wide: the factor along it is drawn log-uniformly from .01 to 1.
        jumps: Share of its trials in which the target jumps, and share of those in which the cursor
            does, by a normal draw of `jump_m` in each direction.
        jump_m: See there (m).
        pushes: Share of its trials with a constant load from a random step on, a normal draw of
            `push_nm` at each joint; in half of them it ends after 100 ms.
        push_nm: See there (N m).
        penalties: What a training pays for beside the movement (`tasks.penalties`).

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> task = CursorReach(pairs=4)
        >>> task.trials().cue.shape
        torch.Size([4, 100, 4])
    """

    plant: CursorArm = field(
        default_factory=CursorArm, metadata={"registry": {"human-cursor": CursorArm()}}
    )
    steps: int = 100
    delay_steps: int = 5
    error_weight: float = 1000.0
    velocity_weight: float = 20.0
    torque_weight: float = 0.01
    torque_rate_weight: float = 0.0
    force_rate_weight: float = 0.0
    work_weight: float = 0.0
    energy_weight: float = 1e-3
    free_share: float = 0.1
    noise: float = 0.15
    senses: Senses | None = field(
        default_factory=lambda: SENSES["eyes-and-joints"],
        metadata={"registry": SENSES, "left_out": True},
    )
    believed_load_nm: float = 0.3
    believed_jump_m: float = 0.002
    pairs: int = 200
    distance_m: tuple[float, float] = (0.0, 0.2)
    arrival_s: tuple[float, float] = (0.35, 0.7)
    free: float = 0.3
    bars: float = 0.2
    jumps: float = 0.25
    jump_m: float = 0.02
    pushes: float = 0.25
    push_nm: float = 0.5
    penalties: Penalties | None = field(default=None, metadata=PENALTIES_FIELD)

    def __post_init__(self) -> None:
        if not isinstance(self.plant, CursorArm):
            raise TypeError(
                f"`plant` must be a CursorArm, which has a cursor, got a "
                f"{type(self.plant).__name__}; use `--plant human-cursor`."
            )
        check_integer("steps", self.steps, minimum=2)
        check_integer("pairs", self.pairs, minimum=1)
        check_delay(self.delay_steps, self.steps, self.plant.dt_s)
        check_chance(self.noise, 0.0, 1, self.plant.state_size)
        for name in (
            *("torque_weight", "torque_rate_weight", "force_rate_weight", "work_weight"),
            *("believed_load_nm", "believed_jump_m"),
        ):
            check_number(name, getattr(self, name), minimum=0.0)
        for name in ("free_share", "free", "bars", "jumps", "pushes"):
            check_fraction(name, getattr(self, name))
        for name, unit in (("distance_m", "metres"), ("arrival_s", "seconds")):
            low, high = getattr(self, name)
            check_number(name, low, unit, minimum=0.0)
            check_number(name, high, unit, minimum=low)
        check_positive("jump_m", self.jump_m, "metres")
        check_positive("push_nm", self.push_nm, "N m")
        check_senses(self)
        check_penalties(self)
        check_weights(self)

    @property
    def cost(self) -> CursorCost:
        """The cost of `CursorCost`; trials say when what counts (`Trials.counted`)."""
        weights = torch.zeros(self.steps + 1, self.plant.state_size, dtype=torch.float64)
        dt_s = self.plant.dt_s
        for part, weight in (
            ("target", self.error_weight),
            ("velocity", self.velocity_weight),
            ("torque", self.torque_weight),
            ("drive", self.torque_rate_weight),
            ("position", self.work_weight),
        ):
            weights[:, self.plant.state_parts[part]] = dt_s * weight
        return CursorCost(
            weights, dt_s * self.energy_weight, self.plant, dt_s * self.force_rate_weight
        )

    @property
    def random(self) -> bool:
        """True: trials are drawn."""
        return True

    @property
    def home(self) -> Tensor:
        """Where the hand is at home (m), (2,), in float64."""
        return self.plant.hand_position(torch.tensor(self.plant.home, dtype=torch.float64))

    # ---- trials that are asked for ----

    def reaches(
        self,
        target: Tensor,
        *,
        start: Tensor | None = None,
        arrival_s: float | Tensor | None = None,
        shape: Tensor | None = None,
    ) -> Trials:
        """Return reaches without noise, one a target, in float64.

        Args:
            target: Where the cursor is to go (m), (B, 2).
            start: Where the hand begins (m), (2,) or (B, 2); None is home.
            arrival_s: Time (s) until the cursor is to be there, one or (B,); None is free time.
            shape: Factors on the squared distance along x and y, (2,) or (B, 2): 1 and 1 of a round
                target, 0 along a line.

        Raises:
            UnreachableError: Start or target is out of the arm's reach.
            ValueError: There is no time after the arrival.
        """
        target = target.double()
        count = len(target)
        start = self.home if start is None else start.double()
        at_start = self.plant.rest_state(self.plant.configuration_at(start)).expand(count, -1)
        end = self.plant.rest_state(self.plant.configuration_at(target))
        factors = torch.ones(count, 2, dtype=torch.float64)
        if shape is not None:
            factors = factors * shape.double()
        return Trials(
            initial_state=self.plant.aiming(at_start, target),
            target=self.plant.aiming(end, target),
            counted=self._counted(arrival_s, factors),
            cue=self._cues(arrival_s, factors),
            condition=torch.arange(count),
        )

    def with_noise(self, trials: Trials, generator: torch.Generator, repeats: int = 1) -> Trials:
        """Return trials with noise on commands and senses, `repeats` of each in a row."""
        return with_chance(
            trials,
            self.steps,
            self.plant.command_size,
            generator,
            noise=self.noise,
            senses=SensesInUse.of(self),
            repeats=repeats,
        )

    def in_own_time(self, trials: Trials) -> Trials:
        """Return trials of this task with the same targets, each in one's own time."""
        if trials.cue is None:
            raise ValueError("`trials` must have the cues of `CursorReach.reaches`, got none.")
        shape = trials.cue[:, 0, 2:]
        cue, counted = self._cues(None, shape), self._counted(None, shape)
        return replace(trials, cue=cue.to(shape), counted=counted.to(shape))

    def with_jump(self, trials: Trials, part: str, step: int | Tensor, shift: Tensor) -> Trials:
        """Return trials in which target or cursor is displaced after a step.

        Args:
            trials: B of them.
            part: `target` or `displacement` (of the cursor).
            step: After which one it is displaced, one or (B,).
            shift: How far (m), (2,) or (B, 2).
        """
        if part not in ("target", "displacement"):
            raise ValueError(f"`part` must be target or displacement, got {part!r}.")
        count, size = trials.initial_state.shape
        moved = trials.initial_state.new_zeros(count, self.steps, size)
        if trials.plant_noise is not None:
            moved = trials.plant_noise.clone()
        rows, steps = torch.arange(count), torch.as_tensor(step).expand(count)
        moved[rows, steps, self.plant.state_parts[part]] += shift.to(moved)
        return replace(trials, plant_noise=moved)

    def _arrival_step(self, arrival_s: float | Tensor) -> Tensor:
        """First step whose error counts, () or (B,)."""
        step = (torch.as_tensor(arrival_s, dtype=torch.float64) / self.plant.dt_s).round()
        if bool((step > self.steps).any()):
            raise ValueError(
                f"`arrival_s` must lie within the trial of {self.steps * self.plant.dt_s:g} s, got "
                f"{float(step.max()) * self.plant.dt_s:g}."
            )
        return step

    def _counted(self, arrival_s: float | Tensor | None, factors: Tensor) -> Tensor:
        """Factors on the weights, (B, T + 1, 12)."""
        parts, time = self.plant.state_parts, torch.arange(self.steps + 1)
        counted = torch.zeros(len(factors), self.steps + 1, self.plant.state_size).double()
        if arrival_s is None:
            late = counted.new_full((len(factors), self.steps + 1), self.free_share)
        else:
            late = (time >= self._arrival_step(arrival_s).reshape(-1, 1)).double()
            late = late.expand(len(factors), -1)
        counted[..., parts["velocity"]] = counted[..., parts["torque"]] = late[..., None]
        counted[..., parts["target"]] = late[..., None] * factors[:, None]
        counted[..., parts["drive"]] = counted[..., parts["position"]] = 1.0
        return counted

    def _cues(self, arrival_s: float | Tensor | None, factors: Tensor) -> Tensor:
        """What is told beside the senses, (B, T, 4)."""
        cue = torch.zeros(len(factors), self.steps, _CUES, dtype=torch.float64)
        cue[..., 2:] = factors[:, None]
        if arrival_s is None:
            cue[..., 0] = 1.0
        else:
            left = self._arrival_step(arrival_s).reshape(-1, 1) - torch.arange(self.steps)
            cue[..., 1] = self.plant.dt_s * left.clamp(min=0)
        return cue

    # ---- trials that are drawn ----

    def trials(
        self,
        generator: torch.Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Trials:
        """Return a mixture of all conditions, with noise.

        Args:
            generator: Source of all draws, on the CPU; None is a new one of seed 0.
            dtype: Dtype of all parts; draws are made in float64.
            device: Device of all parts.
        """
        generator = generator or default_generator()
        count = self.pairs

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, dtype=torch.float64)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        low, high = self.distance_m
        length, angle = low + (high - low) * uniform(count), 2 * math.pi * uniform(count)
        away = length[:, None] * torch.stack([angle.cos(), angle.sin()], dim=-1)
        low, high = self.arrival_s
        arrival = (low + (high - low) * uniform(count)).clamp(max=self.steps * self.plant.dt_s)
        # bars of 1 cm and up to 10 cm, along x or y, as round targets of 1 cm that are drawn long
        loose = 10.0 ** (-2 * uniform(count)[:, None])
        along = torch.eye(2).double()[(uniform(count) < 0.5).long()]
        bar = along + (1 - along) * loose
        shape = torch.where((uniform(count) < self.bars)[:, None], bar, torch.ones_like(bar))
        # home lies in the middle half of the way, so that both ends are within the arm's reach
        middle = self.home - away * (0.25 + 0.5 * uniform(count)[:, None])
        own = uniform(count) < self.free
        timed = self.reaches(middle + away, start=middle, arrival_s=arrival, shape=shape)
        free = self.reaches(middle + away, start=middle, shape=shape)
        trials = _chosen(own, free, timed)
        for part in ("target", "displacement"):
            happens = (uniform(count) < self.jumps).double()
            step = (uniform(count) * (self.steps - 1)).long()
            shift = self.jump_m * normal(count, 2) * happens[:, None]
            trials = self.with_jump(trials, part, step, shift)
        loaded = (uniform(count) < self.pushes).double()
        begins = (uniform(count) * self.steps).long()
        ends = torch.where(uniform(count) < 0.5, begins + round(0.1 / self.plant.dt_s), self.steps)
        time = torch.arange(self.steps)
        on = (time >= begins[:, None]) & (time < ends[:, None])
        size = self.push_nm * normal(count, 2) * loaded[:, None]
        trials = replace(trials, load=on[..., None] * size[:, None])
        return self.with_noise(trials, generator).to(dtype=dtype, device=device)


def _chosen(first: Tensor, one: Trials, other: Trials) -> Trials:
    """Return trials that are of one batch where `first` (B,) holds, and of the other elsewhere."""
    parts: dict[str, Any] = {}
    for name in ("counted", "cue"):
        a, b = getattr(one, name), getattr(other, name)
        parts[name] = torch.where(first.reshape(-1, 1, 1), a, b)
    return replace(other, **parts)
