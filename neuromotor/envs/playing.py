"""Plays whole trials in torch, all arms at the same step, and keeps the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neuromotor.closed_loop.dynamics import check_trials
from neuromotor.envs.components import ComponentTask
from neuromotor.envs.episodes import PLAYED
from neuromotor.envs.observation import Layout
from neuromotor.envs.options import EnvOptions
from neuromotor.envs.trial import Trial
from neuromotor.tasks import Trials

__all__ = ["Rollout", "play"]


@dataclass(frozen=True)
class Rollout:
    """What happened in B trials of T steps; every tensor is differentiable.

    Attributes:
        rewards: Of each step, (B, T); with the reward ``loss`` their sum is minus the loss.
        observations: What the policy saw, (B, T, k).
        actions: What it did, clipped to the action space, (B, T, m).
        states: Before each step and after the last, (B, T + 1, n).
    """

    rewards: Tensor
    observations: Tensor
    actions: Tensor
    states: Tensor

    @property
    def returns(self) -> Tensor:
        """Sum of a trial's rewards, (B,)."""
        return self.rewards.sum(dim=1)


def play(
    policy: Callable[[Tensor], Tensor], options: EnvOptions, layout: Layout, trials: Trials
) -> Rollout:
    """Run a policy through a batch of trials; see `rollout`.

    Args:
        policy: From observations (B, k) to actions (B, m).
        options: The settings.
        layout: Of the observations.
        trials: The batch.

    Raises:
        ValueError: The trials do not fit the task, or actions have the wrong shape.
    """
    task = options.typed_task
    check_trials(task, trials)
    physics = ComponentTask(options, "torch")
    actions_of = options.actions
    low, high, middle, half, none = (
        trials.target.new_tensor(column)
        for column in (
            actions_of.low,
            actions_of.high,
            actions_of.middle,
            actions_of.half,
            actions_of.none,
        )
    )
    trial = Trial(physics, trials.target.unbind(-1), _parts(trials))
    action = none.expand(len(trials), -1)
    states: list[Any] = [trials.initial_state.unbind(-1)]
    rewards, observations, actions = [], [], []
    left = physics.left(trial, 0, states[0])

    def ago(steps: int) -> Any:
        return states[max(len(states) - 1 - steps, 0)]

    for t in range(task.steps):
        trial.step = t
        observation = layout.stacked(trial.observables(ago, action.unbind(-1)))
        action = policy(observation)
        if action.shape != (len(trials), task.plant.command_size):
            raise ValueError(
                f"`policy` must give actions of shape ({len(trials)}, {task.plant.command_size}), "
                f"got {tuple(action.shape)}."
            )
        action = action.clamp(low, high)
        command = (middle + half * action).unbind(-1)
        states.append(physics.advance(states[-1], command, trial.part))
        observations.append(observation)
        actions.append(action)
        cost = trial.cost(t + 1, states[-2], physics.effort(command), states[-1])
        reward, left = physics.reward(trial, t + 1, cost, states[-1], t + 1 == task.steps, left)
        rewards.append(reward)
    return Rollout(
        rewards=torch.stack(rewards, dim=1),
        observations=torch.stack(observations, dim=1),
        actions=torch.stack(actions, dim=1),
        states=torch.stack([torch.stack(list(state), dim=-1) for state in states], dim=1),
    )


def _parts(trials: Trials) -> dict[str, Tensor]:
    """The parts beside start and target, (T, ., B); a field as (d, 1 + 2 d, B)."""
    parts = {name: getattr(trials, name) for name in PLAYED}
    return {name: part.permute(1, 2, 0) for name, part in parts.items() if part is not None}
