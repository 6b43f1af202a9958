"""A saved controller evaluated on a task, as settings say."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from neuromotor.controllers.controller import belongs_to_trials
from neuromotor.evaluation.against_references import evaluate_ilqr, reference_rows
from neuromotor.evaluation.bootstrap import ratio_to
from neuromotor.evaluation.explain import Explanation, explain
from neuromotor.evaluation.performance import (
    HELD_OUT_SEED,
    controller_runner,
    held_out,
    penalties_paid,
)
from neuromotor.runs.settings import RunSettings
from neuromotor.tasks import Trials
from neuromotor.tasks.ranges import outside
from neuromotor.training.single import make_trials
from neuromotor.zoo.saved_controller import SavedController

__all__ = ["evaluate_saved", "explain_saved"]


def evaluate_saved(
    saved: SavedController, settings: RunSettings, seed: int = HELD_OUT_SEED
) -> dict[str, Any]:
    """Return how well a saved controller does on a task beside iLQR and the settings' references.

    Args:
        saved: The controller. One that belongs to its trials, such as a
            `CommandTable`, runs those that it was made for, drawn from the
            settings' seed; any other controller runs held-out trials.
        settings: The task, the references and the solver.
        seed: Seed of the held-out trials.

    Returns:
        A table for JSON: `task`; `differs_from_training`, see `SavedController.differences`; the
        means of `Performance`; `penalties` by kind; `trials`, their number; `references` and
        `ratios`, the loss of iLQR and the ratio to it by iLQR's name; `evaluation`;
        `evaluated_references`, see `reference_rows`; and `outside_training`, sentences on settings
        that lie outside of it.
    """
    task, trials = settings.task, _trials(saved, settings, seed)
    ilqr = evaluate_ilqr(task, trials, settings.ilqr, responses=False)
    references = ilqr.with_others(settings.references or ())
    found = references.assess(controller_runner(task, saved.controller, saved.parameters))
    floor = float(ilqr.ideal.losses.mean())
    ratio = ratio_to(found.performance.loss, floor)
    return {
        "task": settings.as_dict()["task"],
        "differs_from_training": saved.differences(task),
        **found.performance.as_dict(),
        "penalties": penalties_paid(task, saved.controller, saved.parameters, trials),
        "trials": len(trials),
        "references": {ilqr.bound: floor},
        "ratios": {ilqr.bound: None if math.isnan(ratio) else ratio},
        "evaluation": found.as_dict(),
        "evaluated_references": reference_rows(references.others, references.reasons),
        "outside_training": outside(saved.task, task) if saved.task else [],
    }


def explain_saved(
    saved: SavedController,
    settings: RunSettings,
    seed: int = HELD_OUT_SEED,
    progress: Callable[[str], None] = lambda words: None,
) -> Explanation:
    """Return what makes up a saved controller's excess over ILQG on the trials of `evaluate_saved`.

    Args:
        saved: The controller.
        settings: The task and how many trials.
        seed: Seed of the held-out trials.
        progress: Called with what is done next, in words.

    Raises:
        ValueError: See `explain`.
    """
    trials = _trials(saved, settings, seed)
    return explain(settings.task, saved.controller, saved.parameters, trials, progress=progress)


def _trials(saved: SavedController, settings: RunSettings, seed: int) -> Trials:
    """The trials that a saved controller is evaluated on."""
    place: dict[str, Any] = {"dtype": settings.dtype, "device": settings.device}
    if belongs_to_trials(saved.controller):
        return make_trials(settings.task, saved.controller, settings.seed, **place)
    count = settings.held_out_trials
    return held_out(settings.task, saved.controller, count, seed=seed, **place)
