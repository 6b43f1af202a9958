"""A table of results: rows of numbers by column, as JSON and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuromotor.storage.files import atomic_path, write_json

__all__ = ["Table", "cell", "update_document", "write_tables"]

Value = str | float | int | bool | None


@dataclass(frozen=True)
class Table:
    """Rows by column.

    Attributes:
        name: Short, without blanks.
        title: What it shows.
        rows: Each a value by column; the first row names all columns.
        note: What a reader must know.
    """

    name: str
    title: str
    rows: tuple[dict[str, Value], ...]
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the table as plain data; what is not finite is None."""
        rows = [
            {key: value if _is_plain(value) else None for key, value in row.items()}
            for row in self.rows
        ]
        return {"name": self.name, "title": self.title, "note": self.note, "rows": rows}

    def markdown(self) -> str:
        """Return the table in Markdown, numbers to the right, and its note below."""
        if not self.rows:
            return self.note or "Nothing yet."
        columns = list(self.rows[0])
        number = [any(_is_number(row[key]) for row in self.rows) for key in columns]
        lines = [
            "| " + " | ".join(columns) + " |",
            "| " + " | ".join("---:" if right else "---" for right in number) + " |",
        ]
        lines += ["| " + " | ".join(cell(row[key]) for key in columns) + " |" for row in self.rows]
        return "\n".join([*lines, *(["", self.note] if self.note else [])])


def cell(value: Value) -> str:
    """Return a value as a table shows it: four digits, counts whole, nothing as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "-"
    near_one = 0.99 < value < 1.1
    return f"{value:.5f}" if near_one else f"{value:.3g}"


def write_tables(tables: Sequence[Table], out: Path, about: Mapping[str, Any]) -> None:
    """Write tables.json and tables.md into a folder.

    Args:
        tables: What is written.
        out: The folder.
        about: Command, machine and versions, kept in tables.json.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "tables.json", {**about, "tables": [table.as_dict() for table in tables]})
    text = "\n\n".join(f"## {table.title}\n\n{table.markdown()}" for table in tables)
    with atomic_path(out / "tables.md") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def update_document(path: Path, tables: Sequence[Table]) -> list[str]:
    """Put tables between their marks in a Markdown file; return names of those without a place.

    A place is what lies between `<!-- table NAME -->` and `<!-- end -->`.
    """
    text = path.read_text(encoding="utf-8")
    left_out = []
    for table in tables:
        begin, end = f"<!-- table {table.name} -->", "<!-- end -->"
        before, found, after = text.partition(begin)
        if not found or end not in after:
            left_out.append(table.name)
            continue
        text = f"{before}{begin}\n\n{table.markdown()}\n\n{end}{after.partition(end)[2]}"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return left_out


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_plain(value: Value) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
