"""Training of any `torch.nn.Module` with the optimizers of this package, a step at a time.

Notation: o are the outputs of the module, L is the loss, J = do / dtheta, and H_L is the Hessian of
L by o; the Gauss-Newton matrix is G = J^T H_L J (Schraudolph 2002). If L also depends on theta
directly, for example by a penalty on weights, the Hessian of that dependence is added. For
L(o(theta), theta)::

    gradient  J^T dL/do + dL/dtheta        G = J^T H_L J + d^2L/dtheta^2, with o held
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from neuromotor.optim.iterative import Iterative
from neuromotor.optim.jacobian import JacobianProducts, flat
from neuromotor.optim.module_factors import module_factors
from neuromotor.optim.objective import KroneckerBlock, or_infinity
from neuromotor.optim.result import Counts
from neuromotor.optim.run import Run, check_run
from neuromotor.optim.state import Snapshot, SnapshotError, pack, restore

__all__ = ["Forward", "ModuleObjective", "ModuleTrainer"]

Forward = Callable[[], tuple[Tensor, Tensor]]
_STANDSTILL = "no better point was found; the next step begins again from the gradient"


class ModuleObjective:
    """A module's loss as a function of its flat parameters.

    Args:
        parameters: Parameters of the module, all of one dtype and device.
        forward: Runs the module and returns outputs and loss, the loss a convex function of the
            outputs, plus a penalty on the parameters if you like. It must return the same numbers
            each time it is called with the same parameters.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], forward: Forward) -> None:
        self.parameters = [part for part in parameters if part.requires_grad]
        if not self.parameters:
            raise ValueError("`parameters` must hold at least one that requires a gradient, got 0.")
        kinds = {(part.dtype, part.device) for part in self.parameters}
        if len(kinds) > 1:
            raise ValueError(
                f"`parameters` must share one dtype and device, got {sorted(map(str, kinds))}; "
                "use `module.to(...)`."
            )
        self.forward = forward

    def vector(self) -> Tensor:
        """Return the module's current parameters, (P,)."""
        return parameters_to_vector(self.parameters).detach().clone()

    def put(self, vector: Tensor) -> None:
        """Put parameters, (P,), into the module."""
        with torch.no_grad():
            vector_to_parameters(vector, self.parameters)

    def value(self, parameters: Tensor) -> float:
        """Return the loss; infinity where it is not finite."""
        self.put(parameters)
        with torch.no_grad():
            value = float(self._run()[1])
        return or_infinity(value)

    def value_and_gradient(self, parameters: Tensor) -> tuple[float, Tensor]:
        """Return the loss and its gradient, (P,)."""
        self.put(parameters)
        loss = self._run()[1]
        value = float(loss.detach())
        gradient = flat(torch.autograd.grad(loss, self.parameters, materialize_grads=True))
        return or_infinity(value), gradient

    def linearize(self, parameters: Tensor) -> ModuleLinearization:
        """Return the loss at a point, with its Gauss-Newton products."""
        self.put(parameters)
        return ModuleLinearization(self.parameters, *self._run())

    def kronecker_factors(
        self, parameters: Tensor, generator: torch.Generator
    ) -> tuple[KroneckerBlock, ...]:
        """Return a Kronecker-factored estimate of J^T H_L J for the module's linear layers.

        Parameters of other layers are in no block. See `module_factors`.

        Raises:
            ValueError: The module uses no linear layer, or its loss has no such estimate.
        """
        self.put(parameters)
        return module_factors(self.parameters, self._run, generator)

    def _run(self) -> tuple[Tensor, Tensor]:
        """Return outputs and loss after a check."""
        result: Any = self.forward()
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(
                "`forward` must return outputs and loss, as in `return outputs, loss`, got "
                f"{type(result).__name__}."
            )
        outputs, loss = result
        if not isinstance(loss, Tensor) or loss.ndim:
            raise TypeError("`forward` must return a loss that is a scalar tensor as its second.")
        return outputs, loss


class ModuleLinearization:
    """A module's loss at one point with its graph; each product takes two passes over the graph."""

    def __init__(self, parameters: list[torch.nn.Parameter], outputs: Tensor, loss: Tensor) -> None:
        self._parameters, self._outputs = parameters, outputs
        self._jacobian = JacobianProducts([outputs], parameters)
        (pull,) = torch.autograd.grad(loss, outputs, create_graph=True, allow_unused=True)
        if pull is None:
            raise ValueError(
                "`forward` must return the outputs that its loss was computed from, got others; "
                "return that very tensor."
            )
        self._pull: Tensor = pull
        self.value = or_infinity(float(loss.detach()))
        self.gradient = flat(
            torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
        )
        self._penalty: Tensor | None = None
        if _depends_directly(loss, outputs, parameters):
            with self._outputs_held():
                self._penalty = flat(
                    torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
                )

    def product(self, vector: Tensor, structural: float = 0.0) -> Tensor:
        """Return G v, (P,), of a vector (P,).

        Raises:
            ValueError: Structural damping is asked for: a module does not say what its units are.
        """
        if structural:
            raise ValueError(
                f"`structural` must be 0 for a torch module, got {structural!r}; structural "
                "damping needs an objective with hidden units."
            )
        (tangent,) = self._jacobian.forward(vector)
        total = torch.zeros_like(vector)
        if self._pull.requires_grad:  # else the loss is linear in the outputs
            (curved,) = torch.autograd.grad(
                self._pull, self._outputs, tangent, retain_graph=True, materialize_grads=True
            )
            total = total + self._jacobian.backward([curved])
        if self._penalty is not None and self._penalty.requires_grad:
            with self._outputs_held():
                total = total + flat(
                    torch.autograd.grad(
                        self._penalty,
                        self._parameters,
                        vector,
                        retain_graph=True,
                        materialize_grads=True,
                    )
                )
        return total

    @contextmanager
    def _outputs_held(self) -> Iterator[None]:
        """Let no derivative pass through the outputs within this context."""
        hook = self._outputs.register_hook(torch.zeros_like)  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            hook.remove()


class ModuleTrainer:
    """Trains a `torch.nn.Module` a step at a time, and keeps the optimizer's state between steps.

    Each step may have other data; within a step, `forward` must use the same data. The
    module must allow differentiating twice, which fused recurrent and attention kernels do not.

    Example:
        >>> import torch
        >>> from neuromotor import HessianFree
        >>> module = torch.nn.Linear(3, 1)
        >>> x, y = torch.randn(20, 3), torch.randn(20, 1)
        >>> def forward():
        ...     outputs = module(x)
        ...     return outputs, (outputs - y).square().mean()
        >>> trainer = ModuleTrainer(module.parameters(), HessianFree())
        >>> losses = [trainer.step(forward) for _ in range(3)]
        >>> losses[-1] < losses[0]
        True
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], optimizer: Iterative[Any]) -> None:
        """Prepare a module's training.

        Args:
            parameters: Parameters of the module; those that require a gradient are trained.
            optimizer: Any optimizer of this package.

        Raises:
            ValueError: No parameter requires a gradient, or dtypes or devices differ.
        """
        self.optimizer = optimizer
        self.reason: str | None = None
        self._objective = ModuleObjective(parameters, _no_forward)
        self._run: Run | None = None
        self._state = optimizer._begin(self._objective.vector())
        self._resumed: Snapshot | None = None

    def step(self, forward: Forward) -> float:
        """Make one iteration, and return the loss before it.

        If the optimizer finds no better point, the module stays as it is and `reason` says why;
        after a step that changed the module, `reason` is None.

        Args:
            forward: Runs the module and returns outputs and loss, the loss a convex function of
                the outputs, plus a penalty on the parameters if you like: its curvature counts too.

        Raises:
            TypeError: `forward` returns something else.
            ValueError: The very first loss is not finite, the loss was computed from other outputs
                than those returned, or the optimizer needs what a module does not have.
        """
        objective, state = self._objective, self._state
        objective.forward = forward
        theta = objective.vector()
        if self._run is None:
            self._run = Run(objective, theta, None, None)
            if self._resumed is not None:
                self._run.restore(self._resumed.run)
        if not torch.equal(theta, state.theta):
            state.move(theta)
        run = self._run
        try:
            self.optimizer._evaluate(run, state)
            run.record(state.theta, state.value, float(state.gradient.norm()))
            value = state.value
            state.standstill = None
            self.reason = self._iterated(run, theta)
            state.iteration += 1
        finally:
            objective.put(state.theta)
        return float(value)

    def _iterated(self, run: Run, theta: Tensor) -> str | None:
        """Iterate; return why the parameters are the same as before, or None."""
        state, tolerance = self._state, self.optimizer.gradient_tolerance
        if float(state.gradient.abs().max()) <= tolerance:
            return f"no entry of the gradient above {tolerance:g}"
        reason = self.optimizer._iterate(run, state)
        if reason is None and torch.equal(state.theta, theta):
            return state.standstill or _STANDSTILL
        return reason

    @property
    def counts(self) -> Counts:
        """Number of calls of each kind so far."""
        return Counts() if self._run is None else self._run.counts

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's whole state as plain data: tensors, numbers, lists."""
        run = None if self._run is None else self._run.pack()
        return {
            "optimizer": type(self.optimizer).__name__,
            "state": pack(self._state),
            "run": run,
        }

    def load_state_dict(self, data: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned; the module's parameters are put back too.

        Raises:
            ValueError: The state belongs to another optimizer or module.
        """
        if not isinstance(data, dict) or set(data) != {"optimizer", "state", "run"}:
            raise SnapshotError("`data` must be what `state_dict` returned; use another copy.")
        if data["optimizer"] != type(self.optimizer).__name__:
            raise SnapshotError(
                f"`data` must come from {type(self.optimizer).__name__}, got a state of "
                f"{data['optimizer']}; load it into the optimizer that saved it."
            )
        if data["run"] is not None:
            check_run(data["run"], self._state.theta)
        restore(self._state, data["state"])
        self._run = None
        if data["run"] is not None:
            self._resumed = Snapshot(data["optimizer"], data["state"], data["run"])
        self._objective.put(self._state.theta)


def _depends_directly(loss: Tensor, outputs: Tensor, parameters: list[torch.nn.Parameter]) -> bool:
    """Return whether a loss depends on parameters also directly, not only through the outputs."""
    wanted = {id(part) for part in parameters} - {id(outputs)}
    seen = {outputs.grad_fn, None}
    ahead = [loss.grad_fn]
    while ahead:
        node = ahead.pop()
        if node in seen or node is None:
            continue
        seen.add(node)
        if id(getattr(node, "variable", None)) in wanted:  # the node of a leaf
            return True
        ahead += [following for following, _ in node.next_functions]
    return False


def _no_forward() -> tuple[Tensor, Tensor]:
    raise RuntimeError("`step` has not been called yet.")
