"""What is printed stays whole: on narrow terminals, in pipes, in any encoding, with any name."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from neuromotor.cli.console import WordConsole
from neuromotor.cli.display import TerminalWatcher, comparison_table, evaluation_tables

COMMAND = str(Path(sys.executable).parent / "neuromotor")
NUMBERS = {
    "loss": 4.39e-05,
    "ratio": 1.02361,
    "target_error_cm": 0.067,
    "end_speed_cm_s": 0.0123,
    "energy": 0.0176,
    "values": 41000,
    "gradients": 4000,
    "products": 12345,
    "seconds": 9876.5,
}


def printed(table, *, columns=None):
    """What a console prints: a terminal so wide, or a pipe."""
    file = io.StringIO()
    environ = {} if columns is None else {"COLUMNS": str(columns), "TERM": "xterm"}
    WordConsole(
        file=file, force_terminal=columns is not None, color_system=None, _environ=environ
    ).print(table)
    return file.getvalue()


def rows():
    interval = {"value": 4.39e-05, "low": 4.05e-05, "high": 4.79e-05}
    found = {"trials": 400, "loss": interval, "ratios": {"ilqr": interval, "ilqg": interval}}
    return [{"method": "kron-lbfgs", **NUMBERS, "evaluation": {**found, "response": None}}] * 2


@pytest.mark.parametrize("columns", [20, 40, 80, 200, None])
def test_no_number_is_shortened_at_any_width(columns):
    tables = [comparison_table("task", rows()), *evaluation_tables(rows())]
    text = "".join(printed(table, columns=columns) for table in tables)
    assert "…" not in text
    assert re.findall(r"12345", text)
    whole = re.sub(r"\s+", " ", text)
    for word in ("4.39e-05", "1.0236", "41000", "9876.5", "(4.05e-05", "4.79e-05)", "kron-lbfgs"):
        assert whole.count(word) >= 2
    if columns:
        assert max(map(len, text.splitlines())) <= columns


def test_without_a_terminal_a_table_is_as_wide_as_it_is():
    table = Table("name", "number", box=None)
    table.add_row("n" * 300, "4.05e-05 to 4.79e-05")
    header, line = printed(table).splitlines()
    assert len(header) == len(line)
    assert line.split() == ["n" * 300, "4.05e-05", "to", "4.79e-05"]


def test_columns_of_words_fold_before_a_table_becomes_records():
    table = Table("what", box=None)
    table.add_column("loss", no_wrap=True)
    table.add_row("words " * 20, "4.05e-05")
    folded = printed(table, columns=40).splitlines()
    assert folded[0].split() == ["what", "loss"]
    assert len(folded) > 3
    records = printed(table, columns=20)
    assert records.splitlines()[-2] == "loss  4.05e-05"


@pytest.mark.parametrize("name", ["[/foo]", "[bold]x[/bold]", ":car:", "[link=http://x]y"])
def test_names_from_outside_are_no_markup(name):
    table = Table("name", title=name, caption=name, box=None)
    table.add_row(name)
    for columns in (None, 20):
        assert printed(table, columns=columns).split() == [name, "name", name, name]
    assert printed(f"Run folder: {name}") == f"Run folder: {name}\n"


@pytest.fixture(scope="module")
def odd_run(tmp_path_factory):
    """A run in an oddly named folder, started as a notebook or a user of LaTeX would."""
    place = tmp_path_factory.mktemp("odd")
    (place / "matplotlibrc").write_text("text.usetex: True\nbackend: webagg\n")
    environment = {
        **os.environ,
        "MPLBACKEND": "module://no_such_package.backend_inline",
        "MATPLOTLIBRC": str(place),
        "PYTHONIOENCODING": "ascii",
    }

    def run(*arguments):
        words = [COMMAND, *arguments]
        return subprocess.run(
            words, capture_output=True, text=True, cwd=place, env=environment, check=False
        )

    done = run("train", "center-out", "--smoke", "--out", "[/föö]")
    return place, done, run


def test_a_notebooks_backend_and_latex_cost_neither_result_nor_figures(odd_run):
    place, done, _ = odd_run
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    folder = place / "[/föö]"
    assert json.loads((folder / "summary.json").read_text())["rows"]
    assert len(list((folder / "figures").iterdir())) == 6


@pytest.mark.slow
def test_an_encoding_that_lacks_letters_stops_nothing(odd_run):
    _, done, run = odd_run
    assert r"[/f\xf6\xf6]" in done.stdout
    listed = run("runs", "list", ".")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert r"'[/f\xf6\xf6]'" in listed.stdout
    whole = run("info")
    assert (whole.returncode, whole.stderr) == (0, "")
    assert whole.stdout.splitlines()[-1].startswith("`neuromotor info NAME`")
    assert "neuromotor/InstructedDelayGoal-v0" in whole.stdout


def test_a_figure_that_fails_is_one_line(tmp_path, monkeypatch, capsys):
    from neuromotor.runs.execute import run_comparison
    from neuromotor.runs.settings import gather, resolve

    def fail(comparison):
        raise RuntimeError("no font\nat all")

    monkeypatch.setattr("neuromotor.plotting.comparison_figures", fail)
    options = {"task": "center-out", "optimizers": "lbfgs"}
    settings = resolve(gather(None, options, [], smoke=True))
    summary = run_comparison(settings, tmp_path / "run", watcher=TerminalWatcher())
    assert summary["rows"][1]["method"] == "lbfgs"
    assert (tmp_path / "run" / "summary.json").is_file()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert line == "warning: no figures were drawn (RuntimeError: no font)."
    with pytest.warns(UserWarning, match="no figures were drawn"):
        run_comparison(settings, tmp_path / "quiet")
    assert capsys.readouterr().err == ""
