"""The command `sweep`, which runs many trainings from one file."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from neuromotor.cli.display import messages, output
from neuromotor.cli.options import JsonOption
from neuromotor.storage.components import SettingsError

if TYPE_CHECKING:  # its settings are the command line's own: imported where they are used
    from neuromotor.sweep import Outcome, Run, Sweep

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(sweep)


def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="File that says what to run.")],
    launcher: Annotated[
        str, typer.Option(help="`local` runs processes side by side here, `slurm` queues jobs.")
    ] = "local",
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes at a time of `local`. Default: one a core."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of runs and results. Default: the file's, or runs/sweep-FILE."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the runs and their states, and start nothing.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Run `neuromotor train` over a grid of settings and seeds; gather one table and a figure.

    Repeat the command to go on: what is finished is skipped, what was stopped or killed goes on
    from its checkpoint, what failed is tried again. Ctrl-C saves every run that is in progress.

    A sweep's file, with any setting that `neuromotor train` has (`neuromotor info NAME`):

    ```toml
    seeds = 3                          # seeds 0, 1, 2; or a list: [0, 7]
    out = "runs/histories"             # default: runs/sweep-FILE

    [train]                            # settings of every run
    task = "center-out"
    budget = 500

    [grid]                             # every combination of these lists
    "lbfgs.history" = [10, 100]
    "controller.layers" = [[50], [100, 100]]

    [[points]]                         # each of these, with all of the grid
    optimizer = "lbfgs"

    [[points]]
    optimizer = "kron-lbfgs"
    "task.directions" = 16

    [slurm]                            # of each job, as submitit names it
    slurm_partition = "cpu"
    timeout_min = 600
    ```

    Leaves results.csv (and .parquet, where pyarrow is installed), figures/loss.png and .pdf, and in
    runs/ a run folder each.

    Example: `neuromotor sweep examples/sweep.toml --dry-run`
    """
    from neuromotor.sweep import Local, Slurm, load_sweep, prepare, state_of, write_results

    plan = load_sweep(file, out)
    if launcher not in ("local", "slurm"):
        raise SettingsError(f"`--launcher` must be local or slurm, got {launcher!r}.")
    if launcher == "slurm" and jobs is not None:
        raise SettingsError("`--jobs` belongs to `--launcher local`; leave it out.")
    if dry_run:
        _report(plan, [], as_json=json_)
        return
    prepare(plan)
    todo = [run for run in plan.runs if state_of(plan.out, run).state != "finished"]
    engine = Local(jobs) if launcher == "local" else Slurm(plan.slurm)
    stopped = None
    with _Display(len(plan.runs), len(plan.runs) - len(todo)) as display, _Stop() as stop:
        try:
            engine.launch(plan.out, todo, display)
        except KeyboardInterrupt:
            stopped = stop.signal
    files = write_results(plan, lambda words: messages.print(words, soft_wrap=True))
    rows = _report(plan, files, as_json=json_)
    if stopped is not None:
        again = "jobs in the queue go on" if launcher == "slurm" else "what there is was saved"
        messages.print(f"Interrupted; {again}. Repeat the command to go on.", soft_wrap=True)
        sys.exit(128 + stopped)
    if any(row["state"] != "finished" for row in rows):
        sys.exit(1)


def _report(plan: Sweep, files: list[Path], *, as_json: bool) -> list[dict[str, Any]]:
    """Print how every run stands, and return the rows."""
    from neuromotor.sweep import rows

    table = rows(plan)
    states = Counter(row["state"] for row in table)
    if as_json:
        data = {"out": str(plan.out), "states": states, "rows": table}
        print(json.dumps(data | {"files": [str(path) for path in files]}, indent=2))
        return table
    shown = Table(title=f"{len(table)} runs in {plan.out}", title_justify="left", box=None)
    for name in plan.keys:
        shown.add_column(name.replace(".", ".\n"), overflow="fold")
    for name in ("state", "loss", "ratio", "calls", "secs"):
        shown.add_column(name, justify="left" if name == "state" else "right", no_wrap=True)
    for row in table:
        settings = ("" if row[key] is None else _text(row[key]) for key in plan.keys)
        numbers = ("" if row[key] is None else f"{row[key]:.4g}" for key in ("loss", "ratio"))
        calls = "" if row["calls"] is None else str(row["calls"])
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
        shown.add_row(*settings, row["state"], *numbers, calls, seconds)
    output.print(shown)
    for row in table:
        if row["error"]:
            output.print(f"{row['state']}: {row['run']}: {row['error']}", soft_wrap=True)
    counted = ", ".join(f"{count} {state}" for state, count in states.items())
    output.print(counted + "".join(f"\n{path}" for path in files), soft_wrap=True)
    return table


class _Display:
    """Shows a bar for the sweep and a line for each run; without a terminal, it prints words."""

    def __init__(self, total: int, finished: int) -> None:
        self._total, self._done = total, finished
        self._states: Counter[str] = Counter()
        self._lines: dict[str, TaskID] = {}
        self._lock = threading.Lock()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[words]}", markup=False),
            TimeElapsedColumn(),
            console=messages,
            disable=not messages.is_terminal,
            refresh_per_second=2,
        )
        self._bar = self._progress.add_task("sweep", total=total, completed=finished, words="")
        if finished:
            messages.print(f"{finished} of {total} runs are finished already.")

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def started(self, run: Run) -> None:
        """Show a run."""
        with self._lock:
            self._lines[run.name] = self._progress.add_task(run.title, total=None, words="")

    def ended(self, run: Run, outcome: Outcome) -> None:
        """Take a run away, and say how it ended."""
        with self._lock:
            self._states[outcome.state] += 1
            self._done += 1
            self._progress.remove_task(self._lines.pop(run.name))
            words = ", ".join(f"{count} {state}" for state, count in self._states.items())
            self._progress.update(self._bar, completed=self._done, words=words)
            if outcome.state != "finished" or not messages.is_terminal:
                error = f": {outcome.error}" if outcome.error else ""
                text = f"[{self._done}/{self._total}] {run.title}: {outcome.state}{error}"
                messages.print(text, soft_wrap=True)


class _Stop:
    """Lets SIGTERM stop a sweep as Ctrl-C does."""

    def __init__(self) -> None:
        self.signal = int(signal.SIGINT)

    def __enter__(self) -> _Stop:
        def note(signum: int, frame: FrameType | None) -> None:
            self.signal = signum
            raise KeyboardInterrupt

        self._before = signal.signal(signal.SIGTERM, note)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGTERM, self._before)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
