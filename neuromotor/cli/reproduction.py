"""`reproduce`: chapter 6 of Sutskever (2013) done again, and the measurements behind it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import torch
import typer

from neuromotor.cli.display import messages, output
from neuromotor.files import write_json

__all__ = ["register"]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs on stdout.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Chapter 6 of Sutskever (2013) done again: tables, figures, trainings.",
    )
    group.command()(sensitivity)
    group.command()(convergence)
    app.add_typer(group, name="reproduce")


def sensitivity(
    out: Annotated[Path, typer.Option(help="JSON file; what it holds already is not repeated.")],
    seeds: Annotated[int, typer.Option(min=1, help="How many trainings of each case.")] = 2,
    budget: Annotated[
        int | None, typer.Option(metavar="CALLS", min=1, help="Of every training.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Train small networks with one choice varied at a time, and say what it matters.

    Example: `neuromotor reproduce sensitivity --out sensitivity.json`
    """
    from neuromotor.reproduction.sensitivity import run_sensitivity

    torch.set_num_threads(1)
    data = run_sensitivity(
        out, seeds, calls=budget, progress=lambda words: messages.print(words, soft_wrap=True)
    )
    if json_:
        print(json.dumps(data, indent=2))
    else:
        output.print(f"{len(data['rows'])} trainings: {out}", soft_wrap=True)


def convergence(
    run: Annotated[Path, typer.Argument(help="Folder that `compare --seeds N` left.")],
    out: Annotated[Path, typer.Option(help="JSON file that figure 6.2 is drawn from.")],
) -> None:
    """Thin the histories of a comparison to what figure 6.2 needs.

    Example: `neuromotor reproduce convergence runs/all --out convergence.json`
    """
    from neuromotor.reproduction.convergence import convergence_data

    write_json(out, convergence_data(run))
    output.print(f"Data: {out}", soft_wrap=True)
