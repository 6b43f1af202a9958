"""The command `solve`, which trains networks on problems of sequences."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from neuromotor.cli.display import messages, output
from neuromotor.cli.options import (
    ConfigOption,
    DtypeOption,
    ForceOption,
    JsonOption,
    SecondsOption,
    SeedOption,
    SmokeOption,
    ThreadsOption,
)
from neuromotor.cli.resuming import resumed_settings
from neuromotor.controllers import CELLS
from neuromotor.optim import OPTIMIZERS
from neuromotor.problems import PROBLEMS
from neuromotor.runs.execute import default_folder
from neuromotor.runs.problems import PROBLEM_FILE, problem_settings, run_problems
from neuromotor.runs.settings import gather
from neuromotor.storage.components import SettingsError

__all__ = ["CellsOption", "LagsOption", "is_problem_run", "register", "solve_and_report"]

LagsOption = Annotated[
    str | None,
    typer.Option(help="Lengths T with commas, as `30,50,100`. Default: the problem's own."),
]
CellsOption = Annotated[
    str | None,
    typer.Option(help=f"Cells with commas: {', '.join(CELLS)}. Default: tanh."),
]


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(solve)


def solve(
    problem: Annotated[
        str | None,
        typer.Argument(help=f"The problem: {', '.join(PROBLEMS)}. Leave it out with `--resume`."),
    ] = None,
    lags: LagsOption = None,
    cells: CellsOption = None,
    optimizers: Annotated[
        str | None,
        typer.Option(
            help=f"Names with commas: {', '.join(OPTIMIZERS)}. Default: hf,kron-adam.",
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(metavar="CALLS", help="Number of calls for each network. Default: 20000."),
    ] = None,
    seconds: SecondsOption = None,
    seed: SeedOption = None,
    seeds: Annotated[
        int | None, typer.Option(help="How many seeds in a row, for each. Default: 1.")
    ] = None,
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Folder of a run that was stopped; only `--budget`, `--seconds` and `--threads` "
            "may change.",
        ),
    ] = None,
    config: ConfigOption = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any setting, e.g. `problem.symbols=3` or `'controller.layers=[50]'`; may be "
            "repeated.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder. Default: runs/solve-PROBLEM-TIME.")
    ] = None,
    force: ForceOption = False,
    smoke: SmokeOption = False,
    json_: JsonOption = False,
) -> None:
    """Train networks on a problem of memory; say how many of them solve it at each length.

    A problem is solved when less than 1 % of 10,000 new sequences are answered wrongly (Hochreiter
    & Schmidhuber 1997). A training ends there, or when its budget of 20,000 calls is used up.

    Leaves problem.json, summary.json, every network, and checkpoints to go on from (`--resume`).
    `--set` reaches the problem, the network and the optimizers, as `--set problem.symbols=3`,
    `--set controller.layers=[50]`, `--set controller.initializer.type=chapter-4`,
    `--set hf.structural=0.03` or `--set sequences=500`.

    Example: `neuromotor solve memory-5bit --lags 30,50 --cells tanh,gated --optimizers hf,adam`
    """
    options: dict[str, Any] = {
        "problem": problem,
        "lags": lags,
        "cells": cells,
        "optimizers": optimizers,
        "budget": budget,
        "seconds": seconds,
        "seed": seed,
        "seeds": seeds,
        "dtype": dtype,
        "threads": threads,
    }
    solve_and_report(
        options,
        set_ or [],
        config=config,
        resume=resume,
        out=out,
        force=force,
        smoke=smoke,
        as_json=json_,
    )


def solve_and_report(
    options: dict[str, Any],
    assignments: list[str],
    *,
    config: Path | None,
    resume: Path | None,
    out: Path | None,
    force: bool,
    smoke: bool,
    as_json: bool,
) -> None:
    """Make or go on with a run on a problem, and print what was solved.

    Args:
        options: The settings that were given, None where nothing was.
        assignments: What `--set` says.
        config: TOML file of settings.
        resume: Folder of a run to go on with, or None.
        out: Folder of a new run, or None for one of its own.
        force: Whether the results of an earlier run in the folder are removed.
        smoke: Whether sizes that are not given are tiny.
        as_json: Whether stdout is the summary as JSON instead of a table.

    Raises:
        SettingsError: A setting is wrong, or there is no problem.
    """
    if resume is not None:
        given = options | {"config": config, "out": out}
        may_change = ("budget", "seconds", "threads")
        raw = resumed_settings(resume / PROBLEM_FILE, given, assignments, may_change)
        settings, folder = problem_settings(raw), resume
    else:
        if options["problem"] is None and config is None:
            raise SettingsError(
                f"Missing argument 'PROBLEM': name one ({', '.join(PROBLEMS)}), or go on with a "
                "run by `--resume RUN`."
            )
        raw = gather(config, options, assignments, smoke=False)
        settings = problem_settings(raw, smoke=smoke)
        folder = out or default_folder("solve", settings.given["problem"]["type"])
    summary = run_problems(
        settings,
        folder,
        resume=resume is not None,
        force=force,
        say=lambda words: messages.print(words, soft_wrap=True),
    )
    if as_json:
        print(json.dumps({**summary, "out": str(folder)}, indent=2))
    else:
        output.print(_table(summary))
        output.print(f"Run folder: {folder}", soft_wrap=True)
    if summary["interrupted"]:
        messages.print(f"Interrupted. Go on with `--resume {folder}`.", soft_wrap=True)
        sys.exit(128 + summary["signal"])


def is_problem_run(folder: Path) -> bool:
    """Return whether a folder is that of a run on a problem."""
    return (folder / PROBLEM_FILE).is_file()


def _table(summary: dict[str, Any]) -> Table:
    """Return what was solved, a line for each lag, cell and optimizer."""
    table = Table(title=f"{summary['problem']}: solved or not, by the lag T", box=None)
    for name in ("T", "cell", "optimizer", "solved", "calls", "wrong (%)", "loss", "secs"):
        table.add_column(name, justify="left" if name in ("cell", "optimizer") else "right")
    for row in summary["solved"]:
        solved = f"{row['solved']} of {row['seeds']}" if row["wrong"] is not None else "-"
        table.add_row(
            str(row["lag"]),
            row["cell"],
            row["optimizer"],
            solved,
            "-" if row["calls"] is None else f"{row['calls']:.0f}",
            "-" if row["wrong"] is None else f"{100 * row['wrong']:.3g}",
            f"{row['loss']:.3g}",
            f"{row['seconds']:.0f}",
        )
    table.caption = "calls: median over the seeds that solved it; the rest: medians over all seeds"
    return table
