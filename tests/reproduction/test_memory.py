"""Chapters 4 and 7: tables worked out by hand, the source's settings, and the trainings' files."""

import json

import pytest
from typer.testing import CliRunner

from neuromotor.cli.app import app
from neuromotor.reproduction.memory import reproduce_memory
from neuromotor.reproduction.memory_runs import (
    MemoryRun,
    measured,
    memory_runs,
    rows_of,
    selected,
    train_memory,
    write_measured,
)
from neuromotor.reproduction.memory_tables import (
    chapter4_tables,
    chapter7_tables,
    missing_table,
)
from neuromotor.runs.problems import problem_settings
from neuromotor.storage.files import write_json

HF, PLAIN, OURS = "HF, structural damping", "HF", "kron-hf, structural damping"


def row(problem, lag, method, seed, calls, **others):
    solved = others.pop("wrong", 0.0) < 0.01
    known = {"cell": "tanh", "loss": 0.1, "wrong": 0.0 if solved else 0.5, "wrong_steps": 0.25}
    known |= {"tested": 10, "seconds": 1.0, "reason": ""}
    return {
        **known,
        **{"problem": problem, "lag": lag, "method": method, "seed": seed},
        **{"calls": calls, "solved": solved, **others},
    }


def five_bits():
    return [
        *(row("memory-5bit", 100, HF, s, calls) for s, calls in enumerate((1000, 3000, 1200))),
        row("memory-5bit", 100, PLAIN, 0, 8000, wrong=0.4),
        *(row("memory-5bit", 100, OURS, s, calls) for s, calls in enumerate((250, 301, 310))),
        row("addition", 30, HF, 0, 900, wrong=0.2),
    ]


def test_figure_4_1_counts_seeds_and_takes_medians():
    data = {"command": "", "rows": five_bits()}
    tables = {table.name: table for table in chapter4_tables(data)}
    assert set(tables) == {"claims-4", "figure-4-1"}
    rows = {(r["problem"], r["method"]): r for r in tables["figure-4-1"].rows}
    assert rows["memory-5bit", HF]["solved"] == "3 of 3"
    assert rows["memory-5bit", HF]["calls"] == 1200
    assert rows["memory-5bit", PLAIN]["calls"] is None
    assert rows["memory-5bit", PLAIN]["source"] == "not solved"
    assert rows["addition", HF]["solved"] == "0 of 1"
    holds = {r["claim"]: r["holds"] for r in tables["claims-4"].rows}
    assert [holds[claim] for claim in holds] == [True, True, False, False]  # 301 > 1200 / 4
    data["rows"] += [row("memory-5bit", 100, OURS, 3, 299), row("memory-5bit", 100, OURS, 4, 200)]
    *_, last = next(t for t in chapter4_tables(data) if t.name == "claims-4").rows
    assert last["ours"] == "299 against 1,200"
    assert last["holds"]


def test_table_4_1_sets_our_films_beside_the_sources():
    data = {"command": "", "rows": [row("balls", 30, HF, 0, 300, loss=24.0, wrong=1.0)]}
    (table,) = chapter4_tables(data)
    assert table.rows[0]["source: error"] == 22
    assert table.rows[0]["error a film"] == 24
    assert table.rows[0]["error a picture"] == pytest.approx(24 / 29)  # 29 are predicted


def test_table_7_3_is_the_mean_error_of_each_method():
    rows = [row("addition", 80, "NAG", s, 50_000, wrong_steps=e) for s, e in enumerate((0.1, 0.3))]
    rows.append(row("addition", 80, "momentum", 0, 50_000, wrong_steps=0.5))
    others = [row("addition", 80, OURS, 0, 500, wrong_steps=0.004), row("xor", 80, OURS, 0, 9)]
    (table,) = chapter7_tables({"command": "", "rows": rows}, others)
    (found,) = table.rows
    assert (found["source: NAG"], found["source: momentum"]) == (0.011, 0.25)
    assert (found["NAG"], found["momentum"]) == (pytest.approx(0.2), 0.5)
    assert (found["iterations"], found["seeds"]) == (50_000, 2)
    assert found["chapter 4: kron-hf"] == 0.004
    assert found["chapter 4: HF"] is None


@pytest.mark.parametrize("chapter", [4, 7])
@pytest.mark.parametrize("whole", [False, True])
def test_all_settings_are_those_of_a_run(chapter, whole):
    runs = memory_runs(chapter, whole=whole)
    assert len({one.name for one in runs}) == len(runs)
    for one in (*runs, *memory_runs(chapter, quick=True)):
        problem_settings(dict(one.settings))


def test_the_whole_size_is_the_sources():
    """Sections 4.4 and 7.4.2."""
    addition = next(one for one in memory_runs(7, whole=True) if one.name == "addition-nag")
    rates = [[0, 3e-5], [1500, 3e-4], [3000, 3e-3], [6000, 1e-3], [30_000, 1e-4]]
    assert [list(pair) for pair in addition.settings["nag"]["rates"]] == rates
    assert addition.settings["nag"]["momenta"] == [(0, 0.9), (4000, 0.98)]
    assert (addition.settings["lags"], addition.settings["budget"]) == ([80], 50_000)
    small = next(one for one in memory_runs(7) if one.name == "addition-nag")
    share = small.settings["budget"] / 50_000
    assert small.settings["nag"]["rates"][3][0] == int(6000 * share)
    problems = {one.settings["problem"] for one in memory_runs(4, whole=True)}
    assert len(problems) == 9  # seven, of which two have two forms, with the balls
    for one in memory_runs(4, whole=True):
        if one.method == HF and one.settings["problem"] == "xor":
            assert one.settings["hf"] == {
                **{"structural": 1 / 30, "damping": 0.1, "iterations": 300},
                "curvature_trials": 1000,
            }
            assert one.settings["sequences"] == 10_000


def test_trainings_leave_results_that_are_shown(tmp_path):
    settings = {"problem": {"type": "memory-5bit", "length": 2}, "lags": [2], "budget": 60}
    settings |= {"optimizers": ["kron-hf"], "controller": {"layers": [8]}, "held_out": 4}
    runs = [MemoryRun("short", OURS, {**settings, "problem": "memory-5bit"})]
    words = []
    assert train_memory(runs, tmp_path / "runs", progress=words.append)
    before = rows_of(runs, tmp_path / "runs")["rows"]
    assert [one["method"] for one in before] == [OURS]
    assert train_memory(runs, tmp_path / "runs")  # nothing is left to do
    write_measured(runs, tmp_path / "runs", tmp_path / "data.json")
    assert measured(4, tmp_path / "data.json")["rows"] == before
    tables = reproduce_memory(4, measured(4, tmp_path / "data.json"), tmp_path / "out", {})
    assert (
        json.loads((tmp_path / "out/tables.json").read_text())["tables"][0] == tables[0].as_dict()
    )
    assert (tmp_path / "out/figures/fig4_1.png").is_file()


def test_the_command_shows_a_file_and_names_what_does_not_fit(tmp_path):
    write_json(tmp_path / "data.json", {"command": "none", "rows": five_bits()})
    document = tmp_path / "page.md"
    document.write_text("<!-- table figure-4-1 -->\n<!-- end -->\n")
    words = ["reproduce", "chapter4", "--data", str(tmp_path / "data.json"), "--json"]
    words += ["--document", str(document), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "| memory-5bit | 100 | HF, structural damping | solved | 3 of 3 |" in (
        document.read_text()
    )
    unknown = ["--from-scratch", "--only", "nothing", "--out", str(tmp_path)]
    wrongs = (["--quick"], ["--whole"], ["--only", "x"], ["--from-scratch", "--data", "x"], unknown)
    for wrong in wrongs:
        refused = CliRunner().invoke(app, ["reproduce", "chapter7", *wrong])
        assert refused.exit_code != 0


def test_what_was_not_trained_is_listed_with_its_command():
    planned = memory_runs(4)
    table = missing_table(4, {"rows": five_bits()}, planned)
    rows = {r["training"]: r for r in table.rows}
    assert len(rows) == len(planned) - 3  # three methods on 5 bits, T = 100
    assert "memory-5bit-100-kron-hf-structural-damping" not in rows
    assert rows["addition-30-hf-structural-damping"]["seeds"] == "1 of 3"
    assert rows["addition-30-kron-hf-structural-damping"]["seeds"] == "0 of 3"
    assert rows["memory-5bit-30-kron-hf-structural-damping"]["seeds"] == "0 of 3"
    words = rows["balls-lstm-adam"]["command"].split()
    (one,) = selected(planned, words[words.index("--only") + 1 :])
    assert one.settings["problem"] == "balls"
    assert one.method == "LSTM, Adam"
    exact = selected(planned, ["memory-5bit-100-hf", "order"])
    assert [one.name for one in exact][:2] == [
        "memory-5bit-100-hf",
        "order-2-30-hf-structural-damping",
    ]
    done = missing_table(7, {"rows": [row("addition", 30, "NAG", 0, 9)]}, memory_runs(7)[:1])
    assert done.markdown() == "All trainings are in the tables."


@pytest.mark.parametrize("chapter", [4, 7])
def test_results_of_the_package_are_those_of_its_trainings(chapter):
    data = measured(chapter)
    known = {(one.settings["problem"], one.method) for one in memory_runs(chapter)}
    assert {(r["problem"], r["method"]) for r in data["rows"]} <= known
    keys = [(r["problem"], r["method"], r["lag"], r["seed"]) for r in data["rows"]]
    assert len(set(keys)) == len(keys)
    for one in data["rows"]:
        assert one["solved"] == (one["wrong"] is not None and one["wrong"] < 0.01)
