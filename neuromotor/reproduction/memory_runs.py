"""The trainings behind figure 4.1, table 4.1 and table 7.3 of Sutskever (2013), at two sizes.

`SMALL` is what two cores manage, and what the numbers in the package come from; `WHOLE` is the
source's own size, as far as its text gives it. Each training is one run of `neuromotor solve`.

Source: Sutskever (2013), sections 4.4, 4.5.1 and 7.4; what it leaves open is said where it stands.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuromotor.reproduction.data import DATA, load_data
from neuromotor.runs.execute import machine, versions
from neuromotor.runs.problems import PROBLEM_FILE, problem_settings, run_problems
from neuromotor.storage.files import write_json

__all__ = [
    "CHAPTERS",
    "MemoryRun",
    "measured",
    "memory_runs",
    "rows_of",
    "selected",
    "train_memory",
    "write_measured",
]

CHAPTERS = (4, 7)
SOLVED_BY = ("addition", "multiplication", "xor", "order-2", "order-3", "permutation")
MEMORIES = ("memory-5bit", "memory-20bit")
_MU = 1 / 30  # section 4.4
_FORGET = 1e9  # a bound on the gradient's norm that never holds; the source has none

# Section 7.4.2: pairs of an iteration and the number from there on, for 50,000 iterations.
_RATES = ((0, 3e-5), (1500, 3e-4), (3000, 3e-3), (6000, 1e-3), (30_000, 1e-4))
_MEMORY_RATES = ((0, 1e-4), (1500, 1e-5))  # 1e-5 is the source's, the rate before is our choice
_MOMENTA = ((0, 0.9), (4000, 0.98))
_ITERATIONS = 50_000

# What the results hold of each seed, beside the problem and the method.
_KEPT = ("lag", "cell", "seed", "solved", "loss", "wrong", "wrong_steps", "calls", "seconds")
_COLUMNS = ("problem", "method", *_KEPT)


@dataclass(frozen=True)
class MemoryRun:
    """Trainings of one problem by one method, from one or several seeds.

    Attributes:
        name: Of its run folder.
        method: As the tables name it.
        settings: What `neuromotor solve` is given.
    """

    name: str
    method: str
    settings: Mapping[str, Any]


def memory_runs(chapter: int, *, whole: bool = False, quick: bool = False) -> list[MemoryRun]:
    """Return the trainings of a chapter.

    Args:
        chapter: 4 or 7.
        whole: Whether they have the source's size, which takes weeks on two cores.
        quick: Whether one seed of the shortest problems, with tiny budgets, is enough.
    """
    found = list(_chapter4(whole) if chapter == 4 else _chapter7(whole))
    if not quick:
        return found
    short = [one for one in found if one.settings["lags"] in (None, [30])]
    tiny = {"budget": 40, "seeds": 1, "sequences": 32, "held_out": 64}
    return [MemoryRun(one.name, one.method, {**one.settings, **tiny}) for one in short]


def selected(runs: Sequence[MemoryRun], only: Sequence[str]) -> list[MemoryRun]:
    """Return the trainings of these names, or whose names begin so, in the order of these.

    Args:
        runs: All of them.
        only: Names, or beginnings of names that are none; empty for all trainings.

    Raises:
        ValueError: A text begins no name.

    Example:
        >>> [one.name for one in selected(memory_runs(7), ["addition"])]
        ['addition-nag', 'addition-momentum']
    """
    found: dict[str, MemoryRun] = {}
    for beginning in only:
        own = {one.name: one for one in runs if one.name.startswith(beginning)}
        own = {beginning: own[beginning]} if beginning in own else own
        if not own:
            raise ValueError(
                f"`only` must hold beginnings of names of trainings, got {beginning!r}; they are "
                f"{', '.join(one.name for one in runs)}."
            )
        found |= own
    return list(found.values()) if only else list(runs)


def train_memory(
    runs: Sequence[MemoryRun],
    folder: Path,
    *,
    progress: Callable[[str], None] = lambda words: None,
) -> bool:
    """Make the trainings that are not finished; return whether all of them are.

    Args:
        runs: The trainings.
        folder: Where each gets a folder of its own name; what is there is gone on with.
        progress: Told about every training.
    """
    for place, one in enumerate(runs, 1):
        progress(f"{place} of {len(runs)}: {one.name}")
        own = folder / one.name
        begun = (own / PROBLEM_FILE).is_file()
        summary = run_problems(
            problem_settings(dict(one.settings)), own, resume=begun, say=progress
        )
        if summary["interrupted"]:
            return False
    return True


def rows_of(runs: Sequence[MemoryRun], folder: Path) -> dict[str, Any]:
    """Return the results of finished trainings, in the form of the package's data.

    Args:
        runs: The trainings.
        folder: Where they are; those that are missing are left out.
    """
    rows = []
    for one in runs:
        for file in sorted((folder / one.name / "results").glob("*.json")):
            row = load_data(file)
            problem = one.settings["problem"]
            rows.append(
                {
                    "problem": problem,
                    "method": one.method,
                    **{key: row[key] for key in (*_KEPT, "tested", "reason")},
                }
            )
    return {
        "command": shlex.join(["neuromotor", *sys.argv[1:]]),
        "versions": versions(),
        "machine": machine(),
        "rows": rows,
    }


def measured(chapter: int, file: Path | None = None) -> dict[str, Any]:
    """Return a chapter's results: those that come with the package, or those of another file.

    Raises:
        ValueError: The file is not there, or holds something else.
    """
    return load_data(file or DATA / f"chapter{chapter}.json", ("command",), _COLUMNS)


def write_measured(runs: Sequence[MemoryRun], folder: Path, file: Path) -> None:
    """Write the results of finished trainings into a file that `measured` reads."""
    write_json(file, rows_of(runs, folder))


def _chapter4(whole: bool) -> Iterator[MemoryRun]:
    """Figure 4.1: seven problems by T and method. Table 4.1: the balls."""
    for problem in (*MEMORIES[:1], *SOLVED_BY, *MEMORIES[1:]):
        five = problem == "memory-5bit"
        long = whole or five
        common: dict[str, Any] = {"problem": problem, "dtype": "float32"}
        common |= {"seeds": 3, "held_out": 10_000 if whole else 2000}
        common["controller"] = _echo_state() if five and not whole else _chapter4_network()
        for lag in (30, 50, 100, 200) if long else (30,):
            for method, name, own in _methods(problem, lag, whole):
                settings = {**common, "lags": [lag], "optimizers": [name], name: own}
                settings |= _sizes(method, whole, five)
                if five and not whole and (lag == 200 or method == "HF") and name == "hf":
                    settings["seeds"] = 1
                yield MemoryRun(f"{problem}-{lag}-{_slug(method)}", method, settings)
    yield from _balls(whole)


def _methods(problem: str, lag: int, whole: bool) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Words, optimizer and its settings."""
    permutation = problem == "permutation"
    part = 1000 if whole else 250
    part_of = {} if problem == "memory-5bit" else {"curvature_trials": part}
    with_mu = {"structural": _MU, "damping": 0.1 * (lag if permutation else 1), **part_of}
    ours = with_mu if permutation else {**with_mu, "damping": 1.0}  # our choice
    without = {"damping": 0.1 * lag if permutation else 0.3, "iterations": 300, **part_of}
    yield "HF, structural damping", "hf", {**with_mu, "iterations": 300}
    if whole or (problem == "memory-5bit" and lag <= 100):
        yield "HF", "hf", without
    yield "kron-hf, structural damping", "kron-hf", ours


def _sizes(method: str, whole: bool, five: bool) -> dict[str, Any]:
    """Batches, budgets and when it is tested."""
    if whole:
        return {"budget": 50_000, "sequences": 10_000, "test_calls": 300}
    quick = method.startswith("kron")
    if five:
        return {"budget": 8000, "test_calls": 10 if quick else 50}
    return {"budget": 10_000 if quick else 20_000, "sequences": 1000, "test_calls": 100}


def _balls(whole: bool) -> Iterator[MemoryRun]:
    """An RNN of 300 units by second-order steps, an LSTM of about as many weights by Adam."""
    common: dict[str, Any] = {"problem": "balls", "lags": None, "dtype": "float32"}
    common |= {"sequences": 40_000 if whole else 100, "held_out": 10_000 if whole else 500}
    part = 4000 if whole else 100
    second = {"damping": 1.0, "structural": 1.0, "curvature_trials": part}
    rnn = {"layers": [300], "initializer": {"type": "chapter-4"}}
    lstm = {"layers": [135], "cell": {"type": "lstm"}}
    budget = 50_000 if whole else 300
    for method, name, own, network in (
        ("HF, structural damping", "hf", {**second, "iterations": 300}, rnn),
        ("kron-hf, structural damping", "kron-hf", second, rnn),
        ("LSTM, Adam", "adam", {}, lstm),
    ):
        settings = {**common, "optimizers": [name], name: own, "controller": network}
        settings |= {"budget": budget, "test_calls": budget}
        yield MemoryRun(f"balls-{_slug(method)}", method, settings)


def _chapter7(whole: bool) -> Iterator[MemoryRun]:
    """Table 7.3: four problems by Nesterov's accelerated gradient and by momentum."""
    iterations = _ITERATIONS if whole else 8000
    lags = {"addition": 80, "multiplication": 80, "memory-5bit": 200, "memory-20bit": 50}
    for problem, lag in lags.items():
        memory = problem in MEMORIES
        rates = _MEMORY_RATES if memory else _RATES
        own = {
            "rates": _compressed(rates, iterations),
            "momenta": _compressed(_MOMENTA, iterations),
            "clip_norm": _FORGET,
        }
        for method, name in (("NAG", "nag"), ("momentum", "momentum")):
            settings: dict[str, Any] = {
                "problem": problem,
                "lags": [lag if whole else 30],
                "optimizers": [name],
                name: own,
                "controller": _echo_state(0.3 if memory else 0.02),
                "budget": iterations,
                "sequences": 100,
                "held_out": 10_000,
                "test_calls": iterations // 10,
                "dtype": "float32",
                "seeds": 10 if whole else 1,
            }
            yield MemoryRun(f"{problem}-{_slug(method)}", method, settings)


def _compressed(pairs: Sequence[tuple[int, float]], iterations: int) -> list[tuple[int, float]]:
    """A schedule for another number of iterations than the source's."""
    return [(start * iterations // _ITERATIONS, number) for start, number in pairs]


def _chapter4_network() -> dict[str, Any]:
    return {"layers": [100], "initializer": {"type": "chapter-4"}}


def _echo_state(input_scale: float = 0.3) -> dict[str, Any]:
    """The network of section 7.4.1, which is also our choice for 5 bits in chapter 4."""
    return {"layers": [100], "initializer": {"type": "echo-state", "input_scale": input_scale}}


def _slug(method: str) -> str:
    return method.lower().replace(",", "").replace(" ", "-")
