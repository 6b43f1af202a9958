"""Measurements collected one after the other into a JSON file, which a later call goes on with."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuromotor.reproduction.data import load_data
from neuromotor.storage.files import write_json

__all__ = ["Measurement", "collect"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Measurement:
    """One row to be measured.

    Attributes:
        key: Values by name that tell its row from all others.
        measure: Returns the rest of the row.
        words: Says in words what a row came to.
    """

    key: Row
    measure: Callable[[], Row]
    words: Callable[[Row], str]

    def known(self, rows: Iterable[Row]) -> bool:
        """Return whether one of the rows is its."""
        return any(all(row.get(k) == v for k, v in self.key.items()) for row in rows)


def collect(
    file: Path,
    measurements: Iterable[Measurement],
    progress: Callable[[str], None] = lambda words: None,
) -> dict[str, Any]:
    """Measure what a JSON file does not hold yet, and write it after every row; return its data.

    Args:
        file: With `command`, the last one that wrote it, and `rows`.
        measurements: In their order.
        progress: Told about every row.

    Raises:
        ValueError: The file holds something else.
    """
    todo = list(measurements)
    keys = dict.fromkeys(key for one in todo for key in one.key)
    shared = [key for key in keys if all(key in one.key for one in todo)]
    rows: list[Row] = load_data(file, columns=shared)["rows"] if file.is_file() else []
    data: dict[str, Any] = {"command": shlex.join(["neuromotor", *sys.argv[1:]]), "rows": rows}
    for one in todo:
        if one.known(rows):
            continue
        row = {**one.key, **one.measure()}
        rows.append(row)
        write_json(file, data)
        progress(one.words(row))
    return data
