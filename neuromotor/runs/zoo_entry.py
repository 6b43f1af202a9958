"""Writes entries of the zoo, and measures the weights as they are shipped."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuromotor.control import ILQR
from neuromotor.evaluation.against_references import evaluate_ilqr
from neuromotor.evaluation.performance import (
    HELD_OUT_TRIALS,
    assess,
    command_unit,
    controller_runner,
    held_out,
    measure,
    reference_name,
)
from neuromotor.evaluation.references import default_references
from neuromotor.evaluation.robustness import CHANGE, Variation, default_reference, robustness
from neuromotor.evaluation.robustness import TRIALS as ROBUSTNESS_TRIALS
from neuromotor.storage.files import finite_or_none, write_json
from neuromotor.tasks import TASKS, Task, with_plant
from neuromotor.tasks.ranges import outside, ranges
from neuromotor.training.single import make_trials
from neuromotor.zoo import CONTROLLER
from neuromotor.zoo.saved_controller import SavedController, load_controller, save_controller

__all__ = [
    "Stage",
    "describe",
    "joined_history",
    "measure_entry",
    "measure_robustness",
    "sensed_alike",
    "trained_at",
    "update_entry",
    "write_entry",
]

_POINTS = 400  # of a history, at most


@dataclass(frozen=True)
class Stage:
    """One of the trainings that made a controller.

    Attributes:
        command: Command that repeats the training.
        settings: All settings of the run.
        row: The method's row in the summary of the run.
        history: Columns `calls`, `seconds` and `loss`, with a number an iteration.
        fresh: Whether the trials were drawn anew, so that the losses are those of new trials.
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
    alone: bool = False,
) -> dict[str, Any]:
    """Return what a controller comes to in float64: on its training trials, and on held-out ones.

    Args:
        task: What it was trained on.
        saved: The controller with its weights as they are shipped.
        seed: Seed of the training, whose first trials are run again.
        ilqr: Settings of the reference.
        trials: Number of held-out trials of a random task.
        alone: Whether there are no references, so that ratios are None or none.

    Returns:
        `training`, and `evaluation`, which is None where nothing disturbs the trials.
    """
    solver = ilqr or ILQR()
    run = controller_runner(task, saved.controller, saved.parameters.double())
    batch = make_trials(task, saved.controller, seed)
    solution = None if alone else solver.solve(task, batch)
    with torch.no_grad():
        states, commands = run(batch)
    performance = measure(task, batch, states, commands)
    training = {
        "trials": len(batch),
        **performance.as_dict(),
        "reference": None if solution is None else reference_name(batch),
        "reference_loss": None if solution is None else solution.value,
        "ratio": performance.loss / solution.value if solution and solution.value else None,
    }
    if not (task.random or batch.disturbed):
        return {"training": training, "evaluation": None}
    evaluated = held_out(task, saved.controller, trials) if task.random else batch
    if alone:
        found = assess(task, evaluated, run)
        evaluation = {"held_out": task.random, **found.as_dict(), "references": {}}
        return {"training": training, "evaluation": evaluation}
    own = solution if evaluated is batch else None
    references = evaluate_ilqr(task, evaluated, solver, solution=own)
    references = references.with_others(default_references(evaluated))
    evaluation = {
        "held_out": task.random,
        **references.assess(run).as_dict(),
        "references": {name: one.loss.as_dict() for name, one in references.evaluations.items()},
    }
    return {"training": training, "evaluation": evaluation}


def describe(
    task: Task,
    saved: SavedController,
    task_name: str,
    seed: int,
    trials: int,
    *,
    alone: bool = False,
) -> dict[str, Any]:
    """Return what a card says beside the numbers of the training itself.

    Args:
        task: What the controller was trained on.
        saved: The controller with its weights as they are shipped.
        task_name: The task's name in `TASKS`.
        seed: Of the training.
        trials: How many held-out trials of a random task, and at most so many for robustness.
        alone: Whether there are no references, and so neither `usual` nor `robustness`.

    Returns:
        `trained_at`, by name of a setting its value or range; `usual`, like `measure_entry`, on the
        task of that name as it is by default, None where that is what was trained on; and
        `robustness` there. `largest_command` is over the trials of `training` and `evaluation` on
        both tasks.
    """
    usual = sensed_alike(with_plant(TASKS[task_name], task.plant), task)
    own = not outside(task, usual) and not outside(usual, task)
    largest: float | None = 0.0
    for one in (task,) if own or alone else (task, usual):
        run = controller_runner(one, saved.controller, saved.parameters.double())
        for batch in (
            make_trials(one, saved.controller, seed),
            held_out(one, saved.controller, trials),
        ):
            with torch.no_grad():
                found = measure(one, batch, *run(batch)).largest_command
            largest = None if largest is None or not math.isfinite(found) else max(largest, found)
    return {
        "trained_at": trained_at(task),
        "largest_command": largest,
        "command_unit": command_unit(task),
        "usual": None if own or alone else measure_entry(usual, saved, seed, trials=trials),
        "robustness": None
        if alone
        else measure_robustness(usual, saved, trials=min(trials, ROBUSTNESS_TRIALS)),
    }


def sensed_alike(task: Any, other: Any) -> Any:
    """Return a task with the senses of another one of its class, which a controller needs.

    Args:
        task: A dataclass, like every task of this package.
        other: The task whose senses it gets.
    """
    names = {field.name for field in fields(task)}
    if "senses" in names:
        return replace(task, senses=other.senses)
    if "reach" in names:
        return replace(task, reach=sensed_alike(task.reach, other.reach))
    return task


def trained_at(task: Task) -> dict[str, str]:
    """Return, by name of a setting, in words at which value or values a task has it."""
    words: dict[str, list[str]] = {}
    for item in ranges(task):
        words.setdefault(item.name, []).append(str(item))
    return {name: " or ".join(values) for name, values in words.items()}


def measure_robustness(
    task: Task,
    saved: SavedController,
    *,
    trials: int = ROBUSTNESS_TRIALS,
    progress: Callable[[Variation], None] = lambda row: None,
) -> dict[str, Any]:
    """Return the table of `neuromotor.robustness` as a card holds it.

    Args:
        task: What is wanted.
        saved: The controller.
        trials: How many held-out trials of a random task.
        progress: Called with each row.
    """
    batch = held_out(task, saved.controller, trials)
    reference = default_reference(task, batch)
    rows = robustness(
        task, saved.controller, saved.parameters, reference, trials=trials, progress=progress
    )
    return {
        "reference": reference,
        "trials": len(batch),
        "change": CHANGE,
        "rows": [row.as_dict() for row in rows],
    }


def update_entry(folder: Path, name: str) -> dict[str, Any]:
    """Write what `describe` finds into the card of an entry that is there; return the card.

    Args:
        folder: The zoo, as `neuromotor.zoo.FOLDER`.
        name: TASK/NAME.

    Raises:
        ValueError: There is no such entry, or its controller's file says no task.
    """
    place = folder / name
    saved = load_controller(place / CONTROLLER)
    if saved.task is None:
        raise ValueError(f"{place / CONTROLLER} says no task.")
    card = json.loads((place / "card.json").read_text(encoding="utf-8"))
    stages = json.loads((place / "recipe.json").read_text(encoding="utf-8"))["stages"]
    trials = stages[-1]["settings"].get("held_out", HELD_OUT_TRIALS)
    card |= describe(saved.task, saved, card["task"], card["seed"], trials, alone=_alone(card))
    write_json(place / "card.json", card)
    return dict(card)


def _alone(card: Mapping[str, Any]) -> bool:
    """Whether an entry was measured without references."""
    return card["robustness"] is None


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
        "loss": [finite_or_none(float(f"{loss:.7g}")) for loss in shown],
    }


def write_entry(
    folder: Path,
    name: str,
    saved: SavedController,
    task: Task,
    stages: Sequence[Stage],
    about: Mapping[str, Any],
    *,
    alone: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write an entry's four files, its weights measured as they are shipped; return its card.

    Args:
        folder: The zoo, as `neuromotor.zoo.FOLDER`.
        name: TASK/NAME.
        saved: The trained controller.
        task: What it was trained on.
        stages: The trainings that made it, first to last.
        about: More for the card: the task's name, the machine, the versions.
        alone: Whether it is measured without references, which for muscles take hours.
        overwrite: Whether an existing entry may be replaced.

    Raises:
        FileExistsError: The entry exists and `overwrite` is false.
    """
    last = stages[-1]
    trials = last.settings.get("held_out", HELD_OUT_TRIALS)
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
        **measure_entry(task, shipped, last.settings["seed"], trials=trials, alone=alone),
        "seed": last.settings["seed"],
        **{key: sum(stage.row[key] for stage in stages) for key in (*counts, "seconds")},
        "reason": last.row["reason"],
        **describe(task, shipped, about["task"], last.settings["seed"], trials, alone=alone),
    }
    write_json(place / "recipe.json", {"stages": [_stage(stage) for stage in stages]})
    write_json(place / "history.json", joined_history(stages))
    write_json(place / "card.json", card)
    return card


def _stage(stage: Stage) -> dict[str, Any]:
    return {"command": stage.command, "settings": dict(stage.settings)}
