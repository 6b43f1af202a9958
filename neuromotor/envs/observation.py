"""Puts together what an environment shows: parts with names, units and bounds, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from neuromotor.tasks.senses import ChannelInUse

if TYPE_CHECKING:
    from neuromotor.envs.options import EnvOptions

__all__ = ["PARTS", "Layout", "Observables", "Scales"]


@dataclass
class Observables:
    """What the parts choose from, as components: floats for one arm, arrays (N,) for many."""

    sensed: Any  # what a controller senses, f
    told: Any  # what it is told of the target, g
    hand: Callable[[], Any]  # position and velocity of the hand as it is seen, 2 d
    hand_target: Any  # d
    hand_goal: Any  # d, where the hand is to be now
    time: Any  # elapsed share of the trial
    command: Any  # the last action, m
    cue: Any  # the trial's own cues, c; else 1 while another target is shown than at first, else 0


@dataclass(frozen=True)
class _Part:
    """One part: its numbers, their names with units, and bounds, from minus to plus each."""

    take: Callable[[Observables], Any]
    labels: Callable[[EnvOptions], Sequence[str]]
    bounds: Callable[[EnvOptions], Sequence[tuple[float, float]]]
    tells_target: bool = False


def _bounds(channels: Sequence[ChannelInUse]) -> list[tuple[float, float]]:
    return [(-bound, bound) for channel in channels for bound in channel.limits]


def _axes(options: EnvOptions) -> str:
    return "xyz"[: options.typed_task.plant.hand_size]


def _place_labels(options: EnvOptions, what: str) -> list[str]:
    return [f"{what} {axis} (m)" for axis in _axes(options)]


def _place_bounds(options: EnvOptions) -> list[tuple[float, float]]:
    return [(-options.limits.hand_m, options.limits.hand_m) for _ in _axes(options)]


def _hand_labels(options: EnvOptions) -> list[str]:
    speeds = [f"hand {axis} velocity (m/s)" for axis in _axes(options)]
    return [*_place_labels(options, "hand"), *speeds]


def _hand_bounds(options: EnvOptions) -> list[tuple[float, float]]:
    speed = options.limits.hand_m_s
    return [*_place_bounds(options), *[(-speed, speed) for _ in _axes(options)]]


def _command_labels(options: EnvOptions) -> list[str]:
    labels = options.typed_task.plant.command_labels
    if options.normalized:
        labels = tuple(label.split(" (")[0] + " (share of limit)" for label in labels)
    return [f"last {label}" for label in labels]


def _command_bounds(options: EnvOptions) -> list[tuple[float, float]]:
    return list(zip(options.actions.low, options.actions.high, strict=True))


def _own_cues(options: EnvOptions) -> Mapping[str, tuple[float, float]] | None:
    """Names and ranges of cues that are more than 0 or 1, where the task says so."""
    found: Mapping[str, tuple[float, float]] | None
    found = getattr(options.typed_task, "cue_ranges", None)
    return found


def _cue_bounds(options: EnvOptions) -> list[tuple[float, float]]:
    own = _own_cues(options)
    return [(0, 1)] * options.cues if own is None else list(own.values())


def _cue_labels(options: EnvOptions) -> Sequence[str]:
    own = _own_cues(options)
    if own is not None:
        return list(own)
    if options.cues == 1:
        return ("cue (0 or 1)",)
    return [f"cue {number + 1} (0 or 1)" for number in range(options.cues)]


PARTS: dict[str, _Part] = {
    "state": _Part(
        lambda g: g.sensed, lambda o: o.senses.labels, lambda o: _bounds(o.senses.channels)
    ),
    "target": _Part(
        lambda g: g.told,
        lambda o: [f"target {label}" for label in o.senses.target_labels],
        lambda o: _bounds(o.senses.target),
        tells_target=True,
    ),
    "hand": _Part(lambda g: g.hand(), _hand_labels, _hand_bounds),
    "hand_target": _Part(
        lambda g: g.hand_target,
        lambda o: _place_labels(o, "target hand"),
        _place_bounds,
        tells_target=True,
    ),
    "time": _Part(lambda g: (g.time,), lambda o: ("elapsed share of trial",), lambda o: [(0, 1)]),
    "command": _Part(lambda g: g.command, _command_labels, _command_bounds),
    "cue": _Part(lambda g: g.cue, _cue_labels, _cue_bounds),
}
_DESIRED = _Part(lambda g: g.hand_goal, PARTS["hand_target"].labels, _place_bounds)
_ACHIEVED = _Part(
    lambda g: g.hand()[: len(g.hand_goal)],
    lambda o: _place_labels(o, "hand"),
    _place_bounds,
)


class Scales(NamedTuple):
    """What makes numbers of order one: ``(number - centre) / scale``, (k,) each."""

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]


class _Group:
    """Puts parts side by side in one array.

    Numbers beyond their bounds are shown as the bound, and only then put on their scales.
    """

    def __init__(
        self, options: EnvOptions, parts: Sequence[_Part], scales: Scales | None = None
    ) -> None:
        self.labels = tuple(label for part in parts for label in part.labels(options))
        bounds = np.array([b for part in parts for b in part.bounds(options)], dtype=np.float64)
        self.dtype = options.numpy_dtype
        self.low, self.high = bounds.T.astype(self.dtype)
        self._scales = None if scales is None else Scales(*(s.astype(self.dtype) for s in scales))
        self._takes = tuple(part.take for part in parts)

    @property
    def space(self) -> spaces.Box:
        low, high = self.scaled(self.low), self.scaled(self.high)
        return spaces.Box(low, high, dtype=self.dtype.type)

    @property
    def names(self) -> tuple[str, ...]:
        """Name and unit of each number as it is shown."""
        if self._scales is None:
            return self.labels
        pairs = zip(self.labels, *self._scales, strict=True)
        return tuple(f"({label} - {centre:.3g}) / {scale:.3g}" for label, centre, scale in pairs)

    def scaled(self, shown: NDArray[Any]) -> NDArray[Any]:
        """Return numbers on their scales, (..., k)."""
        if self._scales is None:
            return shown
        return (shown - self._scales.centre) / self._scales.scale

    def one(self, observables: Observables) -> NDArray[Any]:
        """Return the array (k,) of one arm; beyond its bounds a sensor shows the bound."""
        shown = np.array(self.taken(observables), dtype=self.dtype)
        return self._clipped(shown)

    def taken(self, observables: Observables) -> list[Any]:
        """Return the components that the parts choose, in order."""
        values: list[Any] = []
        for take in self._takes:
            values += take(observables)
        return values

    def stacked(self, observables: Observables) -> Tensor:
        """Return the tensor (N, k) of N arms, with gradients."""
        parts = [part for take in self._takes for part in take(observables)]
        like: Tensor = observables.sensed[0]
        shown = torch.stack(
            [
                torch.as_tensor(p, dtype=like.dtype, device=like.device).expand_as(like)
                for p in parts
            ],
            dim=-1,
        )
        low, high = (torch.from_numpy(bound).to(shown) for bound in (self.low, self.high))
        shown = torch.clamp(shown, low, high)
        if self._scales is None:
            return shown
        centre, scale = (torch.from_numpy(part).to(shown) for part in self._scales)
        return (shown - centre) / scale

    def _clipped(self, shown: NDArray[Any]) -> NDArray[Any]:
        np.maximum(shown, self.low, out=shown)
        np.minimum(shown, self.high, out=shown)
        return self.scaled(shown)

    def many(self, observables: Observables, count: int) -> NDArray[Any]:
        """Return the array (N, k) of N arms."""
        shown = np.empty((count, len(self.low)), dtype=self.dtype)
        column = 0
        for take in self._takes:
            for component in take(observables):
                shown[:, column] = component
                column += 1
        return self._clipped(shown)


class Layout:
    """The observation that the options ask for: one array, or a dictionary of three with goals.

    Attributes:
        labels: Name and unit of each number; of ``observation`` with goals.
        space: Of one arm's observation.
        scales: On which the numbers of the labels are shown, or None for their own units.
    """

    def __init__(self, options: EnvOptions, scales: Scales | None = None) -> None:
        """Put together what the options ask for; `scales` are those of the labels."""
        self.scales = scales
        parts = [PARTS[name] for name in options.parts]
        self._options = options
        self._goal = options.goal
        if not options.goal:
            self._groups = {"": _Group(options, parts, scales)}
            self.labels = self._groups[""].names
            self.space: spaces.Space[Any] = self._groups[""].space
            return
        parts = [part for part in parts if not part.tells_target]
        if not parts:
            raise ValueError(
                "`observe` must name a part that does not tell the target with `goal`, got "
                f"{options.observe!r}."
            )
        self._groups = {
            "observation": _Group(options, parts, scales),
            "achieved_goal": _Group(options, [_ACHIEVED]),
            "desired_goal": _Group(options, [_DESIRED]),
        }
        self.labels = self._groups["observation"].names
        self.space = spaces.Dict({name: group.space for name, group in self._groups.items()})

    def __reduce__(self) -> tuple[Any, ...]:
        return Layout, (self._options, self.scales)

    def columns(self, name: str) -> slice:
        """Return where a part of the observation lies in its array."""
        before = self._options.parts[: self._options.parts.index(name)]
        start = sum(len(PARTS[part].labels(self._options)) for part in before)
        return slice(start, start + len(PARTS[name].labels(self._options)))

    @property
    def ends(self) -> NDArray[np.float64]:
        """Bounds of all numbers, group after group, (2, k)."""
        groups = self._groups.values()
        return np.concatenate([np.stack([g.low, g.high]) for g in groups], axis=1, dtype=np.float64)

    def order(self, observables: Observables) -> list[Any]:
        """Return all numbers as they are, group after group."""
        return [number for group in self._groups.values() for number in group.taken(observables)]

    def split(self, shown: NDArray[Any]) -> Any:
        """Return observations from all their numbers, (..., k), on the same memory."""
        if not self._goal:
            return self._groups[""].scaled(shown)
        parts, start = {}, 0
        for name, group in self._groups.items():
            parts[name] = group.scaled(shown[..., start : start + len(group.low)])
            start += len(group.low)
        return parts

    def one(self, observables: Observables) -> Any:
        """Return one arm's observation."""
        if not self._goal:
            return self._groups[""].one(observables)
        return {name: group.one(observables) for name, group in self._groups.items()}

    def stacked(self, observables: Observables) -> Tensor:
        """Return N arms' observations from tensors, (N, k), with gradients; not the goals."""
        return next(iter(self._groups.values())).stacked(observables)

    def many(self, observables: Observables, count: int) -> Any:
        """Return N arms' observations, (N, ...) each."""
        if not self._goal:
            return self._groups[""].many(observables, count)
        return {name: group.many(observables, count) for name, group in self._groups.items()}
