"""A report as files: a page that needs no other file, numbers as JSON, figures as PNG and PDF."""

from __future__ import annotations

import base64
import html
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuromotor.analysis._clock import FIGURE_S, Clock, Tell
from neuromotor.analysis.report import Report
from neuromotor.storage.files import atomic_path, safe_names, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write_report"]


def write_report(
    report: Report,
    folder: Path,
    *,
    warn: Callable[[str], object] = warnings.warn,
    progress: Tell | None = None,
) -> None:
    """Write report.html (self-contained), analysis.json and figures (PNG, PDF) into a folder.

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
    for section in report.sections:
        body.append(f"<h2>{html.escape(section.title)}</h2>")
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
            for suffix, picture in zip(("png", "pdf"), pictures, strict=True):
                with atomic_path(folder / "figures" / f"{file}.{suffix}") as temporary:
                    temporary.write_bytes(picture)
            data = base64.b64encode(pictures[0]).decode()
            body.append(f'<img alt="{html.escape(name)}" src="data:image/png;base64,{data}">')
        body.append(_table(numbers[section.name]))
    title = html.escape(f"Analysis of {report.source}" if report.source else "Analysis")
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>{_CSS}"
    page += f"<h1>{title}</h1>" + "\n".join(body) + "</html>\n"
    with atomic_path(folder / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")


def _pictures(draw: Callable[[], Figure]) -> list[bytes]:
    """Return a figure as the content of its PNG and its PDF."""
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
        plt.close(figure)
    return pictures


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


_CSS = """<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
img { max-width: 100%; display: block; margin: .6rem 0 }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .15rem .9rem .15rem 0; border-bottom: 1px solid #ddd }
th { font-weight: 500 } .skipped { color: #777 }
</style>
"""
