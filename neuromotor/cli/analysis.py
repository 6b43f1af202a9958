"""The commands `record`, which writes a controller's activity, and `analyze`, which reports it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from neuromotor.cli.display import difference_lines, messages, output, working
from neuromotor.cli.options import ConfigOption, JsonOption, SetOption, TaskOption, check_new
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.controllers import FeedbackChange
from neuromotor.evaluation.references import REFERENCES
from neuromotor.runs.create import create_run_folder
from neuromotor.runs.drawing import draw_without_screen
from neuromotor.runs.settings import gather, resolve, resolve_saved
from neuromotor.storage.components import SettingsError
from neuromotor.tasks import TASKS
from neuromotor.zoo.saved_controller import SavedController, load_controller

__all__ = ["register"]

FORMATS = {"netcdf": ".nc", "netcdf4": ".nc4", "nwb": ".nwb"}


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command()(record)
    app.command()(analyze)


def record(
    controller: Annotated[
        Path,
        typer.Argument(
            help="Controller file (.safetensors), a name of `neuromotor zoo`, or, with `--task`, "
            f"a reference: {', '.join(REFERENCES)}."
        ),
    ],
    task: TaskOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File; .nc is netCDF, .nc4 compressed netCDF 4, .nwb Neurodata Without Borders. "
            "Default: recordings/CONTROLLER-TIME.nc (or .nc4, .nwb)."
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", help="netcdf, netcdf4 or nwb. Default: what `--out` says, else netcdf."
        ),
    ] = None,
    spike_rate: Annotated[
        float | None,
        typer.Option(
            help="nwb: spikes, this many a second for a rate 1 above the unit's lowest one."
        ),
    ] = None,
    fano: Annotated[
        float, typer.Option(help="nwb: Fano factor of those spikes; 1 is Poisson.")
    ] = 1.0,
    feedback: Annotated[
        tuple[str, int, int] | None,
        typer.Option(
            metavar="KIND FIRST LAST",
            help="Change what is seen from step FIRST to step LAST: cut (zeros), freeze (what was "
            "seen last), delay (see `--feedback-delay`), replay (see `--replay`).",
        ),
    ] = None,
    feedback_delay: Annotated[
        int,
        typer.Option(metavar="STEPS", help="Delay of `--feedback delay`, beyond the task's own."),
    ] = 0,
    replay: Annotated[
        Path | None,
        typer.Option(help="For `--feedback replay`: a recording whose observations are shown."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of random trials. Default: 0.")] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json_: JsonOption = False,
) -> None:
    """Run a trained controller, or a reference, and write what its units and the limb did.

    Example: `neuromotor record RUN/controllers/lbfgs.safetensors --set task.directions=8`, or
    `neuromotor record ilqg --task ddn`
    """
    from neuromotor.runs.recordings import record_run, write_recording

    kind = _format(out, format_)
    if spike_rate is not None and kind != "nwb":
        raise SettingsError("`--spike-rate` needs `--format nwb`, or `--out` with .nwb.")
    change = _change(feedback, feedback_delay, replay)
    options: dict[str, Any] = {"task": task, "seed": seed}
    actor: SavedController | str
    differences: dict[str, tuple[Any, Any]] | None = {}
    if str(controller) in REFERENCES and not controller.is_file():
        if task is None and config is None:
            raise SettingsError(
                f"`--task` must say what {controller} does, as in `record {controller} --task "
                f"{next(iter(TASKS))}`; known: {', '.join(TASKS)}."
            )
        settings = resolve(gather(config, options, set_ or [], smoke=False))
        actor = str(controller)
    else:
        actor = load_controller(controller)
        uses = ("seed", "dtype", "threads")
        settings = resolve_saved(actor, config, options, set_ or [], uses=uses)
        differences = actor.differences(settings.task)
    choose_threads(settings.threads)
    if out is None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        out = Path("recordings") / f"{controller.stem}-{stamp}{FORMATS[kind]}"
    check_new(out, force=force)
    recording = record_run(actor, settings, change)
    write_recording(
        out,
        recording,
        spike_rate_hz=spike_rate,
        fano=fano,
        seed=settings.seed,
        overwrite=force,
    )
    sizes = {
        name: int(recording.sizes[name])
        for name in ("trial", "time", "unit")
        if name in recording.sizes
    }
    if json_:
        print(json.dumps({"out": str(out), **sizes}))
        return
    for line in difference_lines(differences):
        output.print(line, soft_wrap=True)
    words = ", ".join(f"{count} {name}s" for name, count in sizes.items())
    output.print(f"{words}: {out}", soft_wrap=True)


def _format(out: Path | None, given: str | None) -> str:
    """Return the format that a file's name says, or the option, or netCDF."""
    if given is not None and given not in FORMATS:
        raise SettingsError(f"`--format` must be {_one_of(FORMATS)}, got {given!r}.")
    if out is None:
        return given or "netcdf"
    found = [name for name, suffix in FORMATS.items() if suffix == out.suffix.lower()]
    if not found or (given is not None and given != found[0]):
        endings = _one_of(FORMATS.values()) if given is None else FORMATS[given]
        raise SettingsError(
            f"`--out` must end in {endings}, got {out.name!r}: a file's name says its format."
        )
    return found[0]


def _one_of(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}"


def _change(
    feedback: tuple[str, int, int] | None, delay: int, replay: Path | None
) -> FeedbackChange | None:
    """Return the change of feedback that the options ask for."""
    from neuromotor.analysis import check_recording, load_recording

    if feedback is None:
        if delay or replay is not None:
            raise SettingsError("`--feedback-delay` and `--replay` need `--feedback`.")
        return None
    shown = None
    if replay is not None:
        recording = load_recording(replay)
        check_recording(recording, ["observation"])
        shown = torch.from_numpy(recording["observation"].values)
    try:
        return FeedbackChange(*feedback, delay_steps=delay, replay=shown)
    except ValueError as error:
        raise SettingsError(f"in `--feedback`: {error}") from error


def analyze(
    recording: Annotated[
        Path, typer.Argument(help="netCDF recording (.nc or .nc4), ours or your own.")
    ],
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
            help="Cut every trial around an event, as `go_time 0.3 0.6` (s). Times then count "
            "from it.",
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
    lag: Annotated[
        list[float] | None,
        typer.Option(
            metavar="SECONDS",
            help="Decode movement from rates that lead it by so much, too; may be repeated.",
        ),
    ] = None,
    encode: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VARIABLE",
            help="Test by Poisson regression whether spike counts encode it, as `hand_velocity`, "
            "at the lags of `--lag` or at 0 and 0.1 s; may be repeated.",
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Label of the trials that components are demixed by, as `target`; may be "
            "repeated, as for target and load. Default: the condition.",
        ),
    ] = None,
    surrogates: Annotated[int, typer.Option(min=1, help="Number of surrogates in each null.")] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the nulls.")] = 0,
    memory: Annotated[
        float | None,
        typer.Option(
            metavar="GB",
            help="A larger .nc4 recording is read from its file in parts, by the analyses that can "
            "do so; the others are left out. Default: half of this machine's memory.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing report.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print every number as JSON.")] = False,
) -> None:
    """Analyse a recording as one would cortical data; leave report.html, analysis.json, figures.

    Example: `neuromotor analyze recording.nc --out report`
    """
    from neuromotor._checks import check_positive
    from neuromotor.analysis import align as cut
    from neuromotor.analysis import analyze as run
    from neuromotor.analysis import write_report
    from neuromotor.analysis.layout import EVENTS
    from neuromotor.analysis.recording_files import read_recording
    from neuromotor.analysis.report import check_analysis

    choose_threads(1)
    draw_without_screen()
    if memory is not None:
        check_positive("--memory", memory, "GB")
    most = _half_of_memory() if memory is None else round(1e9 * memory)
    data = read_recording(recording, most)
    other = None if against is None else read_recording(against, most)
    if align is not None:
        if align[0] not in EVENTS:
            raise SettingsError(
                f"`--align` must name one of {', '.join(EVENTS)}, got {align[0]!r}."
            )
        data = cut(data, *align)
        try:
            other = None if other is None else cut(other, *align)
        except ValueError as error:
            raise SettingsError(f"in `--against` {against}: {error}") from error
    saved = None if controller is None else load_controller(controller)
    folder = out or recording.with_name(f"{recording.stem}-analysis")
    settings = {
        "recording": str(recording),
        "controller": None if controller is None else str(controller),
        "against": None if against is None else str(against),
        "align": align,
        "window": window,
        "soft": soft,
        "lags_s": lag or [],
        "labels": label or [],
        "encoded": encode or [],
        "surrogates": surrogates,
        "seed": seed,
    }
    check_analysis(data, saved=saved, against=other, window_s=window, labels=label or ())
    create_run_folder(folder, settings, force=force, resumable=False)
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
            lags_s=lag or (),
            labels=label or (),
            encoded=encode or (),
            progress=progress,
        )
        warn = partial(messages.print, soft_wrap=True)
        write_report(report, folder, warn=warn, progress=progress)
    if json_:
        print(json.dumps(report.as_dict(), indent=2))
        return
    for section in report.sections:
        if section.skipped:
            what = f"{section.title} was not computed: {section.skipped}"
            messages.print(what, soft_wrap=True)
    output.print(f"Report: {folder / 'report.html'}", soft_wrap=True)


def _half_of_memory() -> int | None:
    """Return half of this machine's memory in bytes, None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None
