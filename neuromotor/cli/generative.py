"""The commands `generate`, which learn generative models of binary sequences and use them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.table import Table

from neuromotor.cli.display import messages, output, working
from neuromotor.cli.options import (
    ConfigOption,
    ForceOption,
    JsonOption,
    SeedOption,
    SmokeOption,
    check_figure,
    check_new,
)
from neuromotor.generative import denoise, flipped, load_model, sample
from neuromotor.runs.drawing import draw_without_screen
from neuromotor.runs.execute import default_folder
from neuromotor.runs.generative import (
    GENERATIVE_FILE,
    generative_settings,
    likelihood_numbers,
    measure,
    run_generative,
)
from neuromotor.runs.generative import baselines as baselines_of
from neuromotor.runs.generative_data import BALLS, SequenceData, data_for
from neuromotor.runs.settings import gather
from neuromotor.storage.components import SettingsError
from neuromotor.storage.files import atomic_path, parse_json, read_text

__all__ = ["register"]

_SOURCE_MSE = {"rtrbm": 0.007, "trbm": 0.04}  # Sutskever (2013), section 3.11.1

ModelArgument = Annotated[
    Path, typer.Argument(help="A model's file (.safetensors), which `generate fit` wrote.")
]
RecordingArgument = Annotated[
    Path | None,
    typer.Argument(help="netCDF recording of the same units; none for a model of balls."),
]
FigureOption = Annotated[
    Path | None, typer.Option(help="Picture to draw (.png, .pdf or .svg). Default: none.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Learn generative models of binary sequences (RTRBM, TRBM), and use them.",
    )
    group.command(name="fit")(fit_models)
    group.command()(score)
    group.command(name="sample")(make)
    group.command(name="denoise")(clean)
    app.add_typer(group, name="generate")


def fit_models(
    data: Annotated[
        str | None,
        typer.Argument(
            help=f"`{BALLS}` for films of bouncing balls, or a netCDF recording, which is made "
            "zeros and ones. Leave it out with `--resume`."
        ),
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="rtrbm, trbm, or both with a comma. Default: rtrbm.")
    ] = None,
    hidden: Annotated[int | None, typer.Option(help="Hidden units. Default: 100.")] = None,
    updates: Annotated[
        int | None, typer.Option(help="Updates of the parameters. Default: 100000.")
    ] = None,
    bin_ms: Annotated[
        float | None,
        typer.Option(help="Recordings: length of a bin (ms). Default: one sample."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Recordings: a mean rate above it is a one. Default: 0 for spikes/s, each unit's "
            "median for other rates."
        ),
    ] = None,
    held_out: Annotated[
        int | None,
        typer.Option(help="Sequences to measure by. Default: 100 films, or a fifth of the trials."),
    ] = None,
    seed: SeedOption = None,
    seeds: Annotated[
        int | None, typer.Option(help="How many seeds in a row, for each model. Default: 1.")
    ] = None,
    config: ConfigOption = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any setting, e.g. `data.size=30`, `fitting.rate=0.03`, "
            "`'fitting.steps=[[0, 10], [1000, 25]]'`, `gibbs_steps=100`; may be repeated.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder. Default: runs/generate-DATA-TIME.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Folder of a run that was stopped.")
    ] = None,
    force: ForceOption = False,
    smoke: SmokeOption = False,
    json_: JsonOption = False,
) -> None:
    """Learn RTRBMs and TRBMs by contrastive divergence, and measure them on held-out sequences.

    Each model predicts the next frame and removes noise; the table shows mean squared errors, over
    the seeds, beside those of the frame before and of the mean frame. Leaves the models, figures
    and summary.json.

    Example: `neuromotor generate fit balls --models rtrbm,trbm --hidden 60 --updates 20000`, or
    `neuromotor generate fit session.nc --bin-ms 20`
    """
    if resume is not None:
        others = (data, models, hidden, updates, bin_ms, threshold, held_out, seed, seeds, config)
        if any(value is not None for value in others) or set_ or out is not None:
            raise SettingsError(f"`--resume` takes the settings from {resume}; leave others out.")
        path = resume / GENERATIVE_FILE
        if not path.is_file():
            raise SettingsError(
                f"`--resume` must be a folder with {GENERATIVE_FILE}, got {resume}."
            )
        settings, folder = generative_settings(parse_json(read_text(path))), resume
    else:
        if data is None and config is None:
            raise SettingsError(
                f"Missing argument 'DATA': `{BALLS}`, or a netCDF recording; or go on with a run "
                "by `--resume RUN`."
            )
        table: dict[str, Any] = {}
        if data == BALLS:
            table = {"type": BALLS}
        elif data is not None:
            table = {"type": "recording", "file": data}
        if table.get("type") == BALLS and (bin_ms is not None or threshold is not None):
            raise SettingsError("`--bin-ms` and `--threshold` are for recordings.")
        if bin_ms is not None:
            table["bin_s"] = 1e-3 * bin_ms
        if threshold is not None:
            table["threshold"] = threshold
        options: dict[str, Any] = {
            "data": table or None,
            "models": models,
            "hidden": hidden,
            "fitting": None if updates is None else {"updates": updates},
            "held_out": held_out,
            "seed": seed,
            "seeds": seeds,
        }
        settings = generative_settings(
            gather(config, options, set_ or [], smoke=False), smoke=smoke
        )
        own = settings["data"]
        name = own["type"] if own["type"] == BALLS else Path(own["file"]).stem
        folder = out or default_folder("generate", name)
    with working() as tell:
        summary = run_generative(
            settings,
            folder,
            resume=resume is not None,
            force=force,
            say=lambda words: messages.print(words, soft_wrap=True),
            tell=tell,
        )
    if json_:
        print(json.dumps({**summary, "out": str(folder)}, indent=2))
    else:
        output.print(_table(summary, settings["data"]["type"] == BALLS))
        output.print(f"Run folder: {folder}", soft_wrap=True)
    if summary["interrupted"]:
        messages.print(f"Interrupted. Go on with `--resume {folder}`.", soft_wrap=True)
        sys.exit(128 + summary["signal"])


def score(
    model: ModelArgument,
    recording: RecordingArgument = None,
    count: Annotated[int, typer.Option(min=1, help="Balls: number of films.")] = 100,
    gibbs_steps: Annotated[
        int, typer.Option(min=2, help="Steps of the chain that predicts a frame.")
    ] = 50,
    flips: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of pixels that noise turns round.")
    ] = 0.1,
    likelihood: Annotated[
        bool,
        typer.Option(
            "--likelihood",
            help="Estimate the log-likelihood, by annealed importance sampling where no exact sum "
            "is possible. Films become binary by draws.",
        ),
    ] = False,
    temperatures: Annotated[
        int, typer.Option(min=1, help="Of annealed importance sampling.")
    ] = 1000,
    chains: Annotated[int, typer.Option(min=2, help="Of annealed importance sampling.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all draws.")] = 0,
    json_: JsonOption = False,
) -> None:
    """Measure a model: errors of prediction and denoising, and how likely it finds sequences.

    Give a recording that the model did not learn from: all of its trials are used.

    Example: `neuromotor generate score RUN/models/rtrbm-0.safetensors --likelihood --count 5`
    """
    net, info = load_model(model)
    data = data_for(info, recording, count)
    found = {**measure(net, data, gibbs_steps, flips, seed), **baselines_of(data)}
    if likelihood and "estimator" not in found:
        binary = _binary_films(data, seed)
        options = {"temperatures": temperatures, "chains": chains, "seed": seed}
        found |= likelihood_numbers(net, binary, **options)
    if json_:
        print(json.dumps({"model": str(model), "kind": net.kind, **found}, indent=2))
        return
    table = Table(title=f"{net.kind} on {data.name}", title_justify="left", box=None)
    table.add_column("")
    table.add_column("", justify="right")
    for name, words in _WORDS.items():
        if name in found:
            value = found[name]
            table.add_row(words, value if isinstance(value, str) else f"{value:.4g}")
    table.show_header = False
    output.print(table)


def make(
    model: ModelArgument,
    out: Annotated[Path, typer.Option(help="Arrays to write (.npz): frames, probabilities.")],
    steps: Annotated[int, typer.Option(min=1, help="Frames of a sequence.")] = 30,
    count: Annotated[int, typer.Option(min=1, help="Number of sequences.")] = 1,
    gibbs_steps: Annotated[int, typer.Option(min=1, help="Steps of the chain for a frame.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all draws.")] = 0,
    figure: FigureOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json_: JsonOption = False,
) -> None:
    """Make new sequences with a model.

    Example: `neuromotor generate sample RUN/models/rtrbm-0.safetensors --out new.npz --figure
    new.png`
    """
    _check_arrays(out, force)
    check_figure(figure)
    net, info = load_model(model)
    film = sample(
        net,
        steps,
        count=count,
        gibbs_steps=gibbs_steps,
        generator=torch.Generator().manual_seed(seed),
    )
    _write_arrays(out, {"frames": film.frames, "probabilities": film.probabilities})
    if figure is not None:
        shown = {f"sequence {row}": film.probabilities[row] for row in range(min(count, 5))}
        _draw(figure, shown, info)
    _tell(out, figure, {"sequences": count, "frames": steps, "units": net.visible}, json_)


def clean(
    model: ModelArgument,
    recording: RecordingArgument = None,
    out: Annotated[
        Path | None, typer.Option(help="Arrays to write (.npz): clean, noisy, denoised.")
    ] = None,
    flips: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of pixels that noise turns round.")
    ] = 0.1,
    count: Annotated[int, typer.Option(min=1, help="Balls: number of films.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    figure: FigureOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json_: JsonOption = False,
) -> None:
    """Add noise to sequences, and let a model remove it from the frames so far.

    Example: `neuromotor generate denoise RUN/models/rtrbm-0.safetensors --flips 0.2 --figure
    denoised.png`
    """
    if out is not None:
        _check_arrays(out, force)
    check_figure(figure)
    net, info = load_model(model)
    data = data_for(info, recording, count)
    frames = data.held_out.to(net.visible_bias.dtype)
    noisy = flipped(frames, flips, torch.Generator().manual_seed(seed))
    rebuilt = denoise(net, noisy)
    if out is not None:
        _write_arrays(out, {"clean": frames, "noisy": noisy, "denoised": rebuilt})
    if figure is not None:
        _draw(figure, {"clean": frames[0], "noisy": noisy[0], "denoised": rebuilt[0]}, info)
    found = {
        "noisy_mse": float((noisy - frames).square().mean()),
        "denoised_mse": float((rebuilt - frames).square().mean()),
    }
    _tell(out, figure, found, json_)


_WORDS = {
    "prediction_mse": "squared error of predictions",
    "last_frame_mse": "of the frame before",
    "mean_frame_mse": "of the mean frame",
    "noisy_mse": "squared error of noisy frames",
    "denoised_mse": "of denoised frames",
    "log_likelihood_per_frame": "log-likelihood a frame (nats)",
    "standard_error_per_frame": "its standard error from the estimator",
    "independent_log_likelihood_per_frame": "of independent units",
    "estimator": "estimator",
}


def _table(summary: Mapping[str, Any], balls: bool) -> Table:
    """Return a line for each kind of model, and the baselines."""
    rows = summary["models"]
    likely = any("log_likelihood_per_frame" in row for row in rows)
    table = Table(title=f"{summary['data']}: mean squared errors", box=None)
    table.add_column("model")
    names = ["prediction", "denoised", *(["log-likelihood\na frame (nats)"] if likely else [])]
    for name in [*names, *(["source's\nprediction"] if balls else []), "secs"]:
        table.add_column(name, justify="right")
    for row in rows:
        cells = [_ranged(row, "prediction_mse"), _ranged(row, "denoised_mse")]
        cells += [_ranged(row, "log_likelihood_per_frame")] if likely else []
        cells += [f"{_SOURCE_MSE[row['model']]:g}"] if balls else []
        table.add_row(row["model"], *cells, f"{row['seconds']:.0f}")
    for name, words in (("last_frame_mse", "frame before"), ("mean_frame_mse", "mean frame")):
        table.add_row(words, f"{summary['baselines'][name]:.4g}")
    table.caption = f"median (range) over seeds; {summary['held_out']} held-out sequences"
    if balls:
        table.caption += (
            "\nthe source's: 400 units, 30 x 30 pixels, 100 frames, 100,000 updates (Sutskever "
            "2013, 3.11.1)"
        )
    return table


def _ranged(row: Mapping[str, Any], name: str) -> str:
    """Return a median and its range."""
    if name not in row:
        return "-"
    low, high = row[f"{name}_range"]
    middle = f"{row[name]:.4g}"
    return middle if row["seeds"] == 1 else f"{middle} ({low:.4g} to {high:.4g})"


def _binary_films(data: SequenceData, seed: int) -> SequenceData:
    """Return the same sequences, with pixels between 0 and 1 drawn."""
    generator = torch.Generator().manual_seed(seed)
    return replace(
        data,
        held_out=torch.bernoulli(data.held_out, generator=generator),
        known=torch.bernoulli(data.known, generator=generator),
    )


def _check_arrays(out: Path, force: bool) -> None:
    """Raise unless a file of arrays may be written."""
    if out.suffix != ".npz":
        raise SettingsError(f"`--out` must end in .npz, got {out}.")
    check_new(out, force=force)


def _write_arrays(out: Path, arrays: Mapping[str, torch.Tensor]) -> None:
    """Write arrays, whole or not at all."""
    contents: dict[str, Any] = {name: part.numpy() for name, part in arrays.items()}
    with atomic_path(out) as temporary:
        np.savez_compressed(temporary, **contents)


def _draw(figure: Path, rows: dict[str, torch.Tensor], info: Mapping[str, Any]) -> None:
    """Draw sequences of a model."""
    draw_without_screen()
    from neuromotor.runs.generative_figures import plot_frames

    spec = info.get("data", {})
    picture = (spec["size"], spec["size"]) if spec.get("type") == BALLS else None
    drawn = plot_frames(rows, picture, spec.get("bin_s"))
    with atomic_path(figure) as temporary:
        drawn.savefig(temporary, format=figure.suffix[1:])


def _tell(out: Path | None, figure: Path | None, found: Mapping[str, Any], json_: bool) -> None:
    """Say what was written, and numbers."""
    if json_:
        files = {"out": None if out is None else str(out)}
        files["figure"] = None if figure is None else str(figure)
        print(json.dumps({**files, **found}, indent=2))
        return
    words = ", ".join(
        f"{name.replace('_mse', ': mean squared error')} {value:.4g}"
        if isinstance(value, float)
        else f"{value} {name}"
        for name, value in found.items()
    )
    output.print(words, soft_wrap=True)
    for path in (out, figure):
        if path is not None:
            output.print(f"Written: {path}", soft_wrap=True)
