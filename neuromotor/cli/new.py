"""The command `new`, which starts a component of one's own."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from neuromotor.cli.display import output
from neuromotor.cli.options import JsonOption
from neuromotor.extensions.starting import KINDS, start_component

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(new)


def new(
    kind: Annotated[str, typer.Argument(help=f"What to start: {', '.join(KINDS)}.")],
    name: Annotated[str, typer.Argument(help="Its name, such as `my-reach`.")],
    folder: Annotated[Path, typer.Option(help="Existing folder for the two files.")] = Path(),
    json_: JsonOption = False,
) -> None:
    """Write the first file of a component of your own, and its test; `--use` it at once.

    The file holds a component that works. Change what it does, and its test with it.

    Example: `neuromotor new task my-reach`
    """
    start = start_component(kind, name, folder)
    if json_:
        data = {"file": str(start.file), "test": str(start.test), "command": start.command}
        print(json.dumps(data, indent=2))
        return
    for line in (
        f"Wrote {start.file} and {start.test}.",
        f"Test it:  pytest {shlex.quote(str(start.test))}",
        f"Use it:   {start.command}",
    ):
        output.print(line, soft_wrap=True, markup=False, highlight=False)
