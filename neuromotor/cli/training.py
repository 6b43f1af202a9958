"""The commands `compare` and `train`, which run settings into a folder or go on with one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from neuromotor._checks import check_number
from neuromotor.cli.completing import named
from neuromotor.cli.display import (
    TerminalWatcher,
    comparison_table,
    evaluation_tables,
    messages,
    output,
    penalty_table,
    seeds_table,
)
from neuromotor.cli.options import (
    BudgetOption,
    ConfigOption,
    ControllerOption,
    DeviceOption,
    DtypeOption,
    ForceOption,
    JsonOption,
    OutOption,
    PlantOption,
    SecondsOption,
    SeedOption,
    SetOption,
    SmokeOption,
    ThreadsOption,
)
from neuromotor.cli.problems import CellsOption, LagsOption, is_problem_run, solve_and_report
from neuromotor.optim import OPTIMIZERS
from neuromotor.problems import PROBLEMS
from neuromotor.runs.create import MARKER
from neuromotor.runs.execute import RunOutputs, Stopped, default_folder, run_comparison, run_seeds
from neuromotor.runs.progress_log import require_tensorboard
from neuromotor.runs.settings import (
    RunSettings,
    as_start,
    check_used,
    gather,
    resolve,
    same_controller,
)
from neuromotor.storage.claims import RunFolderError
from neuromotor.storage.components import SettingsError
from neuromotor.tasks import TASKS
from neuromotor.training.single import without_factors
from neuromotor.zoo.saved_controller import find_controller, load_controller

__all__ = ["register"]

_NOT_ON_PROBLEMS = ("plant", "device", "checkpoint_every", "tensorboard", "figures", "live")
_SETTINGS = (
    *("task", "optimizers", "plant", "controller", "budget", "seconds"),
    *("seed", "seeds", "dtype", "device", "threads"),
)
TaskArgument = Annotated[
    str | None,
    typer.Argument(
        help=f"The task: {', '.join(TASKS)}. `--resume` knows it.", autocompletion=named(TASKS)
    ),
]
CheckpointOption = Annotated[
    float, typer.Option(metavar="SECONDS", help="Time between two checkpoints of the training.")
]
TensorboardOption = Annotated[
    bool,
    typer.Option("--tensorboard", help="Write metrics as event files too (extra `tensorboard`)."),
]
FiguresOption = Annotated[
    bool, typer.Option("--figures/--no-figures", help="Whether figures are drawn at the end.")
]

LiveOption = Annotated[
    bool,
    typer.Option(
        "--live",
        help="Keep a page of the networks in training, live.html in the run folder, for a browser.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command()(compare)
    app.command()(train)


def compare(
    context: typer.Context,
    task: Annotated[
        str | None,
        typer.Argument(
            help=f"The task: {', '.join(TASKS)}. Or a problem of memory: {', '.join(PROBLEMS)}. "
            "`--resume` knows it.",
            autocompletion=named(TASKS),
        ),
    ] = None,
    optimizers: Annotated[
        str | None,
        typer.Option(
            help=f"Names with commas, or `all` that can train the controller: "
            f"{', '.join(OPTIMIZERS)}. Default: kron-lbfgs,lbfgs,adam.",
            autocompletion=named(OPTIMIZERS),
        ),
    ] = None,
    lags: LagsOption = None,
    cells: CellsOption = None,
    plant: PlantOption = None,
    controller: ControllerOption = None,
    budget: BudgetOption = None,
    seconds: SecondsOption = None,
    seed: SeedOption = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="How many seeds in a row, each with all methods. Default: 1."),
    ] = None,
    dtype: DtypeOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Run folder of a comparison that was stopped or killed: what is finished in it "
            "stays, the rest is done, to the same numbers as without a stop.",
        ),
    ] = None,
    checkpoint_every: CheckpointOption = 60.0,
    tensorboard: TensorboardOption = False,
    figures: FiguresOption = True,
    live: LiveOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    force: ForceOption = False,
    smoke: SmokeOption = False,
    json_: JsonOption = False,
) -> None:
    """Hold optimizers against each other and against iLQR, from one shared initial network.

    Prints one table and leaves a run folder: summary.json, history.json, metrics.jsonl,
    settings.json, every trained controller, and figures as PNG and PDF. With several seeds: such a
    folder a seed, and medians and ranges over them. Stopped or killed, it goes on by `--resume`.

    On a problem of memory it does what `solve` does: it says how many seeds solved the problem at
    each length, with each cell (`--lags`, `--cells`) and optimizer.

    Example: `neuromotor compare center-out --optimizers lbfgs,kron-lbfgs --seeds 5`

    Example: `neuromotor compare memory-5bit --lags 30,50 --cells tanh,lstm --optimizers hf,adam`
    """
    options = _settings(context)
    if task in PROBLEMS or (resume is not None and is_problem_run(resume)):
        _refuse(context, *_NOT_ON_PROBLEMS)
        own = {name: value for name, value in options.items() if name not in _NOT_ON_PROBLEMS}
        own["problem"] = own.pop("task")
        solve_and_report(
            own | {"lags": lags, "cells": cells},
            set_ or [],
            config=config,
            resume=resume,
            out=out,
            force=force,
            smoke=smoke,
            as_json=json_,
        )
        return
    if lags is not None or cells is not None:
        raise SettingsError(
            f"`--lags` and `--cells` are for problems of memory ({', '.join(PROBLEMS)}), got the "
            f"task {task}; leave them out, or name a cell by `--set controller.cell.type=NAME`."
        )
    outputs = _outputs(
        checkpoint_every, last_state=False, tensorboard=tensorboard, figures=figures, live=live
    )
    if resume is not None:
        options |= {"config": config, "set": set_ or None, "out": out, "smoke": smoke or None}
        _resume(resume, task, options, ("task",), as_json=json_, outputs=outputs)
        return
    raw = gather(config, options, set_ or [], smoke=smoke)
    settings = _with_factors(_checked(raw, task, set_ or []), raw.get("optimizers"))
    folder = out or default_folder("compare", settings.task_name)
    _run_and_report(settings, folder, force=force, as_json=json_, outputs=outputs)


def train(
    context: typer.Context,
    task: TaskArgument = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            help=f"One of {', '.join(OPTIMIZERS)}. Default: lbfgs.",
            autocompletion=named(OPTIMIZERS),
        ),
    ] = None,
    plant: PlantOption = None,
    controller: ControllerOption = None,
    budget: BudgetOption = None,
    seconds: SecondsOption = None,
    seed: SeedOption = None,
    dtype: DtypeOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    start: Annotated[
        Path | None,
        typer.Option(
            help="Controller file, or name in the zoo, to start from; its architecture is taken "
            "over, its task is not. Inputs for a clock that it lacks begin with weights of zero, "
            "and so does what follows from units that `controller.layers` adds."
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Run folder of a training to go on with, to the same numbers as without a stop; "
            "only `--budget` and `--seconds` may change.",
        ),
    ] = None,
    checkpoint_every: CheckpointOption = 60.0,
    tensorboard: TensorboardOption = False,
    figures: FiguresOption = True,
    live: LiveOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    force: ForceOption = False,
    smoke: SmokeOption = False,
    json_: JsonOption = False,
) -> None:
    """Train one controller on a task, and say how near it came to iLQR.

    Leaves the same run folder as `compare`; the controller is
    controllers/OPTIMIZER.safetensors. The whole state is saved in checkpoints/ while it runs, when
    it is stopped (Ctrl-C, SIGTERM), and at the end; `--resume` goes on from there.

    Example: `neuromotor train center-out --optimizer hf --plant monkey --seed 1`
    """
    options = _settings(context) | {"optimizers": optimizer}
    outputs = _outputs(
        checkpoint_every, last_state=True, tensorboard=tensorboard, figures=figures, live=live
    )
    if resume is not None:
        options |= {"start": start, "config": config, "set": set_ or None, "out": out}
        options |= {"smoke": smoke or None}
        own = ("task", "budget", "seconds")
        _resume(resume, task, options, own, as_json=json_, outputs=outputs, one=True)
        return
    raw = gather(config, options, set_ or [], smoke=smoke)
    raw.setdefault("optimizers", "lbfgs")
    if start is not None:
        start = find_controller(start)
        given = gather(config, options, set_ or [], smoke=False)
        raw["controller"] = same_controller(given, as_start(raw, load_controller(start)).controller)
    settings = _with_factors(_checked(raw, task, set_ or []), raw["optimizers"])
    _check_single(settings)
    folder = out or default_folder("train", settings.task_name)
    _run_and_report(settings, folder, force=force, as_json=json_, start=start, outputs=outputs)


def _refuse(context: typer.Context, *names: str) -> None:
    """Raise if one of these options was given."""
    given = [
        f"`--{name.replace('_', '-')}`"
        for name in names
        if getattr(context.get_parameter_source(name), "name", "DEFAULT") != "DEFAULT"
    ]
    if given:
        raise SettingsError(
            f"{', '.join(given)} must be left out on a problem of memory, which has no limb, no "
            "page and its own checkpoints."
        )


def _settings(context: typer.Context) -> dict[str, Any]:
    """The settings among a command's options; those of its other options are left out."""
    return {name: value for name, value in context.params.items() if name in _SETTINGS}


def _checked(raw: Mapping[str, Any], task: str | None, assignments: Sequence[str]) -> RunSettings:
    """Settings of a new run, with a word on what in them is not used."""
    if task is None:
        raise SettingsError(
            f"Missing argument 'TASK': name one ({', '.join(TASKS)}), or go on with a run by "
            "`--resume RUN`."
        )
    settings = resolve(raw)
    unused = check_used(raw, assignments, settings)
    if unused:
        messages.print(unused, soft_wrap=True)
    return settings


def _outputs(
    checkpoint_s: float, *, last_state: bool, tensorboard: bool, figures: bool, live: bool
) -> RunOutputs:
    """What is written on the way, checked."""
    try:
        check_number("--checkpoint-every", checkpoint_s, "seconds", minimum=0.0)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if tensorboard:
        require_tensorboard()
    return RunOutputs(checkpoint_s, last_state, tensorboard, figures, live)


def _with_factors(settings: RunSettings, named: Any) -> RunSettings:
    """The settings with such optimizers alone as can train the controller.

    Of `all` and of the defaults those that need Kronecker factors are left out, with a word; where
    they were named they are refused.
    """
    lacking = without_factors(settings.task, settings.controller, settings.optimizers)
    if not lacking:
        return settings
    words = f"{', '.join(lacking)}: there are no Kronecker factors for this controller"
    if named not in (None, "all", ["all"]):
        raise SettingsError(f"`optimizers` must be without {words}; name others, such as lbfgs.")
    messages.print(f"Left out {words}.", soft_wrap=True)
    kept = {name: one for name, one in settings.optimizers.items() if name not in lacking}
    return replace(settings, optimizers=kept)


def _check_single(settings: RunSettings) -> None:
    """`train` has one optimizer and one seed."""
    if len(settings.optimizers) != 1 or settings.seeds != 1:
        names = ", ".join(settings.optimizers)
        raise SettingsError(
            f"`--optimizer` must be one name and `seeds` 1, got {names} and {settings.seeds}; "
            "use `neuromotor compare` for several."
        )


def _resume(
    folder: Path,
    task: str | None,
    options: Mapping[str, Any],
    allowed: tuple[str, ...],
    *,
    as_json: bool,
    outputs: RunOutputs,
    one: bool = False,
) -> None:
    """Go on with a run in its own folder and with its own settings."""
    given = {name: value for name, value in options.items() if value is not None}
    changed = sorted(set(given) - set(allowed))
    if changed:
        names = ", ".join(f"`--{name.replace('optimizers', 'optimizer')}`" for name in changed)
        raise SettingsError(
            f"`--resume` takes the settings from {folder}, got {names} too; leave them out, or "
            "start a new run."
        )
    path = folder / MARKER
    if not path.is_file():
        raise RunFolderError(
            f"`--resume` must be the folder of a run, got {folder} without {MARKER}; if it was "
            "killed before it wrote that, start it again with the same `--out`."
        )
    limits: dict[str, Any] = {name: given[name] for name in ("budget", "seconds") if name in given}
    raw = gather(path, limits, [], smoke=False)
    settings = resolve(raw)
    if task not in (None, settings.task_name):
        raise SettingsError(
            f"`--resume` must name a run of {task}, got one of {settings.task_name}."
        )
    if one:
        _check_single(settings)
    _run_and_report(settings, folder, as_json=as_json, outputs=outputs, resume=True)


def _run_and_report(
    settings: RunSettings,
    folder: Path,
    *,
    as_json: bool,
    outputs: RunOutputs,
    force: bool = False,
    start: Path | None = None,
    resume: bool = False,
) -> None:
    """Run, then print the table or JSON and where everything lies."""
    task = settings.task_name
    shown: dict[str, Any] = {"outputs": outputs, "watcher": TerminalWatcher()}
    try:
        if settings.seeds > 1:
            summary = run_seeds(settings, folder, force=force, resume=resume, **shown)
            rows = summary["rows"]
            tables = [seeds_table(f"{task}, {len(summary['seeds'])} seeds", rows)]
            paid = penalty_table(rows, over_seeds=True)
            tables += [] if paid is None else [paid]
        else:
            summary = run_comparison(
                settings, folder, force=force, start=start, resume=resume, **shown
            )
            rows = summary["rows"]
            tables = [comparison_table(f"{task}, seed {settings.seed}", rows)]
            paid = penalty_table(rows)
            tables += [] if paid is None else [paid]
            tables += evaluation_tables([rows[0], *summary["references"], *rows[1:]])
    except Stopped as stop:
        stop.folder = folder
        raise
    if as_json:
        print(json.dumps({**summary, "out": str(folder)}, indent=2))
    else:
        for table in tables:
            output.print(table)
        output.print(f"Run folder: {folder}", soft_wrap=True)
    if summary["interrupted"]:
        messages.print(
            f"Interrupted; what there is was saved in {folder}. Go on with `--resume {folder}`.",
            soft_wrap=True,
        )
        sys.exit(128 + summary["signal"])  # 130 for Ctrl-C, 143 for SIGTERM
