"""The few operations that the hand-derived passes need, on numpy arrays or torch tensors.

On a CPU numpy starts a small operation several times sooner than torch, its tanh is ten times
as fast and its matrix products are as fast or faster; elsewhere the same passes run on tensors.
What both libraries write alike (indexing, ``+=``, ``.T``, ``.reshape``) the passes write
themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Array", "Arrays", "NumpyArrays", "TorchArrays", "arrays_like"]

Array = Any  # NDArray or Tensor, as the kit has it


class Arrays(ABC):
    """Operations on one kind of array, of one dtype and device."""

    def __init__(self, example: Tensor) -> None:
        self.dtype = example.dtype
        self.device = example.device

    @abstractmethod
    def take(self, tensor: Tensor) -> Array:
        """Return a tensor as an array that shares its memory."""

    @abstractmethod
    def give(self, array: Array) -> Tensor:
        """Return an array as a tensor that shares its memory."""

    def empty(self, *shape: int) -> Array:
        """Return an array of undefined numbers."""
        return self.take(torch.empty(*shape, dtype=self.dtype, device=self.device))

    @abstractmethod
    def product(self, a: Array, b: Array, out: Array) -> None:
        """``out = a b``, of matrices; `out` is contiguous."""

    @abstractmethod
    def tanh(self, a: Array, out: Array) -> None:
        """Write the tanh of `a` to `out`."""

    @abstractmethod
    def times_slope(self, a: Array, rate: Array, scratch: Array, out: Array) -> None:
        """``out = a (1 - rate^2)``, the derivative of tanh; all of one shape, `out` may be `a`."""

    @abstractmethod
    def apply(self, matrices: Array, vectors: Array, out: Array) -> None:
        """``out[b] = matrices[b] vectors[b]``, (B, i, j) and (B, j) to (B, i)."""

    @abstractmethod
    def apply_transposed(self, matrices: Array, vectors: Array, out: Array) -> None:
        """``out[b] = matrices[b]^T vectors[b]``, (B, i, j) and (B, i) to (B, j)."""


class NumpyArrays(Arrays):
    """numpy arrays, for a CPU."""

    def take(self, tensor: Tensor) -> Array:
        return tensor.numpy()

    def give(self, array: Array) -> Tensor:
        return torch.from_numpy(array)

    def product(self, a: Array, b: Array, out: Array) -> None:
        np.dot(a, b, out=out)

    def tanh(self, a: Array, out: Array) -> None:
        np.tanh(a, out=out)

    def times_slope(self, a: Array, rate: Array, scratch: Array, out: Array) -> None:
        np.multiply(rate, rate, out=scratch)
        np.subtract(1.0, scratch, out=scratch)
        np.multiply(a, scratch, out=out)

    def apply(self, matrices: Array, vectors: Array, out: Array) -> None:
        np.einsum("bij,bj->bi", matrices, vectors, out=out)

    def apply_transposed(self, matrices: Array, vectors: Array, out: Array) -> None:
        np.einsum("bij,bi->bj", matrices, vectors, out=out)


class TorchArrays(Arrays):
    """torch tensors, for any device."""

    def take(self, tensor: Tensor) -> Array:
        return tensor

    def give(self, array: Array) -> Tensor:
        tensor: Tensor = array
        return tensor

    def product(self, a: Array, b: Array, out: Array) -> None:
        torch.mm(a, b, out=out)

    def tanh(self, a: Array, out: Array) -> None:
        torch.tanh(a, out=out)

    def times_slope(self, a: Array, rate: Array, scratch: Array, out: Array) -> None:
        del scratch
        torch.ops.aten.tanh_backward.grad_input(a, rate, grad_input=out)

    def apply(self, matrices: Array, vectors: Array, out: Array) -> None:
        torch.bmm(matrices, vectors.unsqueeze(-1), out=out.unsqueeze(-1))

    def apply_transposed(self, matrices: Array, vectors: Array, out: Array) -> None:
        torch.bmm(vectors.unsqueeze(1), matrices, out=out.unsqueeze(1))


def arrays_like(example: Tensor) -> Arrays:
    """Return the kit that suits a tensor's device."""
    return NumpyArrays(example) if example.device.type == "cpu" else TorchArrays(example)
