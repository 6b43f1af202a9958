"""The files, the state on disk and the process of one run of a sweep.

Everything is read from disk anew, so that a sweep that was killed goes on where it was: `settings`
holds what each run is asked for, `runs` the run folders of `neuromotor train`, `logs` what they
printed, `states` how those ended that did not finish, `locks` what is being worked on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuromotor.runs.records import read_finished, read_run
from neuromotor.storage.claims import RunFolderError
from neuromotor.storage.files import write_json
from neuromotor.sweep.plan import Run, Sweep

__all__ = ["Outcome", "execute", "prepare", "state_of", "summary_of"]

_MARKER = "sweep.json"
_PAUSE_S = 0.1
_LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # not the run's


@dataclass(frozen=True)
class Outcome:
    """How a run stands.

    Attributes:
        state: `finished`, `failed` (by itself), `killed` (by a signal), `interrupted` (asked to
            stop, and saved), `unfinished` (its sweep was killed), `running` or `waiting`.
        error: Why it failed: the last line of its log.
    """

    state: str
    error: str = ""


def prepare(sweep: Sweep) -> None:
    """Make the sweep's folder, or take the one that is there.

    Raises:
        RunFolderError: The folder holds something else.
    """
    out = sweep.out
    if out.exists() and not out.is_dir():
        raise RunFolderError(f"`out` must be a folder, got the file {out}; choose another name.")
    if out.is_dir() and any(out.iterdir()) and not (out / _MARKER).is_file():
        raise RunFolderError(f"{out} holds files that are no sweep's; choose another `--out`.")
    for name in ("settings", "runs", "logs", "states", "locks"):
        (out / name).mkdir(parents=True, exist_ok=True)
    write_json(out / _MARKER, {"runs": {run.name: run.swept for run in sweep.runs}})
    for run in sweep.runs:
        write_json(out / "settings" / f"{run.name}.json", run.settings)


def summary_of(out: Path, run: Run) -> Mapping[str, Any] | None:
    """Return a run's summary, None where it has not finished."""
    try:
        return read_finished(out / "runs" / run.name).summary
    except RunFolderError:
        return None


def state_of(out: Path, run: Run) -> Outcome:
    """Return how a run stands on disk."""
    if summary_of(out, run) is not None:
        return Outcome("finished")
    if _is_locked(out, run):
        return Outcome("running")
    with suppress(OSError, ValueError, TypeError):
        return Outcome(**json.loads(_state_file(out, run).read_text("utf-8")))
    return Outcome("unfinished" if (out / "runs" / run.name).exists() else "waiting")


def execute(
    out: Path, run: Run, started: Callable[[subprocess.Popen[bytes]], None] | None = None
) -> Outcome:
    """Train to the end in a process of its own, from the last checkpoint if there is one.

    Args:
        out: The sweep's folder.
        run: What is trained.
        started: Told the process.
    """
    with _lock(out, run, tries=5) as lock:  # another may just be asking for the run's state
        if lock is None:
            return Outcome("running")
        if summary_of(out, run) is not None:
            return Outcome("finished")
        _state_file(out, run).unlink(missing_ok=True)
        log = out / "logs" / f"{run.name}.log"
        with log.open("ab") as stream:
            process = subprocess.Popen(
                _command(out, run),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=_environment(run.threads),
                start_new_session=True,  # Ctrl-C is the sweep's; it passes it on
                pass_fds=[lock] if lock >= 0 else [],  # held as long as the process lives
            )
            if started is not None:
                started(process)
            code = process.wait()
        outcome = _outcome(out, run, code, log)
        if outcome.state != "finished":
            write_json(_state_file(out, run), {"state": outcome.state, "error": outcome.error})
        return outcome


def _outcome(out: Path, run: Run, code: int, log: Path) -> Outcome:
    """Return what an exit code means."""
    if code == 0 and summary_of(out, run) is not None:
        return Outcome("finished")
    if code < 0:
        return Outcome("killed", f"by {signal.Signals(-code).name}")
    if code - 128 in (signal.SIGINT, signal.SIGTERM):
        return Outcome("interrupted")
    lines = log.read_text("utf-8", errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return Outcome("failed", said[-1] if said else f"exit code {code}")


def _command(out: Path, run: Run) -> list[str]:
    """Return the command that goes on with a run, or starts it."""
    folder = out / "runs" / run.name
    train = [sys.executable, "-m", "neuromotor", "train"]
    task = read_run(folder).task
    if task:
        return [*train, task, "--resume", str(folder)]
    given = out / "settings" / f"{run.name}.json"
    return [*train, run.task, "--config", str(given), "--out", str(folder), "--force"]


def _environment(threads: int) -> dict[str, str]:
    """Return a run's environment without the variables of the launcher that started the sweep."""
    variables = {key: value for key, value in os.environ.items() if key not in _LAUNCHED}
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        variables[name] = str(threads)
    return variables


def _state_file(out: Path, run: Run) -> Path:
    return out / "states" / f"{run.name}.json"


def _is_locked(out: Path, run: Run) -> bool:
    if not _lock_file(out, run).exists():
        return False
    with _lock(out, run) as lock:
        return lock is None


def _lock_file(out: Path, run: Run) -> Path:
    return out / "locks" / f"{run.name}.lock"


@contextmanager
def _lock(out: Path, run: Run, tries: int = 1) -> Iterator[int | None]:
    """Hold a run; None where another process holds it, also one that a dead sweep left behind."""
    if sys.platform == "win32":
        yield -1
        return
    import fcntl

    handle = os.open(_lock_file(out, run), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        held = None
        for left in reversed(range(tries)):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = handle
                break
            except BlockingIOError:
                time.sleep(_PAUSE_S if left else 0)
        yield held
    finally:
        os.close(handle)
