"""How many threads numpy's matrix products get, and which kernels they run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np  # noqa: F401 -- its BLAS must be loaded to be found
import torch
from threadpoolctl import LibController, ThreadpoolController

__all__ = ["blas_description", "blas_threads"]


@cache
def _numpy_blas() -> tuple[LibController, ...]:
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return tuple(blas for blas in found if "numpy" in (blas.filepath or ""))


@contextmanager
def blas_threads() -> Iterator[None]:
    """Give numpy's matrix products as many threads as torch has (`torch.set_num_threads`)."""
    threads = torch.get_num_threads()
    changed = [
        (blas, before) for blas in _numpy_blas() if (before := blas.get_num_threads()) != threads
    ]
    for blas, _ in changed:
        blas.set_num_threads(threads)
    try:
        yield
    finally:
        for blas, before in changed:
            blas.set_num_threads(before)


def blas_description() -> str:
    """Name numpy's BLAS and the kernels that it chose for this processor."""
    names = [
        f"{blas.internal_api} {blas.version} ({getattr(blas, 'architecture', 'unknown')})"
        for blas in _numpy_blas()
    ]
    return ", ".join(names) or "unknown"
