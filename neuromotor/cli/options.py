"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neuromotor.controllers import CONTROLLERS
from neuromotor.plants import PLANTS

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
    "ThreadsOption",
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
        help="Any setting, e.g. `task.radius_m=0.06`, `task.delay=50ms` or "
        "`'controller.layers=[100, 100]'`; may be repeated.",
    ),
]
PlantOption = Annotated[
    str | None, typer.Option(help=f"What moves: {', '.join(PLANTS)}. Default: the task's own.")
]
ControllerOption = Annotated[
    str | None, typer.Option(help=f"What is trained: {', '.join(CONTROLLERS)}. Default: rnn.")
]
BudgetOption = Annotated[
    int | None, typer.Option(metavar="CALLS", help="Calls for each optimizer. Default: 2000.")
]
SecondsOption = Annotated[
    float | None, typer.Option(help="Wall-clock seconds for each optimizer. Default: no limit.")
]
SeedOption = Annotated[
    int | None, typer.Option(help="Of initial weights and random trials. Default: 0.")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        help="Torch's threads. Default: 1, the fastest for networks of this size; "
        "run several commands side by side instead."
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
