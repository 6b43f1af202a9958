"""The command line: every command in one application, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from neuromotor.cli import (
    analysis,
    benchmark,
    evaluation,
    info,
    reproduction,
    runs_command,
    sweep,
    training,
    zoo,
)
from neuromotor.cli.exits import run_and_exit
from neuromotor.storage.components import SettingsError
from neuromotor.training import distributed

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Train recurrent networks to move a monkey's arm; measure them against optimal control.

First steps: `neuromotor compare center-out`, then
`neuromotor evaluate RUN/controllers/lbfgs.safetensors`. `neuromotor info` lists every task, plant,
controller and optimizer; `neuromotor info NAME` its settings.
""",
)
for commands in (
    training,
    evaluation,
    info,
    benchmark,
    runs_command,
    analysis,
    reproduction,
    zoo,
    sweep,
):  # in the order of `--help`
    commands.register(app)


def main() -> None:
    """Run the command line; whatever goes wrong ends with one line and its own code."""
    run_and_exit(lambda: distributed.run(_commands))


def _commands() -> None:
    _refuse_empty(sys.argv[1:])
    app(prog_name="neuromotor", standalone_mode=True)


def _refuse_empty(words: Sequence[str]) -> None:
    """Raise where an option has an empty value, as an unset variable of a shell gives it."""
    for word, after in zip(words, [*words[1:], None], strict=True):
        name, equals, value = word.partition("=")
        if name.startswith("--") and (not value if equals else after == ""):
            raise SettingsError(f"`{name}` must not be empty; give it a value, or leave it out.")
