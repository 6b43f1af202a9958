"""Small trainings that vary one choice at a time, to see which open choices of the thesis matter.

Source of the question: Sutskever (2013), section 6.4, says that smaller networks reach the targets
but spend more energy, and section 6.7.3 that longer delays and larger disturbances are harder.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQR
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.evaluation.performance import held_out, measure
from neuromotor.optim import Budget, KroneckerDescent, KroneckerLBFGS, Optimizer
from neuromotor.reproduction.data import DATA, load_data
from neuromotor.reproduction.rows import Measurement, collect
from neuromotor.tasks import DDN, CenterOut, Postural, Task
from neuromotor.training.single import train

__all__ = [
    "FILE",
    "Case",
    "cases",
    "load_sensitivity",
    "measure_case",
    "run_sensitivity",
    "summary",
]

FILE = DATA / "sensitivity.json"
_HELD_OUT = 400


@dataclass(frozen=True)
class Case:
    """One training: everything as usual but one choice.

    Attributes:
        factor: The choice that is varied.
        value: Its value, in words.
        task: The task.
        layers: Number of units in each layer.
        optimizer: Name of the optimizer.
        calls: Number of calls of the training.
        refresh: Iterations between new trials; 0 for none.
        standard: Whether the value is the reproduction's own.
    """

    factor: str
    value: str
    task: Task = field(default_factory=CenterOut)
    layers: tuple[int, ...] = (100, 100)
    optimizer: str = "kron-lbfgs"
    calls: int = 800
    refresh: int = 0
    standard: bool = False

    def key(self, seed: int) -> dict[str, Any]:
        """Return what tells its results from others."""
        return {
            "factor": self.factor,
            "value": self.value,
            "layers": list(self.layers),
            "optimizer": self.optimizer,
            "budget": self.calls,
            "seed": seed,
        }


def cases() -> list[Case]:
    """Return the trainings of the sensitivity table, standard values included."""
    found = [
        Case("network size", _layers_words(layers), layers=layers, standard=layers == (100, 100))
        for layers in ((5,), (10,), (10, 10), (20, 20), (50, 50), (100, 100))
    ]
    for radius in (0.03, CenterOut().radius_m, 0.06, 0.08):
        own = radius == CenterOut().radius_m
        far = CenterOut(radius_m=radius)
        found.append(Case("reach radius", f"{100 * radius:.3g} cm", far, standard=own))
    for size in (0.35, 0.7, 1.4):
        pushed = Postural(load_size=size)
        found.append(Case("load on the hand", f"{size:g} N", pushed, standard=size == 0.7))
    random: dict[str, Any] = {"optimizer": "kron-descent", "calls": 400, "refresh": 1}
    for noise in (0.0, 0.05, 0.1, 0.2):
        small = DDN(pairs=100, noise=noise)
        found.append(Case("noise", f"{noise:g} of torque", small, standard=noise == 0.1, **random))
    for size in (0.1, 0.2, 0.4):
        small = DDN(pairs=100, disturbance_nm=None if size == 0.2 else size)  # 0.2: the default
        found.append(Case("disturbance", f"{size:g} N m", small, standard=size == 0.2, **random))
    for delay in (0, 3, 7, 14):
        small = DDN(pairs=100, delay_steps=delay)
        found.append(Case("delay", f"{10 * delay} ms", small, standard=delay == 7, **random))
    return found


_OPTIMIZERS: dict[str, Optimizer] = {
    "kron-lbfgs": KroneckerLBFGS(),
    "kron-descent": KroneckerDescent(),
}


def measure_case(case: Case, seed: int) -> dict[str, Any]:
    """Train one case and return how its network does against iLQR on the same trials.

    Random tasks are measured on held-out trials, against iLQR that knows what comes.
    """
    controller = ContinuousTimeRNN(layers=case.layers)
    result = train(
        case.task,
        controller,
        _OPTIMIZERS[case.optimizer],
        budget=Budget(calls=case.calls),
        seed=seed,
        refresh=case.refresh,
    )
    trials = held_out(case.task, controller, _HELD_OUT)
    run = ClosedLoop(case.task, controller).simulate(result.parameters, trials)
    own = measure(case.task, trials, run.states, run.commands)
    solution = ILQR().solve(case.task, trials)
    best = measure(case.task, trials, solution.states, solution.commands)
    return {
        "factor": case.factor,
        "value": case.value,
        "layers": list(case.layers),
        "optimizer": case.optimizer,
        "standard": case.standard,
        "budget": case.calls,
        "seed": seed,
        "loss": own.loss,
        "ratio": own.loss / best.loss,
        "energy": own.energy,
        "energy_ratio": own.energy / best.energy,
        "target_error_cm": own.target_error_cm,
        "reference_loss": best.loss,
        "calls": result.counts.calls,
        "seconds": result.seconds,
    }


def run_sensitivity(
    file: Path,
    seeds: int,
    *,
    calls: int | None = None,
    progress: Callable[[str], None] = lambda words: None,
) -> dict[str, Any]:
    """Train every case from several seeds into a JSON file; what it holds already is kept.

    Args:
        file: Written after every training, so that a later call goes on.
        seeds: Number of seeds, from 0 on.
        calls: Number of calls of every training, instead of its own number.
        progress: Told about every training.
    """

    def measurements() -> Iterator[Measurement]:
        for seed in range(seeds):
            for case in cases():
                own = case if calls is None else replace(case, calls=calls)
                yield Measurement(own.key(seed), partial(_measured, own, seed, file), _words)

    return collect(file, measurements(), progress)


def _measured(case: Case, seed: int, file: Path) -> dict[str, Any]:
    """Return a case's row; a training that the file has under another name is not repeated."""
    rows = load_data(file)["rows"] if file.is_file() else []
    for twin in cases():
        same = replace(twin, factor=case.factor, value=case.value, calls=case.calls) == case
        if same and twin.factor != case.factor:
            key = replace(twin, calls=case.calls).key(seed)
            for row in rows:
                if all(row[name] == value for name, value in key.items()):
                    return {**row, **case.key(seed)}
    return measure_case(case, seed)


def _words(row: dict[str, Any]) -> str:
    return (
        f"{row['factor']}, {row['value']}, seed {row['seed']}: {row['ratio']:.5g} x iLQR's loss, "
        f"{row['energy_ratio']:.5g} x its energy, {row['seconds']:.0f} s"
    )


def summary(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row a factor and value: medians over the seeds."""
    return [
        {
            "factor": factor,
            "value": value,
            "standard": own[0]["standard"],
            "seeds": len(own),
            **{
                name: statistics.median(row[name] for row in own)
                for name in ("loss", "ratio", "energy_ratio", "target_error_cm")
            },
        }
        for (factor, value), own in _grouped(data["rows"])
    ]


def load_sensitivity() -> dict[str, Any]:
    """Return the results that come with the package."""
    return load_data(FILE)


def _grouped(rows: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, str], list[dict[str, Any]]]]:
    """Yield the rows of each factor and value, in the order of `cases`."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["factor"], row["value"]), []).append(row)
    yield from groups.items()


def _layers_words(layers: tuple[int, ...]) -> str:
    """`2 x 100`."""
    return f"{len(layers)} x {layers[0]}"
