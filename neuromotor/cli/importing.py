"""The commands `import`, which makes a recording of a lab's file, and `export`, for other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from neuromotor.cli.display import messages, output
from neuromotor.cli.options import ConfigOption, JsonOption, check_new
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.runs.settings import gather
from neuromotor.storage.components import SettingsError, decode

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command("import")(import_)
    app.command()(export)


def import_(
    source: Annotated[
        list[Path],
        typer.Argument(
            help="File: .nwb, .mat (MATLAB 5 to 7.3), .npz (numpy), or any file or folder that neo "
            "reads. The units of several files are put together by condition."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Recording to write: .nc (netCDF), .nc4 (compressed, of any size) or .nwb."
        ),
    ],
    align: Annotated[
        str | None,
        typer.Option(metavar="EVENT", help="Event or column of the trials that times count from."),
    ] = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="FIRST LAST",
            help="Times (s) about that event. Default: each trial from its start to its end.",
        ),
    ] = None,
    bin_: Annotated[
        float | None, typer.Option("--bin", metavar="SECONDS", help="Step. Default: 0.01.")
    ] = None,
    smooth: Annotated[
        tuple[str, float] | None,
        typer.Option(
            metavar="KIND SECONDS", help="gaussian or causal, and its standard deviation (s)."
        ),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Column that is the condition; may be repeated."),
    ] = None,
    angle_bins: Annotated[
        int | None,
        typer.Option(metavar="COUNT", help="Conditions from the target's direction, in so many."),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(metavar="EXPRESSION", help="Trials that count, as in \"result == 'R'\"."),
    ] = None,
    area: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Area whose units count; may be repeated."),
    ] = None,
    minimum_rate: Annotated[
        float | None, typer.Option(metavar="HZ", help="Units that fire less are left out.")
    ] = None,
    normalise: Annotated[
        str | None, typer.Option(help="none, sqrt (square root) or soft (over range + 5).")
    ] = None,
    hand: Annotated[
        str | None, typer.Option(metavar="SERIES", help="Series that is the hand's position.")
    ] = None,
    gaps: Annotated[
        str | None,
        typer.Option(help="Missing samples: keep, trials or units (leave those out), or refuse."),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Several files: seed of the trials that are put together.")
    ] = 0,
    config: ConfigOption = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any option of an import, such as `units.hand_position=cm` or "
            "`names.spikes=units.times`; may be repeated. `neuromotor info import` lists them.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json_: JsonOption = False,
) -> None:
    """Make a recording from a lab's own file: spikes or rates, events and behaviour.

    Example: `neuromotor import session.nwb --align go_cue_time --window -0.3 0.6 --condition
    target --out mine.nc`
    """
    from neuromotor.analysis import import_recording, pool_sessions
    from neuromotor.analysis.recording_files import SUFFIXES
    from neuromotor.analysis.sessions.cutting_trials import NOTES
    from neuromotor.analysis.sessions.options import IMPORTS
    from neuromotor.runs.recordings import write_recording

    choose_threads(1)
    given: dict[str, Any] = {
        "align": align,
        "window_s": window,
        "bin_s": bin_,
        "smooth": None if smooth is None else smooth[0],
        "smooth_s": None if smooth is None else smooth[1],
        "conditions": condition or None,
        "angle_bins": angle_bins,
        "select": select,
        "areas": area or None,
        "minimum_rate_hz": minimum_rate,
        "normalise": normalise,
        "behaviour": None if hand is None else {"hand_position": hand},
        "gaps": gaps,
    }
    raw = gather(config, given, set_ or [], smoke=False)
    options = decode(raw, IMPORTS, "import")
    if out.suffix.lower() not in (*SUFFIXES, ".nwb"):
        raise ValueError(f"`--out` must end in {', '.join(SUFFIXES)} or .nwb, got {out.name!r}.")
    check_new(out, force=force)
    found = [import_recording(path, options) for path in source]
    notes = [
        f"{path.name}: {line}" if len(source) > 1 else line
        for path, own in zip(source, found, strict=True)
        for line in own.attrs[NOTES].splitlines()
        if line
    ]
    recording = found[0]
    if len(found) > 1:
        recording = pool_sessions(found, [path.name for path in source], seed=seed)
        notes += recording.attrs[NOTES].splitlines()
        recording.attrs[NOTES] = "\n".join(notes)
    write_recording(out, recording, spike_rate_hz=None, seed=0, overwrite=force)
    sizes = {name: int(recording.sizes.get(name, 0)) for name in ("trial", "time", "unit")}
    if json_:
        print(json.dumps({"out": str(out), **sizes, "notes": notes}))
        return
    for line in notes:
        messages.print(line, soft_wrap=True, markup=False)
    words = ", ".join(f"{count} {name}s" for name, count in sizes.items() if count)
    output.print(f"{words}: {out}", soft_wrap=True)


def export(
    recording: Annotated[
        Path, typer.Argument(help="netCDF recording (.nc or .nc4), ours or your own.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="File: .csv or .parquet (a table, one row a sample), .npz (arrays), .nwb, .nc or "
            ".nc4."
        ),
    ],
    layout: Annotated[
        str | None,
        typer.Option(
            help=".npz: trials (trial, time, unit), as for LFADS; or samples (sample, unit), as "
            "for CEBRA. Default: trials."
        ),
    ] = None,
    mean_rate: Annotated[
        float | None,
        typer.Option(
            metavar="HZ",
            help="Draw spikes, each unit with this mean rate; rates become their counts, and .nwb "
            "gets their times.",
        ),
    ] = None,
    fano: Annotated[
        float | None,
        typer.Option(
            help="Fano factor of the drawn spikes: 1 is Poisson, less is more regular. Default: 1. "
            "Without `--mean-rate`, rates in spikes/s are taken as they are."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the drawn spikes.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json_: JsonOption = False,
) -> None:
    """Write a recording in a format of other tools: a table, plain arrays or NWB.

    With `--mean-rate` or `--fano` it draws spikes from the rates, as of a network that shall be
    compared with neurons.

    Example: `neuromotor export mine.nc --out mine.parquet`
    """
    from neuromotor._checks import lookup
    from neuromotor.analysis import draw_spikes, export_recording, load_recording, save_nwb
    from neuromotor.analysis.bridges import LAYOUTS

    if layout is not None and out.suffix.lower() != ".npz":
        raise SettingsError(
            f"`--layout` is for .npz files, got `--out` {out.name!r}; leave it out."
        )
    kind = lookup("layout", layout or "trials", LAYOUTS)
    check_new(out, force=force)
    found = load_recording(recording)
    if mean_rate is None and fano is None:
        export_recording(out, found, layout=kind, overwrite=force)
    else:
        drawing: dict[str, Any] = {"mean_rate_hz": mean_rate, "fano": fano or 1.0, "seed": seed}
        if fano == 0:
            raise SettingsError("`--fano` must be above 0, got 0.")
        if out.suffix.lower() == ".nwb":
            save_nwb(out, found, **drawing, overwrite=force)
        else:
            drawn = draw_spikes(found, **drawing)
            export_recording(out, drawn, layout=kind, overwrite=force)
    if json_:
        print(json.dumps({"out": str(out), "bytes": out.stat().st_size}))
        return
    output.print(str(out), soft_wrap=True)
