"""Loss against calls of every optimizer, thinned from a comparison's run folder for figure 6.2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from neuromotor.reproduction.data import DATA
from neuromotor.runs.records import read_finished
from neuromotor.storage.claims import RunFolderError

__all__ = ["FILE", "convergence_data", "load_convergence"]

FILE = DATA / "convergence.json"
_POINTS = 150
_DIGITS = 5


def convergence_data(run: Path) -> dict[str, Any]:
    """Return the best losses so far over calls, of all methods and seeds of a comparison.

    Args:
        run: Folder that `neuromotor compare --seeds N` left, finished.

    Returns:
        `command`, `versions`, `machine` and `seeds` of the run; `reference`, iLQR's loss; and
        `methods`, by name, with `calls` (K,) and `loss`, a list (K,) for each seed.

    Raises:
        RunFolderError: The folder holds no such run, or the run has not finished.
    """
    summary = read_finished(run).summary
    if not summary.get("seeds"):
        raise RunFolderError(f"{run} must be the folder of `neuromotor compare --seeds N`.")
    parts = [read_finished(run / f"seed-{seed}") for seed in summary["seeds"]]
    histories = [part.history for part in parts]
    reference = parts[0].summary["rows"][0]["loss"]
    methods = {}
    for method in histories[0]:
        curves = [history[method] for history in histories]
        end = min(curve["calls"][-1] for curve in curves)
        calls = np.unique(np.geomspace(1, end, _POINTS).round().astype(int))
        methods[method] = {
            "calls": calls.tolist(),
            "loss": [_best_so_far(curve, calls) for curve in curves],
        }
    kept = {key: summary[key] for key in ("command", "versions", "machine", "seeds")}
    return {**kept, "reference": reference, "methods": methods}


def load_convergence() -> dict[str, Any]:
    """Return the data of figure 6.2 that come with the package."""
    data: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return data


def _best_so_far(curve: dict[str, Any], calls: np.ndarray[Any, Any]) -> list[float]:
    """Lowest loss within so many calls; the first one where even that took more."""
    losses = [np.inf if loss is None else loss for loss in curve["loss"]]  # null: not finite
    best = np.minimum.accumulate(losses)
    place = np.maximum(np.searchsorted(curve["calls"], calls, side="right") - 1, 0)
    return [float(f"{loss:.{_DIGITS}g}") for loss in best[place]]
