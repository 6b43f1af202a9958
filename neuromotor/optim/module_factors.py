"""Kronecker factors of the linear layers of any torch module, by one pass of random residuals.

Notation: o outputs of the module, L loss, H_L Hessian of L by o, y what a linear layer gives, W its
weights, a its inputs with a constant one, R a root ``R R^T = H_L``, e standard normal numbers.

    d = (do / dy)^T R e        A = mean of a a^T        S = sum of d d^T

Mean and sum go over trials, and over all uses of a layer: a recurrent network uses one at each
step. A x S is the layer's block of ``J^T H_L J`` if a is independent of d, and uses of each other.

Source: Martens & Grosse (2015), section 3; Martens, Ba & Johnson (2018), section 3.4, for layers
that are used again, with steps taken as independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from neuromotor.optim.objective import KroneckerBlock

__all__ = ["module_factors"]

_MOST_OUTPUTS = 1000  # of a loss that is no sum over rows, whose whole Hessian is computed


class _LinearCalls(TorchFunctionMode):
    """Keeps what every linear layer with one of some weights gets and gives, within a context."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__()
        self._weights = {id(weight) for weight in weights}
        self.calls: dict[int, list[tuple[Tensor, Tensor | None, Tensor]]] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a function of torch, and keep it if it is such a layer."""
        given = dict(kwargs or {})
        result = func(*args, **given)
        if func is torch.nn.functional.linear:
            given |= zip(("input", "weight", "bias"), args, strict=False)
            if id(given["weight"]) in self._weights:
                call = given["input"].detach(), given.get("bias"), result
                self.calls.setdefault(id(given["weight"]), []).append(call)
        return result


@torch.enable_grad()
def module_factors(
    parameters: Sequence[Tensor],
    run: Callable[[], tuple[Tensor, Tensor]],
    generator: torch.Generator,
) -> tuple[KroneckerBlock, ...]:
    """Return the factors of every weight that a linear layer uses, with its bias.

    A bias that several weights share, or that is not trained, is left out of the blocks.

    Args:
        parameters: Leaves, in the order of the flat vector.
        run: Runs the module and returns outputs and loss.
        generator: Source of the random residuals.

    Raises:
        ValueError: No linear layer is used, the loss is not curved in the outputs, or it is neither
            a sum over their rows nor of few outputs.
    """
    with _LinearCalls([part for part in parameters if part.ndim == 2]) as linear:
        outputs, loss = run()
    if not linear.calls:
        raise ValueError(
            "`forward` must use linear layers (torch.nn.Linear) with trained weights to have "
            "Kronecker factors, got none; fused cells, as torch.nn.GRUCell, are not seen: write "
            "such a cell with torch.nn.Linear, or use lbfgs or hf."
        )
    pulled = (outputs * _random_residuals(outputs, loss, generator)).sum()
    given = [call[2] for calls in linear.calls.values() for call in calls]
    pulls = iter(torch.autograd.grad(pulled, given, materialize_grads=True))
    starts: dict[int, int] = {}
    count = 0
    for part in parameters:
        starts[id(part)] = count
        count += part.numel()
    biases = _own_biases(linear.calls, starts)
    blocks = []
    weights = {id(part): part for part in parameters}
    for number, calls in linear.calls.items():
        weight = weights[number]
        pull = torch.cat([next(pulls).reshape(-1, len(weight)) for _ in calls])
        seen = torch.cat([inputs.reshape(-1, weight.shape[1]) for inputs, *_ in calls])
        places = starts[number] + torch.arange(weight.numel()).view(weight.shape)
        bias = biases.get(number)
        if bias is not None:
            seen = torch.cat([seen, seen.new_ones(len(seen), 1)], dim=1)
            places = torch.cat([places, bias + torch.arange(len(weight))[:, None]], dim=1)
        places = places.to(seen.device)
        blocks.append(KroneckerBlock(places, pull.T @ pull, seen.T @ seen / len(seen)))
    return tuple(blocks)


def _own_biases(
    calls: Mapping[int, Sequence[tuple[Tensor, Tensor | None, Tensor]]], starts: Mapping[int, int]
) -> dict[int, int]:
    """Where the bias of each weight begins that has one of its own in every use."""
    used = {weight: {id(bias) for _, bias, _ in uses} for weight, uses in calls.items()}
    return {
        weight: starts[bias]
        for weight, (bias, *others) in used.items()
        if not others
        and bias in starts
        and not any(bias in theirs for other, theirs in used.items() if other != weight)
    }


def _random_residuals(outputs: Tensor, loss: Tensor, generator: torch.Generator) -> Tensor:
    """``R e``, of the outputs' shape."""
    (pull,) = torch.autograd.grad(loss, outputs, create_graph=True, allow_unused=True)
    if pull is None or not pull.requires_grad:
        raise ValueError(
            "`forward` must return a loss that is curved in the outputs that it returns, or there "
            "are no Kronecker factors; use lbfgs or adam."
        )

    def curved(direction: Tensor) -> Tensor:
        (found,) = torch.autograd.grad(
            pull, outputs, direction.view_as(outputs), retain_graph=True, materialize_grads=True
        )
        return found.reshape(direction.shape)

    drawn = torch.randn(outputs.numel(), generator=generator, dtype=torch.float64).to(outputs)
    row = outputs.shape[-1] if outputs.ndim > 1 else 1
    for size in (row, outputs.numel()):
        if size > max(row, _MOST_OUTPUTS):
            break
        unit = torch.eye(size).to(outputs)
        directions = (one.repeat(outputs.numel() // size, 1) for one in unit)
        hessian = torch.stack([curved(direction) for direction in directions], dim=-1)
        probe = drawn.view(-1, size, 1)
        error = (hessian @ probe).squeeze(-1) - curved(drawn.view(-1, size))
        scale = float(hessian.abs().max()) * float(drawn.abs().max()) * size
        if float(error.abs().max()) <= 1e3 * torch.finfo(outputs.dtype).eps * scale:
            values, vectors = torch.linalg.eigh(0.5 * (hessian + hessian.mT))
            roots: Tensor = vectors * values.clamp(min=0).sqrt()[:, None]
            return (roots @ probe).view_as(outputs).detach()
    raise ValueError(
        "`forward` must return a loss that is a sum over the rows of its outputs (all but their "
        f"last dimension) to have Kronecker factors, got one that ties {outputs.numel()} outputs "
        f"together, more than {_MOST_OUTPUTS}; use hf, lbfgs or adam."
    )
