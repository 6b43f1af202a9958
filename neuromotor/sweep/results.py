"""The results of a sweep, as one table and figures."""

from __future__ import annotations

import csv
import importlib.util
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuromotor.runs.drawing import drawing
from neuromotor.runs.merging import flattened
from neuromotor.storage.files import atomic_path
from neuromotor.sweep.plan import Run, Sweep
from neuromotor.sweep.runs import state_of, summary_of

__all__ = ["columns", "rows", "write_results"]

_RESULTS = (
    "loss",
    "ratio",
    "target_error_cm",
    "end_speed_cm_s",
    "energy",
    "values",
    "gradients",
    "products",
    "calls",
    "seconds",
    "converged",
    "reason",
)
_ABOUT = ("state", "error", "reference", "held_out_loss", *_RESULTS, "run")


def columns(sweep: Sweep) -> list[str]:
    """Return the table's columns: settings that are swept, results, settings that all share."""
    return [*sweep.keys, *_ABOUT, *_shared(sweep)]


def rows(sweep: Sweep) -> list[dict[str, Any]]:
    """Return a row a run, None where it has no such number.

    `ratio` is the loss divided by that of `reference`, iLQR on the same trials; `held_out_loss` the
    evaluation's where the task's trials are random.
    """
    return [_row(sweep, run) for run in sweep.runs]


def write_results(sweep: Sweep, warn: Callable[[str], object] = warnings.warn) -> list[Path]:
    """Write results.csv, results.parquet where pyarrow is installed, and figures.

    Args:
        sweep: What was swept.
        warn: Told by one line where the figures cannot be drawn.

    Returns:
        The files.
    """
    table = rows(sweep)
    names = columns(sweep)
    paths = [sweep.out / "results.csv"]
    with atomic_path(paths[0]) as temporary, temporary.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, names)
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in table)
    if importlib.util.find_spec("pyarrow") is not None:
        paths.append(sweep.out / "results.parquet")
        _write_parquet(table, names, paths[-1])
    if any(row["loss"] is not None for row in table):
        with drawing(warn):
            from neuromotor.sweep.figure import draw

            paths += draw(sweep, table)
    return paths


def _row(sweep: Sweep, run: Run) -> dict[str, Any]:
    """Return the settings and results of a run."""
    row: dict[str, Any] = dict.fromkeys(columns(sweep))
    row |= {**_shared(sweep), **run.swept}
    outcome = state_of(sweep.out, run)
    row |= {"state": outcome.state, "error": outcome.error or None}
    row |= {"run": str(sweep.out / "runs" / run.name)}
    summary = summary_of(sweep.out, run)
    if summary is not None:
        reference, found = summary["rows"][:2]
        evaluation = found.get("evaluation")
        row |= {key: found.get(key) for key in _RESULTS}
        row["reference"] = reference["method"]
        row["held_out_loss"] = None if evaluation is None else evaluation["loss"]["value"]
    return row


def _shared(sweep: Sweep) -> dict[str, Any]:
    """Return the settings that the file gives to all runs."""
    first = flattened(sweep.runs[0].settings) if sweep.runs else {}
    same = {
        key: value
        for key, value in first.items()
        if all(flattened(run.settings).get(key) == value for run in sweep.runs)
    }
    if "optimizers" in same:
        same["optimizer"] = same.pop("optimizers")
        if isinstance(same["optimizer"], list) and len(same["optimizer"]) == 1:
            same["optimizer"] = same["optimizer"][0]
    return {key: value for key, value in same.items() if key not in (*sweep.keys, *_ABOUT)}


def _cell(value: Any) -> Any:
    """Return lists and tables as JSON, and other values as they are."""
    return json.dumps(value) if isinstance(value, (list, dict)) else value


def _write_parquet(table: list[dict[str, Any]], names: list[str], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = {name: [_cell(row[name]) for row in table] for name in names}
    for name, values in data.items():  # a column has one type
        kinds = {type(value) for value in values if value is not None}
        if len(kinds) > 1 and not kinds <= {int, float}:
            data[name] = [None if value is None else str(value) for value in values]
        elif len(kinds) > 1:
            data[name] = [None if value is None else float(value) for value in values]
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(data), temporary)
