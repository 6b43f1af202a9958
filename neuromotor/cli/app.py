"""The commands. Each gathers its settings, hands them on, and words what came back."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from neuromotor._checks import did_you_mean
from neuromotor.benchmark import (
    BenchmarkSettings,
    EnvBenchmarkSettings,
    run_benchmark,
    run_env_benchmark,
)
from neuromotor.cli.analysis import register as register_analysis
from neuromotor.cli.display import (
    benchmark_markdown,
    benchmark_table,
    difference_lines,
    env_benchmark_markdown,
    env_benchmark_table,
    evaluation_tables,
    messages,
    output,
)
from neuromotor.cli.exits import run_and_exit
from neuromotor.cli.options import (
    ConfigOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    PlantOption,
    SetOption,
    SmokeOption,
    ThreadsOption,
)
from neuromotor.cli.reproduction import register as register_reproduction
from neuromotor.cli.runs_command import register as register_runs
from neuromotor.cli.sweep import register as register_sweep
from neuromotor.cli.training import register as register_training
from neuromotor.cli.zoo import register as register_zoo
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.control import ILQR
from neuromotor.controllers import CONTROLLERS, INITIALIZERS
from neuromotor.controllers.controller import belongs_to_trials
from neuromotor.evaluation.bootstrap import ratio_to
from neuromotor.evaluation.performance import (
    HELD_OUT_SEED,
    assess,
    command_unit,
    controller_runner,
    held_out,
    reference_name,
)
from neuromotor.evaluation.references import assess_references, no_reference
from neuromotor.optim import OPTIMIZERS
from neuromotor.plants import ARM_PRESETS, INTEGRATORS, PLANTS
from neuromotor.runs.execute import machine, versions
from neuromotor.runs.settings import resolve_saved
from neuromotor.storage.components import SettingsError, encode, setting_names
from neuromotor.tasks import TASKS
from neuromotor.tasks.ranges import outside
from neuromotor.training import distributed
from neuromotor.training.single import make_trials
from neuromotor.zoo.saved_controller import load_controller

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Train recurrent networks to move a monkey's arm; measure them against optimal control.

First steps: `neuromotor compare center-out`, then
`neuromotor evaluate RUN/controllers/lbfgs.safetensors`. `neuromotor info` lists every task, plant,
controller and optimizer; `neuromotor info NAME` its settings.
""",
)


register_training(app)


@app.command()
def evaluate(
    controller: Annotated[
        Path, typer.Argument(help="Controller file (.safetensors), or a name of `neuromotor zoo`.")
    ],
    task: Annotated[
        str | None, typer.Option(help="What is wanted. Default: what it was trained on.")
    ] = None,
    plant: PlantOption = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of the trials' draws. Default: that of all held-out trials."),
    ] = None,
    dtype: DtypeOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    smoke: SmokeOption = False,
    json_: JsonOption = False,
) -> None:
    """Run a trained controller on a task and hold it against iLQR.

    Trials of a random task are held out: drawn from a seed that no training uses. A setting that
    lies outside those of the training is named in a warning. Where something
    disturbs them, iLQR is the clairvoyant bound, and `--set references=ilqg,online-predictive` adds
    optimal feedback control and a planner, which take a while to design.

    Example: `neuromotor evaluate RUN/controllers/lbfgs.safetensors --set task.radius_m=0.06 --json`
    """
    saved = load_controller(controller)
    options: dict[str, Any] = {
        "task": task,
        "plant": plant,
        "seed": seed,
        "dtype": dtype,
        "device": device,
        "threads": threads,
    }
    uses = ("seed", "held_out", "references", "ilqr", "dtype", "device", "threads")
    settings = resolve_saved(saved, config, options, set_ or [], uses=uses, smoke=smoke)
    differences = saved.differences(settings.task)
    choose_threads(settings.threads)
    place: dict[str, Any] = {"dtype": settings.dtype, "device": settings.device}
    if belongs_to_trials(saved.controller):
        trials = make_trials(settings.task, saved.controller, settings.seed, **place)
    else:
        draws = HELD_OUT_SEED if seed is None else seed
        count = settings.held_out
        trials = held_out(settings.task, saved.controller, count, seed=draws, **place)
    reference = settings.ilqr.solve(settings.task, trials)
    runner = controller_runner(settings.task, saved.controller, saved.parameters)
    bound = reference_name(trials)
    bounds = {bound: reference.losses}
    asked = settings.references or ()
    missing = no_reference(asked, trials)
    names = [name for name in asked if name not in missing]
    references = assess_references(settings.task, trials, names, bounds, ilqr=settings.ilqr)
    bounds |= {name: found.losses for name, found in references.items()}
    evaluation = assess(settings.task, trials, runner, bounds)
    performance = evaluation.performance
    others: list[dict[str, Any]] = [
        {"method": n, "evaluation": found.as_dict()} for n, found in references.items()
    ]
    others += [{"method": n, "evaluation": None, "reason": why} for n, why in missing.items()]
    ratio = ratio_to(performance.loss, reference.value)
    result: dict[str, Any] = {
        "task": settings.as_dict()["task"],
        "differs_from_training": differences,
        **performance.as_dict(),
        "trials": len(trials),
        "references": {bound: reference.value},
        "ratios": {bound: None if math.isnan(ratio) else ratio},
        "evaluation": evaluation.as_dict(),
        "evaluated_references": others,
        "outside_training": outside(saved.task, settings.task) if saved.task else [],
    }
    for sentence in result["outside_training"]:
        messages.print(f"Warning: {sentence}", style="yellow", markup=False, soft_wrap=True)
    if json_:
        print(json.dumps(result, indent=2))
        return
    headline = Text.assemble(
        (str(controller), "bold"), f" on {len(trials)} trials of {settings.task_name}"
    )
    output.print(headline, soft_wrap=True)
    for line in difference_lines(differences):
        output.print(f"  {line}", soft_wrap=True)
    held = f"{bound}'s is zero" if math.isnan(ratio) else f"{ratio:.5g} x {bound}"
    output.print(f"  loss          {performance.loss:.6g}, {held}")
    output.print(f"  target error  {performance.target_error_cm:.4g} cm")
    output.print(f"  end speed     {performance.end_speed_cm_s:.4g} cm/s")
    output.print(f"  energy        {performance.energy:.4g}")
    unit = command_unit(settings.task)
    output.print(f"  commands      up to {performance.largest_command:.4g} {unit}")
    if settings.task.random or trials.disturbed:
        row = {"method": controller.stem, "evaluation": result["evaluation"]}
        for report in evaluation_tables([*others, row]):
            output.print(report)


@app.command()
def info(
    name: Annotated[
        str | None,
        typer.Argument(help="A task, plant, controller, optimizer, ... to list in full."),
    ] = None,
    json_: JsonOption = False,
    smoke: SmokeOption = False,
) -> None:
    """List what there is, with versions and machine; with NAME its settings and their defaults.

    Example: `neuromotor info center-out`
    """
    del smoke  # it is that quick anyway
    if name is None:
        _list_all(as_json=json_)
        return
    found = {kind: table[name] for kind, table in _CATALOGUE.items() if name in table}
    if not found:
        known = [entry for table in _CATALOGUE.values() for entry in table]
        raise SettingsError(f"unknown name {name!r}; {did_you_mean(name, known)}.")
    for kind, component in found.items():
        settings = encode(component, _CATALOGUE[kind])
        if json_:
            print(json.dumps({"name": name, "kind": kind, "settings": settings}, indent=2))
            continue
        output.print(Text.assemble((name, "bold"), f" ({kind}): {_first_line(component)}"))
        table = Table("setting", "default")
        for key, value in settings.items():
            if key != "type":
                table.add_row(key, json.dumps(value))
        output.print(table)
        own = (key for key in setting_names(component) if "." not in key)
        times = [key for key in own if key not in settings]
        if times:
            output.print(f"Steps as times: {', '.join(times)}, as in `{times[-1]}=50ms`.")
        output.print(inspect.getdoc(type(component)) or "")


@app.command()
def bench(
    sizes: Annotated[
        str, typer.Option(metavar="BxT,...", help="Batch x steps, with commas.")
    ] = "64x40,400x60",
    dtypes: Annotated[str, typer.Option(help="float32, float64 or both with a comma.")] = (
        "float32,float64"
    ),
    threads: Annotated[str, typer.Option(help="Numbers of threads, with commas.")] = "1,2",
    repeats: Annotated[int, typer.Option(help="Rounds; the median over them is printed.")] = 15,
    peers: Annotated[
        bool,
        typer.Option(help="Measure jax and MotorNet too, where the `bench` extra is installed."),
    ] = True,
    envs: Annotated[
        bool,
        typer.Option("--envs", help="Measure the environments instead: steps a second, and peers."),
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table in Markdown, for a report.")
    ] = False,
    smoke: SmokeOption = False,
    json_: JsonOption = False,
) -> None:
    """Time value, gradient and Gauss-Newton product: ours, the products alone, and peers.

    One network (2 x 100 tanh units) on center-out reaches with the monkey's arm. All
    implementations take turns in one process, so that a noisy machine disturbs them alike.

    Example: `neuromotor bench --sizes 64x40 --threads 1`
    """
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


register_runs(app)
register_analysis(app)
register_reproduction(app)
register_zoo(app)
register_sweep(app)

_CATALOGUE: dict[str, dict[str, Any]] = {
    "task": dict(TASKS),
    "plant": dict(PLANTS),
    "arm parameters": dict(ARM_PRESETS),
    "integrator": dict(INTEGRATORS),
    "controller": dict(CONTROLLERS),
    "initializer": dict(INITIALIZERS),
    "optimizer": dict(OPTIMIZERS),
    "reference": {"ilqr": ILQR()},
}


def main() -> None:
    """Run the command line; whatever goes wrong ends with one line and its own code."""
    run_and_exit(lambda: distributed.run(_commands))


def _commands() -> None:
    _refuse_empty(sys.argv[1:])
    app(prog_name="neuromotor", standalone_mode=True)


def _refuse_empty(words: Sequence[str]) -> None:
    """Raise where an option has an empty value, as an unset variable of a shell gives it."""
    for word, after in zip(words, [*words[1:], None], strict=True):
        name, equals, value = word.partition("=")
        if name.startswith("--") and (not value if equals else after == ""):
            raise SettingsError(f"`{name}` must not be empty; give it a value, or leave it out.")


def _pairs(text: str) -> tuple[tuple[int, int], ...]:
    """`64x40,400x60` as numbers."""
    pairs = []
    for item in text.split(","):
        batch, cross, steps = item.partition("x")
        if not (cross and batch.strip().isdigit() and steps.strip().isdigit()):
            raise ValueError(f"`sizes` must be BATCHxSTEPS with commas, as in 64x40, got {item!r}.")
        pairs.append((int(batch), int(steps)))
    return tuple(pairs)


def _list_all(*, as_json: bool) -> None:
    from neuromotor.envs import environment_ids

    environments = environment_ids()
    if as_json:
        names = {kind: list(table) for kind, table in _CATALOGUE.items()}
        names["environment"] = list(environments)
        print(json.dumps({"versions": versions(), "machine": machine(), **names}, indent=2))
        return
    output.print(", ".join(f"{name} {version}" for name, version in versions().items()))
    output.print(", ".join(f"{key}: {value}" for key, value in machine().items()))
    table = Table("kind", "name", "what it is")
    for kind, entries in _CATALOGUE.items():
        for name, component in entries.items():
            table.add_row(kind, name, _first_line(component))
            kind = ""
    for place, (env_id, settings) in enumerate(environments.items()):
        what = f"{settings['task']}{', with goals' if settings.get('goal') else ''}"
        table.add_row("" if place else "environment", env_id, f"Gymnasium environment of {what}.")
    output.print(table)
    output.print("`neuromotor info NAME` lists settings; any can be set by --set or --config.")


def _first_line(component: object) -> str:
    return (inspect.getdoc(type(component)) or "").splitlines()[0]
