"""The command `fit-readout`, which fits a network's read-out by ridge regression."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.table import Table

from neuromotor.cli.display import messages, output
from neuromotor.cli.options import (
    ConfigOption,
    JsonOption,
    PlantOption,
    SetOption,
    SmokeOption,
    ThreadsOption,
    check_new,
)
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.controllers import CONTROLLERS, Controller
from neuromotor.problems import PROBLEMS, Problem, fitted
from neuromotor.problems.readout import ridge_readout
from neuromotor.runs.execute import versions
from neuromotor.runs.settings import gather, resolve
from neuromotor.storage.components import SettingsError, UnknownSettingError, decode
from neuromotor.tasks import TASKS
from neuromotor.training.imitation import TEACHERS, Round, imitate
from neuromotor.training.problems import answers
from neuromotor.training.single import initial_parameters
from neuromotor.zoo.saved_controller import save_controller

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command(name="fit-readout")(fit_readout)


def fit_readout(
    what: Annotated[
        str,
        typer.Argument(
            metavar="TASK|PROBLEM",
            help=f"A task ({', '.join(TASKS)}), or a problem of sequences ({', '.join(PROBLEMS)}).",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file that is written (.safetensors).")],
    controller: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(CONTROLLERS)}. Default: reservoir."),
    ] = None,
    plant: PlantOption = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help=f"Who says what to command, on a task: {', '.join(TEACHERS)}. Default: ilqr, "
            "which knows the limb's state without delay or noise; ilqg estimates like the network."
        ),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            help="On a task: how often the network moves and is corrected, the teacher's own "
            "movements included. Default: 5."
        ),
    ] = None,
    sequences: Annotated[
        int | None, typer.Option(help="Of a problem: how many are fitted. Default: 1000.")
    ] = None,
    held_out: Annotated[
        int | None, typer.Option(help="Of a problem: how many others are tested. Default: 1000.")
    ] = None,
    ridge: Annotated[
        float,
        typer.Option(help="Weight of the squared read-out weights beside the mean squared error."),
    ] = 1e-8,
    seed: Annotated[int, typer.Option(help="Seed of the trials or sequences.")] = 0,
    threads: ThreadsOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    smoke: SmokeOption = False,
    json_: JsonOption = False,
) -> None:
    """Fit a network's read-out by ridge regression, and leave all its other weights as drawn.

    On a task, the commands of a teacher are what is wanted: first along the teacher's own
    movements, then along those of the network, round after round (Ross, Gordon & Bagnell 2011). On
    a problem of sequences, its answers are what is wanted.

    The file is a controller like any other: `evaluate`, `record` and `train --start` take it.
    `--set` reaches task or problem and network, as `--set 'controller.layers=[500]'`.

    Example: `neuromotor fit-readout center-out --out reservoir.safetensors`, then
    `neuromotor evaluate reservoir.safetensors`
    """
    check_new(out, force=force)
    choose_threads(threads or 1)
    given = {"controller": controller or "reservoir", "seed": seed}
    if what in PROBLEMS:
        _refuse_all("a problem", "on tasks", teacher=teacher, rounds=rounds, plant=plant)
        raw = gather(config, {**given, "problem": what}, set_ or [], smoke=False)
        sizes = sequences or (20 if smoke else 1000), held_out or (20 if smoke else 1000)
        data = _answered(raw, sizes, ridge, seed, out)
    else:
        _refuse_all("a task", "for problems", sequences=sequences, held_out=held_out)
        named = {**given, "task": what, "plant": plant}
        raw = gather(config, named, set_ or [], smoke=smoke)
        data = _imitated(raw, teacher or "ilqr", rounds or (2 if smoke else 5), ridge, out, json_)
    if json_:
        print(json.dumps({"file": str(out), **data}, indent=2))
        return
    messages.print(f"Written to {out}.", soft_wrap=True)


def _refuse_all(what: str, where: str, **options: Any) -> None:
    """Raise where an option is given that says nothing here."""
    for name, value in options.items():
        if value is not None:
            raise SettingsError(f"`--{name.replace('_', '-')}` is {where} only; this is {what}.")


def _imitated(
    raw: Mapping[str, Any], teacher: str, rounds: int, ridge: float, out: Path, quiet: bool
) -> dict[str, Any]:
    """Fit to a teacher, write the file, and return what a program reads."""
    settings = resolve(raw)

    def show(one: Round) -> None:
        messages.print(
            f"round {one.number + 1} of {rounds}: loss {one.loss:.4g}, the teacher's "
            f"{one.teacher_loss:.4g}; commands {one.error:.2g} off, {one.steps} steps",
            soft_wrap=True,
        )

    try:
        found = imitate(
            settings.task,
            settings.controller,
            teacher=teacher,
            rounds=rounds,
            ridge=ridge,
            seed=settings.seed,
            callback=show,
            threads=settings.threads,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error
    best = found.rounds[found.best]
    data: dict[str, Any] = {
        "task": settings.task_name,
        "teacher": teacher,
        "ridge": ridge,
        "seed": settings.seed,
        "parameters": settings.controller.parameter_count,
        "loss": best.loss,
        "teacher_loss": best.teacher_loss,
        "best_round": found.best,
        "rounds": [asdict(one) for one in found.rounds],
        "seconds": found.seconds,
        "versions": versions(),
    }
    for one in data["rounds"]:
        one["loss"] = one["loss"] if one["loss"] < float("inf") else None
    save_controller(
        out, settings.controller, found.parameters, task=settings.task, info=data, overwrite=True
    )
    if not quiet:
        output.print(f"loss {best.loss:.6g}, {best.loss / best.teacher_loss:.4g} x {teacher}")
    return data


def _answered(
    raw: Mapping[str, Any], sizes: tuple[int, int], ridge: float, seed: int, out: Path
) -> dict[str, Any]:
    """Fit to a problem's answers, write the file, and return what a program reads."""
    for key in raw:
        if key not in ("problem", "controller", "seed"):
            raise UnknownSettingError(key, ["problem", "controller"])
    problem: Problem = decode(raw["problem"], PROBLEMS, "problem")
    network: Controller = fitted(decode(raw["controller"], CONTROLLERS, "controller"), problem)
    draws = torch.Generator().manual_seed(seed)
    theta = initial_parameters(network, seed)
    some, others = (problem.sequences(size, draws) for size in sizes)
    try:
        theta = ridge_readout(problem, network, theta, some, ridge)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    results = {
        name: answers(problem, network, theta, part)
        for name, part in (("fitted", some), ("held_out", others))
    }
    data: dict[str, Any] = {
        "problem": raw["problem"],
        "ridge": ridge,
        "seed": seed,
        "parameters": network.parameter_count,
    }
    table = Table("sequences", "number", "loss", "wrong")
    for name, one in results.items():
        wrong = None if one.wrong != one.wrong else one.wrong
        data[name] = {"sequences": one.sequences, "loss": one.loss, "wrong": wrong}
        shown = "-" if wrong is None else f"{100 * wrong:.3g} %"
        table.add_row(name.replace("_", "-"), str(one.sequences), f"{one.loss:.4g}", shown)
    save_controller(out, network, theta, info=data, overwrite=True)
    messages.print(table)
    return data
