"""The command `dataset`, which writes a controller's trials for learning without an environment."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from neuromotor.cli.completing import named
from neuromotor.cli.display import difference_lines, messages, output, working
from neuromotor.cli.options import ConfigOption, JsonOption, PlantOption, SeedOption, SetOption
from neuromotor.closed_loop.blas import choose_threads
from neuromotor.evaluation.references import REFERENCES
from neuromotor.runs.settings import gather, resolve, resolve_saved
from neuromotor.tasks import TASKS
from neuromotor.zoo.saved_controller import load_controller

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(dataset)


def dataset(
    task: Annotated[
        str,
        typer.Argument(help=f"The task: {', '.join(TASKS)}.", autocompletion=named(TASKS)),
    ],
    controller: Annotated[
        str,
        typer.Option(
            help=f"A reference ({', '.join(REFERENCES)}), a name of `neuromotor zoo`, or a "
            "controller file."
        ),
    ] = "ilqg",
    trials: Annotated[int, typer.Option(help="How many trials.")] = 1000,
    name: Annotated[
        str | None,
        typer.Option(help="Of the data set. Default: neuromotor/TASK/CONTROLLER-v0."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of all data sets. Default: Minari's own, MINARI_DATASETS_PATH or "
            "~/.minari/datasets."
        ),
    ] = None,
    command_limit: Annotated[
        float | None,
        typer.Option(
            help="Largest command (N m or N), to which actions are scaled. Default: the "
            "environment's, or what the controller commands where that is more."
        ),
    ] = None,
    reward: Annotated[str, typer.Option(help="loss, shaped or dense.")] = "loss",
    plant: PlantOption = None,
    seed: SeedOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Write trials of optimal control, or of a trained controller, as a Minari data set.

    Needs `pip install -c constraints.txt -e '.[minari]'`. Observations, actions and rewards are
    those of the task's environment, which the data set names, so that `minari.load_dataset(NAME)`
    and its `recover_environment()` give both back. The trials are drawn from the task by `--seed`.

    Example: `neuromotor dataset ddn --controller ilqg --trials 1000`
    """
    from neuromotor.rl.datasets import drawn_trials, episodes, needs_minari, write_dataset

    needs_minari()
    options: dict[str, Any] = {"task": task, "plant": plant, "seed": seed}
    actor: Any = controller
    parameters = None
    if controller in REFERENCES and not Path(controller).is_file():
        settings = resolve(gather(config, options, set_ or [], smoke=False))
    else:
        saved = load_controller(controller)
        uses = ("seed", "threads")
        settings = resolve_saved(saved, config, options, set_ or [], uses=uses)
        for line in difference_lines(saved.differences(settings.task)):
            messages.print(line, soft_wrap=True)
        actor, parameters = saved.controller, saved.parameters
    choose_threads(settings.threads)
    stem = controller if controller in REFERENCES else Path(controller).stem
    name = name or f"neuromotor/{task}/{stem}-v0"
    batch = drawn_trials(settings.task, trials, settings.seed)
    given: dict[str, Any] = {"reward": reward}
    if command_limit is not None:
        given["command_limit"] = command_limit
    begun = time.perf_counter()
    with working() as show:

        def heard(share: float) -> None:
            spent = time.perf_counter() - begun
            show(f"{len(batch)} trials by {stem}", share, spent * (1 - share) / share)

        done = episodes(settings.task, batch, actor, parameters, heard=heard, **given)
    folder = write_dataset(
        done,
        settings.task,
        name,
        root=out,
        algorithm=stem,
        description=f"{len(done)} trials of {task} by {stem}.",
        seed=settings.seed,
    )
    returns = done.rewards.sum(axis=1)
    found = {
        "name": name,
        "folder": str(folder),
        "trials": len(done),
        "steps": done.steps,
        "mean_return": float(returns.mean()),
        "options": done.options,
        "seed": settings.seed,
    }
    if json_:
        print(json.dumps(found, indent=2))
        return
    output.print(
        f"{name}: {len(done)} trials, {done.steps} steps, mean return {returns.mean():.4g}",
        soft_wrap=True,
    )
    output.print(f"Folder: {folder}", soft_wrap=True)
