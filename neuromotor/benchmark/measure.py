"""Times implementations side by side: all take turns, and the median over the rounds counts.

Each number of threads has a process of its own, bound to as many cores, since no library's thread
pool can be trusted to shrink once it has started.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from neuromotor._checks import check_integer
from neuromotor.benchmark.products import product_operations
from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN, GatedCell, Network
from neuromotor.tasks import CenterOut
from neuromotor.training.single import initial_parameters

__all__ = ["BenchmarkSettings", "Row", "measure_here", "run_benchmark"]

OPERATIONS = ("value", "gradient", "gauss_newton")
_DTYPES = {"float32": torch.float32, "float64": torch.float64}
Operation = Callable[[], object]


@dataclass(frozen=True)
class BenchmarkSettings:
    """What a benchmark of values, gradients and products measures.

    Attributes:
        sizes: Pairs of batch and steps.
        dtypes: Names of dtypes.
        threads: Numbers of threads.
        layers: Units a layer of the network.
        repeats: Rounds; each measures every implementation once.
        peers: Whether jax and MotorNet take part, where they are installed.

    Raises:
        ValueError: A number is below 1 or a dtype unknown.
    """

    sizes: tuple[tuple[int, int], ...] = ((64, 40), (400, 60))
    dtypes: tuple[str, ...] = ("float32", "float64")
    threads: tuple[int, ...] = (1, 2)
    layers: tuple[int, ...] = (100, 100)
    repeats: int = 15
    peers: bool = True

    def __post_init__(self) -> None:
        for batch, steps in self.sizes:
            check_integer("sizes", batch, minimum=1)
            check_integer("sizes", steps, minimum=1)
        for count in self.threads:
            check_integer("threads", count, minimum=1)
        check_integer("repeats", self.repeats, minimum=1)
        for dtype in self.dtypes:
            if dtype not in _DTYPES:
                raise ValueError(f"`dtypes` must be among {', '.join(_DTYPES)}, got {dtype!r}.")


@dataclass(frozen=True)
class Row:
    """How long one implementation takes for one operation at one size."""

    operation: str  # value, gradient or gauss_newton
    implementation: str  # products, autograd, fast (compiled), gated, jax or motornet
    batch: int
    steps: int
    dtype: str
    threads: int
    ms: float  # median over the rounds


def run_benchmark(
    settings: BenchmarkSettings, progress: Callable[[str], None] | None = None
) -> list[Row]:
    """Return all rows; each number of threads is measured in a process of its own.

    Raises:
        RuntimeError: A measuring process failed; the message ends with what it said.
    """
    rows: list[Row] = []
    for threads in settings.threads:
        if progress is not None:
            progress(f"measuring with {threads} thread{'s' if threads > 1 else ''}")
        rows += _measure_in_child(settings, threads)
    return rows


def _measure_in_child(settings: BenchmarkSettings, threads: int) -> list[Row]:
    """Return the rows of one number of threads, measured in a process of its own."""
    count = str(threads)
    environment = {**os.environ, "OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
    environment["MKL_NUM_THREADS"] = count
    done = subprocess.run(
        [sys.executable, "-m", "neuromotor.benchmark", str(threads)],
        input=json.dumps(asdict(settings)),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"measuring with {threads} threads failed: {done.stderr.strip()[-2000:]}"
        )
    return [Row(**row) for row in json.loads(done.stdout.splitlines()[-1])]


def measure_here(threads: int) -> None:
    """Measure in this process, which was started for it: settings on stdin, rows on stdout."""
    if hasattr(os, "sched_setaffinity"):
        # Before jax starts: its thread pool has as many threads as there are cores to run on.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    torch.set_num_threads(threads)
    raw = json.load(sys.stdin)
    raw["sizes"] = [tuple(size) for size in raw["sizes"]]
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
    settings = BenchmarkSettings(**fields)
    rows = [
        asdict(row)
        for size in settings.sizes
        for dtype in settings.dtypes
        for row in _measure(settings, *size, dtype, threads)
    ]
    print(json.dumps(rows))


def _measure(
    settings: BenchmarkSettings, batch: int, steps: int, dtype: str, threads: int
) -> Iterator[Row]:
    """Yield the rows of one size and dtype, whose operations take turns."""
    operations = list(_operations(settings, batch, steps, _DTYPES[dtype]))
    samples: list[list[float]] = [[] for _ in operations]
    for _, _, operation in operations:  # compile, fill caches, allocate
        operation()
        operation()
    for _ in range(settings.repeats):
        for (_, _, operation), times in zip(operations, samples, strict=True):
            start = time.perf_counter()
            operation()
            times.append(1e3 * (time.perf_counter() - start))
    for (name, implementation, _), times in zip(operations, samples, strict=True):
        yield Row(name, implementation, batch, steps, dtype, threads, statistics.median(times))


def equal_units(network: ContinuousTimeRNN) -> int:
    """Return how many units a layer of gated cells has whose network is as large, to a unit."""
    layers = len(network.layers)

    def excess(units: int) -> int:
        gated = Network(layers=(units,) * layers, cell=GatedCell())
        return abs(gated.parameter_count - network.parameter_count)

    return min(range(1, max(network.layers) + 1), key=excess)


def _operations(
    settings: BenchmarkSettings, batch: int, steps: int, dtype: torch.dtype
) -> Iterator[tuple[str, str, Operation]]:
    """Yield each operation's name, implementation and callable, on the same reaches and network."""
    task = CenterOut(directions=batch, steps=steps)
    network = ContinuousTimeRNN(layers=settings.layers)
    trials = task.trials(dtype=dtype)
    theta = initial_parameters(network, 0, dtype=dtype)
    vector = initial_parameters(network, 1, dtype=dtype)
    products = product_operations(network, batch, steps, dtype)
    for name in OPERATIONS:
        yield name, "products", products[name]
    loop = ClosedLoop(task, network)
    units = equal_units(network)
    gated = Network(layers=(units,) * len(network.layers), cell=GatedCell())
    objectives: dict[str, Any] = {"autograd": loop.objective(trials, fast=False)}
    for name, one in (("fast", loop), ("gated", ClosedLoop(task, gated))):
        if one.why_not_compiled(trials) is None:  # else it would be autograd under another name
            objectives[name] = one.objective(trials, fast=True)
    for implementation, objective in objectives.items():
        if implementation == "gated":
            theta = initial_parameters(gated, 0, dtype=dtype)
            vector = initial_parameters(gated, 1, dtype=dtype)
        linear = objective.linearize(theta)
        yield "value", implementation, partial(objective.value, theta)
        yield "gradient", implementation, partial(objective.value_and_gradient, theta)
        yield "gauss_newton", implementation, partial(linear.product, vector)
    theta = initial_parameters(network, 0, dtype=dtype)
    vector = initial_parameters(network, 1, dtype=dtype)
    if settings.peers and importlib.util.find_spec("jax"):
        from neuromotor.benchmark.peers import jax_operations

        peers = jax_operations(task, network, theta, trials, vector=vector)
        for name in OPERATIONS:
            yield name, "jax", peers[name]
    if settings.peers and dtype == torch.float32 and importlib.util.find_spec("motornet"):
        from neuromotor.benchmark.peers import motornet_gradient

        yield "gradient", "motornet", motornet_gradient(batch, steps, dtype)
