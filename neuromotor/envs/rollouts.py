"""Whole trials in torch whose rewards have a gradient: for analytic policy-gradient methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from neuromotor.envs.options import EnvOptions
from neuromotor.envs.playing import Rollout, play
from neuromotor.envs.standard import layout_of
from neuromotor.tasks import Task, Trials

__all__ = ["Rollout", "rollout"]


def rollout(
    policy: Callable[[Tensor], Tensor], task: Task, trials: Trials, **options: Any
) -> Rollout:
    """Run a policy through a batch of trials as the environments do, and keep the graph.

    The numbers are those of `MotorVectorEnv` on the same trials, except that a plant that leaves
    its bounds goes on instead of failing. Where an action is clipped, its gradient is zero.

    Args:
        policy: From observations (B, k) to actions (B, m), such as a `torch.nn.Module`.
        task: What is wanted.
        trials: The batch; its dtype and device are those of all tensors.
        **options: Fields of `EnvOptions`, without goals.

    Raises:
        ValueError: The trials do not fit the task, actions have the wrong shape, or goals are
            asked for.

    Example:
        >>> import torch
        >>> from neuromotor import CenterOut
        >>> task = CenterOut(directions=8)
        >>> policy = torch.nn.Linear(9, 2, dtype=torch.float64)
        >>> loss = -rollout(policy, task, task.trials()).returns.mean()
        >>> loss.backward()
        >>> policy.weight.grad.shape
        torch.Size([2, 9])
    """
    settings = EnvOptions.of(task, options)
    if settings.goal:
        raise ValueError("`goal` must be False for a rollout: a sparse reward has no gradient.")
    return play(policy, settings, layout_of(settings), trials)
