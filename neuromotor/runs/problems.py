"""Trainings on a problem of sequences, over lags, cells, optimizers and seeds, in one folder.

The folder holds problem.json (the settings), and of each training its result, its controller and,
until it is finished, its checkpoint. So a run that was stopped goes on where it was.
"""

from __future__ import annotations

import itertools
import shlex
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

from neuromotor._checks import check_integer, check_number, check_seed, lookup
from neuromotor.controllers import CELLS, CONTROLLERS, Controller, FastWeightsCell
from neuromotor.optim import Budget, Optimizer
from neuromotor.problems import ENGINES, PROBLEMS, Problem, fitted
from neuromotor.problems.objective import check_controller
from neuromotor.runs.beginning import begin_folder
from neuromotor.runs.drawing import drawing
from neuromotor.runs.execute import interruptible, machine, versions
from neuromotor.runs.settings import DTYPES, optimizers_of
from neuromotor.storage.claims import claimed
from neuromotor.storage.components import SettingsError, UnknownSettingError, decode, encode
from neuromotor.storage.files import parse_json, read_text, write_json
from neuromotor.storage.snapshots import load_snapshot
from neuromotor.training.problems import ProblemRun, solve
from neuromotor.zoo.saved_controller import save_controller

__all__ = ["PROBLEM_FILE", "ProblemSettings", "problem_settings", "run_problems", "solved_rows"]

PROBLEM_FILE = "problem.json"
_DEFAULTS: dict[str, Any] = {
    "problem": "memory-5bit",
    "lags": None,  # the problem's own
    "cells": None,  # the controller's own
    "controller": "network",
    "optimizers": ["hf", "kron-adam"],
    "budget": 20_000,
    "seconds": None,
    "seed": 0,
    "seeds": 1,
    "sequences": 1000,
    "refresh": 1,
    "held_out": 10_000,
    "test_calls": 100,
    "engine": "bptt",
    "l2": 0.0,
    "norm_preserving": 0.0,
    "dtype": "float64",
    "threads": 1,
}
_MAY_CHANGE = ("budget", "seconds", "threads")


@dataclass(frozen=True)
class ProblemSettings:
    """Everything that such a run depends on, checked.

    Attributes:
        problems: The problem at each lag.
        controllers: A controller of each cell, by the cell's name, of no problem's sizes yet.
        optimizers: By name.
        given: The settings as plain data, whole.
    """

    problems: dict[int, Problem]
    controllers: dict[str, Controller]
    optimizers: dict[str, Optimizer]
    given: dict[str, Any]

    def trainings(self) -> Iterator[tuple[int, str, str, int]]:
        """Return lag, cell, optimizer and seed of each training."""
        first = self.given["seed"]
        seeds = range(first, first + self.given["seeds"])
        return itertools.product(self.problems, self.controllers, self.optimizers, seeds)


def problem_settings(raw: Mapping[str, Any], *, smoke: bool = False) -> ProblemSettings:
    """Return checked settings; what is left open has its default.

    Args:
        raw: `problem` and `controller` (a name or a table), `lags`, `cells`, `optimizers` (lists or
            texts with commas), a table for each optimizer, and the numbers that
            `neuromotor.training.problems.solve` takes.
        smoke: Whether the sizes that are not given are tiny.

    Raises:
        SettingsError: A key or name is unknown, or a value has the wrong type or range.
    """
    tables = {name: table for name, table in raw.items() if name not in _DEFAULTS}
    settings = {**_DEFAULTS, **{name: value for name, value in raw.items() if value is not None}}
    if smoke:
        tiny = {"budget": 30, "sequences": 8, "held_out": 16, "controller": {"layers": [8]}}
        settings |= {name: value for name, value in tiny.items() if raw.get(name) is None}
    optimizers = optimizers_of(settings)
    for name in tables:
        if name not in optimizers:
            raise UnknownSettingError(name, {*_DEFAULTS, *optimizers})
    try:
        for name in ("budget", "seeds", "sequences", "held_out", "test_calls", "threads"):
            check_integer(name, settings[name], minimum=1)
        check_integer("refresh", settings["refresh"], minimum=0)
        for name in ("l2", "norm_preserving"):
            check_number(name, settings[name], minimum=0.0)
        check_seed("seed", settings["seed"], count=settings["seeds"])
        if settings["seconds"] is not None:
            check_number("seconds", settings["seconds"], "seconds", minimum=0.0)
        lookup("dtype", settings["dtype"], DTYPES)
    except (TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error
    problem: Problem = decode(settings["problem"], PROBLEMS, "problem")
    problems = _at_lags(problem, settings["lags"], smoke=smoke)
    cells = None if settings["cells"] is None else _words("cells", settings["cells"])
    controllers = _of_cells(settings["controller"], cells)
    for one, controller in itertools.product(problems.values(), controllers.values()):
        try:
            check_controller(one, fitted(controller, one))
        except ValueError as error:
            raise SettingsError(str(error)) from error
    given = {
        **settings,
        "problem": {**encode(problem, PROBLEMS)},
        "engine": encode(decode(settings["engine"], ENGINES, "engine"), ENGINES),
        "lags": list(problems),
        "optimizers": list(optimizers),
        **{name: encode(one, {name: one}) for name, one in optimizers.items()},
    }
    return ProblemSettings(problems, controllers, optimizers, given)


def run_problems(
    settings: ProblemSettings,
    folder: Path,
    *,
    resume: bool = False,
    force: bool = False,
    say: Callable[[str], None] = lambda words: None,
) -> dict[str, Any]:
    """Make all trainings and return the summary, which is written into the folder too.

    The first Ctrl-C or SIGTERM ends the training that runs after its iteration.

    Args:
        settings: What is trained.
        folder: Where everything is written.
        resume: Whether what is in the folder is gone on with.
        force: Whether the results of an earlier run in the folder are removed.
        say: Hears of every training that ends.

    Raises:
        RunFolderError: The folder holds something else, or other settings.
    """
    with interruptible() as interrupted, claimed(folder):
        begin_folder(
            folder / PROBLEM_FILE,
            settings.given,
            ("results", "controllers", "checkpoints", "figures"),
            defaults=_DEFAULTS,
            may_change=_MAY_CHANGE,
            resume=resume,
            force=force,
        )
        rows = []
        for lag, cell, name, seed in settings.trainings():
            if interrupted():
                break
            title = f"{lag}-{cell}-{name}-{seed}"
            row = _known(folder / f"results/{title}.json", settings.given) if resume else None
            if row is None:
                problem = settings.problems[lag]
                found = _trained(
                    problem,
                    fitted(settings.controllers[cell], problem),
                    settings.optimizers[name],
                    seed,
                    settings.given,
                    folder / f"checkpoints/{title}.safetensors",
                    interrupted,
                )
                row = {"lag": lag, "cell": cell, "optimizer": name, "seed": seed, **found.row()}
                save_controller(
                    folder / f"controllers/{title}.safetensors",
                    found.controller,
                    found.parameters,
                    info={"problem": encode(problem, PROBLEMS), **row},
                    overwrite=True,
                )
                budget = {key: settings.given[key] for key in ("budget", "seconds")}
                if found.reason != "interrupted":
                    write_json(folder / f"results/{title}.json", {**row, "given": budget})
                say(_sentence(row))
            rows.append(row)
        summary = {
            "problem": settings.given["problem"]["type"],
            "command": shlex.join(["neuromotor", *sys.argv[1:]]),
            "versions": versions(),
            "machine": machine(),
            "rows": rows,
            "solved": solved_rows(rows),
            "interrupted": interrupted(),
            "signal": interrupted.signal,
            "settings": settings.given,
        }
        if rows:
            with drawing(say):
                from neuromotor.plotting import save_figures
                from neuromotor.runs.figures import plot_solved

                save_figures({"solved": plot_solved(rows)}, folder / "figures")
        write_json(folder / "summary.json", summary)
    return summary


def solved_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each lag, cell and optimizer: how many seeds, and the median calls."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["lag"], row["cell"], row["optimizer"]), []).append(row)
    found = []
    for (lag, cell, optimizer), own in groups.items():
        wrong = [row["wrong"] for row in own if row["wrong"] is not None]
        solved = [row for row in own if row["solved"]]
        found.append(
            {
                "lag": lag,
                "cell": cell,
                "optimizer": optimizer,
                "seeds": len(own),
                "solved": len(solved),
                "calls": statistics.median(row["calls"] for row in solved) if solved else None,
                "wrong": statistics.median(wrong) if wrong else None,
                "loss": statistics.median(row["loss"] for row in own),
                "seconds": statistics.median(row["seconds"] for row in own),
            }
        )
    return found


def _trained(
    problem: Problem,
    controller: Controller,
    optimizer: Optimizer,
    seed: int,
    given: Mapping[str, Any],
    checkpoint: Path,
    interrupted: Callable[[], bool],
) -> ProblemRun:
    """Train one, from its checkpoint if it has one."""
    return solve(
        problem,
        controller,
        optimizer,
        budget=Budget(given["budget"], given["seconds"], interrupted),
        seed=seed,
        sequences=given["sequences"],
        refresh=given["refresh"],
        l2=given["l2"],
        norm_preserving=given["norm_preserving"],
        held_out=given["held_out"],
        test_calls=given["test_calls"],
        engine=decode(given["engine"], ENGINES, "engine"),
        dtype=DTYPES[given["dtype"]],
        threads=given["threads"],
        progress=True,
        resume=load_snapshot(checkpoint) if checkpoint.is_file() else None,
        checkpoint=checkpoint,
    )


def _known(path: Path, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the result of a training that is finished within this budget."""
    if not path.is_file():
        return None
    row: dict[str, Any] = parse_json(read_text(path))
    budget = row.pop("given")
    same = all(budget[key] == given[key] for key in budget)
    return row if row["solved"] or same else None


def _at_lags(problem: Problem, lags: Any, *, smoke: bool) -> dict[int, Problem]:
    """Return the problem at each lag."""
    own: Any = problem
    settable = any(field.name == "lag" for field in fields(own))
    if lags is None:
        lags = [20] if smoke and settable else [problem.lag]
    if isinstance(lags, str):
        lags = [int(part) if part.strip().isdigit() else part for part in lags.split(",")]
    if not isinstance(lags, list) or not lags:
        raise SettingsError(f"`lags` must be a list of steps, got {lags!r}.")
    if lags == [problem.lag]:
        return {problem.lag: problem}
    if not settable:
        raise SettingsError(
            f"`lags` must be left out for a {type(problem).__name__}, whose length other settings "
            "give."
        )
    try:
        return {lag: cast(Problem, replace(own, lag=lag)) for lag in lags}
    except (TypeError, ValueError) as error:
        raise SettingsError(f"in `lags`: {error}") from error


def _of_cells(spec: Any, cells: list[str] | None) -> dict[str, Controller]:
    """Return a network of each cell by the cell's name, or the controller as it is by its own."""
    table: Mapping[str, Any] = {"type": spec} if isinstance(spec, str) else dict(spec)
    name = table.get("type", "network")
    base = decode({"type": name}, CONTROLLERS, "controller")
    if "layers" not in table and hasattr(base, "layers"):
        table = {**table, "layers": [100]}
    own_cell = table.get("cell", {})
    if cells is not None:
        table = {key: value for key, value in table.items() if key != "cell"}
    controller = decode(table, CONTROLLERS, "controller", base)
    has_cell = any(field.name == "cell" for field in fields(controller))
    if cells is None:
        own = encode(controller.cell, CELLS)["type"] if has_cell and name == "network" else name
        return {own: controller}
    if not has_cell:
        raise SettingsError(
            f"`cells` must be left out for a {type(controller).__name__}; they are for `network`."
        )
    if own_cell and len(cells) > 1:
        raise SettingsError("`controller.cell` must be left out where there are several `cells`.")
    found: dict[str, Controller] = {}
    for one in cells:
        cell = decode(one, CELLS, "cells")
        if isinstance(own_cell, Mapping):
            changes = {key: value for key, value in own_cell.items() if key != "type"}
            cell = decode(changes, CELLS, "controller.cell", cell)
        if isinstance(cell, FastWeightsCell) and not own_cell:  # which must know its layers' size
            cell = replace(cell, units=controller.layers[0])
        try:
            found[one] = replace(controller, cell=cell)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"in `cells`: {error}") from error
    return found


def _words(name: str, spec: Any) -> list[str]:
    """Return a list of names, from a list or a text with commas."""
    if isinstance(spec, str):
        spec = [word.strip() for word in spec.split(",") if word.strip()]
    if not isinstance(spec, list) or not spec or not all(isinstance(one, str) for one in spec):
        raise SettingsError(f"`{name}` must be a list of names, got {spec!r}.")
    return spec


def _sentence(row: Mapping[str, Any]) -> str:
    """Say what a training came to."""
    state = "solved" if row["solved"] else "not solved"
    wrong = "" if row["wrong"] is None else f", {100 * row['wrong']:.3g} % of sequences wrong"
    return (
        f"lag {row['lag']}, {row['cell']}, {row['optimizer']}, seed {row['seed']}: {state} after "
        f"{row['calls']} calls{wrong}, loss {row['loss']:.4g}, {row['seconds']:.0f} s "
        f"({row['reason']})"
    )
