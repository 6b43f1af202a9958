"""Tables of the terminal, and the same ones in Markdown."""

import io

import pytest
from rich.console import Console

from neuromotor.benchmark import EnvRow, Row
from neuromotor.cli import display


def shown(table):
    file = io.StringIO()
    Console(file=file, width=200).print(table)
    return file.getvalue()


@pytest.mark.parametrize(
    ("evaluated", "words"),
    [
        ([1.0, 2.0, 6.0], ["evaluation loss", "2 (1 to 6)"]),
        ([None, None, None], ["calls to", " 5 ", "half of the seeds"]),
    ],
)
def test_seeds_are_shown_by_evaluations_or_by_calls(evaluated, words):
    row = {"method": "hf", "ratio": 1.5, "ratio_min": 1.0, "ratio_max": 2.0, "seconds": 3.0}
    row |= {"evaluated": evaluated, "calls_to": {1.1: 5, 1.01: None, 1.001: 9, 1.0001: None}}
    text = shown(display.seeds_table("title", [row]))
    for word in ("title", "hf", "1.5 (1 to 2)", *words):
        assert word in text


def test_benchmarks_are_the_same_in_the_terminal_and_in_markdown():
    rows = [Row("value", name, 4, 5, "float64", 1, ms) for name, ms in (("products", 2), ("x", 3))]
    table, text = shown(display.benchmark_table(rows)), display.benchmark_markdown(rows)
    header, rule, line = text.splitlines()
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        *("value", "4x5", "float64", "1"),
        *("2.0 (1.00)", "3.0 (1.50)"),
    ]
    assert rule == "| --- | --- | --- | --- | ---: | ---: |"
    assert all(cell.strip() in table for cell in [*header.split("|"), *line.split("|")])
    arms = [EnvRow("x", "vector", 16, 12345.6)]
    assert display.env_benchmark_markdown(arms).splitlines()[1:] == [
        "| --- | --- | ---: | ---: |",
        "| x | vector | 16 | 12,346 |",
    ]
    assert "12,346" in shown(display.env_benchmark_table(arms))
