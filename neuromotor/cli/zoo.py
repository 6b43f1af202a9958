"""The commands `zoo`, which show the controllers that come with the package and add others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from neuromotor import zoo
from neuromotor.cli.display import interval_words, messages, output, ratio_words, robustness_table
from neuromotor.cli.options import JsonOption
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.evaluation.robustness import TRIALS as ROBUSTNESS_TRIALS
from neuromotor.evaluation.robustness import Variation
from neuromotor.runs.learning_recipes import is_learning, learning_stage
from neuromotor.runs.recipes import find_stages
from neuromotor.runs.records import read_finished
from neuromotor.runs.zoo_entry import measure_robustness, update_entry, write_entry
from neuromotor.storage.components import SettingsError
from neuromotor.storage.files import parse_json, read_text
from neuromotor.tasks import Task
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
    group.command()(robustness)
    app.add_typer(group, name="zoo")


def entries(
    context: typer.Context,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the tables of the documentation.")
    ] = False,
    json_: JsonOption = False,
) -> None:
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
    if markdown:
        print(cards_markdown(cards))
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
            *words, f"{loss:.4g}", ratio_words(ratio, ".5g"), reference or "-", str(card["calls"])
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
    if card["robustness"] is not None:
        output.print(robustness_table(_robustness_title(card), card["robustness"]))
    output.print("Made by:")
    for stage in recipe:
        print(f"    {stage['command']}")


def add(
    run: Annotated[Path, typer.Argument(help="Finished run folder of `train`, `compare` or `rl`.")],
    method: Annotated[
        str,
        typer.Argument(
            help="The optimizer whose controller is taken; of `rl` algorithm and seed: ppo-0."
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="TASK/NAME", help="The entry's name.")],
    zoo_folder: Annotated[
        Path, typer.Option("--zoo", help="Folder of the zoo. Default: the package's own.")
    ] = zoo.FOLDER,
    note: Annotated[
        str | None,
        typer.Option(help="What else a user must know, as where it stands among other seeds."),
    ] = None,
    alone: Annotated[
        bool,
        typer.Option(
            "--alone",
            help="Measure it without references and without the table of robustness, which for "
            "plants with muscles take hours.",
        ),
    ] = False,
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
    again = f"runs/{name.replace('/', '-')}"
    if is_learning(run):
        stages = [learning_stage(run, method, again)]
        summary = parse_json(read_text(run / "summary.json"))
    else:
        stages = find_stages(run, method, again)
        summary = read_finished(run).summary
    file = run / "controllers" / f"{method}.safetensors"
    saved = load_controller(file)
    if saved.task is None:
        raise SettingsError(f"{file} says no task; train again with `neuromotor train`.")
    about = {
        "task": summary["task"],
        "date": datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%Y-%m-%d"),
        "machine": summary["machine"],
        "versions": summary["versions"],
        **({"note": note} if note else {}),
    }
    card = write_entry(
        zoo_folder, name, saved, saved.task, stages, about, alone=alone, overwrite=force
    )
    if json_:
        print(json.dumps(card, indent=2))
        return
    loss, ratio, reference = _headline(card)
    output.print(f"{name}: loss {loss:.6g}{_times(ratio, reference)}", soft_wrap=True)
    output.print(f"Entry: {zoo_folder / name}", soft_wrap=True)


def robustness(
    controller: Annotated[
        Path, typer.Argument(help="Name of an entry, or a controller file (.safetensors).")
    ],
    trials: Annotated[
        int, typer.Option(help="Held-out trials of a random task.")
    ] = ROBUSTNESS_TRIALS,
    store: Annotated[
        bool,
        typer.Option("--store", help="For those who develop neuromotor: write the card anew."),
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Change each setting of the task by 20 % down and up, and see how the controller does.

    Each row changes one number and keeps the others, and holds the controller against a reference
    that knows the change: ILQG where something disturbs the trials, iLQR where nothing does. An
    entry's card has this table already (`neuromotor zoo NAME`).

    Example: `neuromotor zoo robustness RUN/controllers/lbfgs.safetensors`
    """
    choose_threads(1)
    if store:
        zoo.path(str(controller))  # a name that is none is refused
        card = update_entry(zoo.FOLDER, str(controller))
        if card["robustness"] is None:
            raise SettingsError(
                f"{controller} was added with `--alone`, without this table; add it again without."
            )
        found, title = card["robustness"], _robustness_title(card)
    else:
        saved = load_controller(controller)
        if saved.task is None:
            raise SettingsError(f"{controller} says no task; train again with `neuromotor train`.")
        task: Task = saved.task
        found = measure_robustness(task, saved, trials=trials, progress=_note)
        title = f"{controller} as settings change, {found['trials']} trials"
    if json_:
        print(json.dumps(found, indent=2))
        return
    output.print(robustness_table(title, found))


def _note(row: Variation) -> None:
    """Say on the way what has been run."""
    if row.setting:
        messages.print(f"{row.setting} = {row.value:g}", soft_wrap=True)


def _times(ratio: float | None, reference: str | None) -> str:
    """Return a ratio to a reference in words; nothing where there is no reference."""
    return "" if reference is None else f", {ratio_words(ratio, '.6g')} x {reference}"


def _unit(card: Mapping[str, Any]) -> str:
    """Return the unit of commands behind a blank; nothing for excitations, which have none."""
    return "" if card["command_unit"] == "1" else f" {card['command_unit']}"


def _robustness_title(card: dict[str, Any]) -> str:
    return f"{card['task']} as settings change, {card['robustness']['trials']} trials"


def cards_markdown(cards: Sequence[Mapping[str, Any]]) -> str:
    """Return what cards say of ranges, commands and robustness as tables in Markdown, by task."""
    parts = []
    for task in dict.fromkeys(card["task"] for card in cards):
        own = [card for card in cards if card["task"] == task]
        parts += [f"## {task}", ""]
        for card in own:
            largest = card["largest_command"]
            words = "not finite" if largest is None else f"up to {largest:.3g}"
            at = ", ".join(f"`{name}` {value}" for name, value in _own_settings(card))
            parts.append(
                f"- `{card['name']}`: trained at {at}. Commands {words}{_unit(card)}."
                + (f" {card['note']}" if "note" in card else "")
            )
        own = [card for card in own if card["robustness"] is not None]
        tables = [card["robustness"] for card in own]
        if not tables:
            parts.append("")
            continue
        first, number = tables[0], f"{100 * tables[0]['change']:g} %"
        names = [card["name"].partition("/")[2] for card in own]
        head = [f"{name}, {sign}{number}" for name in names for sign in "-+"]
        rows = [["setting", "value", *head], ["---"] * 2 + ["---:"] * len(head)]
        settings = {row["setting"]: row["usual"] for row in first["rows"]}
        for setting, usual in settings.items():
            cells = [_cells(table, setting) for table in tables]
            shown = "" if usual is None else f"{usual:g}"
            label = f"`{setting}`" if setting else "as it is"
            rows.append([label, shown, *(cell for pair in cells for cell in pair)])
        parts += ["", *("| " + " | ".join(row) + " |" for row in rows)]
        parts += [
            "",
            f"{first['trials']} trials; loss divided by that of `{first['reference']}`, which "
            "knows the change, and in brackets the hand's error at the end (cm).",
            "",
        ]
    return "\n".join(parts).rstrip()


def _cells(table: Mapping[str, Any], setting: str) -> tuple[str, str]:
    """A setting's results down and up, in words."""
    rows = [row for row in table["rows"] if row["setting"] == setting]
    words = {
        (row["value"] or 0) > (row["usual"] or 0): "refused"
        if row["refused"] is not None
        else f"{_short(row['ratio'])} ({_short(row['error_cm'])})"
        for row in rows
    }
    return words.get(False, ""), words.get(True, "")


def _short(number: float | None) -> str:
    if number is None:
        return "-"
    return f"{number:,.0f}" if number >= 100 else f"{number:.2g}"


def _own_settings(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Values that a network was trained at, its plant's left out."""
    return [item for item in card["trained_at"].items() if not item[0].startswith("plant.")]


def _headline(card: dict[str, Any]) -> tuple[float, float | None, str | None]:
    """Return the loss that counts, its ratio to the best reference, and that reference's name."""
    training, evaluation = card["training"], card["evaluation"]
    if evaluation is None:
        return training["loss"], training["ratio"], training["reference"]
    if not evaluation["ratios"]:
        return evaluation["loss"]["value"], None, None
    reference = "ilqg" if "ilqg" in evaluation["ratios"] else training["reference"]
    return evaluation["loss"]["value"], evaluation["ratios"][reference]["value"], reference


def _lines(card: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of a card as pairs of words."""
    training, evaluation = card["training"], card["evaluation"]
    lines = [
        ("task", card["task"]),
        ("method", f"{card['method']}, seed {card['seed']}"),
        *([("note", card["note"])] if "note" in card else []),
        ("parameters", f"{card['parameters']:,}"),
        (
            f"{training['trials']} training trials",
            f"loss {training['loss']:.6g}{_times(training['ratio'], training['reference'])}",
        ),
        ("hand at the end", f"{training['target_error_cm']:.3g} cm from its target"),
    ]
    if evaluation is not None:
        kind = "held-out trials" if evaluation["held_out"] else "trials, with intervals"
        lines.append(
            (f"{evaluation['trials']} {kind}", f"loss {interval_words(evaluation['loss'], 4)}")
        )
        for reference, ratio in evaluation["ratios"].items():
            lines.append(("", f"{interval_words(ratio, 4)} x {reference}"))
    if card["usual"] is not None:
        usual = card["usual"]["training"]
        ratios = (card["usual"]["evaluation"] or {"ratios": {}})["ratios"]
        words = f"loss {usual['loss']:.6g}"
        if "ilqg" in ratios:
            words += f", {interval_words(ratios['ilqg'], 4)} x ilqg"
        lines.append((f"{usual['trials']} trials of {card['task']}", words))
    at = [f"{name} {value}" for name, value in _own_settings(card)]
    lines.append(("trained at", ", ".join(at)))
    largest = card["largest_command"]
    words = "not finite" if largest is None else f"up to {largest:.4g}{_unit(card)}"
    lines.append(("commands", words))
    machine = card["machine"]
    return [
        *lines,
        ("calls", f"{card['calls']:,} ({card['reason']})"),
        ("seconds", f"{card['seconds']:,.0f}"),
        ("machine", f"{machine['processor']}, {machine['system']}, {machine['threads']} thread(s)"),
        ("versions", ", ".join(f"{key} {value}" for key, value in card["versions"].items())),
        ("date", card["date"]),
    ]
