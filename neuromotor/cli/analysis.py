"""The commands `record`, which writes a controller's activity, and `analyze`, which reports it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
import typer

from neuromotor.cli.display import difference_lines, messages, output, working
from neuromotor.cli.options import ConfigOption, JsonOption, SetOption, TaskOption, check_new
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.controllers import FeedbackChange, NetworkPerturbation
from neuromotor.evaluation.references import REFERENCES
from neuromotor.runs.create import create_run_folder
from neuromotor.runs.drawing import draw_without_screen
from neuromotor.runs.settings import gather, resolve, resolve_saved
from neuromotor.storage.components import SettingsError
from neuromotor.tasks import TASKS
from neuromotor.zoo.saved_controller import SavedController, load_controller

if TYPE_CHECKING:
    import xarray as xr

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
    perturb: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="Do something to a network from step FIRST to step LAST: 'silence LAYER UNITS "
            "FIRST LAST', 'stimulate LAYER UNITS FIRST LAST CURRENT', or 'scale LAYER UNITS FIRST "
            "LAST FACTOR recurrent|feedforward|output' (connections). Layers count from 1, units "
            "from 0: '0,3', '0-49' or 'all'. May be repeated.",
        ),
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
    perturbations = [_perturbation(text) for text in perturb or []]
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
    recording = record_run(actor, settings, change, perturbations)
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


def _perturbation(text: str) -> NetworkPerturbation:
    """Return what `--perturb` asks for."""
    words = text.split()
    shown = "as in 'silence 1 0-49 10 19'"
    if len(words) < 5 or len(words) > 7:
        raise SettingsError(f"`--perturb` must be 5 to 7 words, {shown}, got {text!r}.")
    kind, layer, units, first, last, *more = words
    try:
        chosen: list[int] = []
        for part in () if units == "all" else units.split(","):
            start, _, stop = part.partition("-")
            chosen += range(int(start), int(stop or start) + 1)
        place, begin, end = int(layer) - 1, int(first), int(last)
        amount = float(more[0]) if more else 0.0
    except ValueError as error:
        raise SettingsError(f"`--perturb` has a number that is none, {shown}: {error}") from error
    if kind != "silence" and not more:
        raise SettingsError(f"`--perturb` with {kind} needs an amount behind LAST, got {text!r}.")
    try:
        matrix = more[1] if len(more) > 1 else "recurrent"
        return NetworkPerturbation(kind, place, begin, end, tuple(chosen), amount, matrix)
    except ValueError as error:
        raise SettingsError(f"in `--perturb`: {error}") from error


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
        list[Path] | None,
        typer.Option(
            help="Another recording of the same conditions: adds how alike both are. Given several "
            "times, as for each monkey: adds what these reach among themselves, too."
        ),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            help="With several `--against`: a recording of the same kind, as another seed of the "
            "network. May be repeated."
        ),
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
    difference: Annotated[
        str,
        typer.Option(
            metavar="STATES",
            help="Fits of rotations take the state at the `starts` of steps, as published, or at "
            "their `midpoints`.",
        ),
    ] = "starts",
    loop: Annotated[
        bool,
        typer.Option(
            "--loop",
            help="With `--controller`: fixed points and modes of network, feedback delay and limb "
            "together.",
        ),
    ] = False,
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
    from neuromotor.analysis.rotation_fits import DIFFERENCES

    if difference not in DIFFERENCES:
        raise SettingsError(
            f"`--difference` must be {' or '.join(DIFFERENCES)}, got {difference!r}."
        )
    if loop and controller is None:
        raise SettingsError("`--loop` needs `--controller`: the controller that was recorded.")
    for name, paths in (("against", against or []), ("beside", beside or [])):
        if len({path.name for path in paths}) < len(paths):
            raise SettingsError(f"`--{name}` needs files of different names; rename one.")
    if beside and not against:
        raise SettingsError("`--beside` needs `--against`: what both are compared with.")
    states: Literal["starts", "midpoints"] = "starts" if difference == "starts" else "midpoints"
    choose_threads(1)
    draw_without_screen()
    if memory is not None:
        check_positive("--memory", memory, "GB")
    most = _half_of_memory() if memory is None else round(1e9 * memory)
    data = read_recording(recording, most)
    others = {path.name: read_recording(path, most) for path in against or []}
    siblings = {path.name: read_recording(path, most) for path in beside or []}
    if align is not None:
        if align[0] not in EVENTS:
            raise SettingsError(
                f"`--align` must name one of {', '.join(EVENTS)}, got {align[0]!r}."
            )
        data = cut(data, *align)
        others = _aligned(others, align, "against")
        siblings = _aligned(siblings, align, "beside")
    saved = None if controller is None else load_controller(controller)
    folder = out or recording.with_name(f"{recording.stem}-analysis")
    settings = {
        "recording": str(recording),
        "controller": None if controller is None else str(controller),
        "against": [str(path) for path in against or []],
        "beside": [str(path) for path in beside or []],
        "align": align,
        "window": window,
        "soft": soft,
        "lags_s": lag or [],
        "labels": label or [],
        "encoded": encode or [],
        "difference": difference,
        "loop": loop,
        "surrogates": surrogates,
        "seed": seed,
    }
    check_analysis(
        data,
        saved=saved,
        against=next(iter(others.values()), None),
        window_s=window,
        labels=label or (),
    )
    create_run_folder(folder, settings, force=force, resumable=False)
    with working() as progress:
        report = run(
            data,
            source=recording.name,
            saved=saved,
            against=next(iter(others.values()), None),
            group=others if len(others) > 1 or siblings else None,
            siblings=siblings,
            window_s=window,
            soft=soft,
            surrogates=surrogates,
            seed=seed,
            lags_s=lag or (),
            labels=label or (),
            encoded=encode or (),
            difference=states,
            loop=loop,
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


def _aligned(
    recordings: dict[str, xr.Dataset], align: tuple[str, float, float], option: str
) -> dict[str, xr.Dataset]:
    """Return recordings cut around an event."""
    from neuromotor.analysis import align as cut

    found = {}
    for name, recording in recordings.items():
        try:
            found[name] = cut(recording, *align)
        except ValueError as error:
            raise SettingsError(f"in `--{option}` {name}: {error}") from error
    return found


def _half_of_memory() -> int | None:
    """Return half of this machine's memory in bytes, None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None
