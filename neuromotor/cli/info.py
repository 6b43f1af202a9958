"""The command `info`, which lists every component and its settings."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from neuromotor._checks import did_you_mean
from neuromotor.cli.display import horizon_table, output
from neuromotor.cli.options import JsonOption, SmokeOption
from neuromotor.control import ILQR
from neuromotor.extensions import Registry, registries
from neuromotor.plants import LearnedPlant
from neuromotor.runs.execute import machine, versions
from neuromotor.storage.components import SettingsError, encode, setting_names

__all__ = ["register"]

_FIRST = ("task", "plant", "arm parameters", "integrator", "controller", "cell", "problem")
_PLACES = {"task": "task", "plant": "task.plant", "controller": "controller"}  # in `--set`
_PLACES |= {"arm parameters": "task.plant.parameters", "integrator": "task.plant.integrator"}
_PLACES |= {"cell": "controller.cell", "problem": "problem", "engine": "engine"}
# that of an optimizer or solver is its name
_SOLVERS = {"ilqr": ILQR()}  # what has settings among the references, which are functions


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
    catalogue = _catalogue()
    found = {kind: table[name] for kind, table in catalogue.items() if name in table}
    if not found:  # the name of a file, or of a Gymnasium environment that can be a plant
        made = {kind: table.otherwise(name) for kind, table in catalogue.items()}
        found = {kind: component for kind, component in made.items() if component is not None}
    if not found:
        known = [entry for table in catalogue.values() for entry in table]
        raise SettingsError(f"unknown name {name!r}; {did_you_mean(name, known)}.")
    for kind, component in found.items():
        if kind == "reference":
            component = _SOLVERS.get(name, component)
        has_settings = catalogue[kind].settings or component is _SOLVERS.get(name)
        settings = _settings(name, component) if has_settings else {}
        if json_:
            print(json.dumps({"name": name, "kind": kind, "settings": settings}, indent=2))
            continue
        what = f" ({kind}): {_first_line(component)}{_brought(catalogue[kind], name)}"
        output.print(Text.assemble((name, "bold"), what))
        if not settings:
            continue
        table = Table("setting", "default")
        for key, value in _paths(settings):
            table.add_row(key, json.dumps(value))
        output.print(table)
        place = _PLACES.get(kind, name if kind in ("optimizer", "reference", "algorithm") else None)
        if place is not None:
            output.print(f"Any of them can be set: `--set {place}.SETTING=VALUE`.")
        own = (key for key in setting_names(component) if "." not in key)
        times = [key for key in own if key not in settings]
        if times:
            output.print(f"Steps as times: {', '.join(times)}, as in `{times[-1]}=50ms`.")
        output.print(_explained(component))
        if isinstance(component, LearnedPlant):
            output.print(horizon_table(component.info["errors"], component))


def _paths(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting by its path with dots; that of a component is the component's name."""
    for key, value in settings.items():
        path = f"{above}{key}"
        if isinstance(value, dict):
            if "type" in value:
                yield path, value["type"]
            yield from _paths(value, f"{path}.")
        elif key != "type":
            yield path, value


def _settings(name: str, component: Any) -> dict[str, Any]:
    """Return every setting with its default, also those that files leave out where they are None.

    Files leave out what was no setting yet when others were written.
    """
    written = encode(component, {name: component})
    left_out = {one.name for one in fields(component)} - written.keys()
    return {**written, **dict.fromkeys(sorted(left_out))}


def _list_all(*, as_json: bool) -> None:
    from neuromotor.envs import environment_ids

    environments, catalogue = environment_ids(), _catalogue()
    if as_json:
        names = {kind: list(table) for kind, table in catalogue.items()}
        names["environment"] = list(environments)
        print(json.dumps({"versions": versions(), "machine": machine(), **names}, indent=2))
        return
    output.print(", ".join(f"{name} {version}" for name, version in versions().items()))
    output.print(", ".join(f"{key}: {value}" for key, value in machine().items()))
    table = Table("kind", "name", "what it is")
    for kind, entries in catalogue.items():
        for name, component in entries.items():
            table.add_row(kind, name, _first_line(component) + _brought(entries, name))
            kind = ""
    for place, (env_id, settings) in enumerate(environments.items()):
        what = f"{settings['task']}{', with goals' if settings.get('goal') else ''}"
        table.add_row("" if place else "environment", env_id, f"Gymnasium environment of {what}.")
    output.print(table)
    output.print("`neuromotor info NAME` lists settings; any can be set by --set or --config.")


def _catalogue() -> dict[str, Registry[Any]]:
    """Return all registries by kind, also those of rooms that are loaded where they are needed."""
    from neuromotor.analysis.section import report_sections
    from neuromotor.rl import ALGORITHMS

    report_sections()
    found = {ALGORITHMS.kind: ALGORITHMS, **registries()}
    return {kind: found[kind] for kind in _FIRST} | found


def _brought(registry: Registry[Any], name: str) -> str:
    """Say what brought a component that did not come with neuromotor."""
    source = registry.sources.get(name)
    return "" if source is None else f" [{source.use}]"


def _explained(component: object) -> str:
    """Return the text of a component's class, and of those that it has settings from."""
    own, *above = type(component).__mro__
    settings = [one for one in above if is_dataclass(one) and "Attributes:" in (one.__doc__ or "")]
    return "\n\n".join(inspect.getdoc(one) or "" for one in (own, *settings))


def _first_line(component: object) -> str:
    if isinstance(title := getattr(component, "title", None), str):  # a section of the report
        return title
    described = component if inspect.isfunction(component) else type(component)
    return (inspect.getdoc(described) or "").partition("\n")[0]
