"""How many threads torch and numpy's matrix products get, and which kernels these run.

Networks of this size gain little from a second thread, and beside other work two threads that wait
for each other at every small product take ten times as long as one or more. So the package's own
loops run on one, and give torch its threads back when they are done.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np  # noqa: F401 -- its BLAS must be loaded to be found
import torch
from threadpoolctl import LibController, ThreadpoolController

from neuromotor._checks import check_integer

__all__ = ["blas_description", "blas_threads", "choose_threads", "torch_threads"]

_lock = threading.Lock()
_inside = 0  # loops that run now; the outermost one chose the threads
_before = 1  # torch's threads outside of them


def choose_threads(count: int) -> None:
    """Give torch so many threads from now on, in the package's loops too: for whole programs."""
    global _inside
    with _lock:
        _inside += 1
    torch.set_num_threads(count)


@contextmanager
def torch_threads(count: int | None = 1) -> Iterator[None]:
    """Give torch so many threads within the block, or as a decorator within the function.

    Within another such block, and after `choose_threads`, nothing changes.

    Args:
        count: How many; None leaves them as they are.

    Raises:
        TypeError: `count` is no integer.
        ValueError: `count` is below 1.
    """
    global _inside, _before
    if count is None:
        yield
        return
    check_integer("threads", count, minimum=1)
    with _lock:
        if not _inside:
            _before = torch.get_num_threads()
            torch.set_num_threads(count)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                torch.set_num_threads(_before)


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
