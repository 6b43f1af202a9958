"""The tables of chapters 4 and 7, with the thesis's numbers beside those of our trainings.

Source: Sutskever (2013), figure 4.1, sections 4.3.2 and 4.3.3, tables 4.1 and 7.3. Figure 4.1 is a
drawing: its text says which problems were solved, and gives no numbers of mini-batches.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from neuromotor.reproduction.memory_runs import MemoryRun
from neuromotor.reproduction.tables import Table, Value

__all__ = ["chapter4_tables", "chapter7_tables", "missing_table"]

Row = dict[str, Any]
_HF, _PLAIN = "HF, structural damping", "HF"
_OURS = "kron-hf, structural damping"
_BALLS = {_HF: 22.0, "LSTM, Adam": 35.0}  # table 4.1; its LSTM learnt by gradient descent
_TABLE_7_3 = {  # error, as a fraction: NAG, momentum
    "addition": (0.011, 0.250),
    "multiplication": (0.270, 0.340),
    "memory-5bit": (0.025, 0.180),
    "memory-20bit": (0.032, 0.00006),
}
_SOURCES_T = {"addition": 80, "multiplication": 80, "memory-5bit": 200, "memory-20bit": 50}


def chapter4_tables(data: Mapping[str, Any]) -> list[Table]:
    """Return what was solved, the balls, and what the source says in words.

    Args:
        data: As `memory_runs.measured` returns it.
    """
    rows = data["rows"]
    problems = [row for row in rows if row["problem"] != "balls"]
    solved = Table(
        "figure-4-1",
        "Figure 4.1: solved or not, by length T",
        tuple(_solved(own) for own in _groups(problems, ("problem", "lag", "method"))),
        "Solved: less than 1 % of the held-out sequences wrong. Calls: median of the seeds that "
        "solved it. Wrong: share of the held-out sequences, median of the seeds. Calls made: the "
        "most of any seed. The source counts mini-batches of 1,000 sequences and gives up after "
        "50,000.",
    )
    balls = Table(
        "table-4-1",
        "Table 4.1, first row: films of bouncing balls",
        tuple(
            {
                "method": row["method"],
                "source: error": _BALLS.get(row["method"]),
                "error a film": row["loss"],
                "error a picture": row["loss"] / (row["lag"] - 1),
                "calls": row["calls"],
                "seconds": row["seconds"],
            }
            for row in rows
            if row["problem"] == "balls"
        ),
        "Error: Kullback-Leibler divergence, summed over the pixels of held-out films, and over "
        "their pictures or as a mean of them. The source calls its number one of a sequence, and "
        "does not say whether the pictures are summed.",
    )
    told = Table("claims-4", "What the source says in words", tuple(_claims(problems)))
    return [table for table in (told, solved, balls) if table.rows]


def chapter7_tables(data: Mapping[str, Any], others: Sequence[Row] = ()) -> list[Table]:
    """Return table 7.3.

    Args:
        data: As `memory_runs.measured` returns it.
        others: Rows of chapter 4, whose errors stand beside where problem and length are the same.
    """
    found = []
    for own in _groups(data["rows"], ("problem", "lag")):
        problem = own[0]["problem"]
        source = dict(zip(("NAG", "momentum"), _TABLE_7_3[problem], strict=True))
        row: dict[str, Value] = {
            "problem": problem,
            "source: T": _SOURCES_T[problem],
            "T": own[0]["lag"],
        }
        for method in ("NAG", "momentum"):
            errors = [_error(one) for one in own if one["method"] == method]
            row[f"source: {method}"] = source[method]
            row[method] = statistics.mean(errors) if errors else None
        for method in (_HF, _OURS):
            errors = [_error(one) for one in _of(others, problem, own[0]["lag"], method)]
            row[f"chapter 4: {method.partition(',')[0]}"] = (
                statistics.mean(errors) if errors else None
            )
        row["iterations"] = max(one["calls"] for one in own)
        row["seeds"] = len({one["seed"] for one in own})
        found.append(row)
    table = Table(
        "table-7-3",
        "Table 7.3: error after training by Nesterov's accelerated gradient and by momentum",
        tuple(found),
        "Error: the fraction of sequences off by more than 0.04 (addition, multiplication) or of "
        "remembered symbols that are wrong (memory), mean over the seeds. The source makes 50,000 "
        "iterations from 10 seeds. The columns of chapter 4 are Hessian-free methods with "
        "structural damping, from the trainings on that chapter's page at the same T; the table "
        "there has medians, and counts sequences with any wrong symbol.",
    )
    return [table] if found else []


def missing_table(chapter: int, data: Mapping[str, Any], planned: Sequence[MemoryRun]) -> Table:
    """Return the trainings that have fewer seeds than planned, each with its command.

    Args:
        chapter: 4 or 7.
        data: As `memory_runs.measured` returns it.
        planned: The trainings of the chapter, as `memory_runs.memory_runs` returns them.
    """
    found: list[dict[str, Value]] = []
    for one in planned:
        lags, wanted = one.settings["lags"], one.settings.get("seeds", 1)
        key = (one.settings["problem"], one.method)
        own = [row for row in data["rows"] if (row["problem"], row["method"]) == key]
        made = sum(lags is None or row["lag"] in lags for row in own)
        if made < wanted:
            command = f"neuromotor reproduce chapter{chapter} --from-scratch --only {one.name}"
            found.append({"training": one.name, "seeds": f"{made} of {wanted}", "command": command})
    note = "Trainings whose seeds are not all in the tables, and what makes them."
    if not found:
        note = "All trainings are in the tables."
    return Table(f"missing-{chapter}", "Not run", tuple(found), note)


def _error(row: Row) -> float:
    """The source's zero-one loss."""
    return float(row["wrong_steps"])


def _solved(own: Sequence[Row]) -> dict[str, Value]:
    """One row for a problem, length and method."""
    first, calls = own[0], [row["calls"] for row in own if row["solved"]]
    return {
        "problem": first["problem"],
        "T": first["lag"],
        "method": first["method"],
        "source": _said(first["problem"], first["lag"], first["method"]),
        "solved": f"{len(calls)} of {len(own)}",
        "calls": _count(statistics.median(calls)) if calls else None,
        "wrong": statistics.median(row["wrong"] for row in own),
        "calls made": max(row["calls"] for row in own),
    }


def _said(problem: str, lag: int, method: str) -> str:
    """What the source's text says of it."""
    if method == _PLAIN and problem.startswith("memory") and lag > 50:
        return "not solved"
    return "solved" if method in (_HF, _PLAIN) else "-"


def _claims(rows: Sequence[Row]) -> Iterator[dict[str, Value]]:
    """Each claim with what we found, where there are the trainings for it."""
    for lag in (100, 200):
        own = _of(rows, "memory-5bit", lag, _HF)
        if own:
            yield _claim(f"5 bits, T = {lag}: HF with structural damping solves it", own, all)
    plain = _of(rows, "memory-5bit", 100, _PLAIN)
    if plain:
        solved = sum(row["solved"] for row in plain)
        yield {
            "claim": "5 bits, T = 100: HF without structural damping does not",
            "ours": f"{solved} of {len(plain)} solved",
            "holds": solved == 0,
        }
    others = [
        row
        for row in rows
        if row["method"] == _HF and not row["problem"].startswith("memory") and row["lag"] == 30
    ]
    if others:
        yield _claim("problems 1 to 6, T = 30: HF with structural damping solves them", others, all)
    for lag in (100, 200):
        ours, theirs = _of(rows, "memory-5bit", lag, _OURS), _of(rows, "memory-5bit", lag, _HF)
        calls = [[row["calls"] for row in part if row["solved"]] for part in (ours, theirs)]
        if calls[0] and calls[1]:
            mine, other = (statistics.median(part) for part in calls)
            yield {
                "claim": f"(ours) 5 bits, T = {lag}: kron-hf needs at most a quarter of HF's calls",
                "ours": f"{mine:,.0f} against {other:,.0f}",
                "holds": mine <= 0.25 * other and len(calls[0]) == len(ours),
            }


def _claim(
    words: str, own: Sequence[Row], enough: Callable[[list[bool]], bool]
) -> dict[str, Value]:
    solved = [bool(row["solved"]) for row in own]
    return {
        "claim": words,
        "ours": f"{sum(solved)} of {len(solved)} solved",
        "holds": enough(solved),
    }


def _of(rows: Sequence[Row], problem: str, lag: int, method: str) -> list[Row]:
    wanted = (problem, lag, method)
    return [row for row in rows if (row["problem"], row["lag"], row["method"]) == wanted]


def _groups(rows: Sequence[Row], keys: Sequence[str]) -> list[list[Row]]:
    """Rows that agree in some columns, in their order."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return list(found.values())


def _count(number: float) -> int:
    return round(number)
