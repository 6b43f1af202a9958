"""The command `infer`, which finds the settings under which recorded movements are optimal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from neuromotor.cli.display import messages, output
from neuromotor.cli.options import JsonOption, check_figure
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.storage.components import SettingsError

__all__ = ["register"]

_POINTS = 9  # of each profile that is drawn


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command(name="infer")(infer_)


def infer_(
    recording: Annotated[Path, typer.Argument(help="A recording that `neuromotor record` made.")],
    settings: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Settings of the task that are sought, with commas, e.g. energy_weight,noise. "
            "One weight of the cost must be left out.",
        ),
    ],
    start: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Where the search begins; may be repeated. Default: as the task was recorded.",
        ),
    ] = None,
    signals: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Of what the movement is taken, with commas: state, joint_position, "
            "joint_velocity, hand_position, hand_velocity.",
        ),
    ] = "state",
    measurement_noise: Annotated[
        float,
        typer.Option(help="Standard deviation of the noise of each number measured (its unit)."),
    ] = 1e-6,
    starts: Annotated[
        int, typer.Option(help="How many searches: one from the start, the others near it.")
    ] = 3,
    level: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.95,
    figure: Annotated[
        Path | None,
        typer.Option(help="Draw the profile of each setting into this file (.png, .pdf, .svg)."),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Infer cost weights and sizes of noise from recorded movements (inverse optimal control).

    Whoever moved is taken for an optimal feedback controller, as `ilqg`, of the recorded task with
    other settings. The likeliest values are printed with their intervals, and which settings the
    movements do not tell.

    Example: `neuromotor record ilqg --task center-out --set task.noise=0.2 --out moved.nc`, then
    `neuromotor infer moved.nc --settings energy_weight,noise`
    """
    from neuromotor.analysis.recording_files import read_recording
    from neuromotor.runs.inference import infer_recorded, recorded_settings

    check_figure(figure)
    names = [word.strip() for word in settings.split(",") if word.strip()]
    first = _numbers(start or [])
    choose_threads(1)
    data = read_recording(recording)
    found = infer_recorded(
        data,
        names,
        start=first,
        signals=[word.strip() for word in signals.split(",") if word.strip()],
        measurement_noise=measurement_noise,
        starts=starts,
        level=level,
        profile_points=_POINTS if figure is not None else 0,
        progress=lambda words: messages.print(words, soft_wrap=True),
    )
    own = recorded_settings(data, names)
    if figure is not None:
        from neuromotor.plotting import plot_inference, save_figure  # matplotlib

        save_figure(plot_inference(found, own), figure)
    if json_:
        result: dict[str, Any] = {"recording": str(recording), "recorded": own, **found.as_dict()}
        print(json.dumps(result, indent=2))
        return
    table = Table(box=None)
    for column in ("setting", "likeliest", f"{level:.0%} interval", "recorded"):
        table.add_column(column)
    for name, value in found.values.items():
        interval = found.intervals[name]
        words = "-" if interval is None else f"{interval[0]:.4g} to {interval[1]:.4g}"
        table.add_row(name, f"{value:.4g}", words, f"{own[name]:.4g}")
    output.print(table)
    output.print(
        f"{found.trials} trials, log-likelihood {found.log_likelihood:.6g}: {found.reason}",
        soft_wrap=True,
    )


def _numbers(words: list[str]) -> dict[str, float]:
    """Return numbers by name."""
    found = {}
    for word in words:
        name, equals, number = word.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise SettingsError(f"`--start` must be NAME=VALUE with a number, got {word!r}.")
    return found
