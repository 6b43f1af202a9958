"""Launchers, which execute the runs of a sweep on this machine or by Slurm."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from neuromotor._checks import check_integer
from neuromotor._extras import require
from neuromotor.storage.files import write_json
from neuromotor.sweep.plan import Run
from neuromotor.sweep.runs import Outcome, execute

__all__ = ["Launcher", "Local", "Slurm", "Watcher", "cores"]


class Watcher(Protocol):
    """Receives the beginnings and ends of runs."""

    def started(self, run: Run) -> None:
        """Take notice that a run began."""
        ...

    def ended(self, run: Run, outcome: Outcome) -> None:
        """Take notice of how a run ended."""
        ...


class Launcher(Protocol):
    """Executes the runs of a sweep."""

    def launch(self, out: Path, runs: Sequence[Run], watcher: Watcher) -> None:
        """Execute all runs, and return when they have ended.

        Raises:
            KeyboardInterrupt: The user stopped the sweep; runs of this machine have been saved.
        """
        ...


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Local:
    """Processes side by side on this machine.

    Attributes:
        jobs: Processes at a time; as many as there are cores for their threads if None.

    Raises:
        ValueError: `jobs` is below 1.
    """

    jobs: int | None = None

    def __post_init__(self) -> None:
        if self.jobs is not None:
            check_integer("jobs", self.jobs, minimum=1)

    def launch(self, out: Path, runs: Sequence[Run], watcher: Watcher) -> None:
        """Execute all runs; see `Launcher.launch`."""
        if not runs:
            return
        jobs = self.jobs or max(cores() // max(run.threads for run in runs), 1)
        crew = _Crew(out, watcher)
        with ThreadPoolExecutor(jobs) as pool:
            futures = [pool.submit(crew.work, run) for run in runs]
            try:
                _wait(futures)
            except KeyboardInterrupt:
                for future in futures:
                    future.cancel()
                crew.stop()
                try:
                    _wait(futures)
                except KeyboardInterrupt:  # asked twice
                    crew.stop(at_once=True)
                raise


def _wait(futures: Sequence[Future[None]]) -> None:
    """Wait for all, and raise what one of them raised."""
    wait(futures)
    for future in futures:
        if not future.cancelled():
            future.result()


class _Crew:
    """The threads that each watch a process."""

    def __init__(self, out: Path, watcher: Watcher) -> None:
        self._out, self._watcher = out, watcher
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stopping = False

    def work(self, run: Run) -> None:
        if self._stopping:
            return
        self._watcher.started(run)
        self._watcher.ended(run, execute(self._out, run, self._note))

    def _note(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._processes.append(process)
            if self._stopping:
                process.terminate()

    def stop(self, *, at_once: bool = False) -> None:
        """Let every process save its state and end, or kill it."""
        with self._lock:
            self._stopping = True
            for process in self._processes:
                if process.poll() is None:
                    (process.kill if at_once else process.terminate)()


@dataclass(frozen=True)
class Slurm:
    """Jobs in a Slurm queue, through submitit: one a run.

    Its jobs outlive the sweep's own process: a sweep that is repeated waits for those that are
    still queued or running. submitit hands jobs over as pickles within the sweep's `jobs` folder.

    Attributes:
        parameters: Of a job, as submitit names them: `slurm_partition`, `timeout_min`, `mem_gb`...
        cluster: `slurm`; submitit's `local` and `debug` run the same jobs on this machine.
        poll_s: Seconds between two looks at the queue.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    cluster: str = "slurm"
    poll_s: float = 5.0

    def launch(self, out: Path, runs: Sequence[Run], watcher: Watcher) -> None:
        """Execute all runs; see `Launcher.launch`.

        Raises:
            RuntimeError: submitit is not installed, there is no Slurm here, or it refused the jobs.
            ValueError: submitit does not know a parameter.
        """
        submitit = require("submitit", "slurm")
        folder = out / "jobs"
        before = self._still_queued(submitit, folder, runs)
        new = [run for run in runs if run.name not in before]
        jobs = {**before, **self._submit(submitit, folder, out, new)}
        write_json(folder / "jobs.json", {name: job.job_id for name, job in jobs.items()})
        for run in runs:
            watcher.started(run)
        left = {run.name: run for run in runs}
        while left:
            for name, run in list(left.items()):
                if jobs[name].done():
                    watcher.ended(run, _result(jobs[name]))
                    del left[name]
            if left:
                time.sleep(self.poll_s)

    def _submit(
        self, submitit: Any, folder: Path, out: Path, runs: Sequence[Run]
    ) -> dict[str, Any]:
        """Submit a job for each run, all of them in one array."""
        if not runs:
            return {}
        executor = submitit.AutoExecutor(folder=folder / "%j", cluster=self.cluster)
        threads = max(run.threads for run in runs)
        defaults = {"name": "neuromotor", "timeout_min": 24 * 60, "cpus_per_task": threads}
        try:
            executor.update_parameters(**{**defaults, **self.parameters})
        except (NameError, TypeError) as error:  # submitit's word for an unknown parameter
            raise ValueError(f"in `slurm`: {error}") from error
        place = out.resolve()
        with executor.batch():
            jobs = [executor.submit(_Job(), place, run) for run in runs]
        return {run.name: job for run, job in zip(runs, jobs, strict=True)}

    def _still_queued(self, submitit: Any, folder: Path, runs: Sequence[Run]) -> dict[str, Any]:
        """Return the jobs of an earlier sweep that have not ended."""
        if self.cluster != "slurm":
            return {}
        found: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            numbers = json.loads((folder / "jobs.json").read_text("utf-8"))
            for run in runs:
                if run.name in numbers:
                    job = submitit.SlurmJob(folder / "%j", numbers[run.name])
                    if job.state != "UNKNOWN" and not job.done():
                        found[run.name] = job
        return found


class _Job:
    """What a job does; where Slurm takes its node away, it saves the run and asks for another."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, out: Path, run: Run) -> Outcome:
        """Execute a run."""
        return execute(out, run, self._note)

    def _note(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def checkpoint(self, out: Path, run: Run) -> Any:
        """Stop the run after its iteration, and return what goes on with it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        return require("submitit", "slurm").helpers.DelayedSubmission(_Job(), out, run)


def _result(job: Any) -> Outcome:
    """Return how a job ended; a job that Slurm ended has no result."""
    error = job.exception()
    if error is None:
        outcome: Outcome = job.result()
        return outcome
    lines = [line for line in str(error).splitlines() if line.strip()]
    return Outcome("failed", lines[-1].strip() if lines else type(error).__name__)
