"""The one stepping code: physics, costs and outcome of one arm or of thousands.

A quantity is a sequence of components, each a float (one arm, with `math`), an array (N,) (many,
with `numpy`) or a tensor (N,) (with gradients, `torch`), so that environments and `rollout` run the
same lines on the task's own plant and cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuromotor.closed_loop.dynamics import StepDraws, advance_components
from neuromotor.envs.options import EnvOptions
from neuromotor.plants import Plant
from neuromotor.plants.plant import components_of
from neuromotor.tasks.cost import weighed_features
from neuromotor.tasks.senses import ChannelInUse

__all__ = ["ComponentTask", "Components"]

Components = Any  # a sequence of floats or arrays (N,), or the array (., N) itself


class ComponentTask:
    """A task's plant and cost on components."""

    def __init__(self, options: EnvOptions, kit: str) -> None:
        """Prepare a task for components that are floats (math), arrays (numpy) or tensors.

        Raises:
            ValueError: The task's cost is neither a plain `QuadraticCost` nor one of features.
        """
        task = options.typed_task
        self.options = options
        self.kit: Any = {"math": math, "numpy": np, "torch": torch}[kit]
        self._kit_name = kit
        self.plant: Any = task.plant
        self.senses = options.senses
        self._whole, self._whole_target = self.senses.whole_state, self.senses.whole_target
        columns = self.senses.columns
        self._columns = range(self.senses.draws) if columns is None else columns
        self._scales = self.senses.scales if self.senses.own else ()
        self.steps, self.delay = task.steps, self.senses.delay
        self.dt_s = task.plant.dt_s
        self.form = components_of(task.plant) or _TensorForm(task.plant)
        cost = task.cost
        self._features = weighed_features(cost, "environments")
        self.half_energy_weight = 0.5 * cost.energy_weight
        weights = cost.state_weights.double().cpu().numpy()
        self.weights = weights  # (T + 1, n)
        self.rows = [self.terms(row) for row in weights]
        # with a row of zeros at the end, for index -1
        self.counted_weights = np.vstack([weights, np.zeros_like(weights[:1])])
        self.counted: Any = self.counted_weights.any(axis=1)
        # what is left to pay after a step, if the state stayed as it is
        self.rest = weights[::-1].cumsum(axis=0)[::-1] - weights
        self.bounds = list(options.limits.state)
        self.axes = task.plant.hand_size

    @property
    def weighs_features(self) -> bool:
        """Whether the cost weighs features in place of the state errors."""
        return self._features is not None

    def __reduce__(self) -> tuple[Any, ...]:
        return ComponentTask, (self.options, self._kit_name)

    def advance(
        self, state: Components, command: Components, part: Callable[[str], Components | None]
    ) -> Components:
        """Return the state one step later: `closed_loop.advance` on components.

        Args:
            state: Before the step.
            command: In N m (N).
            part: Gives the loads and draws of the step by their names in `Trials`; None is none.
        """
        draws = StepDraws(*map(part, StepDraws._fields))
        return advance_components(self.plant, self.form, state, command, draws)

    def hand(self, state: Components) -> Components:
        """Return the hand's position (m) and velocity (m/s), 2 d components."""
        return self.form.hand(state)

    def place(self, state: Components) -> Components:
        """Return the hand's position (m), d components."""
        return self.hand(state)[: self.axes]

    def sensed(
        self, past: Callable[[int], Components], part: Callable[[str], Components | None]
    ) -> Components:
        """Return what a controller senses: `SensesInUse.sensed` on components.

        Args:
            past: Gives the state some steps ago.
            part: Gives draws of the step by their names in `Trials`; None is none.
        """
        gain, noise = part("signal_noise"), part("sensory_noise")
        if self._whole and gain is None and noise is None:
            return past(self.delay)
        channels = self.senses.channels
        seen = [x for one in channels for x in self._read(one, past(one.delay))]
        if gain is not None:
            seen = [x * (1 + gain[i]) for x, i in zip(seen, self._columns, strict=True)]
        if noise is not None:
            seen = [x + noise[i] for x, i in zip(seen, self._columns, strict=True)]
        return [k * x for k, x in zip(self._scales, seen, strict=True)] if self._scales else seen

    def told(self, past: Callable[[int], Components]) -> Components:
        """Return what is told of a target; `past` gives the target that was shown steps ago."""
        if self._whole_target:
            return past(self.senses.target[0].delay)
        pairs = [(one, self._read(one, past(one.delay))) for one in self.senses.target]
        return [one.scale * x if one.scale != 1 else x for one, values in pairs for x in values]

    def _read(self, channel: ChannelInUse, state: Components) -> Components:
        """Return a channel's signal from its origin: `ChannelInUse.read` on components."""
        if channel.signal.entries is not None:
            values = [state[i] for i in channel.signal.entries]
        else:
            values = _components(channel.signal.of(_tensor(state)), state[0])
        if channel.origin is None:
            return values
        return [x - start for x, start in zip(values, channel.origin, strict=True)]

    def effort(self, command: Components) -> Any:
        """Return the squared norm of commands."""
        return _squared(command)

    @staticmethod
    def terms(row: Components) -> list[tuple[int, Any]]:
        """The weights of a step's state errors that are not zero, by component."""
        return [(i, float(weight)) for i, weight in enumerate(row) if weight]

    def state_cost(
        self, terms: list[tuple[int, Any]], state: Components, target: Components
    ) -> Any:
        """Return ``sum_i w[i] (x[i] - x*[i])^2 / 2`` over `terms`, or of the cost's features."""
        total: Any = 0.0
        features = None
        if self._features is not None and terms:
            features = _components(self._features(_tensor(state)), state[0])
        for i, weight in terms:
            error = state[i] - target[i] if features is None else features[i]
            total = total + (0.5 * weight) * (error * error)
        return total

    def outcome(self, state: Components, goal: Components) -> tuple[Any, Any]:
        """Return the hand's distance (m) and relative speed (m/s) to where it is to be.

        Args:
            state: The plant's.
            goal: The state that it is to be in.
        """
        hand, there = self.hand(state), self.hand(goal)
        away = [x - y for x, y in zip(hand, there, strict=True)]
        return self._size(away[: self.axes]), self._size(away[self.axes :])

    def _size(self, components: Components) -> Any:
        """The norm of components."""
        squared = _squared(components)
        if self.kit is torch:  # at zero the root has no gradient
            squared = squared.clamp_min(1e-30)
        return self.kit.sqrt(squared)

    def left(self, trial: Any, step: Any, state: Components) -> Any:
        """Return the cost that a state leaves to be paid, of which ``shaped`` tells the change."""
        if self.options.reward != "shaped":
            return 0.0
        return self.options.to_go.at(state, trial.goal(step), step)

    def reward(
        self, trial: Any, step: Any, cost: Any, state: Components, last: Any, left: Any
    ) -> tuple[Any, Any]:
        """Return the reward of a step, and the cost that is left after it.

        Args:
            trial: The trial, or trials.
            step: Commands given, this one too.
            cost: What the step costs.
            state: After it.
            last: Whether the trial ends with it.
            left: The cost that was left before it.
        """
        if self.options.reward == "dense":
            return self._dense(*self.outcome(state, trial.goal(step)), last), 0.0
        ahead = self.left(trial, step, state) * (1 - last)  # nothing is left after the end
        return -(cost + self.options.discount * ahead - left) / self.options.unit, ahead

    def _dense(self, distance: Any, speed: Any, last: Any) -> Any:
        """The dense reward of a step; `last`: whether the trial ends with it."""
        error = distance / self.options.success_error_m
        hurry = speed / self.options.success_speed_m_s
        return -(error / self.steps) - 0.5 * last * (error + hurry)

    def summary(
        self, state: Components, goal: Components, loss: Any, effort: Any, failed: Any
    ) -> dict[str, Any]:
        """Return how a trial went: its last state, its loss, its sum of squared commands."""
        distance, speed = self.outcome(state, goal)
        near = distance < self.options.success_error_m
        slow = speed < self.options.success_speed_m_s
        return {
            "is_success": near & slow & (failed == 0),
            "loss": loss,
            "target_error_m": distance,
            "hand_speed_m_s": self._size(self.hand(state)[self.axes :]),
            "energy": self.dt_s * effort,
            "failed": failed,
        }

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any = None) -> Any:
        """Return the reward of achieved goals (m), (d,) or (..., d), for hindsight replay."""
        del info
        away = np.asarray(achieved_goal, np.float64) - np.asarray(desired_goal, np.float64)
        distance = np.sqrt(_squared([away[..., i] for i in range(self.axes)]))
        if self.options.reward == "dense":
            reward = -distance
        else:
            reward = -(distance >= self.options.success_error_m).astype(np.float64)
        return float(reward) if reward.ndim == 0 else reward


def _squared(components: Components) -> Any:
    """The sum of the squares of components."""
    first, *others = components
    total = first * first
    for x in others:
        total = total + x * x
    return total


@dataclass(frozen=True)
class _TensorForm:
    """Any plant's own step, with components made tensors and back."""

    plant: Plant

    def step(
        self, state: Any, command: Any, load: Any = None, hand_force: Any = None
    ) -> Components:
        extras = [None if extra is None else _tensor(extra) for extra in (load, hand_force)]
        return _components(self.plant.step(_tensor(state), _tensor(command), *extras), state[0])

    def hand(self, state: Any) -> Components:
        tensor = _tensor(state)
        position, velocity = self.plant.hand_position(tensor), self.plant.hand_velocity(tensor)
        return _components(torch.cat([position, velocity], dim=-1), state[0])


def _tensor(parts: Components) -> Tensor:
    """Components as a tensor (..., n)."""
    if isinstance(parts[0], Tensor):
        return torch.stack(list(parts), dim=-1)
    return torch.from_numpy(np.stack([np.asarray(p, dtype=np.float64) for p in parts], axis=-1))


def _components(tensor: Tensor, example: Any) -> Components:
    """A tensor (..., n) as components of the kind of `example`."""
    if isinstance(example, Tensor):
        return tensor.unbind(-1)
    array = tensor.numpy()
    return array.tolist() if array.ndim == 1 else array.T
