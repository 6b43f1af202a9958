"""Writes all tables and figures of the reproduction into one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuromotor.reproduction.networks import Networks
from neuromotor.reproduction.results import Effort, chapter6_tables
from neuromotor.reproduction.tables import Table, write_tables

__all__ = ["QUICK", "reproduce"]

QUICK = ("fig6_1", "fig6_2", "fig6_3", "fig6_4", "fig6_5")  # figures of `quick`
_QUICK_EFFORT = Effort(held_out=200, ilqg=False)


def reproduce(
    networks: Networks,
    out: Path,
    about: dict[str, Any],
    *,
    quick: bool = False,
    smoke: bool = False,
    progress: Callable[[str], None] = lambda words: None,
) -> list[Table]:
    """Write tables.md, tables.json and the figures; return the tables.

    Args:
        networks: Where trained networks come from. What lacks one is left out, and said.
        out: The folder.
        about: Command, machine and versions, kept in tables.json.
        quick: Whether fewer trials, no ILQG and the thesis's own figures are enough.
        smoke: Whether figures may be tiny.
        progress: Told about every table and figure.
    """
    from neuromotor.reproduction.figures import FIGURES, FILM, needs, write_figure

    tables = chapter6_tables(networks, _QUICK_EFFORT if quick else Effort(), progress)
    write_tables(tables, out, {**about, "quick": quick})
    for name in QUICK if quick else (*FIGURES, FILM):
        if missing := networks.missing(needs(name)):
            progress(f"{name} is left out: {', '.join(missing)} not there")
            continue
        write_figure(name, networks, out / "figures", smoke=smoke)
        progress(name)
    return tables
