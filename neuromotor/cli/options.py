"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neuromotor.cli.completing import named, set_words
from neuromotor.controllers import CONTROLLERS
from neuromotor.plants import PLANTS
from neuromotor.storage.components import SettingsError
from neuromotor.tasks import TASKS

__all__ = [
    "BudgetOption",
    "ConfigOption",
    "ControllerOption",
    "DeviceOption",
    "DtypeOption",
    "ForceOption",
    "JsonOption",
    "OutOption",
    "PlantOption",
    "SecondsOption",
    "SeedOption",
    "SetOption",
    "SmokeOption",
    "TaskOption",
    "ThreadsOption",
    "check_figure",
    "check_new",
]

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file of settings, or a run folder's settings.json."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        autocompletion=set_words,
        help="Any setting, e.g. `task.radius_m=0.06`, `task.delay=50ms` or "
        "`'controller.layers=[100, 100]'`; may be repeated.",
    ),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        help="The task. Default: the one that the controller was trained on.",
        autocompletion=named(TASKS),
    ),
]
PlantOption = Annotated[
    str | None,
    typer.Option(
        help=f"The plant: {', '.join(PLANTS)}; a MuJoCo environment of Gymnasium, such as "
        "Reacher-v5; or the file of a learned plant. Default: the task's own.",
        autocompletion=named(PLANTS),
    ),
]
ControllerOption = Annotated[
    str | None,
    typer.Option(
        help=f"The controller to train: {', '.join(CONTROLLERS)}. Default: rnn.",
        autocompletion=named(CONTROLLERS),
    ),
]
BudgetOption = Annotated[
    int | None,
    typer.Option(metavar="CALLS", help="Number of calls for each optimizer. Default: 2000."),
]
SecondsOption = Annotated[
    float | None, typer.Option(help="Wall-clock seconds for each optimizer. Default: no limit.")
]
SeedOption = Annotated[
    int | None, typer.Option(help="Seed of the initial weights and the random trials. Default: 0.")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        help="Number of torch's threads. Default: 1, the fastest for networks of this size. "
        "To use more cores, run several commands side by side."
    ),
]
DtypeOption = Annotated[str | None, typer.Option(help="float64 (default) or float32.")]
DeviceOption = Annotated[str | None, typer.Option(help="cpu (default), cuda, ...")]
OutOption = Annotated[
    Path | None, typer.Option(help="Run folder. Default: runs/COMMAND-TASK-TIME.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite an existing run folder.")]
SmokeOption = Annotated[
    bool, typer.Option("--smoke", help="A tiny version that ends within a minute.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs on stdout.")]


def check_figure(path: Path | None) -> None:
    """Raise unless a figure has a format that there is and a new name; None is no figure."""
    if path is None:
        return
    if path.suffix not in (".png", ".pdf", ".svg"):
        raise SettingsError(f"`--figure` must end in .png, .pdf or .svg, got {path}.")
    if path.exists():
        raise FileExistsError(f"{path} exists; choose another name for `--figure`, or remove it.")


def check_new(path: Path, *, force: bool) -> None:
    """Raise where a file is there already and `--force` was not given."""
    if path.exists() and not force:
        raise FileExistsError(
            f"{path} exists; choose another name, or overwrite it with `--force`."
        )
