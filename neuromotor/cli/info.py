"""The command `info`, which lists every component and its settings."""

from __future__ import annotations

import inspect
import json
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from neuromotor._checks import did_you_mean
from neuromotor.cli.display import output
from neuromotor.cli.options import JsonOption, SmokeOption
from neuromotor.control import ILQR
from neuromotor.controllers import CELLS, CONTROLLERS, INITIALIZERS
from neuromotor.optim import OPTIMIZERS
from neuromotor.plants import ARM_PRESETS, INTEGRATORS, PLANTS
from neuromotor.runs.execute import machine, versions
from neuromotor.storage.components import SettingsError, encode, setting_names
from neuromotor.tasks import TASKS

__all__ = ["register"]

_CATALOGUE: dict[str, dict[str, Any]] = {
    "task": dict(TASKS),
    "plant": dict(PLANTS),
    "arm parameters": dict(ARM_PRESETS),
    "integrator": dict(INTEGRATORS),
    "controller": dict(CONTROLLERS),
    "cell": dict(CELLS),
    "initializer": dict(INITIALIZERS),
    "optimizer": dict(OPTIMIZERS),
    "reference": {"ilqr": ILQR()},
}


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(info)


def info(
    name: Annotated[
        str | None,
        typer.Argument(help="The name of a task, plant, controller, optimizer or other component."),
    ] = None,
    json_: JsonOption = False,
    smoke: SmokeOption = False,
) -> None:
    """List all components, the versions and the machine; with NAME, one component's settings.

    Example: `neuromotor info center-out`
    """
    del smoke  # this command is quick without it
    if name is None:
        _list_all(as_json=json_)
        return
    found = {kind: table[name] for kind, table in _CATALOGUE.items() if name in table}
    if not found:
        known = [entry for table in _CATALOGUE.values() for entry in table]
        raise SettingsError(f"unknown name {name!r}; {did_you_mean(name, known)}.")
    for kind, component in found.items():
        settings = encode(component, _CATALOGUE[kind])
        if json_:
            print(json.dumps({"name": name, "kind": kind, "settings": settings}, indent=2))
            continue
        output.print(Text.assemble((name, "bold"), f" ({kind}): {_first_line(component)}"))
        table = Table("setting", "default")
        for key, value in settings.items():
            if key != "type":
                table.add_row(key, json.dumps(value))
        output.print(table)
        own = (key for key in setting_names(component) if "." not in key)
        times = [key for key in own if key not in settings]
        if times:
            output.print(f"Steps as times: {', '.join(times)}, as in `{times[-1]}=50ms`.")
        output.print(inspect.getdoc(type(component)) or "")


def _list_all(*, as_json: bool) -> None:
    from neuromotor.envs import environment_ids

    environments = environment_ids()
    if as_json:
        names = {kind: list(table) for kind, table in _CATALOGUE.items()}
        names["environment"] = list(environments)
        print(json.dumps({"versions": versions(), "machine": machine(), **names}, indent=2))
        return
    output.print(", ".join(f"{name} {version}" for name, version in versions().items()))
    output.print(", ".join(f"{key}: {value}" for key, value in machine().items()))
    table = Table("kind", "name", "what it is")
    for kind, entries in _CATALOGUE.items():
        for name, component in entries.items():
            table.add_row(kind, name, _first_line(component))
            kind = ""
    for place, (env_id, settings) in enumerate(environments.items()):
        what = f"{settings['task']}{', with goals' if settings.get('goal') else ''}"
        table.add_row("" if place else "environment", env_id, f"Gymnasium environment of {what}.")
    output.print(table)
    output.print("`neuromotor info NAME` lists settings; any can be set by --set or --config.")


def _first_line(component: object) -> str:
    return (inspect.getdoc(type(component)) or "").splitlines()[0]
