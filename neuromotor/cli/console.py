"""Where the command line prints: what is printed survives every width, encoding and odd name."""

from __future__ import annotations

import copy
import io
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

__all__ = ["WordConsole", "survive_encodings"]

_ENDLESS = 100_000  # columns, where nobody counts them
_FOLDED = 16  # least width of a column of words


class WordConsole(Console):
    """A console that takes words as they are and never shortens what it prints.

    Square brackets and colons in names are no markup: names come from outside. Without a terminal
    there is no width to fit into. A table that is too wide for a terminal folds its columns of
    words, or is printed line by line, a record a row; its numbers stay whole.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    @property
    def size(self) -> ConsoleDimensions:
        """Columns and lines of the terminal; nearly endless lines where there is none."""
        if self.is_terminal:
            return super().size
        return ConsoleDimensions(_ENDLESS, 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, but tables whole."""
        whole = (_Whole(one) if isinstance(one, Table) else one for one in objects)
        super().print(*whole, **options)


class _Whole:
    """Prints a table as it is, folded, or as records."""

    def __init__(self, table: Table) -> None:
        self._table = copy.copy(table)
        self._table.columns = [copy.copy(column) for column in table.columns]
        for column in self._table.columns:
            column.overflow = "fold"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        endless = options.update(max_width=_ENDLESS)
        table = self._table
        whole = table.__rich_measure__(console, endless).maximum
        spare = 0  # what columns of words can do without
        for column in table.columns:
            if not column.no_wrap:
                cells = [*column.cells, column.header]
                widths = [console.measure(cell, options=endless).maximum for cell in cells]
                spare += max(0, max(widths) - _FOLDED)
        if whole - spare <= options.max_width:
            yield table
        else:
            yield from self._records(console)

    def _records(self, console: Console) -> Iterator[Text]:
        """Yield a row's cells below one another, each behind its column's name."""
        table = self._table
        if table.title:
            yield Text(str(table.title), style="italic")
        names = [_one_line(column.header) for column in table.columns]
        margin = max(map(len, names), default=0)
        rows = zip(*(column.cells for column in table.columns), strict=True)
        for row in rows:
            for name, cell in zip(names, row, strict=True):
                value = cell if isinstance(cell, Text) else Text(str(cell))
                yield Text.assemble(f"{name:{margin}}  ", value, overflow="fold")
            yield Text("")
        if table.caption:
            yield Text(str(table.caption), style="dim italic")


def _one_line(header: object) -> str:
    """Return a column's name without its line breaks and hyphens."""
    return str(header).replace("-\n", "").replace("\n", " ")


def survive_encodings() -> None:
    """Print what an output's encoding lacks by its number, instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
