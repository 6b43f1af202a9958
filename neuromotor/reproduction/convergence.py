"""Loss against calls of every optimizer, thinned from a comparison's run folder for figure 6.2."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuromotor.closed_loop import ClosedLoop
from neuromotor.control import ILQR
from neuromotor.optim import OPTIMIZERS
from neuromotor.reproduction.data import DATA, load_data
from neuromotor.reproduction.experiments import distance_cm
from neuromotor.runs.create import MARKER
from neuromotor.runs.merging import flattened
from neuromotor.runs.records import read_finished
from neuromotor.storage.claims import RunFolderError
from neuromotor.storage.components import encode
from neuromotor.zoo.saved_controller import load_controller

__all__ = ["FILE", "convergence_data", "load_convergence"]

FILE = DATA / "convergence.json"
_KEYS = ("command", "seeds", "reference", "methods")
_POINTS = 150
_DIGITS = 5


def convergence_data(run: Path, others: Sequence[Path] = ()) -> dict[str, Any]:
    """Return the best losses so far over calls, of all methods and seeds of comparisons.

    A method with settings other than its usual ones is called after both, as `hf (structural 0.1)`.
    Where two comparisons have the same method, the later one's is kept.

    Args:
        run: Folder that `neuromotor compare --seeds N` left, finished; or a JSON file of what this
            function returned, to which others are added.
        others: Further folders with the same seeds, of the same task.

    Returns:
        `command`, `versions`, `machine` and `seeds` of the run; `others`, the commands of the
        others; `reference`, iLQR's loss; and `methods`, by name, with `calls` (K,), `loss`, a list
        (K,) for each seed, and where the run left controllers `away_cm`, for each seed the mean
        over trials of the largest distance between the trained hand's path and iLQR's.

    Raises:
        RunFolderError: A folder holds no such run, it has not finished, or its seeds or iLQR's loss
            are not those of the first.
    """
    data = load_data(run, _KEYS) if run.is_file() else _one_run(run)
    data.setdefault("others", [])
    for other in others:
        found = _one_run(other)
        same = {
            "seeds": found["seeds"] == data["seeds"],
            "reference": math.isclose(found["reference"], data["reference"], rel_tol=1e-9),
        }
        for key, equal in same.items():
            if not equal:
                raise RunFolderError(
                    f"{other} must have the {key} of {run}, {data[key]}, got {found[key]}."
                )
        data["methods"] |= found["methods"]
        data["others"].append(found["command"])
    return data


def _one_run(run: Path) -> dict[str, Any]:
    summary = read_finished(run).summary
    if not summary.get("seeds"):
        raise RunFolderError(f"{run} must be the folder of `neuromotor compare --seeds N`.")
    folders = [run / f"seed-{seed}" for seed in summary["seeds"]]
    parts = [read_finished(folder) for folder in folders]
    histories = [part.history for part in parts]
    reference = parts[0].summary["rows"][0]["loss"]
    methods = {}
    for method in histories[0]:
        curves = [history[method] for history in histories]
        end = min(curve["calls"][-1] for curve in curves)
        calls = np.unique(np.geomspace(1, end, _POINTS).round().astype(int))
        methods[_label(folders[0], method)] = {
            "calls": calls.tolist(),
            "loss": [_best_so_far(curve, calls) for curve in curves],
            "away_cm": _away_cm([one / "controllers" / f"{method}.safetensors" for one in folders]),
        }
    kept = {key: summary[key] for key in ("command", "versions", "machine", "seeds")}
    return {**kept, "reference": reference, "methods": methods}


def _label(folder: Path, method: str) -> str:
    """Return a method's name with the settings that differ from its usual ones."""
    file = folder / MARKER
    if not file.is_file() or method not in OPTIMIZERS:
        return method
    usual = flattened(json.loads(json.dumps(encode(OPTIMIZERS[method], OPTIMIZERS))))
    own = flattened(json.loads(file.read_text(encoding="utf-8"))[method])
    words = [f"{key} {_word(own[key])}" for key in usual if own.get(key, usual[key]) != usual[key]]
    return f"{method} ({', '.join(words)})" if words else method


def _word(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _away_cm(files: Sequence[Path]) -> list[float] | None:
    """Return how far trained hands stray from iLQR's paths, one number for each file."""
    if not all(file.is_file() for file in files):
        return None
    saved = [load_controller(file) for file in files]
    task = saved[0].task
    if task is None or task.random:
        return None
    trials = task.trials()
    best = ILQR().solve(task, trials)
    found = []
    for one in saved:
        run = ClosedLoop(task, one.controller).simulate(one.parameters.double(), trials)
        found.append(float(distance_cm(task, run.states, best.states).amax(-1).mean()))
    return found


def load_convergence() -> dict[str, Any]:
    """Return the data of figure 6.2 that come with the package."""
    return load_data(FILE)


def _best_so_far(curve: dict[str, Any], calls: np.ndarray[Any, Any]) -> list[float]:
    """Lowest loss within so many calls; the first one where even that took more."""
    losses = [np.inf if loss is None else loss for loss in curve["loss"]]  # null: not finite
    best = np.minimum.accumulate(losses)
    place = np.maximum(np.searchsorted(curve["calls"], calls, side="right") - 1, 0)
    return [float(f"{loss:.{_DIGITS}g}") for loss in best[place]]
