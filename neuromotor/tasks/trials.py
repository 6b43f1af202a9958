"""A batch of trials: everything that is given or random about it, fixed, as tensors.

The same object serves loss, baseline, environment and figure, so that results are comparable draw
by draw and an objective's value, gradient and curvature product always see the same draws.
"""

# ruff: noqa: RUF009 -- `_part` makes a field of a dataclass

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor

from neuromotor._checks import check_finite_tensor

__all__ = ["TRIAL_PARTS", "TrialPart", "Trials"]


@dataclass(frozen=True)
class TrialPart:
    """What a field of `Trials` declares about itself, once for all that read trials.

    Attributes:
        axis: What it has beside trials: an entry a `step`, one a `state` (before each step and
            after the last), or the same for the whole `trial`.
        size: Numbers in an entry: those of a `state`, a `command` or a `load` of the plant, of a
            force on its `hand`, of an affine `field` or of a `channel` there, one `factor`, those
            of the task's `senses`, or any number (None).
        seen_by: Whom it acts on: the `plant`, the `senses`, the `controller` (which is told), its
            `units`, or the `cost`.
        missing: What None means: a number, or `target`.
    """

    axis: Literal["step", "state", "trial"]
    size: Literal["state", "command", "load", "hand", "field", "factor", "channel", "senses"] | None
    seen_by: Literal["plant", "senses", "controller", "units", "cost"]
    missing: float | Literal["target"] = 0.0


def _part(*args: Any, **settings: Any) -> Any:
    """A field of `Trials` that may be None; arguments are those of `TrialPart`."""
    return field(default=None, metadata={"part": TrialPart(*args, **settings)})


@dataclass(frozen=True)
class Trials:
    """Initial states, targets, loads and noise draws of B trials of T steps.

    n numbers of a state, m of a command, k of a load, d of the hand's position.

    A part that is None is zero, or what is said there. Each field declares the rest about itself
    (`TrialPart`), and whatever reads trials goes by that: no list of parts stands anywhere else.

    Attributes:
        initial_state: States at the start (rad, rad/s or m, m/s), (B, n).
        target: States to be reached, (B, n).
        shown_target: What the controller is told to reach, where that changes within a trial,
            (B, T, n); `target` throughout if None.
        cue: Signals that the controller gets beside the target, such as a go cue, (B, T, c). The
            first of them is the go cue, where there is one.
        wanted: What the cost compares the states with, where that changes within a trial,
            (B, T + 1, n); `target` throughout if None.
        counted: Factors, zero or more, on the cost's weights of the states, where trials differ in
            when they count, (B, T + 1, n); one if None.
        load: Joint torques or forces from outside (N m or N), (B, T, k).
        hand_force: Forces on the hand (N), (B, T, d).
        field: Affine force fields on the hand, (B, d, 1 + 2 d): the force (N) is
            ``field [1, p, v]`` of its position p (m) and velocity v (m/s). The part with p is taken
            at the start of a step and held over it, the part with v acts within it
            (`plants.carried_in_field`). Curl and viscous fields, springs and channels are of this
            form.
        channel: Straight walls that the hand glides along without friction, (B, 1 + d): with a row
            ``[c, n]``, n of length 1, the hand stays where ``n p = c``, to rounding, and its
            velocity across is zero (`plants.held_in_channel`). Zeros are no walls.
        field_on: Factors on the field, where it begins, ends or changes its strength within a
            trial, (B, T, 1); one throughout if None.
        command_noise: Draws xi of signal-dependent noise, (B, T, m): the plant receives
            ``u (1 + xi) + load`` (Sutskever 2013, section 6.5).
        plant_noise: Draws zeta added to the next state, (B, T, n).
        signal_noise: Draws xi of noise that is proportional to what is sensed, (B, T, k) of the k
            numbers that the task's senses draw for: a channel gives ``s (1 + xi)`` of its signal s.
        sensory_noise: Draws added to what is sensed, (B, T, k); without senses of its own a task
            has k = n, since they are added to the state that is observed.
        unit_noise: Draws xi added to the units' input before the nonlinearity, (B, T, units);
            see `ContinuousTimeRNN`.
        condition: Number of each trial's condition, (B,), of an integer dtype.

    Raises:
        TypeError: A part is no floating-point tensor, or `condition` no integer tensor.
        ValueError: A part has the wrong shape, is not finite, or differs in dtype or device; or
            `counted` is negative.
    """

    initial_state: Tensor
    target: Tensor
    shown_target: Tensor | None = _part("step", "state", "controller", missing="target")
    cue: Tensor | None = _part("step", None, "controller")
    wanted: Tensor | None = _part("state", "state", "cost", missing="target")
    counted: Tensor | None = _part("state", "state", "cost", missing=1.0)
    load: Tensor | None = _part("step", "load", "plant")
    hand_force: Tensor | None = _part("step", "hand", "plant")
    field: Tensor | None = _part("trial", "field", "plant")
    field_on: Tensor | None = _part("step", "factor", "plant", missing=1.0)
    channel: Tensor | None = _part("trial", "channel", "plant")
    command_noise: Tensor | None = _part("step", "command", "plant")
    plant_noise: Tensor | None = _part("step", "state", "plant")
    signal_noise: Tensor | None = _part("step", "senses", "senses")
    sensory_noise: Tensor | None = _part("step", "senses", "senses")
    unit_noise: Tensor | None = _part("step", None, "units")
    condition: Tensor | None = None

    def __post_init__(self) -> None:
        check_finite_tensor("initial_state", self.initial_state, (None, None))
        batch, state_size = self.initial_state.shape
        if batch == 0:
            raise ValueError("`initial_state` must hold at least one trial, got none.")
        check_finite_tensor("target", self.target, (batch, state_size))
        steps: int | None = None
        for name, part in self.present().items():
            declared = TRIAL_PARTS[name]
            if declared.size == "field":
                axes = part.shape[1] if isinstance(part, Tensor) and part.ndim > 1 else 2
                shape: tuple[int | None, ...] = (batch, axes, 1 + 2 * axes)
                check_finite_tensor(name, part, shape, hint="Columns: 1, p, v.")
                continue
            if declared.size == "channel":
                check_finite_tensor(name, part, (batch, None), hint="Columns: c, n.")
                continue
            more = int(declared.axis == "state")
            hint = "state before each step and after the last" if more else "step"
            size = {"state": state_size, "factor": 1}.get(declared.size or "")
            shape = (batch, None if steps is None else steps + more, size)
            check_finite_tensor(name, part, shape, hint=f"Axes: trial, {hint}, value.")
            steps = part.shape[1] - more
        if self.counted is not None and bool((self.counted < 0).any()):
            raise ValueError("`counted` must be zero or more, got negative entries.")
        for name, part in {"target": self.target, **self.present()}.items():
            if part.dtype != self.dtype or part.device != self.device:
                raise ValueError(
                    f"`{name}` must share dtype and device with `initial_state` "
                    f"({self.dtype}, {self.device}), got {part.dtype}, {part.device}."
                )
        if self.condition is not None:
            if self.condition.dtype not in (torch.int16, torch.int32, torch.int64):
                raise TypeError(
                    f"`condition` must have an integer dtype, got {self.condition.dtype}."
                )
            if self.condition.shape != (batch,):
                raise ValueError(
                    f"`condition` must have shape ({batch},), got {tuple(self.condition.shape)}."
                )

    @classmethod
    def names(cls, **declared: Any) -> tuple[str, ...]:
        """Return the names of the parts that may be None, those that declare what is asked for.

        Args:
            **declared: Fields of `TrialPart`, with the values that they must have.
        """
        return tuple(
            name
            for name, part in TRIAL_PARTS.items()
            if all(getattr(part, key) == value for key, value in declared.items())
        )

    def present(self) -> dict[str, Tensor]:
        """Return the parts that may be None and are there, by name."""
        parts = {name: getattr(self, name) for name in TRIAL_PARTS}
        return {name: part for name, part in parts.items() if part is not None}

    def __len__(self) -> int:
        return self.initial_state.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type that every part shares."""
        return self.initial_state.dtype

    @property
    def device(self) -> torch.device:
        """Device that every part shares."""
        return self.initial_state.device

    @property
    def steps(self) -> int | None:
        """Steps T that the parts over time cover, or None where there are none."""
        for name, part in self.present().items():
            if TRIAL_PARTS[name].axis != "trial":
                return part.shape[1] - (TRIAL_PARTS[name].axis == "state")
        return None

    @property
    def goal(self) -> Tensor:
        """What the cost compares the states with, (B, T + 1, n), or (B, 1, n) for every step."""
        return self.target[:, None] if self.wanted is None else self.wanted

    @property
    def end(self) -> Tensor:
        """State to be in after the last step, (B, n)."""
        return self.target if self.wanted is None else self.wanted[:, -1]

    @property
    def input_size(self) -> int:
        """Numbers that a controller is given at a step: observation, target and cues.

        Where the plant's `feedback` is all of its state; see `tasks.task.input_size`.
        """
        return 2 * self.target.shape[1] + self.cue_size

    @property
    def cue_size(self) -> int:
        """Numbers in a cue; 0 without cues."""
        return 0 if self.cue is None else self.cue.shape[2]

    def told(self) -> Tensor | None:
        """Return target and cues at every step, (B, T, n + c); None where the target is all."""
        if self.cue is None:
            return self.shown_target
        shown = self.shown_target
        if shown is None:
            shown = self.target[:, None].expand(-1, self.cue.shape[1], -1)
        return torch.cat([shown, self.cue], dim=-1)

    def field_at(self, t: int | slice) -> Tensor | None:
        """Return the field that acts in a step, (B, d, 1 + 2 d); None where there is none.

        Args:
            t: The step; a slice of S steps gives an axis of them, (B, S or 1, d, 1 + 2 d).
        """
        if self.field is None:
            return None
        field = self.field if isinstance(t, int) else self.field[:, None]
        return field if self.field_on is None else field * self.field_on[:, t, ..., None]

    def acting(self) -> Tensor | None:
        """Return in which steps something acts on the limb, (B, T); None where nothing can.

        Loads, forces on the hand, and a field with `field_on`, which begins on the way. A field
        without that is there all the time, as a medium is.
        """
        parts = [part.ne(0).any(-1) for part in (self.load, self.hand_force) if part is not None]
        if self.field is not None and self.field_on is not None:
            parts.append(self.field_on.ne(0).any(-1) & self.field.ne(0).flatten(1).any(1)[:, None])
        return torch.stack(parts).any(0) if parts else None

    @property
    def loaded(self) -> bool:
        """Whether there are loads, hand forces, or a field that begins on the way."""
        return any(part is not None for part in (self.load, self.hand_force, self.field_on))

    @property
    def disturbed(self) -> bool:
        """Whether something happens that a controller cannot know ahead.

        Loads, force fields, noise on the way from command to state, another target, or a cue.
        """
        return any(TRIAL_PARTS[name].seen_by in ("plant", "controller") for name in self.present())

    def without_loads(self) -> Trials:
        """Return the same trials, noise included, without what makes them `loaded`."""
        field = self.field if self.field_on is None else None
        return replace(self, load=None, hand_force=None, field=field, field_on=None)

    def undisturbed(self) -> Trials:
        """Return start, target and what the cost counts, and nothing else."""
        counts = {name: getattr(self, name) for name in Trials.names(seen_by="cost")}
        return Trials(self.initial_state, self.target, **counts)

    @classmethod
    def concatenate(cls, batches: Sequence[Trials]) -> Trials:
        """Return several batches as one.

        Raises:
            ValueError: There is no batch, or a part is in some batches and not in others.
        """
        if not batches:
            raise ValueError("`batches` must hold at least one batch of trials, got none.")
        parts: dict[str, Any] = {}
        for one in fields(cls):
            present = [getattr(b, one.name) for b in batches]
            missing = sum(part is None for part in present)
            if missing not in (0, len(present)):
                raise ValueError(
                    f"`batches` must all have `{one.name}` or none, got {missing} of "
                    f"{len(present)} without; give zeros there."
                )
            parts[one.name] = None if missing else torch.cat(present)
        return cls(**parts)

    def to(
        self, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> Trials:
        """Return the same trials in another dtype or on another device."""
        return self._map(
            lambda part: part.to(device=device, dtype=dtype if part.is_floating_point() else None)
        )

    def subset(self, index: Tensor | slice) -> Trials:
        """Return the trials that `index` selects: a slice, an integer or a boolean tensor (B,)."""
        return self._map(lambda part: part[index])

    def sample(self, size: int, generator: torch.Generator) -> Trials:
        """Return `size` random trials in their order, or all where there are no more."""
        index = torch.randperm(len(self), generator=generator)[:size].sort().values
        return self.subset(index.to(self.device))

    def with_unit_noise(self, units: int, generator: torch.Generator, *, steps: int) -> Trials:
        """Return the same trials with standard-normal draws for `units` private noise sources."""
        draws = torch.randn(
            len(self), steps, units, generator=generator, dtype=self.dtype, device=generator.device
        )
        return replace(self, unit_noise=draws.to(self.device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Trials:
        parts: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        changed: dict[str, Any] = {
            name: None if part is None else change(part) for name, part in parts.items()
        }
        return replace(self, **changed)


TRIAL_PARTS: dict[str, TrialPart] = {
    one.name: one.metadata["part"] for one in fields(Trials) if "part" in one.metadata
}
