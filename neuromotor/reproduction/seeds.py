"""What several seeds of one training came to, read from their run folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from neuromotor.reproduction.data import DATA, load_data
from neuromotor.reproduction.networks import REFERENCE_FILES
from neuromotor.runs.records import read_finished
from neuromotor.storage.claims import RunFolderError

__all__ = ["FILE", "load_seeds", "seed_rows"]

FILE = DATA / "seeds.json"
_REFERENCES = ("ilqg", "ilqr")  # whose loss a ratio is to: what a network can come near
_KEY = ("network", "calls", "seed")

Row = dict[str, Any]


def seed_rows(runs: Sequence[Path], known: Sequence[Row] = ()) -> list[Row]:
    """Return a row for each trained network of run folders, ordered by network, calls and seed.

    Args:
        runs: Folders that `neuromotor train` or `compare` left, finished.
        known: Rows of an earlier call; a row of the same network, calls and seed is replaced.

    Returns:
        Rows of `network` (task and method, as `ddn/ahf`), `calls` (to the nearest hundred), `seed`,
        `trials`, `loss` on these, `reference` (ilqg or ilqr) and `ratio` to its loss, `error_cm`
        (of the hand at the end), `swings` (mean number beyond 5 % of the peak; None where no load
        pushes the arm) and `command`.

    Raises:
        RunFolderError: A folder holds no finished run with an evaluation against one of the
            references.
    """
    rows = {tuple(row[key] for key in _KEY): row for row in known}
    for run in runs:
        for row in _rows_of(run):
            rows[tuple(row[key] for key in _KEY)] = row
    return [rows[key] for key in sorted(rows)]


def load_seeds(file: Path = FILE) -> list[Row]:
    """Return the rows of a file of `neuromotor reproduce seeds`, or of the package's.

    Raises:
        ValueError: It is no such file.
    """
    rows: list[Row] = load_data(file, columns=(*_KEY, "loss", "ratio"))["rows"]
    return rows


def _rows_of(run: Path) -> Iterator[Row]:
    finished = read_finished(run)
    summary = finished.summary
    for seed in summary.get("seeds", ()):
        yield from _rows_of(run / f"seed-{seed}")
    for method, row in finished.rows.items():
        if method in (*REFERENCE_FILES, *_REFERENCES):
            continue
        found = row.get("evaluation") or {"ratios": {}}
        reference = next((name for name in _REFERENCES if name in found["ratios"]), None)
        if reference is None:
            raise RunFolderError(
                f"{run} must hold an evaluation against {' or '.join(_REFERENCES)}, got none for "
                f"{method}; train with `--set references=ilqg`."
            )
        response = found.get("response")
        yield {
            "network": f"{summary['task']}/{method}",
            "calls": round(row["calls"], -2),
            "seed": summary["seed"],
            "trials": found["trials"],
            "loss": found["loss"]["value"],
            "reference": reference,
            "ratio": found["ratios"][reference]["value"],
            "error_cm": found["means"]["target_error_cm"],
            "swings": response and response["oscillations"],
            "command": summary["command"],
        }
