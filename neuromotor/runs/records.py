"""Reads run folders: what was run, how far it got, and what it came to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from neuromotor.optim import HistoryPoint
from neuromotor.runs.create import MARKER
from neuromotor.runs.merging import flattened
from neuromotor.runs.progress_log import LOG_FILE, read_progress
from neuromotor.storage.claims import RunFolderError, folder_in_use
from neuromotor.storage.components import SettingsError
from neuromotor.storage.files import parse_json, read_text
from neuromotor.storage.snapshots import MAX_BYTES
from neuromotor.storage.tensor_file import verify_tensor_file
from neuromotor.training.comparison import Comparison

__all__ = [
    "RUN_VERSION",
    "FinishedRun",
    "MethodRecord",
    "RunRecord",
    "check_unchanged",
    "find_runs",
    "read_finished",
    "read_run",
    "records_of",
    "setting_differences",
]

_MAY_CHANGE = ("budget", "seconds", "threads", "needs")  # where a run is gone on with
RUN_VERSION = 1  # of settings.json, summary.json and what lies beside them


@dataclass(frozen=True)
class MethodRecord:
    """What one method came to in one run, or has come to so far.

    Attributes:
        method: Name of the method.
        seed: Seed of the run.
        floor: Loss of the reference.
        loss: Loss of the method.
        ratio: `loss` divided by `floor`; NaN where `floor` is zero.
        calls: Number of calls.
        seconds: Wall-clock time.
        history: One point an iteration; for an unfinished run, the points in its progress log.
        evaluated: Mean loss of the evaluation; None without an evaluation.
        penalties: What the task's penalties came to, by kind; empty without any.
    """

    method: str
    seed: int
    floor: float
    loss: float
    ratio: float
    calls: int
    seconds: float
    history: tuple[HistoryPoint, ...]
    evaluated: float | None
    penalties: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """What a run folder holds.

    Attributes:
        path: The folder.
        state: `finished`, `unfinished`, `running` (another process writes into it) or `damaged`.
        task: Name of the task; empty where the settings cannot be read.
        seeds: All seeds of the run.
        settings: Settings of the run.
        methods: What each method came to, seed by seed.
        modified: When something was last written, seconds since 1970.
        problem: What is damaged; empty where nothing is damaged.
    """

    path: Path
    state: str
    task: str
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]
    methods: tuple[MethodRecord, ...]
    modified: float
    problem: str = ""

    @property
    def best(self) -> MethodRecord | None:
        """The method and seed with the least loss, None where nothing is known yet."""
        return min(self.methods, key=lambda found: found.loss, default=None)

    def as_dict(self) -> dict[str, Any]:
        """Return it without settings and histories, for tables and JSON."""
        best = self.best
        return {
            "run": str(self.path),
            "state": self.state,
            "task": self.task,
            "methods": list(dict.fromkeys(found.method for found in self.methods))
            or list(self.settings.get("optimizers", [])),
            "seeds": list(self.seeds),
            "best_method": best and best.method,
            "best_seed": best and best.seed,
            "loss": best and best.loss,
            "ratio": None if best is None or math.isnan(best.ratio) else best.ratio,
            "calls": sum(found.calls for found in self.methods),
            "seconds": sum(found.seconds for found in self.methods),
            "modified": self.modified,
            "problem": self.problem,
        }


def records_of(comparison: Comparison, seed: int = 0) -> tuple[MethodRecord, ...]:
    """Return what each method of a comparison came to."""
    floor = comparison.reference.performance.loss
    return tuple(
        MethodRecord(
            method=run.method,
            seed=seed,
            floor=floor,
            loss=run.performance.loss,
            ratio=run.ratio,
            calls=run.counts.calls,
            seconds=run.seconds,
            history=run.history,
            evaluated=None if run.evaluation is None else run.evaluation.loss.value,
            penalties=run.penalties,
        )
        for run in comparison.runs
    )


def read_run(folder: Path | str, *, verify: bool = False) -> RunRecord:
    """Read a run folder; one that is damaged has the state `damaged` and raises no error.

    Args:
        folder: A folder with settings.json.
        verify: Whether the checksums of controllers, results and checkpoints are compared too.
    """
    folder = Path(folder)
    settings: dict[str, Any] = {}
    methods: tuple[MethodRecord, ...] = ()
    seeds: tuple[int, ...] = ()
    state = problem = ""
    try:
        settings = _table(folder / MARKER)
        _check_version(folder / MARKER, settings)
        first, count = int(settings["seed"]), int(settings.get("seeds", 1))
        seeds = tuple(range(first, first + min(count, 10_000)))
        summary = folder / "summary.json"
        done = _table(summary) if summary.is_file() else {}
        state = "finished" if done and not done["interrupted"] else "unfinished"
        if count > 1:
            parts = [folder / f"seed-{seed}" for seed in seeds]
            records = [read_run(part, verify=verify) for part in parts if part.is_dir()]
            problem = next((part.problem for part in records if part.problem), "")
            methods = tuple(found for part in records for found in part.methods)
        elif done:
            methods = _finished_methods(first, done, _table(folder / "history.json"))
        else:
            methods = _methods_so_far(first, read_progress(folder / LOG_FILE))
        if verify and count == 1:
            for path in sorted(folder.rglob("*.safetensors")):
                if not path.name.startswith("."):
                    verify_tensor_file(path, MAX_BYTES)
    except (AttributeError, KeyError, OSError, OverflowError, TypeError, ValueError) as error:
        problem = f"{folder}: no {error}" if isinstance(error, KeyError) else str(error)
    if problem:
        state = "damaged"
    elif state == "unfinished" and folder_in_use(folder):
        state = "running"
    return RunRecord(
        path=folder,
        state=state,
        task=_task_name(settings),
        seeds=seeds,
        settings=settings,
        methods=methods,
        modified=_modified(folder),
        problem=problem,
    )


@dataclass(frozen=True)
class FinishedRun:
    """What a run wrote when it had finished, as plain data.

    Attributes:
        folder: The run's folder.
        summary: What summary.json holds.
    """

    folder: Path
    summary: Mapping[str, Any]

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows of the summary by method, iLQR's first; none of a run of several seeds.

        Raises:
            RunFolderError: Another command left the folder.
        """
        rows = self.summary.get("rows", [])
        if not all("method" in row for row in rows):
            other = " ".join(str(self.summary.get("command", "another command")).split()[:2])
            raise RunFolderError(
                f"{self.folder} must be a folder of `neuromotor train` or `compare`, got one of "
                f"`{other}`."
            )
        return {row["method"]: row for row in rows}

    @cached_property
    def history(self) -> dict[str, dict[str, list[Any]]]:
        """What history.json holds: columns with a number an iteration, by method."""
        return _finished_table(self.folder, "history.json")


def read_finished(folder: Path) -> FinishedRun:
    """Read what a finished run left.

    Args:
        folder: Run folder of `train` or `compare`.

    Raises:
        RunFolderError: There is no run, it has not finished, or its files are damaged or of
            another version.
    """
    summary = _finished_table(folder, "summary.json")
    if summary.get("interrupted", True):
        raise RunFolderError(f"{folder} was interrupted; let it finish by `--resume {folder}`.")
    return FinishedRun(folder, summary)


def find_runs(folder: Path | str, *, verify: bool = False) -> list[RunRecord]:
    """Return all run folders within a folder, or the folder itself, newest first.

    Args:
        folder: Where to look. What lies within a run folder belongs to it.
        verify: As for `read_run`.
    """
    found = []
    waiting = [Path(folder)]
    while waiting:
        place = waiting.pop()
        if (place / MARKER).is_file():
            record = read_run(place, verify=verify)
            if record.task or record.problem:  # a report of an analysis has settings without a task
                found.append(record)
            continue
        try:
            waiting += [
                part
                for part in place.iterdir()
                if part.is_dir() and not part.is_symlink() and not part.name.startswith(".")
            ]
        except PermissionError:
            continue
    return sorted(found, key=lambda record: record.modified, reverse=True)


def setting_differences(records: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """Return the settings in which runs differ, with dots between levels: one value a run."""
    flat = [flattened(record.settings) for record in records]
    names = dict.fromkeys(name for table in flat for name in table)
    values = {name: [table.get(name) for table in flat] for name in names}
    return {name: row for name, row in values.items() if any(x != row[0] for x in row)}


def check_unchanged(path: Path, begun: object, now: Mapping[str, Any]) -> None:
    """Raise if a run would go on with other settings than it began with.

    Budget, seconds and threads may change.

    Args:
        path: A file or folder that the run left.
        begun: The settings that the run began with; anything but a table is not compared.
        now: The settings to go on with.

    Raises:
        SettingsError: They differ; the message names each setting with both values.
    """
    old, new = flattened(begun if isinstance(begun, dict) else {}), flattened(now)
    changed = [name for name in old if name not in _MAY_CHANGE and old[name] != new.get(name)]
    if changed:
        words = ", ".join(
            f"`{name}` was {json.dumps(old[name])}, is {json.dumps(new.get(name))}"
            for name in changed
        )
        raise SettingsError(
            f"{path} was made with other settings than the run has now: {words}. Put them back in "
            f"{MARKER} to go on, or start a new run with the new ones by `--config` and `--out`."
        )


def _finished_methods(
    seed: int, summary: Mapping[str, Any], history: Mapping[str, Any]
) -> tuple[MethodRecord, ...]:
    """Return what the files of a finished run say of its methods."""
    floor = float(summary["rows"][0]["loss"])
    found = []
    for row in summary["rows"][1:]:
        table = history[row["method"]]
        columns = [table[name] for name in ("loss", "gradient_norm", "calls", "seconds")]
        points = [
            HistoryPoint(i, _number(loss), _number(norm), int(calls), float(seconds))
            for i, (loss, norm, calls, seconds) in enumerate(zip(*columns, strict=True))
        ]
        evaluation = row.get("evaluation")
        found.append(
            MethodRecord(
                method=str(row["method"]),
                seed=seed,
                floor=floor,
                loss=float(row["loss"]),
                ratio=math.nan if row["ratio"] is None else float(row["ratio"]),
                calls=int(row["calls"]),
                seconds=float(row["seconds"]),
                history=tuple(points),
                evaluated=None if evaluation is None else evaluation["loss"]["value"],
                penalties=dict(row.get("penalties", {})),
            )
        )
    return tuple(found)


def _methods_so_far(seed: int, lines: Sequence[Mapping[str, Any]]) -> tuple[MethodRecord, ...]:
    """Return what the progress log of an unfinished run says of its methods."""
    by_method: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        by_method.setdefault(str(line["method"]), []).append(line)
    found = []
    for method, own in by_method.items():
        best = min(own, key=lambda line: _number(line["value"]))
        loss, ratio = _number(best["value"]), _number(best["ratio"])
        if math.isfinite(loss) and math.isinf(ratio):
            ratio = math.nan  # the reference's loss is zero
        found.append(
            MethodRecord(
                method=method,
                seed=seed,
                floor=loss / ratio if math.isfinite(loss) and ratio else math.nan,
                loss=loss,
                ratio=ratio,
                calls=int(own[-1]["calls"]),
                seconds=float(own[-1]["seconds"]),
                history=tuple(
                    HistoryPoint(
                        int(line["iteration"]),
                        _number(line["value"]),
                        _number(line["gradient_norm"]),
                        int(line["calls"]),
                        float(line["seconds"]),
                    )
                    for line in own
                ),
                evaluated=None,
            )
        )
    return tuple(found)


def _table(path: Path) -> dict[str, Any]:
    """Return the table that a JSON file holds."""
    try:
        data = parse_json(read_text(path))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} is damaged: it holds no table")
    return data


def _finished_table(folder: Path, name: str) -> dict[str, Any]:
    """Return the table in a finished run's file; `read_finished` says what it raises."""
    try:
        table = _table(folder / name)
        _check_version(folder / name, table)
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{folder} holds no finished run ({error}).") from error
    return table


def _check_version(path: Path, settings: Mapping[str, Any]) -> None:
    """Raise where a table has another version; without a version it counts as the first one."""
    version = settings.get("format_version", RUN_VERSION)
    if version != RUN_VERSION:
        raise ValueError(
            f"{path} has format version {version!r}, this neuromotor reads {RUN_VERSION}; update it"
        )


def _task_name(settings: Mapping[str, Any]) -> str:
    task = settings.get("task", "")
    return str(task.get("type", "")) if isinstance(task, dict) else str(task)


def _modified(folder: Path) -> float:
    """Return when the newest file of a run was written."""
    moments = []
    for part in (folder, *folder.glob("*"), *folder.glob("*/*")):
        try:
            moments.append(part.stat().st_mtime)
        except OSError:  # it is being replaced
            continue
    return max(moments, default=0.0)


def _number(value: Any) -> float:
    """Return a number; null stands for one that was not finite."""
    return math.inf if value is None else float(value)
