"""Reaches with a cursor as experiments on people have them, for one controller of them all.

One set of costs, noise and delays holds for every condition: reaches over any distance in a given
time or in one's own, with a stop or without, round targets and bars, paths through points that are
passed at given times, targets that jump, cursors that are displaced, pushes, loads and force
fields. A controller sees cursor and target on a screen, feels its joints, and is told how much time
there is, what shape the target has, where it is to go next, and what it knows of a force field.
`CursorReach.trials` draws a mixture of all these for training; `reaches` and `through` make the
trials of an experiment.
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
from neuromotor.tasks.clock import bell_curves
from neuromotor.tasks.cost import check_weights
from neuromotor.tasks.cursor_cost import CursorCost
from neuromotor.tasks.fields import CurlField, DivergentField
from neuromotor.tasks.penalties import PENALTIES_FIELD, Penalties, check_penalties
from neuromotor.tasks.senses import SENSES, Senses, SensesInUse, check_senses
from neuromotor.tasks.trials import Trials

__all__ = ["CursorReach"]

# Where the cues lie: whether time is free, the time left (s), the factors of the target's shape,
# whether the hand is to stop there, where it goes after (from home, times `_AFTER_SCALE`), what it
# knows of a force field, and bell curves of the time left. Scales make them of order one (ours).
_CUES = 16
_FREE, _LEFT, _SHAPE, _STOP = 0, 1, slice(2, 4), 4
_AFTER, _FIELD, _BELLS = slice(5, 7), slice(7, 10), slice(10, 16)
_AFTER_SCALE = 5.0  # 1/m
_FIELD_SCALES = (0.1, 0.1, 0.01)  # m/(N s), m/(N s), m/N
_LONGEST_S = 1.0  # centre of the last bell curve

VIA_S = 0.1  # the time for which an error at a point on the way counts; our choice
_AFTER_ARRIVAL_S = 0.1  # until then the target of a mixture may jump, and a field is on; ours


@dataclass(frozen=True)
class CursorReach(TableInNotebooks):
    """Reaches of a cursor to a target, in a given time or in one's own.

    Where the time is given, errors count from `arrival_s` to the end; where it is free they count
    all along, `free_share` as much. The loss is that of `CursorCost`, integrated over time. Beside
    what `senses` give, a controller is told 16 cues, in this order:

    ======  ====================================================================================
    cues    meaning
    ======  ====================================================================================
    1       whether time is free (1 or 0)
    1       the time left until arrival (s); 0 where it is free
    2       the factors on the distance along x and y (1 of a round target)
    1       whether the hand is to stop at the target (1), or to pass it (0)
    2       where the cursor is to go after (five times its place from home, m), x and y; it is
            the target itself where it ends there
    3       the force field that it knows (`knowing`): mean of a curl field's strength (10 N s/m),
            its standard deviation (10 N s/m), and stiffness of a divergent field (100 N/m)
    6       bell curves of the time left (`tasks.clock`) up to 1 s; zeros where it is free
    ======  ====================================================================================

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
        passes: Share of its trials, of those in a given time, in which the hand need not stop.
        jumps: Share of its trials in which the target jumps, and share of those in which the cursor
            does, by a normal draw of `jump_m` in each direction; where a time is given, no later
            than 100 ms after it.
        jump_m: See there (m).
        pushes: Share of its trials with a constant load from a random step on, a normal draw of
            `push_nm` at each joint; in half of them it ends after 100 ms.
        push_nm: See there (N m).
        fields: Share of its trials in a force field that the controller knows, until 100 ms after
            the arrival: in a quarter of them a divergent one, where nothing jumps or pushes, else a
            curl field whose mean is zero in a third and whose strength is exactly its mean in a
            third.
        curl_ns_m: Largest mean of a curl field's strength (N s/m), to either side.
        curl_spread_ns_m: Largest standard deviation of its strength from trial to trial (N s/m).
        divergent_n_m: Largest stiffness of a divergent field (N/m).
        paths: Share of its trials in which an ellipse is traced by the ends of its axes, in
            `path_lap_s`; targets do not jump in these.
        path_half_axis_m: Shortest and longest half axis of an ellipse (m).
        path_lap_s: Shortest and longest time of a lap (s).
        penalties: What a training pays for beside the movement (`tasks.penalties`).

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> task = CursorReach(pairs=4)
        >>> task.trials().cue.shape
        torch.Size([4, 100, 16])
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
    passes: float = 0.25
    jumps: float = 0.5
    jump_m: float = 0.03
    pushes: float = 0.25
    push_nm: float = 0.5
    fields: float = 0.2
    curl_ns_m: float = 20.0
    curl_spread_ns_m: float = 5.0
    divergent_n_m: float = 120.0
    paths: float = 0.1
    path_half_axis_m: tuple[float, float] = (0.02, 0.09)
    path_lap_s: tuple[float, float] = (0.8, 1.2)
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
        for name in ("free_share", "free", "bars", "passes", "jumps", "pushes", "fields", "paths"):
            check_fraction(name, getattr(self, name))
        for name in ("curl_ns_m", "curl_spread_ns_m", "divergent_n_m"):
            check_number(name, getattr(self, name), minimum=0.0)
        for name, unit in (
            *(("distance_m", "metres"), ("arrival_s", "seconds")),
            *(("path_half_axis_m", "metres"), ("path_lap_s", "seconds")),
        ):
            low, high = getattr(self, name)
            check_number(name, low, unit, minimum=0.0)
            check_number(name, high, unit, minimum=low)
        for name in ("path_half_axis_m", "path_lap_s"):
            check_positive(name, getattr(self, name)[0])
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
    def cue_ranges(self) -> dict[str, tuple[float, float]]:
        """Names and ranges of the 16 cues in the trials that are drawn, in order."""
        reach = 2 * _AFTER_SCALE * self.plant.hand_limits[0]
        curl, spread, stiff = (
            scale * most
            for scale, most in zip(
                _FIELD_SCALES,
                (self.curl_ns_m, self.curl_spread_ns_m, self.divergent_n_m),
                strict=True,
            )
        )
        bells = {f"time left, bell curve {i} (1)": (0.0, 1.0) for i in range(_CUES - _BELLS.start)}
        return {
            "time is free (0 or 1)": (0.0, 1.0),
            "time left (s)": (0.0, self.steps * self.plant.dt_s),
            "shape x (1)": (0.0, 1.0),
            "shape y (1)": (0.0, 1.0),
            "stop (0 or 1)": (0.0, 1.0),
            "5 x x after, from home (m)": (-reach, reach),
            "5 x y after, from home (m)": (-reach, reach),
            "curl field (10 N s/m)": (-curl, curl),
            "its deviation (10 N s/m)": (0.0, spread),
            "divergent field (100 N/m)": (0.0, stiff),
            **bells,
        }

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
        stop: bool | Tensor = True,
    ) -> Trials:
        """Return reaches without noise, one a target, in float64.

        Args:
            target: Where the cursor is to go (m), (B, 2).
            start: Where the hand begins (m), (2,) or (B, 2); None is home.
            arrival_s: Time (s) until the cursor is to be there, one or (B,); None is free time.
            shape: Factors on the squared distance along x and y, (2,) or (B, 2): 1 and 1 of a round
                target, 0 along a line.
            stop: Whether the hand is to stop at the target, one or (B,). Where it need not, the
                error counts as much, but at the arrival alone, and speed and torques do not.

        Raises:
            UnreachableError: Start or target is out of the arm's reach.
            ValueError: There is no time after the arrival, or time is free without a stop.
        """
        target = target.double()
        count = len(target)
        start = self.home if start is None else start.double()
        at_start = self.plant.rest_state(self.plant.configuration_at(start)).expand(count, -1)
        end = self.plant.rest_state(self.plant.configuration_at(target))
        factors = torch.ones(count, 2, dtype=torch.float64)
        if shape is not None:
            factors = factors * shape.double()
        stops = torch.as_tensor(stop).expand(count)
        if arrival_s is None and not bool(stops.all()):
            raise ValueError("`stop` must be True where time is free, as without `arrival_s`.")
        return Trials(
            initial_state=self.plant.aiming(at_start, target),
            target=self.plant.aiming(end, target),
            counted=self._counted(arrival_s, factors, stops),
            cue=self._cues(arrival_s, factors, stops, target[:, None]),
            condition=torch.arange(count),
        )

    def through(self, points: Tensor, step: Tensor) -> Trials:
        """Return paths that begin at rest and pass points at given times, without noise.

        The target that is shown, and seen, is the point to be passed next; the one after it is told
        by a cue. The error at each point counts as much as that of a stop does in 100 ms, and
        nothing else of the path does. A point that is passed after the end counts nowhere.

        Args:
            points: Where the hand begins, and K points on the way (m), (B, K + 1, 2).
            step: Steps at which the K points are passed, growing, (B, K).

        Raises:
            UnreachableError: A point is out of the arm's reach.
            ValueError: Steps do not grow from 1 on, or do not fit the points.
        """
        points, (count, many) = points.double(), step.shape
        if points.shape != (count, many + 1, 2) or bool(
            (step.diff(prepend=step[:, :1] * 0) < 1).any()
        ):
            raise ValueError(
                "`step` must hold growing steps from 1 on, one for each of `points` after the "
                f"first, got shapes {tuple(step.shape)} and {tuple(points.shape)}."
            )
        rests = self.plant.rest_state(self.plant.configuration_at(points))  # (B, K + 1, n)
        time, rows = torch.arange(self.steps + 1), torch.arange(count)[:, None]
        # number of the point that is next before each step, and after the last
        own = (time[None, :, None] > step[:, None]).sum(-1)  # (B, T + 1)
        behind = own >= many
        goal, after = own.clamp(max=many - 1), (own + 1).clamp(max=many - 1)
        target = points[rows, 1 + goal]
        shown = self.plant.aiming(rests[rows, 1 + goal], target)
        parts, dt_s = self.plant.state_parts, self.plant.dt_s
        moved = torch.zeros(count, self.steps, self.plant.state_size, dtype=torch.float64)
        moved[..., parts["target"]] = target.diff(dim=1)
        factors = torch.ones(count, 2, dtype=torch.float64)
        counted = self._counted(None, factors, torch.ones(count, dtype=torch.bool))
        for part in ("velocity", "torque", "target"):
            counted[..., parts[part]] = 0.0
        passed = (time[None, :, None] == step[:, None]).any(-1)
        counted[..., parts["target"]] = (VIA_S / dt_s * passed.double())[..., None]
        left = dt_s * (step[rows, goal] - time).clamp(min=0)[:, :-1]
        left = torch.where(behind[:, :-1], 0.0, left)
        cue = self._cues(
            left, factors, torch.zeros(count, dtype=torch.bool), points[rows, 1 + after][:, :-1]
        )
        return Trials(
            initial_state=self.plant.aiming(rests[:, 0], target[:, 0]),
            target=shown[:, -1],
            shown_target=shown[:, :-1],
            counted=counted,
            cue=cue,
            plant_noise=moved,
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
        shape = trials.cue[:, 0, _SHAPE]
        stops = torch.ones(len(trials), dtype=torch.bool)
        own = self._cues(None, shape, stops, self.home).to(shape)
        own[..., _AFTER], own[..., _FIELD] = trials.cue[..., _AFTER], trials.cue[..., _FIELD]
        counted = self._counted(None, shape, stops).to(shape)
        return replace(trials, cue=own, counted=counted)

    def knowing(
        self,
        trials: Trials,
        *,
        curl_ns_m: float | Tensor = 0.0,
        spread_ns_m: float | Tensor = 0.0,
        divergent_n_m: float | Tensor = 0.0,
    ) -> Trials:
        """Return trials whose cues tell of a force field, as who practised in it knows it.

        The field itself is another part of the trials (`Trials.field`).

        Args:
            trials: B of them, of this task.
            curl_ns_m: Mean strength of a curl field (N s/m; `tasks.CurlField`), one or (B,).
            spread_ns_m: Its standard deviation from trial to trial (N s/m), one or (B,).
            divergent_n_m: Stiffness of a divergent field about the straight line to the target
                (N/m; `tasks.DivergentField`), one or (B,).
        """
        if trials.cue is None:
            raise ValueError("`trials` must have the cues of `CursorReach.reaches`, got none.")
        cue = trials.cue.clone()
        known = (curl_ns_m, spread_ns_m, divergent_n_m)
        for place, (value, scale) in enumerate(zip(known, _FIELD_SCALES, strict=True)):
            told = scale * torch.as_tensor(value, dtype=cue.dtype)
            cue[..., _FIELD.start + place] = told.reshape(-1, 1)
        return replace(trials, cue=cue)

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

    def _counted(self, arrival_s: float | Tensor | None, factors: Tensor, stops: Tensor) -> Tensor:
        """Factors on the weights, (B, T + 1, 12)."""
        parts, time = self.plant.state_parts, torch.arange(self.steps + 1)
        counted = torch.zeros(len(factors), self.steps + 1, self.plant.state_size).double()
        if arrival_s is None:
            late = counted.new_full((len(factors), self.steps + 1), self.free_share)
            error = late
        else:
            arrival = self._arrival_step(arrival_s).reshape(-1, 1)
            late = (time >= arrival).double().expand(len(factors), -1)
            at_once = (time == arrival).double() * late.sum(1, keepdim=True)
            error = torch.where(stops[:, None], late, at_once)
            late = late * stops[:, None]
        counted[..., parts["velocity"]] = counted[..., parts["torque"]] = late[..., None]
        counted[..., parts["target"]] = error[..., None] * factors[:, None]
        counted[..., parts["drive"]] = counted[..., parts["position"]] = 1.0
        return counted

    def _cues(
        self,
        arrival_s: float | Tensor | None,
        factors: Tensor,
        stops: Tensor,
        after: Tensor,
    ) -> Tensor:
        """What is told beside the senses, (B, T, 16).

        `arrival_s` may also be the time left at every step, (B, T); `after` has a shape that
        expands to (B, T, 2).
        """
        cue = torch.zeros(len(factors), self.steps, _CUES, dtype=torch.float64)
        cue[..., _SHAPE] = factors[:, None]
        cue[..., _STOP] = stops.double()[:, None]
        cue[..., _AFTER] = _AFTER_SCALE * (after - self.home)
        if arrival_s is None:
            cue[..., _FREE] = 1.0
            return cue
        left = torch.as_tensor(arrival_s, dtype=torch.float64)
        if left.ndim < 2:
            step = self._arrival_step(left).reshape(-1, 1) - torch.arange(self.steps)
            left = self.plant.dt_s * step.clamp(min=0)
        cue[..., _LEFT] = left
        bells = bell_curves(left, 0.0, _LONGEST_S, _BELLS.stop - _BELLS.start)
        cue[..., _BELLS] = bells
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
        own, stops = uniform(count) < self.free, uniform(count) >= self.passes
        timed = self.reaches(
            middle + away, start=middle, arrival_s=arrival, shape=shape, stop=stops
        )
        free = self.reaches(middle + away, start=middle, shape=shape)
        trials = _chosen(own, free, timed)
        last = (arrival + _AFTER_ARRIVAL_S) / self.plant.dt_s  # steps until then, of those in time
        paths = uniform(count) < self.paths
        if self.paths:
            trials = _chosen(paths, self._ellipses(generator), _at_rest(trials, self.steps))
        fielded = (uniform(count) < self.fields) & ~paths
        divergent = fielded & (uniform(count) < 0.25)
        for part in ("target", "displacement"):
            happens = (uniform(count) < self.jumps) & ~divergent
            if part == "target":
                happens &= ~paths
            within = torch.where(own, self.steps - 1.0, last.clamp(max=self.steps - 1.0))
            step = (uniform(count) * within).long()
            shift = self.jump_m * normal(count, 2) * happens.double()[:, None]
            trials = self.with_jump(trials, part, step, shift)
        loaded = ((uniform(count) < self.pushes) & ~divergent).double()
        begins = (uniform(count) * self.steps).long()
        ends = torch.where(uniform(count) < 0.5, begins + round(0.1 / self.plant.dt_s), self.steps)
        time = torch.arange(self.steps)
        on = (time >= begins[:, None]) & (time < ends[:, None])
        size = self.push_nm * normal(count, 2) * loaded[:, None]
        trials = replace(trials, load=on[..., None] * size[:, None])
        if self.fields:
            direction = torch.stack([angle.cos(), angle.sin()], dim=-1)
            trials = self._in_fields(
                trials, fielded & ~divergent, divergent, middle, direction, generator
            )
            trials = replace(trials, field_on=(time < last[:, None]).double()[..., None])
        return self.with_noise(trials, generator).to(dtype=dtype, device=device)

    def _ellipses(self, generator: torch.Generator) -> Trials:
        """Ellipses about home, traced anticlockwise by the ends of their axes, without noise."""
        draws = torch.rand(4, self.pairs, generator=generator, dtype=torch.float64)
        low, high = self.path_half_axis_m
        half, (lap_low, lap_high) = low + (high - low) * draws[:2], self.path_lap_s
        lap = lap_low + (lap_high - lap_low) * draws[2]
        quarter = lap / 4 / self.plant.dt_s
        # two beyond the end, so that there is always one to go to, and one after it
        many = math.ceil(4 * self.steps * self.plant.dt_s / lap_low) + 2
        number = torch.arange(many + 1)
        turn = 2 * math.pi * draws[3][:, None] + math.pi / 2 * number
        place = half.T[:, number % 2, None] * torch.stack([turn.cos(), turn.sin()], dim=-1)
        step = (quarter[:, None] * number[1:]).round().long()
        return self.through(self.home + place, step)

    def _in_fields(
        self,
        trials: Trials,
        curled: Tensor,
        divergent: Tensor,
        start: Tensor,
        direction: Tensor,
        generator: torch.Generator,
    ) -> Trials:
        """Trials in fields that are known, curl or divergent where that holds (B,)."""
        draws = torch.rand(5, self.pairs, generator=generator, dtype=torch.float64)
        deviation = torch.randn(self.pairs, generator=generator, dtype=torch.float64)
        stiffness = divergent.double() * self.divergent_n_m * draws[0]
        mean = curled * (draws[1] > 1 / 3) * self.curl_ns_m * (2 * draws[2] - 1)
        spread = curled * (draws[3] > 1 / 3) * self.curl_spread_ns_m * draws[4]
        strength = mean + spread * deviation
        field = strength[:, None, None] * CurlField(1.0).matrix(start, direction)
        field = field + stiffness[:, None, None] * DivergentField(1.0).matrix(start, direction)
        trials = replace(trials, field=field)
        return self.knowing(trials, curl_ns_m=mean, spread_ns_m=spread, divergent_n_m=stiffness)


def _at_rest(trials: Trials, steps: int) -> Trials:
    """The same trials with those parts that paths have, which change nothing."""
    count, size = trials.target.shape
    return replace(
        trials,
        shown_target=trials.target[:, None].expand(-1, steps, -1),
        plant_noise=trials.target.new_zeros(count, steps, size),
    )


def _chosen(first: Tensor, one: Trials, other: Trials) -> Trials:
    """Return trials that are of one batch where `first` (B,) holds, and of the other elsewhere."""
    parts: dict[str, Any] = {}
    for name, b in {
        **other.present(),
        "initial_state": other.initial_state,
        "target": other.target,
    }.items():
        a = getattr(one, name)
        parts[name] = torch.where(first.reshape(-1, *(1,) * (b.ndim - 1)), a, b)
    return replace(other, **parts)
