"""The commands `zoo`, which show the controllers that come with the package and add others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from neuromotor import zoo
from neuromotor.cli.display import interval_words, output, ratio_words
from neuromotor.cli.options import JsonOption
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.runs.recipes import find_stages
from neuromotor.runs.zoo_entry import write_entry
from neuromotor.storage.components import SettingsError
from neuromotor.zoo.saved_controller import load_controller

__all__ = ["register"]


class _EntriesAsCommands(TyperGroup):
    """A group that takes any word but a command for the name of an entry to show."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    group = typer.Typer(cls=_EntriesAsCommands, invoke_without_command=True)
    group.callback()(entries)
    group.command(hidden=True)(show)
    group.command()(add)
    app.add_typer(group, name="zoo")


def entries(context: typer.Context, json_: JsonOption = False) -> None:
    """List the trained controllers that come with the package; `zoo NAME` shows one's card.

    Every command that takes a controller file takes a name of this list too.

    Example: `neuromotor zoo center-out/lbfgs`, then `neuromotor evaluate center-out/lbfgs`
    """
    if context.invoked_subcommand is not None:
        return
    cards = [zoo.card(name) for name in zoo.names()]
    if json_:
        print(json.dumps(cards, indent=2))
        return
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("name", "task", "method"):
        table.add_column(name, no_wrap=True)
    for name in ("loss", "ratio", "to", "calls"):
        table.add_column(name, no_wrap=True, justify="left" if name == "to" else "right")
    for card in cards:
        loss, ratio, reference = _headline(card)
        words = (card["name"], card["task"], card["method"])
        table.add_row(
            *words, f"{loss:.4g}", ratio_words(ratio, ".5g"), reference, str(card["calls"])
        )
    table.caption = "losses of random tasks are those of held-out trials"
    table.caption_justify = "left"
    output.print(table)


def show(
    name: Annotated[str, typer.Argument(help="A name in the list of `neuromotor zoo`.")],
    json_: JsonOption = False,
) -> None:
    """Show an entry: how good it is, and how to make it again.

    Example: `neuromotor zoo center-out/lbfgs`
    """
    card, recipe = zoo.card(name), zoo.recipe(name)
    if json_:
        print(json.dumps({**card, "recipe": recipe}, indent=2))
        return
    table = Table(title=name, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(overflow="fold")
    for key, value in _lines(card):
        table.add_row(key, value)
    table.show_header = False
    output.print(table)
    output.print("Made by:")
    for stage in recipe:
        print(f"    {stage['command']}")


def add(
    run: Annotated[Path, typer.Argument(help="Finished run folder of `train` or `compare`.")],
    method: Annotated[str, typer.Argument(help="The optimizer whose controller is taken.")],
    name: Annotated[str, typer.Argument(metavar="TASK/NAME", help="The entry's name.")],
    zoo_folder: Annotated[
        Path, typer.Option("--zoo", help="Folder of the zoo. Default: the package's own.")
    ] = zoo.FOLDER,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing entry.")] = False,
    json_: JsonOption = False,
) -> None:
    """Make an entry of the zoo out of a finished run; developers of neuromotor need this.

    The weights are rounded to float32 and measured as they are shipped: on the training trials and,
    where something disturbs them, on held-out ones against the references.

    Example: `neuromotor zoo add runs/ahf ahf center-out/ahf`
    """
    task_name, slash, own = name.partition("/")
    if not (slash and task_name and own) or "/" in own or name != name.strip("./"):
        raise SettingsError(f"`name` must be TASK/NAME, as in center-out/ahf, got {name!r}.")
    if (zoo_folder / name).exists() and not force:
        raise FileExistsError(
            f"{zoo_folder / name} exists; choose another name, or replace it: `--force`."
        )
    choose_threads(1)
    stages = find_stages(run, method, f"runs/{name.replace('/', '-')}")
    file = run / "controllers" / f"{method}.safetensors"
    saved = load_controller(file)
    if saved.task is None:
        raise SettingsError(f"{file} says no task; train again with `neuromotor train`.")
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    about = {
        "task": summary["task"],
        "date": datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%Y-%m-%d"),
        "machine": summary["machine"],
        "versions": summary["versions"],
    }
    card = write_entry(zoo_folder, name, saved, saved.task, stages, about, overwrite=force)
    if json_:
        print(json.dumps(card, indent=2))
        return
    loss, ratio, reference = _headline(card)
    output.print(
        f"{name}: loss {loss:.6g}, {ratio_words(ratio, '.6g')} x {reference}", soft_wrap=True
    )
    output.print(f"Entry: {zoo_folder / name}", soft_wrap=True)


def _headline(card: dict[str, Any]) -> tuple[float, float | None, str]:
    """Return the loss that counts, its ratio to the best reference, and that reference's name."""
    training, evaluation = card["training"], card["evaluation"]
    if evaluation is None:
        return training["loss"], training["ratio"], training["reference"]
    reference = "ilqg" if "ilqg" in evaluation["ratios"] else training["reference"]
    return evaluation["loss"]["value"], evaluation["ratios"][reference]["value"], reference


def _lines(card: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of a card as pairs of words."""
    training, evaluation = card["training"], card["evaluation"]
    lines = [
        ("task", card["task"]),
        ("method", f"{card['method']}, seed {card['seed']}"),
        ("parameters", f"{card['parameters']:,}"),
        (
            f"{training['trials']} training trials",
            f"loss {training['loss']:.6g}, {ratio_words(training['ratio'], '.6g')} x "
            f"{training['reference']}",
        ),
        ("hand at the end", f"{training['target_error_cm']:.3g} cm from its target"),
    ]
    if "largest_command" in training:
        lines.append(("largest command", f"{training['largest_command']:.3g} N m"))
    if evaluation is not None:
        kind = "held-out trials" if evaluation["held_out"] else "trials, with intervals"
        lines.append(
            (f"{evaluation['trials']} {kind}", f"loss {interval_words(evaluation['loss'], 4)}")
        )
        for reference, ratio in evaluation["ratios"].items():
            lines.append(("", f"{interval_words(ratio, 4)} x {reference}"))
    machine = card["machine"]
    return [
        *lines,
        ("calls", f"{card['calls']:,} ({card['reason']})"),
        ("seconds", f"{card['seconds']:,.0f}"),
        ("machine", f"{machine['processor']}, {machine['system']}, {machine['threads']} thread(s)"),
        ("versions", ", ".join(f"{key} {value}" for key, value in card["versions"].items())),
        ("date", card["date"]),
    ]
