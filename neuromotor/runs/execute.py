"""Carries out a run: computes, saves on the way, draws, and writes the summary."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shlex
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from neuromotor import __version__
from neuromotor.closed_loop.blas import blas_description, choose_threads
from neuromotor.optim import Progress
from neuromotor.runs.create import MARKER, START, create_run_folder, remove_leftovers
from neuromotor.runs.drawing import drawing
from neuromotor.runs.folder import RunFolder
from neuromotor.runs.over_seeds import seed_rows
from neuromotor.runs.records import RUN_VERSION, RunRecord, check_unchanged, read_run
from neuromotor.runs.settings import RunSettings, as_start
from neuromotor.storage.claims import RunFolderError, claimed
from neuromotor.storage.components import SettingsError
from neuromotor.storage.files import finite_or_none, parse_json, read_text, write_json
from neuromotor.training.comparison import Comparison, MethodCallback, MethodRun, compare
from neuromotor.zoo.saved_controller import load_controller, save_controller

if TYPE_CHECKING:
    from neuromotor.view.live import LivePages

__all__ = [
    "RunOutputs",
    "Stopped",
    "Watcher",
    "default_folder",
    "interruptible",
    "machine",
    "run_comparison",
    "run_seeds",
    "versions",
]


def default_folder(command: str, task: str) -> Path:
    """Return the name of a new folder, which has the command, the task and the time."""
    return Path("runs") / f"{command}-{task}-{time.strftime('%Y%m%d-%H%M%S')}"


def versions() -> dict[str, str]:
    """Return the versions of the packages that a result may depend on."""
    names = ("torch", "numpy", "safetensors")
    return {
        "neuromotor": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
    }


def machine() -> dict[str, Any]:
    """Return what the speed of a run may depend on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "numpy_blas": blas_description(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


@dataclass(frozen=True)
class RunOutputs:
    """What a run writes beside its results.

    Attributes:
        checkpoint_s: Seconds between two checkpoints.
        last_state: Whether the checkpoint of a method that has used up its budget stays, so that
            the method can go on with a larger budget.
        tensorboard: Whether TensorBoard event files are written too.
        figures: Whether figures are drawn at the end.
        live: Whether pages of the networks in training are written every few seconds.
    """

    checkpoint_s: float = 60.0
    last_state: bool = False
    tensorboard: bool = False
    figures: bool = True
    live: bool = False


class Watcher:
    """Hears how a run goes on; this one shows nothing, and the command line has one that does."""

    def trainings(self, calls: int) -> AbstractContextManager[MethodCallback]:
        """Return a context that gives a callback for every iteration of one comparison.

        Args:
            calls: Budget of each method.
        """
        return nullcontext(lambda method, progress, floor: None)

    def finished(self, run: MethodRun) -> None:
        """Hear what a method came to."""

    def say(self, words: str) -> None:
        """Hear what the run does now."""

    def warn(self, words: str) -> None:
        """Hear what went wrong without an end to the run."""
        warnings.warn(words, stacklevel=2)


def run_comparison(
    settings: RunSettings,
    folder: Path,
    *,
    force: bool = False,
    start: Path | None = None,
    resume: bool = False,
    outputs: RunOutputs | None = None,
    watcher: Watcher | None = None,
) -> dict[str, Any]:
    """Compare the settings' optimizers and leave a run folder; return its summary.

    Every method's controller is saved as soon as it is trained. The first Ctrl-C or SIGTERM ends
    the method in training after its iteration, keeps what there is, and ends anything else at
    once; a second one ends at once whatever is going on.

    Args:
        settings: What is run, from one seed.
        folder: Run folder, which is made, or which with `resume` holds what the run goes on from.
        force: Whether an existing run folder is overwritten.
        start: Controller file to start from.
        resume: Whether the run goes on from what is in the folder.
        outputs: What is written beside the results.
        watcher: Hears how the run goes on.

    Raises:
        Stopped: A signal came at a moment when no iteration had to be finished first.
    """
    choose_threads(settings.threads)
    if not resume:
        settings = _started(settings, start)
    with interruptible() as interrupted, claimed(folder):
        if not resume:
            create_run_folder(folder, settings.as_dict(), force=force, start=start)
        return _run_one(
            settings, folder, interrupted, outputs or RunOutputs(), watcher or Watcher()
        )


def run_seeds(
    settings: RunSettings,
    folder: Path,
    *,
    force: bool = False,
    resume: bool = False,
    outputs: RunOutputs | None = None,
    watcher: Watcher | None = None,
) -> dict[str, Any]:
    """Run the comparison from several seeds, the settings' own first; return their summary.

    Each seed leaves a whole run folder of its own within `folder`; medians and ranges over the
    seeds, and their figure, lie in `folder` itself. The seeds run one after another, and so their
    seconds are counted. With `resume`, finished seeds stay as they are and an unfinished one goes
    on. The arguments are those of `run_comparison`.
    """
    choose_threads(settings.threads)
    if not resume:
        _started(settings, None)
    outputs, watcher = outputs or RunOutputs(), watcher or Watcher()
    whole: list[RunRecord] = []
    with interruptible() as interrupted, claimed(folder):
        if not resume:
            create_run_folder(folder, settings.as_dict(), force=force)
        remove_leftovers(folder)
        _go_on(folder, settings)
        for seed in range(settings.seed, settings.seed + settings.seeds):
            if interrupted():
                break
            own = replace(settings, seed=seed, seeds=1)
            part = folder / f"seed-{seed}"
            begun = resume and _holds(part, own)
            if not (begun and _finished(part)):
                watcher.say(f"seed {seed}")
                with claimed(part):
                    if not begun:
                        create_run_folder(part, own.as_dict(), force=force or resume)
                    _run_one(own, part, interrupted, outputs, watcher)
            if not interrupted():  # the last one may lack methods
                whole.append(read_run(part))
        stopped = interrupted()
    runs = [record.methods for record in whole]
    summary = {
        **_about(settings, seeds=[settings.seed + i for i in range(len(whole))]),
        "rows": seed_rows(runs),
        "interrupted": stopped,
        "signal": interrupted.signal,
        "settings": settings.as_dict(),
    }
    if whole and outputs.figures:
        with drawing(watcher.warn):
            from neuromotor.plotting import save_figures
            from neuromotor.runs.figures import plot_seeds

            save_figures({"seeds": plot_seeds(runs)}, folder / "figures")
    write_json(folder / "summary.json", summary)
    return summary


def _started(settings: RunSettings, start: Path | None) -> RunSettings:
    """Return the settings of a new run, with the checksum of the controller that it starts from.

    Raises:
        SettingsError: The settings belong to a run that started from a controller, but no
            controller is given.
    """
    if start is not None:
        return replace(settings, start=_digest(start))
    if settings.start is not None:
        raise SettingsError(
            "the settings are of a training that began from a controller (`start`); give it by "
            "`train --start RUN/start.safetensors`, or leave the setting out for new weights."
        )
    return settings


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _go_on(folder: Path, settings: RunSettings) -> None:
    """Write down the settings with which a run begins or goes on, and remove an old summary."""
    (folder / "summary.json").unlink(missing_ok=True)
    if not _holds(folder, settings):
        write_json(folder / MARKER, settings.as_dict())


def _holds(folder: Path, settings: RunSettings) -> bool:
    """Return whether a folder was begun with these settings, budget and threads included.

    Raises:
        SettingsError: Other settings than budget and threads differ.
    """
    begun, now = None, settings.as_dict()
    with suppress(ValueError, OSError):
        begun = parse_json(read_text(folder / MARKER))
    check_unchanged(folder, begun, now)
    return bool(begun == now)


def _finished(folder: Path) -> bool:
    """Return whether a folder holds a finished run."""
    return read_run(folder).state == "finished"


def _about(settings: RunSettings, **seeds: Any) -> dict[str, Any]:
    """Return how a run came about, which is the head of its summary."""
    return {
        "format_version": RUN_VERSION,
        "task": settings.task_name,
        **seeds,
        "command": shlex.join(["neuromotor", *sys.argv[1:]]),
        "versions": versions(),
        "machine": machine(),
    }


def _run_one(
    settings: RunSettings,
    path: Path,
    interrupted: Interruption,
    outputs: RunOutputs,
    watcher: Watcher,
) -> dict[str, Any]:
    """Run one comparison into its folder, which may hold part of it already."""
    summary = _about(settings, seed=settings.seed)

    def finished(run: MethodRun) -> None:
        row = run.row()
        if run.method not in settings.optimizers and settings.teacher is None:
            folder.floor = run.performance.loss
        save_controller(
            folder.writable(f"controllers/{run.method}.safetensors"),
            run.controller,
            run.parameters,
            task=settings.task,
            info={**summary, **row},
            overwrite=True,
        )
        if pages is not None and run.method in settings.optimizers:
            pages.finished(run.method, run.counts.calls, run.performance.loss, run.parameters)
        watcher.finished(run)

    def note(method: str, progress: Progress, floor: float) -> None:
        show(method, progress, floor)
        folder.note(method, progress, floor)
        if pages is not None:
            point = progress.point
            pages.note(method, point.calls, point.value, progress.parameters)

    with (
        watcher.trainings(settings.calls) as show,
        RunFolder(
            path,
            settings.as_dict(),
            list(settings.optimizers),
            settings.budget(interrupted),
            checkpoint_s=outputs.checkpoint_s,
            keep_last=outputs.last_state,
            tensorboard=outputs.tensorboard,
            trained=interrupted.hurry,
        ) as folder,
    ):
        start = _start(folder, settings)
        _go_on(folder.writable(""), settings)
        pages = _live_pages(settings, folder.path, watcher) if outputs.live else None
        comparison = compare(
            settings.task,
            settings.controller,
            settings.optimizers,
            settings,
            budget=settings.budget(interrupted),
            parameters=start,
            callback=note,
            finished=finished,
            memory=folder,
        )
        stopped = interrupted()
        interrupted.hurry()
        summary |= {"signal": interrupted.signal}
        summary |= {"rows": comparison.rows, "references": comparison.reference_rows}
        summary |= {"interrupted": stopped, "settings": settings.as_dict()}
        write_json(folder.writable("history.json"), _histories(comparison))
        if outputs.figures:
            place = folder.writable("figures")
            with drawing(watcher.warn):
                from neuromotor.plotting import comparison_figures, save_figures

                save_figures(comparison_figures(comparison), place)
        write_json(folder.writable("summary.json"), summary)  # last: with it the run is finished
    return summary


def _live_pages(settings: RunSettings, path: Path, watcher: Watcher) -> LivePages:
    """Pages of the networks in training, and a word on where they are."""
    from neuromotor.view.live import LIVE_PAGE, LivePages  # needs all analyses

    pages = LivePages(
        path, settings.task, settings.controller, list(settings.optimizers), settings.seed
    )
    watcher.say(f"Live page: {path / LIVE_PAGE}")
    return pages


def _start(folder: RunFolder, settings: RunSettings) -> Tensor | None:
    """Return the parameters that a run's trainings begin from; None for new ones.

    Raises:
        RunFolderError: The file that holds them is needed, and it is lost.
    """
    path = folder.path / START
    if settings.start is None:
        return None
    found = path.is_file() and settings.start == _digest(path)
    if not found and folder.begun != settings.optimizers.keys():
        raise RunFolderError(
            f"{folder.path} lacks the {START} that its training began from, and holds no "
            "checkpoint: put that file back, or begin again with `--force --start CONTROLLER`."
        )
    return as_start(settings.as_dict(), load_controller(path)).parameters if found else None


def _histories(comparison: Comparison) -> dict[str, Any]:
    """Return lists of calls, seconds, losses and gradient norms, by method."""
    return {
        run.method: {
            "calls": [point.calls for point in run.history],
            "seconds": [point.seconds for point in run.history],
            "loss": [finite_or_none(point.value) for point in run.history],
            "gradient_norm": [finite_or_none(point.gradient_norm) for point in run.history],
        }
        for run in comparison.runs
    }


class Stopped(BaseException):  # Typer has its own way with KeyboardInterrupt
    """A signal came at a moment when no iteration had to be finished first."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signal = signum
        self.folder: Path | None = None  # what can be gone on with


class Interruption:
    """Answers whether a signal has asked the run to stop; `Budget.interrupted` calls it.

    From the first call on, a signal waits for the next call. Before the first call, and after
    `hurry`, a signal raises `Stopped`.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._asked = False

    def __call__(self) -> bool:
        self._asked = True
        return self.signal is not None

    def hurry(self) -> None:
        """Note that the iterations are over, so that the next signal raises `Stopped`."""
        self._asked = False

    def request(self, signum: int) -> None:
        """Stop at the next call; or at once, where no call will come or a signal waits already."""
        waiting = self.signal is not None
        self.signal = signum
        if waiting or not self._asked:
            raise Stopped(signum)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Let the first Ctrl-C or SIGTERM wait for the end of an iteration; a second raises `Stopped`.

    The handlers stay until the end. If the system's own were put back while another signal is on
    its way, Python could not call them.
    """
    asked = Interruption()

    def note(signum: int, frame: FrameType | None) -> None:
        asked.request(signum)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
