"""Derivatives by hand-derived passes: a `ContinuousTimeRNN`, a `QuadraticCost`, any plant.

They repeat what controller and cost do, so both have to declare that they follow their equations
(`follows_equations`); a subclass that overrides something takes the general path.
"""

from __future__ import annotations

import torch
from torch import Tensor

from neuromotor._checks import declares
from neuromotor.closed_loop.passes import (
    Forward,
    Layout,
    Place,
    jacobians,
    kronecker_factors,
    quiet_floats,
    run_adjoint,
    run_forward,
    run_tangent,
)
from neuromotor.controllers.rnn import ContinuousTimeRNN
from neuromotor.optim.objective import KroneckerBlock
from neuromotor.tasks.senses import SensesInUse
from neuromotor.tasks.task import Task
from neuromotor.tasks.trials import Trials

__all__ = ["FastLinearization", "FastObjective", "no_passes_for"]


def no_passes_for(task: Task, controller: object) -> str | None:
    """Return what there are no hand-derived passes for, in words, or None where there are."""
    for what, part in (("controller", controller), ("cost", task.cost)):
        if not declares(part, "follows_equations"):
            return f"this {what} ({type(part).__name__})"
    if not isinstance(controller, ContinuousTimeRNN):
        return f"this controller ({type(controller).__name__})"
    if tuple(task.plant.feedback) != tuple(range(task.plant.state_size)):
        return f"a plant that is observed in part ({type(task.plant).__name__})"
    if SensesInUse.of(task).own:
        return "a task with senses of its own"
    return None


class FastObjective:
    """Mean loss over fixed trials: value, gradient, Gauss-Newton product, by hand-derived passes.

    Buffers are kept between calls, so one objective must not be used by two threads at once.
    """

    def __init__(self, task: Task, controller: ContinuousTimeRNN, trials: Trials) -> None:
        """Join a loop and its trials.

        Raises:
            ValueError: There are no hand-derived passes for the controller or the task's cost.
        """
        missing = no_passes_for(task, controller)
        if missing is not None:
            raise ValueError(
                f"`fast` must be left out or False for {missing}: hand-derived passes exist for "
                "ContinuousTimeRNN and QuadraticCost themselves. A subclass that changes none of "
                "their numbers may set `follows_equations = True`."
            )
        self.task = task
        self.controller = controller
        self.trials = trials
        self._layout = Layout(task, controller, trials)
        self._forward: Forward | None = None

    @torch.no_grad()
    @quiet_floats()
    def value(self, parameters: Tensor) -> float:
        """Return the mean loss; infinity where the simulation overflows."""
        layout = self._layout
        self._forward = run_forward(layout, layout.arrange(parameters), self._forward)
        return layout.loss(self._forward)

    @torch.no_grad()
    @quiet_floats()
    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the mean loss and its gradient, (P,)."""
        layout = self._layout
        network = layout.arrange(parameters)
        self._forward = run_forward(layout, network, self._forward)
        along = jacobians(layout, self._forward)
        pulls = layout.pulls(self._forward)
        gradient = run_adjoint(layout, network, self._forward, along, *pulls)
        return layout.loss(self._forward), gradient

    @property
    def readout(self) -> slice:
        """Which parameters turn rates into commands: weights and bias of the output."""
        return self.controller.readout

    @torch.no_grad()
    @quiet_floats()
    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator, place: Place | None = None
    ) -> tuple[KroneckerBlock, ...]:
        """Return a Kronecker-factored estimate of the Gauss-Newton matrix, layer by layer.

        Source: Martens & Grosse (2015), equation 1 and section 3, with the loss's own residuals:
        one adjoint pass of random residuals of unit variance.

        Args:
            parameters: (P,).
            generator: Source of the random residuals.
            place: Where the trials stand in a larger batch; residuals are drawn for all of that.
        """
        layout = self._layout
        network = layout.arrange(parameters)
        self._forward = run_forward(layout, network, self._forward)
        along = jacobians(layout, self._forward)
        return kronecker_factors(layout, network, self._forward, along, generator, place)

    def part(self, size: int, generator: torch.Generator) -> FastObjective:
        """Return the mean loss over `size` random trials, or over all where there are no more."""
        return FastObjective(self.task, self.controller, self.trials.sample(size, generator))

    @torch.no_grad()
    @quiet_floats()
    def linearize(self, parameters: Tensor) -> FastLinearization:
        """Return the loop at a point, for any number of Gauss-Newton products."""
        return FastLinearization(self._layout, parameters)


class FastLinearization:
    """One trajectory with its plant Jacobians: each product is a tangent and an adjoint pass."""

    def __init__(self, layout: Layout, parameters: Tensor) -> None:
        self._layout = layout
        self._network = layout.arrange(parameters.detach().clone())
        self._forward = run_forward(layout, self._network, None)
        self._jacobians = jacobians(layout, self._forward)
        self.value = layout.loss(self._forward)
        pulls = layout.pulls(self._forward)
        self.gradient = run_adjoint(layout, self._network, self._forward, self._jacobians, *pulls)

    @torch.no_grad()
    @quiet_floats()
    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        """Return ``G v``, (P,), of a vector (P,); see `AutogradLinearization.product`."""
        layout = self._layout
        sources = layout.activation_room() if structural else ()
        r_states, r_commands = run_tangent(
            layout, self._network, self._forward, self._jacobians, layout.arrange(vector), sources
        )
        for i, r_v in enumerate(sources):
            rate = layout.rate(self._forward, i)
            r_v *= 1 - rate * rate
            r_v *= structural / layout.batch
        return run_adjoint(
            layout,
            self._network,
            self._forward,
            self._jacobians,
            *layout.weighted(r_states, r_commands),
            sources,
        )
