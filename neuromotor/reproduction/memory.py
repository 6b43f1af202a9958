"""Writes tables and figures of chapters 4 and 7, of the package's results or of new trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from neuromotor.plotting import STYLE, save_figures
from neuromotor.reproduction.figures.long_memory import draw_solved
from neuromotor.reproduction.memory_runs import MemoryRun
from neuromotor.reproduction.memory_tables import (
    chapter4_tables,
    chapter7_tables,
    missing_table,
)
from neuromotor.reproduction.tables import Table, write_tables

__all__ = ["reproduce_memory"]


def reproduce_memory(
    chapter: int,
    data: Mapping[str, Any],
    out: Path,
    about: Mapping[str, Any],
    others: Sequence[dict[str, Any]] = (),
    planned: Sequence[MemoryRun] = (),
) -> list[Table]:
    """Write tables.md, tables.json and, for chapter 4, its figure; return the tables.

    Args:
        chapter: 4 or 7.
        data: As `memory_runs.measured` returns it.
        out: The folder.
        about: Command, machine and versions, kept in tables.json.
        others: For chapter 7: rows of chapter 4 to stand beside.
        planned: Trainings of which those that are not in the data are listed.
    """
    tables = chapter4_tables(data) if chapter == 4 else chapter7_tables(data, others)
    if planned:
        tables.append(missing_table(chapter, data, planned))
    write_tables(tables, out, {**about, "measured_by": data["command"]})
    if chapter == 4 and any(row["problem"] != "balls" for row in data["rows"]):
        (out / "figures").mkdir(exist_ok=True)
        with mpl.rc_context(STYLE):
            save_figures({"fig4_1": draw_solved(data["rows"])}, out / "figures")
    return tables
