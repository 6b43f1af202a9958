"""A report as files: a page that needs no other, numbers as JSON, figures as PNG, PDF and CSV."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromotor.analysis.report import Report
from neuromotor.analysis.section import FIGURE_S
from neuromotor.storage.files import atomic_path, safe_names, write_json
from neuromotor.training.remaining_time import Clock, Tell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figure_numbers", "write_report"]


def write_report(
    report: Report,
    folder: Path,
    *,
    warn: Callable[[str], object] = warnings.warn,
    progress: Tell | None = None,
) -> None:
    """Write report.html (self-contained), analysis.json and figures into a folder.

    Each figure is there as PNG and PDF, and its numbers as CSV; below it stands how to read it. The
    page opens with its contents, and prints on paper without what only a screen can use.

    Names of layers and areas become safe and unique names of files.

    Args:
        report: Report, made by `analyze`.
        folder: Folder to write to, which is made where it is missing.
        warn: Called with one line for each figure that cannot be drawn.
        progress: Called before each figure, as `analyze` does before each analysis.
    """
    everything = report.as_dict()
    numbers = everything["sections"]
    write_json(folder / "analysis.json", everything)
    body = []
    names = [name for section in report.sections for name in section.figures]
    files = iter(safe_names(names))
    clock = Clock([FIGURE_S] * len(names))
    drawn = 0
    body.append(_contents(report))
    for section in report.sections:
        place = html.escape(section.name, quote=True)
        body.append(f'<h2 id="{place}">{html.escape(section.title)}</h2>')
        if section.skipped:
            body.append(f"<p class=skipped>Not computed: {html.escape(section.skipped)}</p>")
            continue
        body.append(f"<p>{html.escape(section.text)}</p>")
        for name, draw in section.figures.items():
            if progress is not None:
                progress(f"figure {drawn + 1} of {len(names)}", *clock.at(drawn))
            drawn += 1
            file = next(files)
            try:
                pictures = _pictures(draw)
            except Exception as error:  # whatever matplotlib raises: the numbers are there
                first = str(error).partition("\n")[0]
                why = f"{name} could not be drawn ({type(error).__name__}: {first})."
                body.append(f"<p class=skipped>{html.escape(why)}</p>")
                warn(f"warning: {why}")
                continue
            for suffix, picture in zip(("png", "pdf", "csv"), pictures, strict=True):
                with atomic_path(folder / "figures" / f"{file}.{suffix}") as temporary:
                    temporary.write_bytes(picture)
            data = base64.b64encode(pictures[0]).decode()
            links = ", ".join(f'<a href="figures/{file}.{s}">{s.upper()}</a>' for s in _ALSO)
            body.append(
                f'<figure><img alt="{html.escape(name)}" src="data:image/png;base64,{data}">'
                f"<figcaption>{html.escape(section.reading)} <span class=files>"
                f"{html.escape(name)} as {links}</span></figcaption></figure>"
            )
        body.append(_table(numbers[section.name]))
    title = html.escape(f"Analysis of {report.source}" if report.source else "Analysis")
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>{_CSS}"
    page += f"<h1>{title}</h1>" + "\n".join(body) + "</html>\n"
    with atomic_path(folder / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")


def _contents(report: Report) -> str:
    """Return the table of contents; what was not computed is grey."""
    rows = []
    for section in report.sections:
        grey = " class=skipped" if section.skipped else ""
        place = html.escape(section.name, quote=True)
        title = html.escape(section.title)
        rows.append(f'<li><a{grey} href="#{place}">{title}</a>')
    return f"<nav><ol>{''.join(rows)}</ol></nav>"


def _pictures(draw: Callable[[], Figure]) -> list[bytes]:
    """Return a figure as the content of its PNG and its PDF, and its numbers as CSV."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from neuromotor.plotting import STYLE

    pictures = []
    with mpl.rc_context(STYLE):
        figure = draw()
        for suffix in ("png", "pdf"):
            picture = io.BytesIO()
            figure.savefig(picture, format=suffix, dpi=160)
            pictures.append(picture.getvalue())
        pictures.append(figure_numbers(figure).encode())
        plt.close(figure)
    return pictures


def figure_numbers(figure: Figure) -> str:
    """Return what the lines, points and bars of a figure show, as CSV: one point a row.

    A row has the number of its panel, the labels of the panel's axes, the label and the kind of
    what it belongs to, the number of that among its kind, x and y. Bars have their middle and their
    height or length.
    """
    from matplotlib.collections import PathCollection
    from matplotlib.patches import Rectangle

    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["panel", "x_label", "y_label", "kind", "number", "label", "x", "y"])
    for panel, ax in enumerate(figure.axes):
        found: list[tuple[str, str, Any]] = []
        for line in ax.get_lines():
            found.append(("line", str(line.get_label()), line.get_xydata()))
        for points in ax.collections:
            if isinstance(points, PathCollection):
                found.append(("points", str(points.get_label()), points.get_offsets()))
        for bar in ax.patches:
            if isinstance(bar, Rectangle):
                flat = bar.get_width() > 0 and bar.get_x() == 0 and bar.get_y() != 0
                middle = (bar.get_x() + bar.get_width() / 2, bar.get_y() + bar.get_height())
                side = (bar.get_x() + bar.get_width(), bar.get_y() + bar.get_height() / 2)
                found.append(("bar", str(bar.get_label()), [side if flat else middle]))
        numbers: dict[str, int] = {}
        for kind, label, values in found:
            number = numbers[kind] = numbers.get(kind, -1) + 1
            own = "" if label.startswith("_") else label
            for x, y in np.ma.getdata(values):
                labels = ax.get_xlabel(), ax.get_ylabel()
                rows.writerow([panel, *labels, kind, number, own, f"{x:.8g}", f"{y:.8g}"])
    return text.getvalue()


def _table(numbers: dict[str, Any]) -> str:
    """Return a table of numbers in HTML, with one row or column for each table within."""
    flat = {key: value for key, value in numbers.items() if not isinstance(value, dict)}
    nested = {key: value for key, value in numbers.items() if isinstance(value, dict)}
    parts = []
    if flat:
        rows = "".join(f"<tr><th>{_words(k)}<td>{_number(v)}" for k, v in flat.items())
        parts.append(f"<table>{rows}</table>")
    groups: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
    for key, row in nested.items():
        groups.setdefault(tuple(row), {})[key] = row
    for names, table in groups.items():
        if len(names) > len(table):  # the longer side downwards
            head = "".join(f"<th>{_words(key)}" for key in table)
            rows = "".join(
                f"<tr><th>{_words(name)}"
                + "".join(f"<td>{_number(row[name])}" for row in table.values())
                for name in names
            )
        else:
            head = "".join(f"<th>{_words(name)}" for name in names)
            rows = "".join(
                f"<tr><th>{_words(key)}" + "".join(f"<td>{_number(v)}" for v in row.values())
                for key, row in table.items()
            )
        parts.append(f"<table><tr><th>{head}{rows}</table>")
    return "".join(parts)


def _words(name: str) -> str:
    from neuromotor.plotting import with_unit

    return html.escape(with_unit(name).replace("_", " "))


def _number(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else html.escape(json.dumps(value))


_ALSO = ("pdf", "csv")
_CSS = """<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
figure { margin: .8rem 0 } img { max-width: 100%; display: block; margin: .6rem 0 }
figcaption { font-size: .9rem; color: #333; max-width: 46rem }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .15rem .9rem .15rem 0; border-bottom: 1px solid #ddd }
th { font-weight: 500 } .skipped { color: #777 } .files { font-size: .85rem; color: #777 }
nav ol { columns: 2; padding-left: 1.4rem } a { color: #246 } a.skipped { color: #999 }
@page { margin: 18mm 16mm }
@media print { body { font-size: 10.5pt; max-width: none; margin: 0; padding: 0 } .files { display:
none } nav { break-after: page } nav a { color: inherit; text-decoration: none } h2 { break-after:
avoid } figure, table, tr { break-inside: avoid } img { max-height: 22cm } }
</style>
"""
