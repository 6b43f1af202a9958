"""The command `bench`, which times the package beside other people's programs."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from neuromotor.benchmark import (
    BenchmarkSettings,
    EnvBenchmarkSettings,
    LearningBenchmarkSettings,
    SessionBenchmarkSettings,
    run_benchmark,
    run_env_benchmark,
    run_learning_benchmark,
    run_session_benchmark,
)
from neuromotor.cli.display import (
    benchmark_markdown,
    benchmark_table,
    env_benchmark_markdown,
    env_benchmark_table,
    learning_benchmark_markdown,
    learning_benchmark_table,
    messages,
    output,
    session_benchmark_markdown,
    session_benchmark_table,
)
from neuromotor.cli.options import JsonOption, SmokeOption
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.runs.execute import machine
from neuromotor.storage.components import SettingsError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(bench)


def bench(
    sizes: Annotated[
        str, typer.Option(metavar="BxT,...", help="Sizes as batch x steps, with commas.")
    ] = "64x40,400x60",
    dtypes: Annotated[str, typer.Option(help="float32, float64 or both with a comma.")] = (
        "float32,float64"
    ),
    threads: Annotated[str, typer.Option(help="Numbers of threads, with commas.")] = "1,2",
    repeats: Annotated[
        int, typer.Option(help="Number of rounds. The table shows the median over them.")
    ] = 15,
    peers: Annotated[
        bool,
        typer.Option(help="Measure jax and MotorNet too, where the `bench` extra is installed."),
    ] = True,
    envs: Annotated[
        bool,
        typer.Option(
            "--envs", help="Measure the environments instead: steps per second, with peers."
        ),
    ] = False,
    sessions: Annotated[
        bool,
        typer.Option(
            "--sessions",
            help="Measure a lab's session instead: imported, reported and tested for rotations, "
            "with the peak of memory (extras `nwb` and `analysis`).",
        ),
    ] = False,
    learning: Annotated[
        bool,
        typer.Option(
            "--rl",
            help="Measure PPO instead, in the vector environment and in single ones: steps per "
            "second (extra `rl`).",
        ),
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table in Markdown, for a report.")
    ] = False,
    smoke: SmokeOption = False,
    json_: JsonOption = False,
) -> None:
    """Time a value, a gradient and a Gauss-Newton product, beside bare matrix products and peers.

    One network (2 x 100 tanh units) makes center-out reaches with the monkey's arm. All
    implementations take turns in one process, so that a noisy machine disturbs them alike.

    Example: `neuromotor bench --sizes 64x40 --threads 1`
    """
    if sessions:
        _bench_sessions(smoke=smoke, markdown=markdown, as_json=json_)
        return
    if learning:
        _bench_learning(repeats, smoke=smoke, markdown=markdown, as_json=json_)
        return
    if envs:
        _bench_envs(repeats, peers=peers, smoke=smoke, markdown=markdown, as_json=json_)
        return
    try:
        settings = BenchmarkSettings(
            sizes=_pairs("8x5" if smoke else sizes),
            dtypes=tuple(dtypes.split(",")),
            threads=tuple(int(count) for count in ("1" if smoke else threads).split(",")),
            repeats=2 if smoke else repeats,
            peers=peers,
        )
    except (TypeError, ValueError) as error:
        raise SettingsError(f"in the options of `bench`: {error}") from error
    rows = run_benchmark(settings, progress=messages.print)
    text = benchmark_markdown(rows) if markdown else benchmark_table(rows)
    _print_measurements(rows, text, as_json=json_)


def _bench_envs(repeats: int, *, peers: bool, smoke: bool, markdown: bool, as_json: bool) -> None:
    """Time the environments."""
    try:
        sizes: dict[str, Any] = {"num_envs": (1, 8), "slice_s": 0.01} if smoke else {}
        settings = EnvBenchmarkSettings(repeats=2 if smoke else repeats, peers=peers, **sizes)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"in the options of `bench`: {error}") from error
    choose_threads(1)
    rows = run_env_benchmark(settings, progress=messages.print)
    text = env_benchmark_markdown(rows) if markdown else env_benchmark_table(rows)
    _print_measurements(rows, text, as_json=as_json)


def _bench_learning(repeats: int, *, smoke: bool, markdown: bool, as_json: bool) -> None:
    """Time PPO."""
    try:
        sizes: dict[str, Any] = {"num_envs": (4,)} if smoke else {}
        settings = LearningBenchmarkSettings(repeats=2 if smoke else repeats, **sizes)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"in the options of `bench`: {error}") from error
    choose_threads(1)
    rows = run_learning_benchmark(settings, progress=messages.print)
    text = learning_benchmark_markdown(rows) if markdown else learning_benchmark_table(rows)
    _print_measurements(rows, text, as_json=as_json)


def _bench_sessions(*, smoke: bool, markdown: bool, as_json: bool) -> None:
    """Time what a session of a lab goes through."""
    sizes: dict[str, Any] = (
        {
            **{"units": 12, "trials": 16, "surrogates": 1, "large_trials": 16},
            **{"jpca_units": 12, "jpca_surrogates": 2},
        }
        if smoke
        else {}
    )
    rows = run_session_benchmark(SessionBenchmarkSettings(**sizes), progress=messages.print)
    text = session_benchmark_markdown(rows) if markdown else session_benchmark_table(rows)
    _print_measurements(rows, text, as_json=as_json)


def _print_measurements(rows: Sequence[Any], text: str | Table, *, as_json: bool) -> None:
    """Print measured rows with the machine: as JSON, or as a table in Markdown or of rich."""
    if as_json:
        command = shlex.join(["neuromotor", *sys.argv[1:]])
        data = {
            "command": command,
            "machine": machine(),
            "rows": [dataclasses.asdict(row) for row in rows],
        }
        print(json.dumps(data, indent=2))
        return
    output.print(", ".join(f"{key}: {value}" for key, value in machine().items()), soft_wrap=True)
    if isinstance(text, str):
        print(text)
    else:
        output.print(text)


def _pairs(text: str) -> tuple[tuple[int, int], ...]:
    """Read sizes such as `64x40,400x60` as numbers."""
    pairs = []
    for item in text.split(","):
        batch, cross, steps = item.partition("x")
        if not (cross and batch.strip().isdigit() and steps.strip().isdigit()):
            raise ValueError(f"`sizes` must be BATCHxSTEPS with commas, as in 64x40, got {item!r}.")
        pairs.append((int(batch), int(steps)))
    return tuple(pairs)
