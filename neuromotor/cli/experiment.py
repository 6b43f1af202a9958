"""The command `experiment`, which puts controllers through classic reaching experiments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from neuromotor.cli.display import messages, output
from neuromotor.cli.options import ConfigOption, JsonOption, SetOption
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.experiments import EXPERIMENTS, SUBJECTS, Judgement
from neuromotor.runs.experiments import Outcome, conduct, draw_outcomes, plan
from neuromotor.storage.components import SettingsError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(experiment)


def experiment(
    name: Annotated[
        str | None, typer.Argument(help="Name of the experiment; without one they are listed.")
    ] = None,
    controller: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Whom to put through it: {', '.join(SUBJECTS)}, a controller file "
            "(.safetensors), or a name of `neuromotor zoo`; may be repeated. Default: ilqg."
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer repeats, for a first look.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder to draw figures into. Default: none."),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Put controllers through a classic reaching experiment, and hold them against nature.

    All experiments share one limb, senses, noise and cost (`neuromotor info cursor-reach`), which
    `--set world.noise=0.2` and the like change; `--set experiment.repeats=40` changes an
    experiment. `neuromotor reproduce classics` makes all of them.

    Example: `neuromotor experiment target-jumps --controller ilqg --figures jumps`
    """
    if name is None:
        _list(json_)
        return
    if figures is not None and figures.is_file():
        raise SettingsError(f"`--figures` must be a folder, got the file {figures}.")
    choose_threads(1)
    todo = plan([name], config, set_ or [], quick=quick)
    outcomes = conduct(
        todo,
        controller or ["ilqg"],
        seed,
        say=lambda line: messages.print(line, soft_wrap=True, highlight=False),
    )
    written = [] if figures is None else draw_outcomes(outcomes, figures)
    if json_:
        data = {**todo.as_dict(), "outcomes": [one.as_dict() for one in outcomes]}
        print(json.dumps({**data, "figures": [str(path) for path in written]}, indent=2))
        return
    output.print(todo.experiments[name].question, soft_wrap=True, highlight=False)
    output.print(_table(outcomes))
    for one in outcomes:
        for remark in () if one.found is None else one.found.remarks:
            output.print(f"{one.controller}: {remark}", soft_wrap=True, highlight=False)
    for path in written:
        output.print(f"Written: {path}", soft_wrap=True, highlight=False)


def _list(json_: bool) -> None:
    """Print every experiment."""
    if json_:
        print(json.dumps({name: one.question for name, one in EXPERIMENTS.items()}, indent=2))
        return
    table = Table(title="experiments", title_justify="left", box=None)
    for column in ("name", "what is asked"):
        table.add_column(column)
    for name, one in EXPERIMENTS.items():
        table.add_row(name, one.question)
    output.print(table)


def _table(outcomes: list[Outcome]) -> Table:
    """A row for each measure of each controller."""
    table = Table(box=None)
    for column in ("controller", "measure", "value (95 %)", "nature", "of", "verdict"):
        table.add_column(column)
    for one in outcomes:
        for judged in one.judgements:
            nature = judged.nature
            verdict = f"{judged.verdict}: {judged.reason}" if judged.reason else judged.verdict
            table.add_row(
                one.controller,
                nature.what,
                value_words(judged),
                f"{nature.range_words} ({nature.source})",
                nature.of,
                verdict,
            )
    return table


def value_words(judged: Judgement) -> str:
    """Return a value with its interval and unit."""
    found = judged.found
    if found is None or found.value is None:
        return "-"
    unit = f" {judged.nature.unit}" if judged.nature.unit else ""
    if found.low is None or found.high is None:
        return f"{found.value:.3g}{unit}"
    return f"{found.value:.3g} ({found.low:.3g} to {found.high:.3g}){unit}"
