"""The command `drive`, which drives a network by what a recording holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from neuromotor.cli.display import output
from neuromotor.cli.options import ConfigOption, ForceOption, JsonOption, SetOption, check_new
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.controllers import CONTROLLERS
from neuromotor.controllers.network import RecurrentNetwork
from neuromotor.runs.settings import gather
from neuromotor.storage.components import SettingsError, UnknownSettingError, decode
from neuromotor.zoo.saved_controller import load_controller

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(drive)


def drive(
    recording: Annotated[
        Path, typer.Argument(help="netCDF recording (.nc or .nc4), ours or your own.")
    ],
    out: Annotated[Path, typer.Option(help="The recording that is written (.nc or .nc4).")],
    controller: Annotated[
        str,
        typer.Option(
            help="`reservoir`, or a network's file (.safetensors) or name in `neuromotor zoo`, "
            "which must have as many inputs as the variables have numbers."
        ),
    ] = "reservoir",
    inputs: Annotated[str, typer.Option(help="The variables that drive it, with commas.")] = "rate",
    raw: Annotated[
        bool, typer.Option("--raw", help="Leave the inputs' means and sizes as recorded.")
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: ForceOption = False,
    json_: JsonOption = False,
) -> None:
    """Drive a network by a recording's signals, and put its units in the place of the recorded.

    The rates of a reservoir remember what came before, so that `analyze` on the file that is
    written decodes from the history of the recorded units, and on the recording from one moment.
    `--set 'controller.layers=[500]'` and the like reach the reservoir.

    Example: `neuromotor drive session.nc --out echoes.nc`, then `neuromotor analyze echoes.nc`
    """
    from neuromotor.analysis import driven, load_recording, save_recording

    check_new(out, force=force)
    choose_threads(1)
    settings = gather(config, {}, set_ or [], smoke=False)
    for name in settings:
        if name != "controller":
            raise UnknownSettingError(name, {"controller"})
    network, parameters = None, None
    if controller == "reservoir":
        network = decode({"type": controller, **settings.get("controller", {})}, CONTROLLERS, "")
    elif settings:
        raise SettingsError("`--set` and `--config` are for a reservoir; leave them out here.")
    else:
        saved = load_controller(controller)
        network, parameters = saved.controller, saved.parameters
    if not isinstance(network, RecurrentNetwork):
        raise SettingsError(f"`--controller` must be a network, got a {type(network).__name__}.")
    names = [name.strip() for name in inputs.split(",") if name.strip()]
    found = driven(load_recording(recording), network, parameters, inputs=names, scaled=not raw)
    save_recording(out, found, overwrite=force)
    sizes = {name: int(found.sizes[name]) for name in ("trial", "time", "unit")}
    if json_:
        print(json.dumps({"out": str(out), **sizes}))
        return
    words = ", ".join(f"{count} {name}s" for name, count in sizes.items())
    output.print(f"{words}: {out}", soft_wrap=True)
