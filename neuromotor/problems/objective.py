"""The mean loss of a controller over sequences, as a function that every optimizer takes.

Notation: theta parameters, o outputs, v quantities that structural damping holds back with weights
m, H Hessian of the loss by the outputs, B sequences, J = do/dtheta, J_v = dv/dtheta::

    G = (J^T H J + structural J_v^T diag(m) J_v) / B
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from neuromotor.closed_loop.recorded import tape_blocks
from neuromotor.closed_loop.transport import norm_change
from neuromotor.controllers.cells import Tape, TensorCell
from neuromotor.controllers.controller import (
    Controller,
    WritesTape,
    damped_quantities,
    writes_tape,
)
from neuromotor.optim.jacobian import JacobianProducts
from neuromotor.optim.objective import KroneckerBlock, or_infinity
from neuromotor.problems.engines import Engine
from neuromotor.problems.losses import LOSSES, Loss
from neuromotor.problems.passes import TanhRun, has_passes
from neuromotor.problems.problem import Problem, Sequences

__all__ = [
    "AutogradRun",
    "SequenceLinearization",
    "SequenceObjective",
    "SequenceRun",
    "check_controller",
    "fitted",
    "misclassified",
    "outputs_of",
    "run",
]

_AT_ONCE = 1000  # sequences whose graph is in memory at a time


class SequenceObjective:
    """Mean loss over given sequences: value, gradient, Gauss-Newton product, Kronecker factors.

    The loss of a sequence is the sum over its counted steps.

    Example:
        >>> import torch
        >>> from neuromotor.controllers import Network
        >>> from neuromotor.problems import PROBLEMS
        >>> problem = PROBLEMS["memory-5bit"]
        >>> network = fitted(Network(layers=(20,)), problem)
        >>> draws = torch.Generator().manual_seed(0)
        >>> objective = SequenceObjective(problem, network, problem.sequences(32, draws))
        >>> value, gradient = objective.value_and_gradient(network.initial_parameters(draws))
        >>> gradient.shape
        torch.Size([563])
    """

    def __init__(
        self,
        problem: Problem,
        controller: Controller,
        sequences: Sequences,
        engine: Engine | None = None,
    ) -> None:
        """Join a problem, a controller and a batch.

        Args:
            problem: Says what the loss is.
            controller: Gets the inputs as observations, and an empty target; its commands are the
                outputs. `fitted` gives it the right sizes.
            sequences: The batch.
            engine: How gradients are computed; whole backpropagation through time if None.

        Raises:
            ValueError: The controller has other sizes than the problem, squashes its commands, or
                has private noise.
        """
        check_controller(problem, controller)
        self.problem, self.controller, self.sequences = problem, controller, sequences
        self.loss: Loss = LOSSES[problem.loss]
        self.engine = engine

    def value(self, parameters: Tensor) -> float:
        """Return the mean loss; infinity where it is not finite."""
        total = 0.0
        for part in self._parts():
            outputs = outputs_of(self.controller, parameters, part)
            total += float((part.counted * self.loss.values(outputs, part.targets)).sum())
        return or_infinity(total / len(self.sequences))

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the mean loss and its gradient, (P,)."""
        total, gradient = 0.0, torch.zeros_like(parameters)
        for part in self._parts():
            value, own = self._sums(parameters, part)
            total, gradient = total + value, gradient + own
        count = len(self.sequences)
        return or_infinity(total / count), gradient / count

    def norm_change(self, parameters: Tensor) -> Tensor:
        """Return how much the gradient's norm changes on its way back, see `norm_change`.

        Args:
            parameters: (P,), which require gradients.
        """

        def losses(controller: Controller, theta: Tensor) -> Tensor:
            outputs, _ = run(controller, theta, self.sequences)
            values = self.loss.values(outputs, self.sequences.targets)
            return (self.sequences.counted * values).sum(dim=1)

        return norm_change(self.controller, parameters, losses)

    def part(self, size: int, generator: torch.Generator) -> SequenceObjective:
        """Return the mean loss over `size` random sequences, or over all of no more."""
        sequences = self.sequences.sample(size, generator)
        return SequenceObjective(self.problem, self.controller, sequences, self.engine)

    def linearize(self, parameters: Tensor) -> SequenceLinearization:
        """Return the objective at a point, for any number of Gauss-Newton products."""
        return SequenceLinearization(self, parameters)

    @property
    def readout(self) -> slice | None:
        """Which parameters turn rates into outputs, or None if the controller does not say."""
        return cast(WritesTape, self.controller).readout if self.has_factors else None

    @property
    def has_factors(self) -> bool:
        """Whether there are Kronecker factors: for networks of cells."""
        return writes_tape(self.controller)

    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator
    ) -> tuple[KroneckerBlock, ...]:
        """Return a Kronecker-factored estimate of J^T H J / B, map by map.

        See `closed_loop.recorded`; the random residuals are R e, where R R^T = H. Of a large batch
        the first thousand sequences are used.

        Raises:
            ValueError: The controller does not say which linear maps it consists of.
        """
        if not self.has_factors:
            raise ValueError(
                "`controller` must be a network of cells, or write its products on a tape, to have "
                f"Kronecker factors, got a {type(self.controller).__name__}; use lbfgs or adam."
            )
        part = next(self._parts())
        return _factors(self._run(parameters, part), part, self.loss, generator)

    def _parts(self) -> Iterator[Sequences]:
        """The sequences, some at a time."""
        for start in range(0, len(self.sequences), _AT_ONCE):
            yield self.sequences.subset(slice(start, start + _AT_ONCE))

    def _run(self, parameters: Tensor, part: Sequences) -> SequenceRun:
        kind = TanhRun if has_passes(self.controller) else AutogradRun
        return kind(self.controller, parameters, part)

    def _sums(self, parameters: Tensor, part: Sequences) -> tuple[float, Tensor]:
        """The sum of the losses and its gradient, by the engine."""
        if self.engine is not None:
            found = self.engine.gradient(self.controller, parameters, part, self.loss)
            if found is not None:
                return found
        return self._at(self._run(parameters, part), part)

    def _at(self, happened: SequenceRun, part: Sequences) -> tuple[float, Tensor]:
        """The sum of the losses and its gradient."""
        outputs = happened.outputs.detach()
        value = (part.counted * self.loss.values(outputs, part.targets)).sum()
        pull = part.counted[..., None] * self.loss.pulled(outputs, part.targets)
        return float(value), happened.adjoint([pull])


class SequenceLinearization:
    """A run at one point, kept for any number of products."""

    def __init__(self, objective: SequenceObjective, parameters: Tensor) -> None:
        self._loss, self._sequences = objective.loss, objective.sequences
        self._run = objective._run(parameters, self._sequences)
        if objective.engine is None:
            value, gradient = objective._at(self._run, self._sequences)
        else:
            value, gradient = objective._sums(parameters, self._sequences)
        self.value = or_infinity(value / len(self._sequences))
        self.gradient = gradient / len(self._sequences)

    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        """Return ``G v``, (P,), of a vector (P,).

        Args:
            vector: (P,).
            structural: Weight of structural damping (lambda mu in Martens & Sutskever 2011).

        Raises:
            ValueError: Structural damping is asked for, and the controller declares no quantities.
        """
        held = self._run.damped() if structural else []
        change, *others = self._run.tangent(vector, damped=bool(structural))
        curved = self._loss.curved(self._run.outputs.detach(), change)
        pulls = [self._sequences.counted[..., None] * curved]
        pulls += [structural * weight * one for weight, one in zip(held, others, strict=True)]
        return self._run.adjoint(pulls) / len(self._sequences)

    def kronecker_factors(
        self, generator: torch.Generator, structural: float = 0.0
    ) -> tuple[KroneckerBlock, ...]:
        """Return the factors of what `product` multiplies by; arguments as there.

        Raises:
            ValueError: Structural damping is asked for, and the controller declares no quantities.
        """
        return _factors(self._run, self._sequences, self._loss, generator, structural)


class SequenceRun(Protocol):
    """One run over sequences, and products with its Jacobian and the transpose."""

    outputs: Tensor  # (B, T, O)

    def damped(self) -> list[Tensor]:
        """Return the weights of the quantities that structural damping holds back."""
        ...

    def tangent(self, vector: Tensor, *, damped: bool) -> list[Tensor]:
        """Return how outputs, and these quantities if asked for, change along a vector (P,)."""
        ...

    def adjoint(self, pulls: Sequence[Tensor]) -> Tensor:
        """Return the derivative by the parameters, (P,), of those by outputs and quantities."""
        ...

    def factors(self, pulls: Sequence[Tensor]) -> tuple[KroneckerBlock, ...]:
        """Return the Kronecker factors, of random residuals in place of `adjoint`'s derivatives."""
        ...


class AutogradRun:
    """A run of any controller, with derivatives by autograd."""

    def __init__(self, controller: Controller, parameters: Tensor, sequences: Sequences) -> None:
        """Run the controller.

        Args:
            controller: As for `SequenceObjective`.
            parameters: (P,).
            sequences: B sequences.
        """
        self._controller, self._sequences = controller, sequences
        self._theta = parameters.detach().requires_grad_(True)
        with torch.enable_grad():
            self.outputs, self._memory = run(controller, self._theta, sequences)
        self._plain = JacobianProducts([self.outputs], [self._theta])
        self._damped: tuple[JacobianProducts, list[Tensor]] | None = None

    def damped(self) -> list[Tensor]:
        """Return the weights of the quantities that structural damping holds back."""
        return self._with_damped()[1]

    def tangent(self, vector: Tensor, *, damped: bool) -> list[Tensor]:
        """Return how outputs, and these quantities if asked for, change along a vector (P,)."""
        return (self._with_damped()[0] if damped else self._plain).forward(vector)

    def adjoint(self, pulls: Sequence[Tensor]) -> Tensor:
        """Return the derivative by the parameters, (P,), of those by outputs and quantities."""
        return (self._with_damped()[0] if len(pulls) > 1 else self._plain).backward(pulls)

    def factors(self, pulls: Sequence[Tensor]) -> tuple[KroneckerBlock, ...]:
        """Return the Kronecker factors, of random residuals in place of `adjoint`'s derivatives."""
        tape, network = Tape(), cast(WritesTape, self._controller)
        with torch.enable_grad():
            outputs, memory = run(self._controller, self._theta, self._sequences, tape)
            made = [outputs]
            if len(pulls) > 1:
                made += [quantity for quantity, _ in damped_quantities(self._controller, memory)]
            pairs = zip(pulls, made, strict=True)
            pulled = torch.stack([(pull * one).sum() for pull, one in pairs]).sum()
            return tape_blocks(network, tape, pulled)

    def _with_damped(self) -> tuple[JacobianProducts, list[Tensor]]:
        if self._damped is None:
            with torch.enable_grad():
                pairs = damped_quantities(self._controller, self._memory)
            quantities = [self.outputs, *(quantity for quantity, _ in pairs)]
            held = [weight.detach() for _, weight in pairs]
            self._damped = JacobianProducts(quantities, [self._theta]), held
        return self._damped


def _factors(
    happened: SequenceRun,
    sequences: Sequences,
    loss: Loss,
    generator: torch.Generator,
    structural: float = 0.0,
) -> tuple[KroneckerBlock, ...]:
    """The factors of a run, with residuals R e of the loss, R R^T = H, and of held quantities."""
    outputs, count = happened.outputs.detach(), len(sequences)
    scale = (sequences.counted / count).sqrt()[..., None]
    pulls = [scale * loss.root(outputs, _normal(outputs, generator))]
    for weight in happened.damped() if structural else ():
        pulls.append((structural / count * weight).sqrt() * _normal(weight, generator))
    return happened.factors(pulls)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers, the same for each dtype."""
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)


def run(
    controller: Controller, parameters: Tensor, sequences: Sequences, tape: Tape | None = None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return outputs (B, T, O), and each part of the memory after every step, (B, T, .).

    Args:
        controller: As for `SequenceObjective`.
        parameters: (P,).
        sequences: B sequences.
        tape: Where the controller writes its products, or None.
    """
    weights = controller.unpack(parameters)
    if tape is not None:
        weights = cast(WritesTape, controller).recorded(weights, tape)
    memory = controller.initial_memory(weights, len(sequences))
    nothing = sequences.inputs.new_zeros(len(sequences), 0)
    outputs, memories = [], []
    for t, given in enumerate(sequences.inputs.unbind(1)):
        memory, output = controller.step(weights, memory, given, nothing, t, None)
        outputs.append(output)
        memories.append(memory)
    parts = tuple(torch.stack(part, dim=1) for part in zip(*memories, strict=True))
    return torch.stack(outputs, dim=1), parts


def outputs_of(controller: Controller, parameters: Tensor, sequences: Sequences) -> Tensor:
    """Return the outputs alone, (B, T, O), without a graph; arguments as for `run`."""
    if has_passes(controller):
        return TanhRun(controller, parameters, sequences).outputs
    with torch.no_grad():
        return run(controller, parameters, sequences)[0]


def fitted(controller: Controller, problem: Problem) -> Controller:
    """Return a controller with a problem's numbers of inputs and outputs.

    In tensor cells as they are by default, where a limb's target gates, all inputs gate instead.
    """
    sizes: dict[str, Any] = {"input_size": problem.input_size, "command_size": problem.output_size}
    own: Any = controller
    if getattr(own, "cell", None) == TensorCell():
        sizes["cell"] = TensorCell(0, problem.input_size)
    names = {field.name for field in fields(own) if field.init}
    return cast(Controller, replace(own, **{n: s for n, s in sizes.items() if n in names}))


def misclassified(problem: Problem, outputs: Tensor, sequences: Sequences) -> Tensor:
    """Return which sequences have an output that is wrong where it decides, (B,)."""
    wrong = LOSSES[problem.loss].wrong(outputs, sequences.targets)
    return (wrong & sequences.judged).any(dim=1)


def check_controller(problem: Problem, controller: Controller) -> None:
    """Raise unless a controller can be trained on a problem."""
    size = getattr(controller, "input_size", problem.input_size)
    if (size, controller.command_size) != (problem.input_size, problem.output_size):
        raise ValueError(
            f"`controller` must have {problem.input_size} inputs and {problem.output_size} "
            f"commands for this problem, got {size} and {controller.command_size}; use "
            "`neuromotor.problems.fitted(controller, problem)`."
        )
    if getattr(controller, "squash", None) is not None:
        raise ValueError(
            "`controller` must not squash its commands here, because the problem's loss does that; "
            "set `squash` to None."
        )
    if controller.noise_size:
        raise ValueError(
            "`controller` must have no private noise on a problem of sequences; set "
            "`private_noise` to 0."
        )
