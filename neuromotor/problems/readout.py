"""Read-outs by ridge regression, where inputs and wanted outputs are given.

Notation: r rates of the last layer, y what is wanted, n the sum of the weights w of all steps::

    minimise  (1/n) sum w |W r + c - y|^2 + ridge |W|^2        over W and c

The biases c are not held back. So `ridge` times n is what scikit-learn's `Ridge` calls alpha.

Source: Jaeger & Haas (2004); Hoerl & Kennard (1970) for the regression.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from neuromotor._checks import check_number
from neuromotor.controllers.controller import Controller, WritesTape, unit_rates
from neuromotor.problems.objective import check_controller, run
from neuromotor.problems.problem import Problem, Sequences

__all__ = ["NormalEquations", "check_readout", "ridge_readout", "with_readout"]

_AT_ONCE = 1000  # sequences


class NormalEquations:
    """Sums over steps from which ridge regression follows, so that no step has to be kept."""

    def __init__(self) -> None:
        self._gram = self._moment = torch.zeros(0)
        self._count = 0.0

    def add(self, rates: Tensor, wanted: Tensor, weights: Tensor | None = None) -> None:
        """Take notice of more steps.

        Args:
            rates: (..., N).
            wanted: (..., m).
            weights: Of each step, (...,), 0 or more; 1 if None.
        """
        columns = torch.cat([rates, torch.ones_like(rates[..., :1])], dim=-1).flatten(0, -2)
        columns, outputs = columns.double(), wanted.flatten(0, -2).double()
        own = torch.ones_like(columns[:, 0]) if weights is None else weights.flatten().double()
        if not self._count:
            size = columns.shape[1]
            self._gram = columns.new_zeros(size, size)
            self._moment = columns.new_zeros(size, outputs.shape[1])
        weighed = columns * own[:, None]
        self._gram = self._gram + weighed.T @ columns
        self._moment = self._moment + weighed.T @ outputs
        self._count += float(own.sum())

    def solve(self, ridge: float) -> tuple[Tensor, Tensor]:
        """Return W, (m, N), and c, (m,), in float64.

        Raises:
            ValueError: `ridge` is negative, no step counts, or the equations have no one solution.
        """
        check_number("ridge", ridge, minimum=0.0)
        if not self._count:
            raise ValueError(
                "a read-out needs steps to be fitted to; add some whose weight is > 0."
            )
        held = torch.full((len(self._gram),), ridge * self._count, dtype=torch.float64)
        held[-1] = 0.0
        factor, wrong = torch.linalg.cholesky_ex(self._gram + torch.diag(held))
        if int(wrong):
            raise ValueError(
                f"`ridge` must be large enough for one solution, got {ridge:g}: some rates always "
                "vary together; try 1e-8 or more."
            )
        solution = torch.cholesky_solve(self._moment, factor)
        return solution[:-1].T.contiguous(), solution[-1]


def check_readout(controller: Controller) -> None:
    """Raise unless a controller's commands are linear in rates that it names."""
    name = type(controller).__name__
    if not hasattr(controller, "readout"):
        raise ValueError(
            f"`controller` must say which parameters its read-out has, got a {name}; take a "
            "network, such as `reservoir`."
        )
    if getattr(controller, "squash", None) is not None:
        raise ValueError(
            f"`controller` must not squash its commands, since ridge regression gives a linear "
            f"read-out, got squash {controller.squash!r}; set `squash` to None."  # type: ignore[attr-defined]
        )


def with_readout(
    controller: Controller, parameters: Tensor, weights: Tensor, biases: Tensor
) -> Tensor:
    """Return parameters, (P,), whose read-out is W (m, N) and c (m,)."""
    changed = parameters.detach().clone()
    both = torch.cat([weights.flatten(), biases])
    changed[cast(WritesTape, controller).readout] = both.to(changed)
    return changed


@torch.no_grad()
def ridge_readout(
    problem: Problem,
    controller: Controller,
    parameters: Tensor,
    sequences: Sequences,
    ridge: float = 1e-8,
) -> Tensor:
    """Return parameters, (P,), whose read-out is fitted to sequences; all others stay.

    Outputs of a logistic loss are fitted to -1 and 1, so that their sign decides; those of a
    softmax to 0 and 1, of which the largest decides.

    Args:
        problem: What is wanted.
        controller: A network of the problem's sizes, such as a `Reservoir`.
        parameters: (P,).
        sequences: B sequences.
        ridge: Weight of the squared read-out weights beside the mean squared error.

    Raises:
        ValueError: The controller has no linear read-out, or see `NormalEquations.solve`.

    Example:
        >>> from neuromotor.controllers import Reservoir
        >>> from neuromotor.problems import PROBLEMS, fitted
        >>> problem, draws = PROBLEMS["addition"], torch.Generator().manual_seed(0)
        >>> network = fitted(Reservoir(layers=(40,)), problem)
        >>> theta, some = network.initial_parameters(draws), problem.sequences(64, draws)
        >>> ridge_readout(problem, network, theta, some).shape
        torch.Size([41])
    """
    check_controller(problem, controller)
    check_readout(controller)
    equations = NormalEquations()
    for start in range(0, len(sequences), _AT_ONCE):
        part = sequences.subset(slice(start, start + _AT_ONCE))
        _, memory = run(controller, parameters, part)
        wanted = 2 * part.targets - 1 if problem.loss == "logistic" else part.targets
        equations.add(unit_rates(controller, memory)[-1], wanted, part.counted)
    return with_readout(controller, parameters, *equations.solve(ridge))
