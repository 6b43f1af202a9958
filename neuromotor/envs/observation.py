"""Puts together what an environment shows: parts with names, units and bounds, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from neuromotor.plants import degrees_of_freedom

if TYPE_CHECKING:
    from neuromotor.envs.options import EnvOptions

__all__ = ["PARTS", "Observables", "Layout"]


@dataclass
class Observables:
    """What the parts choose from, as components: floats for one arm, arrays (N,) for many."""

    seen: Any  # delayed state with noise, n
    target: Any  # state to be reached, n
    hand: Callable[[Any], Any]  # of a state: position and velocity, 4
    hand_target: Any  # 2
    hand_goal: Any  # 2, where the hand is to be now
    time: Any  # elapsed share of the trial
    command: Any  # the last action, m
    cue: Any  # the trial's own cue; else 1 while another target is shown than at first, else 0


@dataclass(frozen=True)
class _Part:
    """One part: its numbers, their names with units, and bounds, from minus to plus each."""

    take: Callable[[Observables], Any]
    labels: Callable[[EnvOptions], Sequence[str]]
    bounds: Callable[[EnvOptions], Sequence[tuple[float, float]]]
    tells_target: bool = False


def _state_bounds(options: EnvOptions) -> list[tuple[float, float]]:
    half = degrees_of_freedom(options.typed_task.plant, "environments")
    limits = options.limits
    bounds = [limits.configuration] * half + [limits.velocity] * half
    return [(-bound, bound) for bound in bounds]


def _plane_bounds(options: EnvOptions) -> list[tuple[float, float]]:
    return [(-options.plane_m, options.plane_m)] * 2


def _hand_bounds(options: EnvOptions) -> list[tuple[float, float]]:
    speed = options.limits.velocity
    if options.plane_m != options.limits.configuration:  # turning joints: radius times both rates
        speed *= 2 * options.plane_m
    return [*_plane_bounds(options), (-speed, speed), (-speed, speed)]


def _command_labels(options: EnvOptions) -> list[str]:
    labels = options.typed_task.plant.command_labels
    if options.normalized:
        labels = tuple(label.split(" (")[0] + " (share of limit)" for label in labels)
    return [f"last {label}" for label in labels]


def _command_bounds(options: EnvOptions) -> list[tuple[float, float]]:
    bound = 1.0 if options.normalized else options.limits.command
    return [(-bound, bound)] * options.typed_task.plant.command_size


PARTS: dict[str, _Part] = {
    "state": _Part(lambda g: g.seen, lambda o: o.typed_task.plant.state_labels, _state_bounds),
    "target": _Part(
        lambda g: g.target,
        lambda o: [f"target {label}" for label in o.typed_task.plant.state_labels],
        _state_bounds,
        tells_target=True,
    ),
    "hand": _Part(
        lambda g: g.hand(g.seen),
        lambda o: ("hand x (m)", "hand y (m)", "hand x velocity (m/s)", "hand y velocity (m/s)"),
        _hand_bounds,
    ),
    "hand_target": _Part(
        lambda g: g.hand_target,
        lambda o: ("target hand x (m)", "target hand y (m)"),
        _plane_bounds,
        tells_target=True,
    ),
    "time": _Part(lambda g: (g.time,), lambda o: ("elapsed share of trial",), lambda o: [(0, 1)]),
    "command": _Part(lambda g: g.command, _command_labels, _command_bounds),
    "cue": _Part(lambda g: (g.cue,), lambda o: ("cue (0 or 1)",), lambda o: [(0, 1)]),
}
_DESIRED = _Part(lambda g: g.hand_goal, PARTS["hand_target"].labels, _plane_bounds)
_ACHIEVED = _Part(
    lambda g: g.hand(g.seen)[:2], lambda o: ("hand x (m)", "hand y (m)"), _plane_bounds
)


class _Group:
    """Puts parts side by side in one array."""

    def __init__(self, options: EnvOptions, parts: Sequence[_Part]) -> None:
        self.labels = tuple(label for part in parts for label in part.labels(options))
        bounds = np.array([b for part in parts for b in part.bounds(options)], dtype=np.float64)
        self.dtype = options.numpy_dtype
        self.low, self.high = bounds.T.astype(self.dtype)
        self._takes = tuple(part.take for part in parts)

    @property
    def space(self) -> spaces.Box:
        return spaces.Box(self.low, self.high, dtype=self.dtype.type)

    def one(self, observables: Observables) -> NDArray[Any]:
        """Return the array (k,) of one arm; beyond its bounds a sensor shows the bound."""
        values: list[float] = []
        for take in self._takes:
            values += take(observables)
        shown = np.array(values, dtype=self.dtype)
        return self._clipped(shown)

    def stacked(self, observables: Observables) -> Tensor:
        """Return the tensor (N, k) of N arms, with gradients."""
        parts = [part for take in self._takes for part in take(observables)]
        like: Tensor = observables.seen[0]
        shown = torch.stack(
            [
                torch.as_tensor(p, dtype=like.dtype, device=like.device).expand_as(like)
                for p in parts
            ],
            dim=-1,
        )
        low, high = (torch.from_numpy(bound).to(shown) for bound in (self.low, self.high))
        return torch.clamp(shown, low, high)

    def _clipped(self, shown: NDArray[Any]) -> NDArray[Any]:
        np.maximum(shown, self.low, out=shown)
        np.minimum(shown, self.high, out=shown)
        return shown

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
    """

    def __init__(self, options: EnvOptions) -> None:
        parts = [PARTS[name] for name in options.parts]
        self._options = options
        self._goal = options.goal
        if not options.goal:
            self._groups = {"": _Group(options, parts)}
            self.labels = self._groups[""].labels
            self.space: spaces.Space[Any] = self._groups[""].space
            return
        parts = [part for part in parts if not part.tells_target]
        if not parts:
            raise ValueError(
                "`observe` must name a part that does not tell the target with `goal`, got "
                f"{options.observe!r}."
            )
        self._groups = {
            "observation": _Group(options, parts),
            "achieved_goal": _Group(options, [_ACHIEVED]),
            "desired_goal": _Group(options, [_DESIRED]),
        }
        self.labels = self._groups["observation"].labels
        self.space = spaces.Dict({name: group.space for name, group in self._groups.items()})

    def __reduce__(self) -> tuple[Any, ...]:
        return Layout, (self._options,)

    def columns(self, name: str) -> slice:
        """Return where a part of the observation lies in its array."""
        before = self._options.parts[: self._options.parts.index(name)]
        start = sum(len(PARTS[part].labels(self._options)) for part in before)
        return slice(start, start + len(PARTS[name].labels(self._options)))

    def one(self, observables: Observables) -> Any:
        """Return one arm's observation."""
        if not self._goal:
            return self._groups[""].one(observables)
        return {name: group.one(observables) for name, group in self._groups.items()}

    def stacked(self, observables: Observables) -> Tensor:
        """Return N arms' observations from tensors, (N, k), with gradients; not with goals."""
        return self._groups[""].stacked(observables)

    def many(self, observables: Observables, count: int) -> Any:
        """Return N arms' observations, (N, ...) each."""
        if not self._goal:
            return self._groups[""].many(observables, count)
        return {name: group.many(observables, count) for name, group in self._groups.items()}
