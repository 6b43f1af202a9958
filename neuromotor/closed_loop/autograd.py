"""Closed-loop derivatives by autograd, for any controller, plant, cost and device.

Compiled loops (`compiled`) give the same numbers faster, where there are compiled pieces, and tests
hold them to these.

Notation: theta are the controller's parameters, r the residuals with ``loss = |r|^2 / 2``, and v
the activations of the units, or any other quantities that a controller declares for structural
damping (`damped`), with weights m. Over a batch of B trials J = dr/dtheta, J_v = dv/dtheta, and the
Gauss-Newton matrix is G = J^T J / B.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from neuromotor._checks import declares, up_to_date
from neuromotor.closed_loop.objective import LoopObjective, Place
from neuromotor.closed_loop.penalties import Matrices, NetworkPenalties
from neuromotor.closed_loop.recorded import recorded_factors
from neuromotor.closed_loop.simulate import Trajectory, check_inputs, run
from neuromotor.controllers.controller import Controller, damped_quantities
from neuromotor.optim.jacobian import JacobianProducts
from neuromotor.optim.objective import KroneckerBlock, or_infinity
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["AutogradLinearization", "AutogradObjective", "Happened"]


class AutogradObjective(LoopObjective):
    """Mean loss over fixed trials: value, gradient and Gauss-Newton product, by autograd.

    Value and gradient are those of the cost's `losses`, products those of its `residuals`; the
    penalties of the task on the network come to both.
    """

    def __init__(self, task: Task, controller: Controller, trials: Trials) -> None:
        """Join a loop and its trials.

        Raises:
            ValueError: The cost's class overrides `residuals` and leaves `losses` as they were; or
                the task's penalties do not suit the controller.
        """
        if not up_to_date(task.cost, "losses", "residuals"):
            raise ValueError(
                "`task.cost` must override `losses` wherever it overrides `residuals`, or half the "
                f"squared residuals are not the loss, got a {type(task.cost).__name__} that "
                "overrides `residuals` alone."
            )
        super().__init__(task, controller, trials)
        self.penalties = NetworkPenalties.of(task, controller)

    def over(self, trials: Trials) -> AutogradObjective:
        """Return the mean loss of the same loop over other trials."""
        return AutogradObjective(self.task, self.controller, trials)

    def value(self, parameters: Tensor) -> float:
        """Return the mean loss; infinity where the simulation overflows."""
        with torch.no_grad():
            value = float(self._loss(parameters))
        return or_infinity(value)

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the mean loss and its gradient, (P,)."""
        theta = parameters.detach().requires_grad_(True)
        loss = self._loss(theta)
        (gradient,) = torch.autograd.grad(loss, theta)
        value = float(loss.detach())
        return or_infinity(value), gradient

    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator, place: Place | None = None
    ) -> tuple[KroneckerBlock, ...]:
        """Return a Kronecker-factored estimate of the Gauss-Newton matrix, map by map.

        See `LoopObjective.kronecker_factors`.

        Raises:
            ValueError: The controller does not say which linear maps it consists of.
        """
        if not self.has_factors:
            raise ValueError(
                "`controller` must be a network of cells, or write its products on a tape, to have "
                f"Kronecker factors, got a {type(self.controller).__name__}; use lbfgs or adam."
            )
        return recorded_factors(
            self.task,
            self.controller,
            parameters,
            self.trials,
            generator,
            place,
            penalties=self.penalties,
        )

    def linearize(self, parameters: Tensor) -> AutogradLinearization:
        """Return the loop at a point, for any number of Gauss-Newton products."""
        return AutogradLinearization(self, parameters)

    def run(self, parameters: Tensor) -> Happened:
        """Return what happens, and each trial's loss."""
        check_inputs(self.task, parameters, self.trials)
        weights = self.controller.unpack(parameters)
        trajectory = run(self.task, self.controller, weights, self.trials)
        losses = self.task.cost.losses(trajectory.states, trajectory.commands, self.trials)
        if self.penalties is None:
            return Happened(trajectory, losses, [], None)
        matrices = Matrices.of(weights)
        rates = self.penalties.of_memory(trajectory.memory)
        return Happened(trajectory, losses, rates, matrices)

    def residuals(self, trajectory: Trajectory, losses: Tensor) -> Tensor:
        """Return the residuals, (B, R), of a run with these losses, (B,).

        Raises:
            ValueError: Half their squares are not the losses.
        """
        cost = self.task.cost
        residuals: Tensor = cost.residuals(trajectory.states, trajectory.commands, self.trials)
        if not declares(cost, "follows_equations"):
            _check_residuals(cost, residuals.detach(), losses.detach())
        return residuals

    def _loss(self, parameters: Tensor) -> Tensor:
        return self.mean(self.run(parameters))

    def mean(self, happened: Happened) -> Tensor:
        """Return the mean loss, penalties included."""
        loss = happened.losses.mean()
        if self.penalties is not None and happened.matrices is not None:
            for values in self.penalties.values(happened.rates, happened.matrices).values():
                loss = loss + values.mean()
        return loss


class Happened(NamedTuple):
    """What happened in a run of B trials."""

    trajectory: Trajectory
    losses: Tensor  # the cost's, (B,)
    rates: list[Tensor]  # of each layer, (T, B, units), for penalties
    matrices: Matrices | None


class AutogradLinearization:
    """The residuals at one point, graph kept: each product is two passes over it."""

    def __init__(self, objective: AutogradObjective, parameters: Tensor) -> None:
        self._batch = len(objective.trials)
        self._theta = parameters.detach().requires_grad_(True)
        self._controller, self._penalties = objective.controller, objective.penalties
        happened = self._happened = objective.run(self._theta)
        trajectory = happened.trajectory
        self._residuals = objective.residuals(trajectory, happened.losses)
        self._memory = trajectory.memory
        loss = objective.mean(happened)
        self.value = or_infinity(float(loss.detach()))
        (self.gradient,) = torch.autograd.grad(
            loss, self._theta, retain_graph=True, materialize_grads=True
        )
        self._quantities = [self._residuals]
        if happened.matrices is not None:
            matrices = happened.matrices
            self._quantities += [*happened.rates, *matrices.recurrent, *matrices.every]
        self._plain = JacobianProducts(self._quantities, [self._theta])
        self._damped: tuple[JacobianProducts, list[Tensor]] | None = None

    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        """Return ``G v``, (P,), of a vector (P,).

        Args:
            vector: (P,).
            structural: Weight of structural damping (lambda mu in Martens & Sutskever 2011): adds
                ``structural / B J_v^T diag(m) J_v v``. For tanh units m is 1 - tanh(v)^2, which
                makes it the Gauss-Newton matrix of a loss that matches tanh.

        Raises:
            ValueError: Structural damping is asked for, and the controller declares no quantities.
        """
        jacobian, held = self._with_damped() if structural else (self._plain, [])
        changes = jacobian.forward(vector)
        count = len(self._quantities)
        pulls = [
            structural * weight * one for weight, one in zip(held, changes[count:], strict=True)
        ]
        return jacobian.backward([*self._penalised(changes[:count]), *pulls]) / self._batch

    def _penalised(self, changes: list[Tensor]) -> list[Tensor]:
        """Changes of residuals, and of rates and matrices those that their penalties make."""
        penalties, matrices = self._penalties, self._happened.matrices
        if penalties is None or matrices is None:
            return changes
        layers = len(matrices.recurrent)
        (residuals, *rest), rates = changes, [one.detach() for one in self._happened.rates]
        now = Matrices([one.detach() for one in matrices.recurrent], [])
        on_rates, on_recurrent = penalties.products(
            rates, now, rest[:layers], rest[layers : 2 * layers]
        )
        on_every = [self._batch * penalties.weights * one for one in rest[2 * layers :]]
        return [residuals, *on_rates, *on_recurrent, *on_every]

    def _with_damped(self) -> tuple[JacobianProducts, list[Tensor]]:
        """The products with residuals and damped quantities together, and the weights of these."""
        if self._damped is None:
            pairs = damped_quantities(self._controller, self._memory)
            quantities = [*self._quantities, *(quantity for quantity, _ in pairs)]
            held = [weight.detach() for _, weight in pairs]
            self._damped = JacobianProducts(quantities, [self._theta]), held
        return self._damped


def _check_residuals(cost: object, residuals: Tensor, losses: Tensor) -> None:
    """Raise unless half the squared residuals of each trial are its loss, up to rounding."""
    halves = 0.5 * residuals.flatten(1).square().sum(1)
    finite = torch.isfinite(losses) & torch.isfinite(halves)
    rounding = 1e3 * torch.finfo(losses.dtype).eps
    off = (halves - losses).abs() > rounding * (halves.abs() + losses.abs())
    if bool((off & finite).any()):
        raise ValueError(
            f"`task.cost` must have residuals whose half squared norm is its loss, got "
            f"{float(halves.mean()):g} for a loss of {float(losses.mean()):g} from a "
            f"{type(cost).__name__}; override `residuals` to match `losses`, or train by a method "
            "without Gauss-Newton products, such as LBFGS."
        )
