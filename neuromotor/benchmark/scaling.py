"""Measures what several processes gain.

The command is `torchrun --nproc-per-node N -m neuromotor.benchmark.scaling`. In strong scaling the
processes share one batch; in weak scaling each has a batch of its own. One process and N
take turns within each round, and ratios are taken round by round, so that a busy machine disturbs
both alike. Seconds are wall-clock; processor seconds are the leader's own, which no neighbour
stretches.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch

from neuromotor.closed_loop import ClosedLoop
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.tasks import CenterOut
from neuromotor.training import distributed
from neuromotor.training.single import initial_parameters

__all__ = ["ScalingRow", "measure_scaling"]

Operation = Callable[[], object]


@dataclass(frozen=True)
class ScalingRow:
    """How one process compares with several, by medians over the rounds.

    Attributes:
        operation: gradient or gauss_newton.
        batch: Trials of one process.
        steps: Of a trial.
        processes: Number N of them.
        one_ms: One process, `batch` trials.
        strong_ms: N processes, `batch` trials in all.
        weak_ms: N processes, `batch` trials each.
        strong: `one_ms` over `strong_ms`; N at best.
        weak: `one_ms` over `weak_ms`; 1 at best.
        strong_cpu: As `strong`, of the leader's processor time.
        weak_cpu: As `weak`, of the leader's processor time.
    """

    operation: str
    batch: int
    steps: int
    processes: int
    one_ms: float
    strong_ms: float
    weak_ms: float
    strong: float
    weak: float
    strong_cpu: float
    weak_cpu: float


def measure_scaling(batch: int, steps: int, processes: int, rounds: int) -> list[ScalingRow]:
    """Measure the gradient and the Gauss-Newton product of the thesis's network, in float64.

    Runs where `distributed.run` leads.

    Args:
        batch: Trials of one process.
        steps: Of a trial.
        processes: How many share them.
        rounds: Medians are over so many.
    """
    network = ContinuousTimeRNN(layers=(100, 100))
    theta, vector = (initial_parameters(network, seed) for seed in (0, 1))
    few = ClosedLoop(CenterOut(directions=batch, steps=steps), network)
    many = ClosedLoop(CenterOut(directions=processes * batch, steps=steps), network)
    objectives = [
        few.objective(few.task.trials()),
        distributed.objective(few, few.task.trials()),
        distributed.objective(many, many.task.trials()),
    ]
    models = [objective.linearize(theta) for objective in objectives]
    operations: dict[str, list[Operation]] = {
        "gradient": [lambda o=o: o.value_and_gradient(theta) for o in objectives],  # type: ignore[misc]
        "gauss_newton": [lambda m=m: m.product(vector) for m in models],  # type: ignore[misc]
    }
    rows = []
    for name, three in operations.items():
        samples = [[_timed(operation) for operation in three] for _ in range(rounds + 1)][1:]
        wall, cpu = ([[s[k] for s in sample] for sample in samples] for k in (0, 1))
        one, strong, weak = (statistics.median(times) for times in zip(*wall, strict=True))
        ratios = [
            statistics.median(times[0] / times[i] for times in kind)
            for kind in (wall, cpu)
            for i in (1, 2)
        ]
        rows.append(ScalingRow(name, batch, steps, processes, one, strong, weak, *ratios))
    return rows


def round_trip_ms(rounds: int) -> float:
    """Return the median time (ms) of a value of one step of one unit: that of its messages."""
    task = CenterOut(directions=64, steps=1)
    loop = ClosedLoop(task, ContinuousTimeRNN(layers=(1,)))
    theta = initial_parameters(loop.controller, 0)
    alone, shared = loop.objective(task.trials()), distributed.objective(loop, task.trials())
    pairs = [
        (_timed(lambda: alone.value(theta))[0], _timed(lambda: shared.value(theta))[0])
        for _ in range(rounds)
    ]
    return statistics.median(together - single for single, together in pairs)


def _timed(operation: Operation) -> tuple[float, float]:
    """Return how many milliseconds of the clock and of the processor an operation takes here."""
    start, before = time.perf_counter(), time.process_time()
    operation()
    return 1e3 * (time.perf_counter() - start), 1e3 * (time.process_time() - before)


def main() -> None:
    """Print the rows as a table in Markdown, or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="64x40,400x60", help="batch x steps, with commas")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    processes = distributed.processes()
    rows = []
    for size in options.sizes.split(","):
        batch, steps = (int(number) for number in size.split("x"))
        rows += measure_scaling(batch, steps, processes, options.rounds)
    messages_ms = round_trip_ms(20 * options.rounds)
    if options.json:
        data = {"round_trip_ms": messages_ms, "rows": [asdict(row) for row in rows]}
        print(json.dumps(data, indent=2))
        return
    header = ["operation", "size", "one (ms)", f"strong, {processes} (ms)"]
    header += [f"weak, {processes} (ms)", "strong", "weak", "strong, processor", "weak, processor"]
    print("| " + " | ".join(header) + " |\n" + "| --- " * 2 + "| ---: " * 7 + "|")
    for row in rows:
        times = " | ".join(f"{ms:.1f}" for ms in (row.one_ms, row.strong_ms, row.weak_ms))
        ratios = (row.strong, row.weak, row.strong_cpu, row.weak_cpu)
        words = " | ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"| {row.operation} | {row.batch}x{row.steps} | {times} | {words} |")
    print(f"\nMessages alone, a value: {messages_ms:.2f} ms")


if __name__ == "__main__":
    distributed.run(main)
