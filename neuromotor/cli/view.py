"""The command `view`: a page in which a trained controller can be pushed and watched."""

from __future__ import annotations

import json
import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from neuromotor.cli.display import difference_lines, messages, output, working
from neuromotor.cli.options import (
    ConfigOption,
    JsonOption,
    PlantOption,
    SetOption,
    TaskOption,
    check_new,
)
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.runs.settings import resolve_saved
from neuromotor.storage.components import SettingsError
from neuromotor.zoo.saved_controller import load_controller

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(view)


def view(
    controller: Annotated[
        Path, typer.Argument(help="Controller file (.safetensors), or a name of `neuromotor zoo`.")
    ],
    task: TaskOption = None,
    plant: PlantOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File, .html. Default: a temporary one, which your browser opens."),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="How many of the task's trials the page offers.")
    ] = 12,
    ilqr: Annotated[
        bool, typer.Option("--ilqr/--no-ilqr", help="Solve these trials by iLQR, for its paths.")
    ] = True,
    fixed_points: Annotated[
        bool,
        typer.Option(
            "--fixed-points/--no-fixed-points",
            help="Look for the network's fixed points at the end of each of them.",
        ),
    ] = True,
    seed: Annotated[int | None, typer.Option(help="Seed of random trials. Default: 0.")] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json_: JsonOption = False,
) -> None:
    """Make a page in which one pushes the limb of a trained network and watches its units.

    The page is one file that needs no server and no network: the whole closed loop runs in it. Its
    physics and its cells are translated from those of the package.

    Example: `neuromotor view ddn/best`, or `neuromotor view ddn/best --out ddn.html`
    """
    from neuromotor.view import view as make_page

    if out is not None:
        if out.suffix.lower() != ".html":
            raise SettingsError(f"`--out` must end in .html, got {out.name!r}.")
        check_new(out, force=force)
    saved = load_controller(controller)
    options: dict[str, Any] = {"task": task, "plant": plant, "seed": seed}
    settings = resolve_saved(saved, config, options, set_ or [], uses=("seed", "threads"))
    choose_threads(settings.threads)
    title = f"{controller} on {settings.task_name}"
    with working() as progress:
        page = make_page(
            settings.task,
            saved.controller,
            saved.parameters,
            title=title,
            shown=trials,
            seed=settings.seed,
            ilqr=ilqr,
            fixed_points=fixed_points,
            progress=progress,
        )
    if out is None:
        path = page.save(Path(tempfile.mkdtemp(prefix="neuromotor-")) / "view.html")
    else:
        path = page.save(out, overwrite=force)
    opened = out is None and webbrowser.open(path.resolve().as_uri())
    if json_:
        print(json.dumps({"out": str(path), "bytes": path.stat().st_size, "opened": opened}))
        return
    for line in difference_lines(saved.differences(settings.task)):
        output.print(line, soft_wrap=True)
    if out is None and not opened:
        messages.print("No browser could be opened here; open the file yourself.", soft_wrap=True)
    output.print(f"{path.stat().st_size / 1000:.0f} kB: {path}", soft_wrap=True)
