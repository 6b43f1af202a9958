"""`record` and `analyze`: a controller's activity to a file, a file to a report."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from neuromotor._headless import draw_without_screen
from neuromotor.cli.display import messages, output, working
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.runs.create import create_run_folder
from neuromotor.runs.settings import resolve_saved
from neuromotor.storage.components import SettingsError
from neuromotor.training.single import make_trials
from neuromotor.zoo.saved_controller import load_controller

__all__ = ["register"]

_FORMATS = {"netcdf": ".nc", "nwb": ".nwb"}


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command()(record)
    app.command()(analyze)


def record(
    controller: Annotated[
        Path, typer.Argument(help="Controller file (.safetensors), or a name of `neuromotor zoo`.")
    ],
    task: Annotated[
        str | None, typer.Option(help="What is wanted. Default: what it was trained on.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File. Default: recordings/CONTROLLER-TIME.nc (or .nwb).")
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help="netcdf, or nwb (Neurodata Without Borders).")
    ] = "netcdf",
    spike_rate: Annotated[
        float | None,
        typer.Option(help="nwb: Poisson spikes, this many a second at the highest rate."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of random trials. Default: 0.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings, or a run's settings.json.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, as in task.directions=8."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Run a trained controller and write what its units and the limb did.

    Example: `neuromotor record RUN/controllers/lbfgs.safetensors --set task.directions=8`
    """
    from neuromotor.analysis import record as run
    from neuromotor.analysis import save_recording

    if format_ not in _FORMATS:
        raise SettingsError(f"`--format` must be {' or '.join(_FORMATS)}, got {format_!r}.")
    if spike_rate is not None and format_ != "nwb":
        raise SettingsError("`--spike-rate` needs `--format nwb`.")
    saved = load_controller(controller)
    options: dict[str, Any] = {"task": task, "seed": seed}
    settings = resolve_saved(saved, config, options, set_ or [])
    choose_threads(settings.threads)
    trials = make_trials(settings.task, saved.controller, settings.seed, dtype=settings.dtype)
    parameters = saved.parameters.to(trials.initial_state)
    recording = run(settings.task, saved.controller, parameters, trials)
    if out is None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        out = Path("recordings") / f"{controller.stem}-{stamp}{_FORMATS[format_]}"
    if format_ == "nwb":
        from neuromotor.analysis.nwb import save_nwb

        save_nwb(out, recording, spike_rate_hz=spike_rate, seed=settings.seed, overwrite=force)
    else:
        save_recording(out, recording, overwrite=force)
    sizes = {name: int(recording.sizes[name]) for name in ("trial", "time", "unit")}
    if json_:
        print(json.dumps({"out": str(out), **sizes}))
        return
    words = ", ".join(f"{count} {name}s" for name, count in sizes.items())
    output.print(f"{words}: {out}", soft_wrap=True)


def analyze(
    recording: Annotated[Path, typer.Argument(help="netCDF recording, ours or your own.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder. Default: the recording's name, -analysis added.")
    ] = None,
    controller: Annotated[
        Path | None,
        typer.Option(
            help="The controller recorded: adds fixed points, gradients, lesions, load responses."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Another recording of the same conditions: adds how alike both are."),
    ] = None,
    align: Annotated[
        tuple[str, float, float] | None,
        typer.Option(
            metavar="EVENT BEFORE AFTER",
            help="Cut every trial around an event, as `go_time 0.3 0.6` (s); times are then its.",
        ),
    ] = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="FIRST LAST", help="Times (s) of activity that count. Default: all."),
    ] = None,
    soft: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Added to each unit's range before it is divided by it. Default: 5 for spikes/s, "
            "0.0005 for rates without a unit.",
        ),
    ] = None,
    surrogates: Annotated[int, typer.Option(min=1, help="Size of the nulls.")] = 50,
    seed: Annotated[int, typer.Option(help="Of the nulls.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing report.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print every number as JSON.")] = False,
) -> None:
    """Analyse a recording as one would cortical data; leave report.html, analysis.json, figures.

    Example: `neuromotor analyze recording.nc --out report`
    """
    from neuromotor.analysis import align as cut
    from neuromotor.analysis import analyze as run
    from neuromotor.analysis import load_recording, write_report
    from neuromotor.analysis.recording import EVENTS

    choose_threads(1)
    draw_without_screen()
    data = load_recording(recording)
    other = None if against is None else load_recording(against)
    if align is not None:
        if align[0] not in EVENTS:
            raise SettingsError(
                f"`--align` must name one of {', '.join(EVENTS)}, got {align[0]!r}."
            )
        data = cut(data, *align)
        other = None if other is None else cut(other, *align)
    saved = None if controller is None else load_controller(controller)
    folder = out or recording.with_name(f"{recording.stem}-analysis")
    settings = {
        "recording": str(recording),
        "controller": None if controller is None else str(controller),
        "against": None if against is None else str(against),
        "align": align,
        "window": window,
        "soft": soft,
        "surrogates": surrogates,
        "seed": seed,
    }
    create_run_folder(folder, settings, force=force)
    with working() as progress:
        report = run(
            data,
            source=recording.name,
            saved=saved,
            against=other,
            window_s=window,
            soft=soft,
            surrogates=surrogates,
            seed=seed,
            progress=progress,
        )
        warn = partial(messages.print, soft_wrap=True)
        write_report(report, folder, warn=warn, progress=progress)
    if json_:
        print(json.dumps(report.as_dict(), indent=2))
        return
    for section in report.sections:
        if section.skipped:
            messages.print(f"{section.title} was not computed: {section.skipped}", soft_wrap=True)
    output.print(f"Report: {folder / 'report.html'}", soft_wrap=True)
