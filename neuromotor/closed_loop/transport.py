"""How the norm of a loss's gradient changes from step to step on its way back through a network.

Notation: m_t memory of the network after step t, L loss, g_t = dL/dm_t as a whole::

    Omega = sum over t of (|g_{t+1} dm_{t+1}/dm_t| / |g_{t+1}| - 1)^2

dm_{t+1}/dm_t is that of the network's own step, without the way through limb and senses. Steps on
which the loss does not depend count for nothing. Omega is a mean over trials.

Source: Pascanu, Mikolov & Bengio (2013), section 3.3. They take the derivative of Omega with g and
the rates held fixed; here it is the whole derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neuromotor.closed_loop.simulate import simulate
from neuromotor.controllers.controller import Controller
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["loop_norm_change", "norm_change"]

_NONE = 1e-150  # squared norm of a gradient that counts as zero


class _Step(NamedTuple):
    weights: Any
    before: tuple[Tensor, ...]
    given: tuple[Any, ...]  # observation, target, step, noise
    after: tuple[Tensor, ...]


class _Watched:
    """A controller that keeps what goes into each step, and its memory after it."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.steps: list[_Step] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controller, name)

    def step(
        self, weights: Any, memory: tuple[Tensor, ...], *given: Any
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        after, command = self._controller.step(weights, memory, *given)
        self.steps.append(_Step(weights, memory, given, after))
        return after, command


@torch.enable_grad()
def norm_change(
    controller: Controller, theta: Tensor, losses: Callable[[Controller, Tensor], Tensor]
) -> Tensor:
    """Return Omega, a tensor of one number; differentiable in `theta`.

    Args:
        controller: Any whose memory consists of tensors (B, .).
        theta: Its parameters, (P,), which require gradients.
        losses: Runs the controller that it is given at some parameters, and returns the loss of
            each trial, (B,).
    """
    watched: Any = _Watched(controller)
    total = losses(watched, theta).sum()
    steps = watched.steps
    memories = [part for step in steps for part in step.after]
    if not memories or not total.requires_grad:
        return theta.new_zeros(())
    pulls = iter(torch.autograd.grad(total, memories, create_graph=True, materialize_grads=True))
    whole = theta.new_zeros(())
    for number, step in enumerate(steps):
        pull = tuple(next(pulls) for _ in step.after)
        if number == 0:
            continue
        before = tuple(part.clone() for part in step.before)
        after, _ = controller.step(step.weights, before, *step.given)
        back = torch.autograd.grad(after, before, pull, create_graph=True, materialize_grads=True)
        later, earlier = _squares(pull), _squares(back)
        counts = (later > _NONE) & (earlier > _NONE)
        ratio = torch.where(counts, earlier, 1.0).sqrt() / torch.where(counts, later, 1.0).sqrt()
        off = torch.where(counts, ratio - 1, torch.where(later > _NONE, -1.0, 0.0))
        whole = whole + off.square().mean()
    return whole


def loop_norm_change(
    task: Task, controller: Controller, trials: Trials
) -> Callable[[Tensor], Tensor]:
    """Return Omega of a closed loop as a function of the parameters, (P,)."""

    def losses(one: Controller, theta: Tensor) -> Tensor:
        moved = simulate(task, one, theta, trials)
        found: Tensor = task.cost.losses(moved.states, moved.commands, trials)
        return found

    return lambda theta: norm_change(controller, theta, losses)


def _squares(parts: tuple[Tensor, ...]) -> Tensor:
    """Squared norm of each trial, (B,)."""
    return torch.stack([part.square().sum(dim=1) for part in parts]).sum(0)
