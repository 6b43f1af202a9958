"""The command line: every command in one application."""

from __future__ import annotations

from typing import Annotated

import typer

from neuromotor.cli import (
    analysis,
    benchmark,
    dataset,
    driving,
    evaluation,
    experiment,
    generative,
    hopfield,
    importing,
    inference,
    info,
    learning,
    new,
    problems,
    readout,
    reproduction,
    rl,
    runs_command,
    sweep,
    training,
    view,
    zoo,
)
from neuromotor.extensions import use

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Train recurrent networks to move a monkey's arm; measure them against optimal control.

First steps: `neuromotor compare center-out`, then
`neuromotor evaluate RUN/controllers/lbfgs.safetensors`. `neuromotor info` lists every task, plant,
controller and optimizer; `neuromotor info NAME` its settings.

Plants, tasks, controllers and other components of your own: `neuromotor new task my-reach` writes
the first file; `--use my_reach.py` stands before or after the name of any command.
""",
)


@app.callback()
def shared(
    use_: Annotated[
        list[str] | None,
        typer.Option(
            "--use",
            metavar="FILE|MODULE",
            help="Python file, or name of a module, that registers components of your own; may be "
            "repeated. So does the variable NEUROMOTOR_USE.",
        ),
    ] = None,
) -> None:
    """Load what is named; `neuromotor.cli.entry` has done so where the command itself runs."""
    for name in use_ or []:
        use(name)


for commands in (
    training,
    evaluation,
    view,
    analysis,
    experiment,
    inference,
    importing,
    problems,
    rl,
    dataset,
    readout,
    driving,
    zoo,
    runs_command,
    sweep,
    reproduction,
    generative,
    hopfield,
    learning,
    new,
    info,
    benchmark,
):  # in the order of `--help`, where groups (zoo, runs, reproduce) come last
    commands.register(app)
