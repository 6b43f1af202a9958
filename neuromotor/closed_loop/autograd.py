"""Closed-loop derivatives by autograd: for any controller and plant, and the fast path's yardstick.

Notation: theta controller parameters, r residuals with ``loss = |r|^2 / 2``, v activations of the
units, J = dr/dtheta and J_v = dv/dtheta over a batch of B trials, G = J^T J / B.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from neuromotor.closed_loop.simulate import simulate
from neuromotor.controllers.controller import Controller
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["AutogradLinearization", "AutogradObjective"]


class AutogradObjective:
    """Mean loss over fixed trials: value, gradient and Gauss-Newton product, by autograd."""

    def __init__(self, task: Task, controller: Controller, trials: Trials) -> None:
        self.task = task
        self.controller = controller
        self.trials = trials

    def value(self, parameters: Tensor) -> float:
        """Return the mean loss; infinity where the simulation overflows."""
        with torch.no_grad():
            value = float(self._loss(parameters))
        return value if math.isfinite(value) else math.inf

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the mean loss and its gradient, (P,)."""
        theta = parameters.detach().requires_grad_(True)
        loss = self._loss(theta)
        (gradient,) = torch.autograd.grad(loss, theta)
        value = float(loss.detach())
        return (value if math.isfinite(value) else math.inf), gradient

    def part(self, size: int, generator: torch.Generator) -> AutogradObjective:
        """Return the mean loss over `size` random trials, or over all where there are no more."""
        return AutogradObjective(self.task, self.controller, self.trials.sample(size, generator))

    def linearize(self, parameters: Tensor) -> AutogradLinearization:
        """Return the loop at a point, for any number of Gauss-Newton products."""
        return AutogradLinearization(self, parameters)

    def _loss(self, parameters: Tensor) -> Tensor:
        trajectory = simulate(self.task, self.controller, parameters, self.trials)
        losses = self.task.cost.losses(trajectory.states, trajectory.commands, self.trials)
        return losses.mean()


class AutogradLinearization:
    """The residuals at one point, graph kept: each product is two passes over it.

    The tangent pass ``J v`` is the derivative of the adjoint pass ``w -> J^T w``, which is linear
    in w (Pearlmutter 1994's R-operator, by double reverse mode).
    """

    def __init__(self, objective: AutogradObjective, parameters: Tensor) -> None:
        trials = objective.trials
        self._batch = len(trials)
        self._theta = parameters.detach().requires_grad_(True)
        trajectory = simulate(objective.task, objective.controller, self._theta, trials)
        self._residuals = objective.task.cost.residuals(
            trajectory.states, trajectory.commands, trials
        )
        self._activations = trajectory.memory
        residuals = self._residuals.detach()
        value = float(residuals.square().sum()) / (2 * self._batch)
        self.value = value if math.isfinite(value) else math.inf
        self.gradient = self._pull_back(self._residuals, residuals)

    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        """Return ``G v``, (P,), of a vector (P,).

        Args:
            vector: (P,).
            structural: Weight of structural damping (lambda mu in Martens & Sutskever 2011): adds
                ``structural / B J_v^T (1 - tanh(v)^2) J_v v``, the Gauss-Newton matrix of a loss
                that matches tanh, taken at the units' activations.
        """
        total = self._pull_back(self._residuals, self._push_forward(self._residuals, vector))
        if structural:
            for activation in self._activations:
                tangent = self._push_forward(activation, vector)
                weight = structural * (1 - torch.tanh(activation.detach()).square())
                total = total + self._pull_back(activation, weight * tangent)
        return total

    def _push_forward(self, output: Tensor, vector: Tensor) -> Tensor:
        """``d output / d theta`` times a vector."""
        weights = torch.zeros_like(output, requires_grad=True)
        (adjoint,) = torch.autograd.grad(
            output, self._theta, weights, create_graph=True, materialize_grads=True
        )
        if not adjoint.requires_grad:  # the output does not depend on the parameters
            return torch.zeros_like(output)
        (tangent,) = torch.autograd.grad(adjoint, weights, vector, materialize_grads=True)
        return tangent

    def _pull_back(self, output: Tensor, weights: Tensor) -> Tensor:
        """``(d output / d theta)^T w / B``."""
        (gradient,) = torch.autograd.grad(
            output, self._theta, weights, retain_graph=True, materialize_grads=True
        )
        return gradient / self._batch
