"""A batch of trials: everything that is given or random about it, fixed, as tensors.

The same object serves loss, baseline, environment and figure, so that results are comparable draw
by draw and an objective's value, gradient and curvature product always see the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from neuromotor._checks import check_finite_tensor

__all__ = ["Trials"]

# The optional parts with an axis of steps, and those with an axis of the states around them.
_BY_STEP = (
    "shown_target",
    "cue",
    "load",
    "hand_force",
    "command_noise",
    "plant_noise",
    "sensory_noise",
    "unit_noise",
)
_BY_STATE = ("wanted", "counted")


@dataclass(frozen=True)
class Trials:
    """Initial states, targets, loads and noise draws of B trials of T steps; n state, m command.

    An optional part that is None is zero, but for `wanted` and `counted`.

    Attributes:
        initial_state: States at the start (rad, rad/s or m, m/s), (B, n).
        target: States to be reached, (B, n).
        shown_target: What the controller is told to reach, where that changes within a trial,
            (B, T, n); `target` throughout if None.
        cue: Signals that the controller gets beside the target, such as a go cue, (B, T, c).
        wanted: What the cost compares the states with, where that changes within a trial,
            (B, T + 1, n); `target` throughout if None.
        counted: Factors, zero or more, on the cost's weights of the states, where trials differ in
            when they count, (B, T + 1, n); one if None.
        load: Joint torques or forces from outside (N m or N), (B, T, m).
        hand_force: Forces on the hand (N), (B, T, 2).
        field: Affine force fields on the hand, (B, 2, 5): the force (N) is ``field [1, p, v]`` of
            its position p (m) and velocity v (m/s). The part with p is taken at the start of a step
            and held over it, the part with v acts within it (`plants.carried_in_field`). Curl and
            viscous fields, springs and channels are of this form.
        command_noise: Draws xi of signal-dependent noise, (B, T, m): the plant receives
            ``u (1 + xi) + load`` (Sutskever 2013, section 6.5).
        plant_noise: Draws zeta added to the next state, (B, T, n).
        sensory_noise: Draws added to the observation, (B, T, n).
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
    shown_target: Tensor | None = None
    cue: Tensor | None = None
    wanted: Tensor | None = None
    counted: Tensor | None = None
    load: Tensor | None = None
    hand_force: Tensor | None = None
    field: Tensor | None = None
    command_noise: Tensor | None = None
    plant_noise: Tensor | None = None
    sensory_noise: Tensor | None = None
    unit_noise: Tensor | None = None
    condition: Tensor | None = None

    def __post_init__(self) -> None:
        check_finite_tensor("initial_state", self.initial_state, (None, None))
        batch, state_size = self.initial_state.shape
        if batch == 0:
            raise ValueError("`initial_state` must hold at least one trial, got none.")
        check_finite_tensor("target", self.target, (batch, state_size))
        if self.field is not None:
            check_finite_tensor("field", self.field, (batch, 2, 5), hint="Columns: 1, p, v.")
        steps = None
        widths = {name: state_size for name in ("shown_target", "plant_noise", "sensory_noise")}
        widths["hand_force"] = 2
        for name in _BY_STEP:
            part = getattr(self, name)
            if part is None:
                continue
            shape = (batch, steps, widths.get(name))
            check_finite_tensor(name, part, shape, hint="Axes: trial, step, value.")
            steps = part.shape[1]
        states = None if steps is None else steps + 1
        for name in _BY_STATE:
            part = getattr(self, name)
            if part is None:
                continue
            hint = "Axes: trial, state before each step and after the last, value."
            check_finite_tensor(name, part, (batch, states, state_size), hint=hint)
            states = part.shape[1]
        if self.counted is not None and bool((self.counted < 0).any()):
            raise ValueError("`counted` must be zero or more, got negative entries.")
        for field in fields(self):
            part = getattr(self, field.name)
            if part is None or field.name == "condition":
                continue
            if part.dtype != self.dtype or part.device != self.device:
                raise ValueError(
                    f"`{field.name}` must share dtype and device with `initial_state` "
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
        for names, more in ((_BY_STEP, 0), (_BY_STATE, 1)):
            for name in names:
                part: Tensor | None = getattr(self, name)
                if part is not None:
                    return part.shape[1] - more
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
        """Numbers that a controller is given at a step: observation, target and cues."""
        cues = 0 if self.cue is None else self.cue.shape[2]
        return 2 * self.target.shape[1] + cues

    def told(self) -> Tensor | None:
        """Return target and cues at every step, (B, T, n + c); None where the target is all."""
        if self.cue is None:
            return self.shown_target
        shown = self.shown_target
        if shown is None:
            shown = self.target[:, None].expand(-1, self.cue.shape[1], -1)
        return torch.cat([shown, self.cue], dim=-1)

    @property
    def loaded(self) -> bool:
        """Whether there are loads or hand forces."""
        return self.load is not None or self.hand_force is not None

    @property
    def disturbed(self) -> bool:
        """Whether something happens that a controller cannot know ahead.

        Loads, force fields, noise on the way from command to state, another target, or a cue.
        """
        parts = (self.field, self.command_noise, self.plant_noise, self.shown_target, self.cue)
        return self.loaded or any(part is not None for part in parts)

    def without_loads(self) -> Trials:
        """Return the same trials, noise included, without loads and hand forces."""
        return replace(self, load=None, hand_force=None)

    def undisturbed(self) -> Trials:
        """Return start, target and what the cost counts, and nothing else."""
        return Trials(self.initial_state, self.target, wanted=self.wanted, counted=self.counted)

    @classmethod
    def concatenate(cls, batches: Sequence[Trials]) -> Trials:
        """Return several batches as one.

        Raises:
            ValueError: There is no batch, or a part is in some batches and not in others.
        """
        if not batches:
            raise ValueError("`batches` must hold at least one batch of trials, got none.")
        parts: dict[str, Any] = {}
        for field in fields(cls):
            present = [getattr(b, field.name) for b in batches]
            missing = sum(part is None for part in present)
            if missing not in (0, len(present)):
                raise ValueError(
                    f"`batches` must all have `{field.name}` or none, got {missing} of "
                    f"{len(present)} without; give zeros there."
                )
            parts[field.name] = None if missing else torch.cat(present)
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
