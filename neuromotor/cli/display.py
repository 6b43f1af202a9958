"""Makes what a person sees in the terminal: live progress on stderr, tables on stdout."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from neuromotor.benchmark import EnvRow, LearningRow, Row, SessionRow
from neuromotor.cli.console import WordConsole
from neuromotor.evaluation.explain import Explanation
from neuromotor.optim import Budget
from neuromotor.plants import Plant
from neuromotor.runs.execute import Watcher
from neuromotor.runs.over_seeds import LEVELS
from neuromotor.training.comparison import MethodCallback, MethodRun
from neuromotor.training.progress_display import live_trainings

__all__ = [
    "TerminalWatcher",
    "benchmark_table",
    "comparison_table",
    "difference_lines",
    "duration_words",
    "evaluation_tables",
    "horizon_table",
    "env_benchmark_markdown",
    "env_benchmark_table",
    "interval_words",
    "messages",
    "output",
    "penalty_lines",
    "penalty_table",
    "ratio_words",
    "explanation_tables",
    "robustness_table",
    "seeds_table",
    "learning_benchmark_markdown",
    "learning_benchmark_table",
    "session_benchmark_markdown",
    "session_benchmark_table",
    "working",
]

messages = WordConsole(stderr=True)
output = WordConsole()


class TerminalWatcher(Watcher):
    """Shows on stderr how a run goes on."""

    @contextmanager
    def trainings(self, calls: int) -> Iterator[MethodCallback]:
        """Show a line for each method; without a terminal only `finished` tells of the training."""
        with live_trainings(Budget(calls=calls), messages, line_s=None) as live:
            yield live.update

    def finished(self, run: MethodRun) -> None:
        """Say what a method came to, where no live line showed it."""
        if not messages.is_terminal or not run.history:
            self.say(
                f"{run.method}: loss {run.performance.loss:.6g}, "
                f"{ratio_words(run.ratio, '.5g')} x iLQR, "
                f"{run.counts.calls} calls, {run.seconds:.1f} s ({run.reason})"
            )

    def say(self, words: str) -> None:
        """Print a line."""
        messages.print(words, soft_wrap=True)

    warn = say


def horizon_table(errors: Sequence[Mapping[str, Any]], plant: Plant) -> Table:
    """Return how well a learned plant predicts, by horizon and part of the state."""
    table = Table(
        title="Held-out errors (root mean square; the true change in brackets)",
        title_justify="left",
    )
    table.add_column("steps ahead", justify="right")
    table.add_column("ms", justify="right")
    for name, part in plant.state_parts.items():
        units = {label.rsplit("(", 1)[-1].rstrip(")") for label in plant.state_labels[part]}
        table.add_column(f"{name} ({', '.join(sorted(units))})", justify="right", no_wrap=True)
    for row in errors:
        cells = [
            f"{row['error'][name]:.2g} ({row['change'][name]:.2g})" for name in plant.state_parts
        ]
        table.add_row(str(row["steps"]), f"{1e3 * plant.dt_s * row['steps']:g}", *cells)
    return table


@contextmanager
def working() -> Iterator[Callable[[str, float, float], None]]:
    """Show how far one long piece of work is.

    The block gets a function and calls it with words, the share that is done and the seconds left.
    Without a terminal these become a line at the beginning, and one every five seconds or more.
    """
    said: list[float] = []
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[left]}"),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=messages, disable=not messages.is_terminal, transient=True
    ) as progress:
        bar = progress.add_task("", total=1.0, left="")

        def tell(words: str, share: float, left_s: float) -> None:
            left = f"about {duration_words(left_s)} left"
            progress.update(bar, description=words, completed=share, left=left)
            if not messages.is_terminal and (not said or time.monotonic() - said[-1] >= _LINE_S):
                said.append(time.monotonic())
                messages.print(f"{words}, {left}", soft_wrap=True)

        yield tell


_LINE_S = 5.0


def duration_words(seconds: float) -> str:
    """Return a time as `3 s`, `2 min` or `1.5 h`, with no more digits than an estimate has."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def comparison_table(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    """Return the table of a comparison."""
    reference = rows[0]["method"].replace("clair", "clair-\n")
    numbers = ("loss", f"ratio to\n{reference}", "error\n(cm)", "speed\n(cm/s)", "energy")
    counts = ("values", "gradi-\nents", "prod-\nucts", "secs")
    table = _table(title, ["method"], [*numbers, *counts])
    for row in rows:
        table.add_row(
            row["method"],
            f"{row['loss']:.2e}",
            ratio_words(row["ratio"], ".4g" if (row["ratio"] or 0) >= 10 else ".4f"),
            f"{row['target_error_cm']:.3f}",
            f"{row['end_speed_cm_s']:.3f}",
            f"{row['energy']:.3g}",
            *(str(row[name]) for name in ("values", "gradients", "products")),
            f"{row['seconds']:.1f}",
        )
    table.caption = "error and speed: of the hand at the end, means over trials"
    return table


def penalty_table(rows: Sequence[dict[str, Any]], *, over_seeds: bool = False) -> Table | None:
    """Return what each method's network pays in penalties, or None where nobody does."""
    paying = [row for row in rows if row.get("penalties")]
    if not paying:
        return None
    kinds = list(paying[0]["penalties"])
    table = _table("penalties", ["method"], [*(kind.replace("_", "\n") for kind in kinds), "sum"])
    for row in paying:
        paid = row["penalties"]
        own = sum(value for kind, value in paid.items() if kind != "muscles")
        cells = (f"{paid[kind]:.3g}" for kind in kinds)
        table.add_row(row["method"], *cells, f"{row['loss'] + own:.3g}")
    table.caption = "sum: the loss of the training; muscles are part of the task's own loss already"
    if over_seeds:
        table.caption = f"medians over the seeds; {table.caption}"
    return table


def penalty_lines(paid: Mapping[str, float]) -> list[str]:
    """Return a line for each penalty that a network pays."""
    words = {"muscles": ", part of the loss"}
    return [
        f"penalty       {kind} {value:.4g}{words.get(kind, '')}" for kind, value in paid.items()
    ]


def difference_lines(differences: Mapping[str, tuple[Any, Any]] | None) -> list[str]:
    """Return lines that say how a task differs from the one that a controller was trained on."""
    if differences is None:
        return ["the controller's file does not say which task it was trained on"]
    return [
        f"not as in its training: {name} is {json.dumps(here)}, was {json.dumps(there)}"
        for name, (there, here) in differences.items()
    ]


_SHOWN_RATIOS = ("ilqr", "clairvoyant", "ilqg")  # of the others only summary.json tells


def evaluation_tables(rows: Sequence[dict[str, Any]]) -> list[Table]:
    """Return the tables of evaluations: losses with intervals, and the responses to loads.

    Args:
        rows: Methods with their `evaluation`. Of a reference without one the `reason` is said; of
            other rows without one, nothing.
    """
    missing = [row for row in rows if row["evaluation"] is None and row.get("reason")]
    rows = [row for row in rows if row["evaluation"] is not None]
    if not rows:
        return []
    shown = [name for name in rows[-1]["evaluation"]["ratios"] if name in _SHOWN_RATIOS]
    numbers = [f"{name}\n(95 % interval)" for name in ("loss", *(f"ratio to {n}" for n in shown))]
    title = f"evaluation on {rows[0]['evaluation']['trials']} trials"
    losses = _table(title, ["method"], numbers)
    for row in rows:
        evaluation = row["evaluation"]
        ratios = (interval_words(evaluation["ratios"].get(name)) for name in shown)
        losses.add_row(row["method"], interval_words(evaluation["loss"]), *ratios)
    losses.caption = "percentile bootstrap over trials; ratios resample both methods together"
    for row in missing:
        losses.caption += f"\nno ratio to {row['method']}: {row['reason']}"
    responses = {row["method"]: row["evaluation"]["response"] for row in rows}
    found = {method: response for method, response in responses.items() if response is not None}
    return [losses, _response_table(found)] if found else [losses]


def _response_table(responses: dict[str, dict[str, Any]]) -> Table:
    """Return the table of how the hand answered the loads, with a line for each method."""
    first = next(iter(responses.values()))
    times = [f"{time}\nms" for time in first["displacement_cm"]]
    others = ("peak", "settles\n(ms)", "over-\nshoot", "swings\n(most)", "error")
    title = f"response to the load, {first['trials']} trials"
    table = _table(title, ["method"], [*times, *others])
    for method, found in responses.items():
        table.add_row(
            method,
            *(_or_dash(found["displacement_cm"][time]) for time in found["displacement_cm"]),
            _or_dash(found["peak_cm"]),
            _or_dash(found["settling_ms"], ".0f"),
            f"{found['overshoot_percent']:.0f} %",
            f"{found['oscillations']:.1f} ({found['oscillations_max']})",
            _or_dash(found["end_error_cm"]),
        )
    table.caption = (
        "hand's deviation (cm) from the same trial without its load, or from the posture that is "
        "held, after onset; swings beyond 5 % of the peak after it; error (cm) from the target at "
        "the end"
    )
    return table


def robustness_table(title: str, found: Mapping[str, Any]) -> Table:
    """Return the table of a controller's robustness, as a card holds it."""
    columns = ("from", "to", "loss", f"x {found['reference']}", "error\n(cm)")
    table = _table(title, ["setting"], columns)
    for row in found["rows"]:
        cells = [_plain_number(row[name]) for name in ("usual", "value")]
        if row["refused"] is not None:
            table.add_row(row["setting"], *cells, "refused", "-", "-")
            continue
        numbers = (row["loss"], row["ratio"], row["error_cm"])
        table.add_row(row["setting"] or "as it is", *cells, *(_or_dash(n, ".3g") for n in numbers))
    table.caption = (
        f"one setting changed by {100 * found['change']:g} %, the others kept; the reference knows "
        "the change; error: of the hand at the end"
    )
    return table


def explanation_tables(found: Explanation, unit: str) -> list[Table]:
    """Return what makes up the excess of a controller's loss over ILQG's.

    Args:
        found: What `evaluation.explain.explain` returned.
        unit: Of the commands.
    """
    columns = ("loss", "ILQG's", "excess,\nerror", "excess,\nenergy")
    losses = _table(f"excess over ILQG, {found.trials} trials", ["condition"], columns)
    for name, one in found.conditions.items():
        parts = (one.error - one.reference_error, one.energy - one.reference_energy)
        losses.add_row(name, *(f"{part:.3g}" for part in (one.loss, one.reference, *parts)))
    losses.caption = (
        "one controller and one design of ILQG, but for `no delay`: there ILQG is designed anew, "
        "and the controller was not trained for it"
    )
    whole = found.conditions["as it is"].excess
    causes = _table("what the excess comes from", ["cause"], ["error", "energy", "share"])
    for cause, kinds in found.excess.items():
        share = "-" if whole == 0 else f"{100 * sum(kinds.values()) / whole:.0f} %"
        causes.add_row(cause, *(f"{size:.3g}" for size in kinds.values()), share)
    handover = _table("median loss if ILQG takes over", ["after (ms)"], ["loss"])
    for time_s, loss in zip(found.handover_s, found.handover_loss, strict=True):
        handover.add_row(f"{1e3 * time_s:.0f}", f"{loss:.3g}")
    tables = [losses, causes, handover]
    if found.departure.unread:
        title = f"what a read-out of the units misses of ILQG's commands ({unit})"
        missed = _table(title, ["linear read-out of"], ["root mean\nsquare"])
        for name, size in found.departure.unread.items():
            missed.add_row("units" if name == "units" else f"units and {name}", f"{size:.3g}")
        tables.append(missed)
    return tables


def _plain_number(number: float | None) -> str:
    return "" if number is None else f"{number:g}"


def interval_words(interval: dict[str, float | None] | None, digits: int = 3) -> str:
    """Return `value (low to high)`, or a dash."""
    if interval is None or interval["value"] is None:
        return "-"
    value, low, high = (format(interval[key], f".{digits}g") for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def ratio_words(ratio: float | None, form: str) -> str:
    """Return a ratio, or a dash where its reference's loss is zero."""
    return "-" if ratio is None or math.isnan(ratio) else format(ratio, form)


def _or_dash(number: float | None, form: str = ".3f") -> str:
    return "-" if number is None else format(number, form)


def seeds_table(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    """Return the table of a comparison over seeds: calls to levels, or losses of evaluations."""
    evaluated = all(None not in row["evaluated"] for row in rows)
    # Held against a clairvoyant bound, no controller comes near the levels.
    levels = [f"calls to\n{level:g}" for level in LEVELS]
    own = ["evaluation loss\nmedian (range)"] if evaluated else levels
    table = _table(title, ["method"], ["ratio to iLQR\nmedian (range)", *own, "secs"])
    for row in rows:
        middle, low, high = (
            ratio_words(row[name], ".6g") for name in ("ratio", "ratio_min", "ratio_max")
        )
        spread = middle if row["ratio"] is None else f"{middle} ({low} to {high})"
        if evaluated:
            low, middle, high = (f(row["evaluated"]) for f in (min, statistics.median, max))
            cells = [f"{middle:.3g} ({low:.3g} to {high:.3g})"]
        else:
            calls = row["calls_to"].values()
            cells = ["-" if count is None else f"{count:.0f}" for count in calls]
        table.add_row(row["method"], spread, *cells, f"{row['seconds']:.0f}")
    if not evaluated:
        table.caption = "medians over the seeds; -: half of the seeds or more never got there"
    return table


def benchmark_table(rows: Sequence[Row]) -> Table:
    """Return milliseconds by operation and size, each with its ratio to the products alone."""
    return _text_table("milliseconds (times the products alone)", *_benchmark_cells(rows))


def benchmark_markdown(rows: Sequence[Row]) -> str:
    """Return the same table in Markdown."""
    return _markdown(*_benchmark_cells(rows))


def env_benchmark_table(rows: Sequence[EnvRow]) -> Table:
    """Return steps a second by environment."""
    return _text_table("steps of an arm a second", *_env_cells(rows))


def env_benchmark_markdown(rows: Sequence[EnvRow]) -> str:
    """Return the same table in Markdown."""
    return _markdown(*_env_cells(rows))


def session_benchmark_table(rows: Sequence[SessionRow]) -> Table:
    """Return what each stage of a session took."""
    return _text_table("a lab's session", *_session_cells(rows))


def session_benchmark_markdown(rows: Sequence[SessionRow]) -> str:
    """Return the same table in Markdown."""
    return _markdown(*_session_cells(rows))


def learning_benchmark_table(rows: Sequence[LearningRow]) -> Table:
    """Return steps a second of PPO."""
    return _text_table("steps of an arm a second in PPO", *_learning_cells(rows))


def learning_benchmark_markdown(rows: Sequence[LearningRow]) -> str:
    """Return the same table in Markdown."""
    return _markdown(*_learning_cells(rows))


def _learning_cells(rows: Sequence[LearningRow]) -> _Cells:
    lines = [
        [row.implementation, str(row.num_envs), str(row.epochs), f"{row.steps_per_second:,.0f}"]
        for row in rows
    ]
    return ["arms of"], ["arms", "epochs", "steps a second"], lines


def _session_cells(rows: Sequence[SessionRow]) -> _Cells:
    lines = [[row.stage, f"{row.seconds:.1f}", _or_dash(row.peak_mb, ".0f")] for row in rows]
    return ["stage"], ["seconds", "peak (MB)"], lines


def _table(title: str, words: Sequence[str], numbers: Sequence[str]) -> Table:
    """Return a table without rows: columns of words on the left, and columns of numbers."""
    left: Any = {"title_justify": "left", "caption_justify": "left"}
    table = Table(title=title, box=None, padding=(0, 1, 0, 0), **left)
    for name in words:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


_Cells = tuple[list[str], list[str], list[list[str]]]  # names of words, names of numbers, lines


def _text_table(title: str, words: list[str], numbers: list[str], lines: list[list[str]]) -> Table:
    """Return a table for the terminal."""
    table = _table(title, words, numbers)
    for line in lines:
        table.add_row(*line)
    return table


def _markdown(words: list[str], numbers: list[str], lines: list[list[str]]) -> str:
    """Return a table in Markdown."""
    rule = ["---"] * len(words) + ["---:"] * len(numbers)
    shown = ([*words, *numbers], rule, *lines)
    return "\n".join("| " + " | ".join(line) + " |" for line in shown)


def _env_cells(rows: Sequence[EnvRow]) -> _Cells:
    """Return the cells of a benchmark of environments, as text."""
    lines = [
        [row.env, row.implementation, str(row.num_envs), f"{row.steps_per_second:,.0f}"]
        for row in rows
    ]
    return ["environment", "implementation"], ["arms", "steps/s"], lines


def _benchmark_cells(rows: Sequence[Row]) -> _Cells:
    """Return the cells of a benchmark of products, as text."""
    names = list(dict.fromkeys(row.implementation for row in rows))
    groups: dict[tuple[str, str, str, str], dict[str, float]] = {}
    for row in rows:
        key = (row.operation, f"{row.batch}x{row.steps}", row.dtype, str(row.threads))
        groups.setdefault(key, {})[row.implementation] = row.ms
    lines = []
    for key, times in groups.items():
        floor = times["products"]
        cells = [f"{times[n]:.1f} ({times[n] / floor:.2f})" if n in times else "" for n in names]
        lines.append([*key, *cells])
    return ["operation", "size", "dtype", "threads"], names, lines
