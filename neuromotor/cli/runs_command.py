"""The commands `runs`, which list run folders and compare some of them."""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from neuromotor.cli.display import messages, output
from neuromotor.cli.options import JsonOption, check_figure
from neuromotor.runs.create import MARKER
from neuromotor.runs.drawing import draw_without_screen
from neuromotor.runs.records import RunRecord, find_runs, read_run, setting_differences
from neuromotor.storage.components import SettingsError
from neuromotor.storage.files import finite_data

__all__ = ["register"]

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


class _ListByDefault(typer.core.TyperGroup):
    """A group that takes `runs FOLDER` for `runs list FOLDER`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` where no command is named."""
        if not args or args[0] not in {*self.commands, "--help"}:
            args = ["list", *args]
        return super().parse_args(ctx, args)


runs = typer.Typer(cls=_ListByDefault, rich_markup_mode="markdown", add_completion=False)


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.add_typer(
        runs,
        name="runs",
        help="List run folders, or compare some.\n\nExample: `neuromotor runs`, "
        "`neuromotor runs compare runs/one runs/two --figure loss.png`",
    )


@runs.command("list")
def list_runs(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder to search, with all its subfolders. Default: runs."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the checksums of all files too.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """List run folders, newest first: what was run, how far it got, its best loss.

    States: finished, unfinished (go on with `--resume`), running (another process writes into it),
    damaged (the reason is said below).

    Example: `neuromotor runs list results --verify`
    """
    place = folder or Path("runs")
    if not place.is_dir():
        raise SettingsError(f"{place} is not a folder; name one that holds run folders.")
    records = find_runs(place, verify=verify)
    if json_:
        print(json.dumps([finite_data(record.as_dict()) for record in records], indent=2))
        return
    if not records:
        messages.print(f"No run folders within {place}.", soft_wrap=True)
        return
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("run", no_wrap=True)  # so that it can be pasted
    for name in ("task", "methods", "seeds", "state"):
        table.add_column(name)
    for name in ("best loss", "ratio", "calls", "secs", "age"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        row = record.as_dict()
        table.add_row(
            shlex.quote(str(record.path)),
            row["task"],
            ", ".join(map(str, row["methods"])),
            _seeds(row["seeds"]),
            row["state"],
            _digits(row["loss"], ".3g"),
            _digits(row["ratio"], ".5g"),
            str(row["calls"]),
            f"{row['seconds']:.0f}",
            _age(time.time() - row["modified"]),
        )
    output.print(table)
    for record in records:
        if record.problem:
            messages.print(record.problem, soft_wrap=True)


@runs.command("compare")
def compare_runs(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Run folders.")],
    figure: Annotated[
        Path | None, typer.Option(help="Draw the losses against calls into this file.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Hold runs against each other: the settings that differ, and the results side by side.

    Example: `neuromotor runs compare runs/one runs/two --figure loss.png`
    """
    if len(folders) < 2:
        raise SettingsError("`runs compare` needs two run folders or more, got one.")
    records = []
    for folder in folders:
        if not (folder / MARKER).is_file():
            raise SettingsError(f"{folder} is no run folder: it has no {MARKER}.")
        record = read_run(folder)
        if record.problem:
            raise SettingsError(f"{folder} is damaged: {record.problem}")
        records.append(record)
    check_figure(figure)
    differences = setting_differences(records)
    if json_:
        methods = [[_method(found) for found in record.methods] for record in records]
        data = [
            {**finite_data(record.as_dict()), "results": found}
            for record, found in zip(records, methods, strict=True)
        ]
        print(json.dumps({"settings": differences, "runs": data}, indent=2))
    else:
        _print_comparison(records, differences)
    if figure is not None:
        _draw(records, figure)
        if not json_:
            output.print(f"Figure: {figure}", soft_wrap=True)


def _print_comparison(records: Sequence[RunRecord], differences: dict[str, list[Any]]) -> None:
    """The settings that differ, and every method of every run."""
    if differences:
        settings = Table("setting", box=None, padding=(0, 1, 0, 0))
        for record in records:
            settings.add_column(shlex.quote(str(record.path)))
        for name, values in differences.items():
            settings.add_row(name, *(json.dumps(value) for value in values))
        output.print(settings)
    else:
        output.print("The settings are the same.")
    output.print(_results(records))


def _results(records: Sequence[RunRecord]) -> Table:
    """Every method of every run, a line each."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("run", no_wrap=True)
    for name in ("state", "method", "seed"):
        table.add_column(name)
    for name in ("loss", "ratio", "calls", "secs"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        for found in record.methods:
            table.add_row(
                shlex.quote(str(record.path)),
                record.state,
                found.method,
                str(found.seed),
                _digits(found.loss, ".4g"),
                _digits(found.ratio, ".6g"),
                str(found.calls),
                f"{found.seconds:.1f}",
            )
    return table


def _draw(records: Sequence[RunRecord], path: Path) -> None:
    draw_without_screen()
    from neuromotor.plotting import save_figure
    from neuromotor.runs.figures import plot_runs

    save_figure(plot_runs(records), path)


def _method(found: Any) -> dict[str, Any]:
    """One method's result for JSON."""
    names = ("method", "seed", "floor", "loss", "ratio", "calls", "seconds", "evaluated")
    numbers: dict[str, Any] = finite_data({name: getattr(found, name) for name in names})
    return numbers


def _seeds(seeds: Sequence[int]) -> str:
    return f"{seeds[0]}-{seeds[-1]}" if len(seeds) > 1 else "".join(map(str, seeds))


def _digits(number: float | None, form: str) -> str:
    return "-" if number is None or not math.isfinite(number) else format(number, form)


def _age(seconds: float) -> str:
    """`5 min`, `3 h`, `2 d`."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
