"""Writing an entry of the zoo: weights as they are shipped, and what they measure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuromotor.control import ILQR
from neuromotor.evaluation.against_references import evaluate_ilqr
from neuromotor.evaluation.performance import (
    HELD_OUT_TRIALS,
    controller_runner,
    held_out,
    measure,
    reference_name,
)
from neuromotor.evaluation.references import default_references
from neuromotor.storage.files import write_json
from neuromotor.tasks import Task
from neuromotor.training.single import make_trials
from neuromotor.zoo import CONTROLLER
from neuromotor.zoo.saved_controller import SavedController, load_controller, save_controller

__all__ = ["Stage", "joined_history", "measure_entry", "write_entry"]

_POINTS = 400  # of a history, at most


@dataclass(frozen=True)
class Stage:
    """One training of those that made a controller.

    Attributes:
        command: What makes it again.
        settings: The run's, whole.
        row: The method's row of the run's summary.
        history: Its `calls`, `seconds` and `loss`, a number an iteration.
        fresh: Whether its trials were drawn anew, so that losses are those of new trials.
    """

    command: str
    settings: Mapping[str, Any]
    row: Mapping[str, Any]
    history: Mapping[str, Sequence[float | None]]
    fresh: bool


def measure_entry(
    task: Task,
    saved: SavedController,
    seed: int,
    *,
    ilqr: ILQR | None = None,
    trials: int = HELD_OUT_TRIALS,
) -> dict[str, Any]:
    """Return what a controller comes to in float64: on its training trials, and on held-out ones.

    Args:
        task: What it was trained on.
        saved: The controller with its weights as they are shipped.
        seed: Of the training, whose first trials are run again.
        ilqr: The reference's settings.
        trials: How many held-out trials of a random task.

    Returns:
        `training`, and `evaluation`, which is None where nothing disturbs the trials.
    """
    solver = ilqr or ILQR()
    run = controller_runner(task, saved.controller, saved.parameters.double())
    batch = make_trials(task, saved.controller, seed)
    solution = solver.solve(task, batch)
    with torch.no_grad():
        states, commands = run(batch)
    performance = measure(task, batch, states, commands)
    training = {
        "trials": len(batch),
        **performance.as_dict(),
        "reference": reference_name(batch),
        "reference_loss": solution.value,
        "ratio": performance.loss / solution.value if solution.value else None,
    }
    if not (task.random or batch.disturbed):
        return {"training": training, "evaluation": None}
    evaluated = held_out(task, saved.controller, trials) if task.random else batch
    own = solution if evaluated is batch else None
    references = evaluate_ilqr(task, evaluated, solver, solution=own)
    references = references.with_others(default_references(evaluated))
    evaluation = {
        "held_out": task.random,
        **references.assess(run).as_dict(),
        "references": {name: one.loss.as_dict() for name, one in references.evaluations.items()},
    }
    return {"training": training, "evaluation": evaluation}


def joined_history(stages: Sequence[Stage]) -> dict[str, Any]:
    """Return the stages' histories as one, thinned and rounded, as `neuromotor.zoo.history` says.

    Points are spaced evenly in the logarithm of their number, as they are looked at.
    """
    columns: dict[str, list[float]] = {"calls": [], "seconds": [], "loss": []}
    before = {"calls": 0.0, "seconds": 0.0}
    fresh = stages[-1].fresh
    for stage in stages:
        for key in ("calls", "seconds"):
            columns[key] += [before[key] + (number or 0.0) for number in stage.history[key]]
            before[key] += stage.row[key]
        columns["loss"] += [math.inf if v is None else v for v in stage.history["loss"]]
    losses = np.array(columns["loss"])
    count = len(losses)
    kept = np.unique(np.geomspace(1, count, min(count, _POINTS)).round().astype(int) - 1)
    if fresh:
        starts = np.concatenate([[0], kept[:-1] + 1])
        shown = np.add.reduceat(losses, starts) / (kept + 1 - starts)
    else:
        shown = np.minimum.accumulate(losses)[kept]
    return {
        "fresh": fresh,
        "calls": [int(columns["calls"][index]) for index in kept],
        "seconds": [round(columns["seconds"][index], 2) for index in kept],
        "loss": [float(f"{loss:.7g}") if math.isfinite(loss) else None for loss in shown],
    }


def write_entry(
    folder: Path,
    name: str,
    saved: SavedController,
    task: Task,
    stages: Sequence[Stage],
    about: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write an entry's four files, its weights measured as they are shipped; return its card.

    Args:
        folder: The zoo, as `neuromotor.zoo.FOLDER`.
        name: TASK/NAME.
        saved: The trained controller.
        task: What it was trained on.
        stages: The trainings that made it, first to last.
        about: More for the card, as task's name, machine and versions.
        overwrite: Whether an existing entry may be replaced.

    Raises:
        FileExistsError: The entry exists and `overwrite` is false.
    """
    last = stages[-1]
    place = folder / name
    file = place / CONTROLLER
    save_controller(
        file,
        saved.controller,
        saved.parameters.float(),
        task=task,
        info={"zoo": name, "method": last.row["method"]},
        overwrite=overwrite,
    )
    shipped = load_controller(file)
    counts = ("values", "gradients", "products", "calls")
    card = {
        "name": name,
        **about,
        "method": last.row["method"],
        "parameters": saved.controller.parameter_count,
        **measure_entry(task, shipped, last.settings["seed"], trials=last.settings["held_out"]),
        "seed": last.settings["seed"],
        **{key: sum(stage.row[key] for stage in stages) for key in (*counts, "seconds")},
        "reason": last.row["reason"],
    }
    write_json(place / "recipe.json", {"stages": [_stage(stage) for stage in stages]})
    write_json(place / "history.json", joined_history(stages))
    write_json(place / "card.json", card)
    return card


def _stage(stage: Stage) -> dict[str, Any]:
    return {"command": stage.command, "settings": dict(stage.settings)}
