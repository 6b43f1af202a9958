"""The command `rl`, which trains policies by reinforcement."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from neuromotor.cli.completing import named
from neuromotor.cli.display import messages, output
from neuromotor.cli.options import (
    ConfigOption,
    ForceOption,
    JsonOption,
    PlantOption,
    SecondsOption,
    SeedOption,
    SetOption,
    SmokeOption,
    ThreadsOption,
)
from neuromotor.cli.resuming import resumed_settings
from neuromotor.runs.execute import default_folder
from neuromotor.runs.settings import gather
from neuromotor.tasks import TASKS

__all__ = ["register"]

_NUMBERS = ("ratio", "lowest", "highest", "error (cm)")
_NAMES = "ppo, recurrent-ppo, sac, td3, her, analytic"


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(rl)


def rl(
    task: Annotated[
        str | None,
        typer.Argument(
            help=f"The task: {', '.join(TASKS)}; or all of them, one after the other: all. "
            "Default: center-out.",
            autocompletion=named({**TASKS, "all": None}),
        ),
    ] = None,
    algorithm: Annotated[
        str | None, typer.Option(help=f"Names with commas: {_NAMES}. Default: ppo.")
    ] = None,
    plant: PlantOption = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of all arms, for each training. Default: 8000000.")
    ] = None,
    seconds: SecondsOption = None,
    seed: SeedOption = None,
    seeds: Annotated[
        int | None, typer.Option(help="How many seeds in a row, for each algorithm. Default: 1.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="What the loss is held against: ilqr, ilqg or another reference, a saved "
            "controller, or a name of the zoo. Default: ilqg where something disturbs the trials "
            "and its design knows that, else ilqr; of cursor-reach, cursor-reach/best."
        ),
    ] = None,
    threads: ThreadsOption = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Folder of a run that was stopped; it goes on."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder. Default: runs/rl-TASK-TIME.")
    ] = None,
    force: ForceOption = False,
    smoke: SmokeOption = False,
    json_: JsonOption = False,
) -> None:
    """Train policies on a task by reinforcement; say how near they come to optimal control.

    Needs `pip install -c constraints.txt -e '.[rl]'`. The rewards are the task's own cost with a
    potential that does not change which policy is best. The learning curve is the loss without
    exploration on trials that no training saw, in ratio to iLQR, or to ILQG where something
    disturbs the trials.

    Leaves learning.json, summary.json, the learning curve, and each policy as a controller that
    `evaluate`, `record` and `analyze` take. After a stop, `--resume RUN` goes on from the last
    test; a training by sac, td3 or her begins anew.

    `--set` reaches the task and the algorithms, as `--set ppo.arms=128` or `--set tests=80`.

    With `all` each task has its own run folder, and table.md holds a row for each.

    Example: `neuromotor rl center-out --algorithm ppo,analytic --seeds 3`
    """
    from neuromotor.rl import LearningPoint
    from neuromotor.runs.learning_table import EVERY, run_table
    from neuromotor.runs.reinforcement import LEARNING_FILE, learning_settings, run_learning

    options: dict[str, Any] = {
        "task": task,
        "plant": plant,
        "algorithms": algorithm,
        "steps": steps,
        "seconds": seconds,
        "seed": seed,
        "seeds": seeds,
        "reference": reference,
        "threads": threads,
    }
    if resume is not None:
        given = options | {"config": config, "out": out}
        may_change = ("seconds", "threads")
        raw = resumed_settings(resume / LEARNING_FILE, given, set_ or [], may_change)
        folder: Path | None = resume
    else:
        raw, folder = gather(config, options, set_ or [], smoke=False), out

    def watch(title: str, point: LearningPoint, whole: int) -> None:
        messages.print(
            f"{title}: {point.steps} of {whole} steps, {point.ratio:.4g} x the reference, error "
            f"{point.target_error_cm:.3g} cm, {point.seconds:.0f} s",
            soft_wrap=True,
        )

    shared: dict[str, Any] = {
        "resume": resume is not None,
        "force": force,
        "say": lambda words: messages.print(words, soft_wrap=True),
        "watch": watch,
    }
    smoke = smoke and resume is None
    if raw.get("task") == EVERY:
        folder = folder or default_folder("rl", EVERY)
        summary = run_table(raw, folder, smoke=smoke, **shared)
        show = _every
    else:
        settings = learning_settings(raw, smoke=smoke)
        folder = folder or default_folder("rl", settings.name)
        summary = run_learning(settings, folder, **shared)
        show = _table
    if json_:
        print(json.dumps({**summary, "out": str(folder)}, indent=2))
    else:
        output.print(show(summary))
        output.print(f"Run folder: {folder}", soft_wrap=True)
    if summary["interrupted"]:
        messages.print(f"Interrupted. Go on with `--resume {folder}`.", soft_wrap=True)
        sys.exit(128 + summary["signal"])


def _table(summary: dict[str, Any]) -> Table:
    """Return how near each algorithm came, a line each."""
    from neuromotor.runs.reinforcement import titled

    reference = summary["reference"]
    table = Table(title=f"{summary['task']}: loss in ratio to {reference['name']}", box=None)
    for name in ("algorithm", "seeds", "ratio", "lowest", "highest", "error (cm)", "steps", "secs"):
        table.add_column(name, justify="left" if name == "algorithm" else "right")
    for row in summary["medians"]:
        table.add_row(
            titled(row),
            str(row["seeds"]),
            *_numbers(row),
            f"{row['steps']:.0f}",
            f"{row['seconds']:.0f}",
        )
    table.caption = (
        f"medians over the seeds; the loss of {reference['name']} is {reference['loss']:.4g}"
    )
    return table


def _number(value: float | None, digits: int) -> str:
    """Return a number in words; there is none where the limb flies off."""
    return "flies off" if value is None else f"{value:.{digits}g}"


def _numbers(row: dict[str, Any]) -> list[str]:
    """Return an algorithm's ratio, its range and its error, as tables show them."""
    ratios = [_number(row[key], 4) for key in ("ratio", "lowest", "highest")]
    return [*ratios, _number(row["target_error_cm"], 3)]


def _every(summary: dict[str, Any]) -> Table:
    """Return how near each algorithm came on each task, a line each."""
    table = Table(title="loss in ratio to the reference, medians over the seeds", box=None)
    for name in ("task", "reference", "algorithm", "ratio", "lowest", "highest", "error (cm)"):
        table.add_column(name, justify="right" if name in _NUMBERS else "left")
    for task, found in summary["tasks"].items():
        for row in found["medians"]:
            table.add_row(task, found["reference"]["name"], row["algorithm"], *_numbers(row))
        for name in found["refused"]:
            table.add_row(task, "", name, "refused")
    return table
