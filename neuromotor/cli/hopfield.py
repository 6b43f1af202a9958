"""The command `hopfield`, which stores patterns in symmetric weights and tests their recall."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from neuromotor.cli.display import output, working
from neuromotor.cli.options import JsonOption, check_figure
from neuromotor.runs.drawing import draw_without_screen
from neuromotor.storage.components import SettingsError
from neuromotor.storage.files import atomic_path
from neuromotor.zoo.saved_controller import load_controller

__all__ = ["register"]

_SHOWN = 10  # attractors that the table shows


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(hopfield)


def hopfield(
    patterns: Annotated[
        Path | None,
        typer.Option(help="Patterns to store, rows of -1 and 1 (.npy). Default: random ones."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Symmetric weights (.npy) whose attractors are searched.")
    ] = None,
    controller: Annotated[
        Path | None,
        typer.Option(
            help="Controller file, or a name of `neuromotor zoo`, with one layer of tanh units and "
            "symmetric recurrent weights: its attractors without input are searched."
        ),
    ] = None,
    units: Annotated[int, typer.Option(min=2, help="Units of random patterns.")] = 200,
    loads: Annotated[
        str, typer.Option(help="Random patterns: how many a unit, with commas.")
    ] = "0.05,0.1,0.138,0.2",
    flips: Annotated[
        str, typer.Option(help="Shares of units that are turned round, with commas.")
    ] = "0,0.1,0.2,0.3,0.4",
    starts: Annotated[int, typer.Option(min=1, help="Starts for each share, or at random.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    figure: Annotated[
        Path | None, typer.Option(help="Picture to draw (.png, .pdf or .svg). Default: none.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Test networks with symmetric weights as memories (Hopfield 1982, 1984).

    Patterns are stored by Hebb's rule and recalled from corrupted ones: random patterns up to 0.138
    a unit. Of given weights, or of a controller, attractors, their energies and the shares of
    random starts that end there are listed. Weights that are not symmetric have no energy and are
    refused.

    Example: `neuromotor hopfield --units 400 --loads 0.05,0.1,0.138,0.2 --figure capacity.png`
    """
    given = {"patterns": patterns, "weights": weights, "controller": controller}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise SettingsError(f"give one of `--{'`, `--'.join(named)}`, not several.")
    check_figure(figure)
    if named in (["weights"], ["controller"]):
        if figure is not None:
            raise SettingsError("`--figure` shows the recall of patterns; leave it out here.")
        found = (
            _of_weights(weights, starts, seed)
            if weights is not None
            else _of_controller(str(controller), starts, seed)
        )
        _print_attractors(found, json_)
        return
    shares = _numbers("flips", flips)
    tests = _recalled(patterns, units, _numbers("loads", loads), shares, starts, seed)
    if figure is not None:
        _draw(figure, tests)
    if json_:
        print(json.dumps({"tests": tests, "figure": None if figure is None else str(figure)}))
        return
    table = Table(title="recall of stored patterns", title_justify="left", box=None)
    for name in ("patterns", "a unit", "flipped", "overlap", "recalled", "energy a unit"):
        table.add_column(name, justify="right")
    for one in tests:
        for row in one["rows"]:
            energies = f"{row['energy_before']:.3f} -> {row['energy_after']:.3f}"
            table.add_row(
                str(one["patterns"]),
                f"{one['load']:.3g}",
                f"{100 * row['flips']:g} %",
                f"{row['overlap']:.3f}",
                f"{100 * row['recalled']:.0f} %",
                energies,
            )
    table.caption = "means over starts; recalled: overlap of 0.95 or more with the pattern"
    output.print(table)
    if figure is not None:
        output.print(f"Written: {figure}", soft_wrap=True)


def _recalled(
    file: Path | None,
    units: int,
    loads: list[float],
    shares: list[float],
    starts: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Return the recall of the patterns in a file, or of random ones at each load."""
    from neuromotor.analysis import hebbian_weights, random_patterns, recall_test

    if file is not None:
        stored = [_array("patterns", file)]
    else:
        counts = [round(load * units) for load in loads]
        if min(counts) < 1:
            raise SettingsError(
                f"`--loads` must be at least {1 / units:g} with {units} units, got {min(loads):g}."
            )
        stored = [random_patterns(count, units, seed) for count in counts]
    tests = []
    with working() as tell:
        began, done, whole = time.monotonic(), 0, sum(len(xi) + starts for xi in stored)
        for xi in stored:
            spent_s = time.monotonic() - began
            left_s = spent_s * (whole - done) / done if done else 1.0
            tell(f"{len(xi)} patterns", done / whole, left_s)
            done += len(xi) + starts
            found = recall_test(hebbian_weights(xi), xi, shares, starts=starts, seed=seed)
            names = ("flips", "overlap", "recalled", "energy_before", "energy_after")
            columns = zip(*(getattr(found, name).tolist() for name in names), strict=True)
            rows = [dict(zip(names, row, strict=True)) for row in columns]
            load = len(xi) / xi.shape[1]
            tests.append({"patterns": len(xi), "units": xi.shape[1], "load": load, "rows": rows})
    return tests


def _of_weights(file: Path, starts: int, seed: int) -> dict[str, Any]:
    """Return the attractors of weights in a file."""
    from neuromotor.analysis import attractors

    found = attractors(_array("weights", file), starts=starts, seed=seed)
    return _attractor_rows(found.share, found.energy, "states of -1 and 1")


def _of_controller(name: str, starts: int, seed: int) -> dict[str, Any]:
    """Return the attractors of a controller's recurrent weights, with its biases as input."""
    from neuromotor.analysis import continuous_attractors, recurrent_part

    saved = load_controller(name)
    weights, inputs = recurrent_part(saved.controller, saved.parameters)
    found = continuous_attractors(weights, inputs, starts=starts, seed=seed)
    return _attractor_rows(found.share, found.energy, "rates, without input but the biases")


def _attractor_rows(
    share: NDArray[np.float64], energy: NDArray[np.float64], of: str
) -> dict[str, Any]:
    rows = [
        {"share": one, "energy": other}
        for one, other in zip(share.tolist(), energy.tolist(), strict=True)
    ]
    return {"of": of, "attractors": rows}


def _print_attractors(found: dict[str, Any], json_: bool) -> None:
    """Print where random starts end."""
    if json_:
        print(json.dumps(found, indent=2))
        return
    rows = found["attractors"]
    table = Table(title=f"{len(rows)} attractors ({found['of']})", title_justify="left", box=None)
    table.add_column("share of starts", justify="right")
    table.add_column("energy", justify="right")
    for row in rows[:_SHOWN]:
        table.add_row(f"{100 * row['share']:.1f} %", f"{row['energy']:.4g}")
    if len(rows) > _SHOWN:
        table.caption = f"the {_SHOWN} with the largest basins; `--json` has all"
    output.print(table)


def _array(name: str, file: Path) -> NDArray[np.float64]:
    """Return a matrix of numbers from a file."""
    try:
        found = np.load(file, allow_pickle=False)
        if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind not in "fiub":
            raise ValueError("it holds no matrix of numbers")
    except (OSError, ValueError, EOFError) as error:
        raise SettingsError(
            f"`--{name}` must be a matrix written by numpy.save (.npy), got {file} ({error})."
        ) from error
    return np.asarray(found, np.float64)


def _numbers(name: str, text: str) -> list[float]:
    """Return numbers that stand in a text with commas."""
    try:
        return [float(word) for word in text.split(",")]
    except ValueError as error:
        raise SettingsError(f"`--{name}` must be numbers with commas, got {text!r}.") from error


def _draw(figure: Path, tests: list[dict[str, Any]]) -> None:
    """Draw overlaps over the share of units that were turned round, a line for each load."""
    draw_without_screen()
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from neuromotor.plotting import STYLE, line_colors

    with mpl.rc_context(STYLE):
        drawn, ax = plt.subplots(figsize=(3.8, 2.8), layout="constrained")
        for one, color in zip(tests, line_colors(len(tests)), strict=True):
            x = [100 * row["flips"] for row in one["rows"]]
            y = [row["overlap"] for row in one["rows"]]
            ax.plot(x, y, "o-", markersize=3, color=color, label=f"{one['load']:.3g}")
        ax.set(xlabel="units turned round (%)", ylabel="overlap after recall", ylim=(-0.05, 1.05))
        ax.legend(title="patterns a unit", fontsize=7, title_fontsize=7)
        with atomic_path(figure) as temporary:
            drawn.savefig(temporary, format=figure.suffix[1:])
        plt.close(drawn)
