"""One run from settings to folder: compute, save as it goes, draw, and say what there is."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from neuromotor import __version__
from neuromotor._blas import blas_description
from neuromotor.checkpoint import save_controller
from neuromotor.cli.checkpoints import Checkpoints
from neuromotor.cli.display import live_comparison, messages
from neuromotor.cli.settings import RunSettings
from neuromotor.comparison import Comparison, MethodRun, compare
from neuromotor.files import create_run_folder, write_json
from neuromotor.optim import Progress, Snapshot
from neuromotor.seeds import seed_rows

__all__ = ["default_folder", "machine", "run_comparison", "run_seeds", "versions"]


def default_folder(command: str, task: str) -> Path:
    """Return a new folder's name: command, task and the time."""
    return Path("runs") / f"{command}-{task}-{time.strftime('%Y%m%d-%H%M%S')}"


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on."""
    names = ("torch", "numpy", "safetensors")
    return {
        "neuromotor": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
    }


def machine() -> dict[str, Any]:
    """Return what a speed may depend on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "numpy_blas": blas_description(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def run_comparison(
    settings: RunSettings,
    task_name: str,
    folder: Path,
    *,
    force: bool,
    start: Tensor | None = None,
    checkpoint_s: float | None = None,
    resume: Snapshot | None = None,
) -> dict[str, Any]:
    """Compare the settings' optimizers and leave a run folder; return its summary.

    With `checkpoint_s` the training's state is saved every so many seconds and at the end, for one
    optimizer; with `resume` it goes on from such a state, in the folder that there is.

    Every method's controller is saved as soon as it is trained. Ctrl-C ends the method in training
    after its iteration and keeps what there is; a second one ends at once.
    """
    torch.set_num_threads(settings.threads)
    if resume is None:
        create_run_folder(folder, settings.as_dict(), force=force)
    else:
        write_json(folder / "settings.json", settings.as_dict())
    checkpoints = None if checkpoint_s is None else Checkpoints(folder, checkpoint_s)
    with _interruptible() as interrupted:
        return _run_one(settings, task_name, folder, interrupted, start, checkpoints, resume)[0]


def run_seeds(
    settings: RunSettings, task_name: str, folder: Path, *, force: bool, seeds: int
) -> dict[str, Any]:
    """Run the comparison from several seeds, the settings' own first; return their summary.

    Each seed leaves a whole run folder of its own within `folder`, where medians and ranges and
    their figure lie. The seconds are those of runs one after another.
    """
    torch.set_num_threads(settings.threads)
    create_run_folder(folder, settings.as_dict(), force=force)
    comparisons: list[Comparison] = []
    with _interruptible() as interrupted:
        for seed in range(settings.seed, settings.seed + seeds):
            if interrupted():
                break
            messages.print(f"seed {seed}")
            own = replace(settings, seed=seed)
            part = folder / f"seed-{seed}"
            create_run_folder(part, own.as_dict(), force=force)
            comparisons.append(_run_one(own, task_name, part, interrupted, None)[1])
        stopped = interrupted()
    whole = comparisons[:-1] if stopped else comparisons  # the last one may lack methods
    summary = {
        "task": task_name,
        "seeds": [settings.seed + i for i in range(len(whole))],
        "command": shlex.join(["neuromotor", *sys.argv[1:]]),
        "versions": versions(),
        "machine": machine(),
        "rows": seed_rows(whole),
        "interrupted": stopped,
        "signal": interrupted.signal,
        "settings": settings.as_dict(),
    }
    write_json(folder / "summary.json", summary)
    if whole:
        _draw_seeds(whole, folder)
    return summary


def _run_one(
    settings: RunSettings,
    task_name: str,
    folder: Path,
    interrupted: Interruption,
    start: Tensor | None,
    checkpoints: Checkpoints | None = None,
    resume: Snapshot | None = None,
) -> tuple[dict[str, Any], Comparison]:
    """One comparison into its folder."""
    summary = {
        "task": task_name,
        "seed": settings.seed,
        "command": shlex.join(["neuromotor", *sys.argv[1:]]),
        "versions": versions(),
        "machine": machine(),
    }

    def keep(run: MethodRun) -> None:
        row = run.row()
        save_controller(
            folder / "controllers" / f"{run.method}.safetensors",
            run.controller,
            run.parameters,
            task=settings.task,
            info={**summary, **row},
            overwrite=resume is not None,
        )
        live.finished(run)

    def note(method: str, progress: Progress, floor: float) -> None:
        live.update(method, progress, floor)
        if checkpoints is not None:
            checkpoints.note(progress)

    with live_comparison(settings.calls) as live:
        comparison = compare(
            settings.task,
            settings.controller,
            settings.optimizers,
            budget=settings.budget(interrupted),
            seed=settings.seed,
            ilqr=settings.ilqr,
            dtype=settings.dtype,
            device=settings.device,
            parameters=start,
            callback=note,
            finished=keep,
            held_out_trials=settings.held_out,
            refresh=settings.refresh,
            products=settings.products,
            references=settings.references,
            resume=None if resume is None else dict.fromkeys(settings.optimizers, resume),
        )
        stopped = interrupted()
    if checkpoints is not None:
        checkpoints.save()
    summary |= {"signal": interrupted.signal}
    summary |= {"rows": comparison.rows, "references": comparison.reference_rows}
    summary |= {"interrupted": stopped, "settings": settings.as_dict()}
    write_json(folder / "history.json", _histories(comparison))
    write_json(folder / "summary.json", summary)
    _draw(comparison, folder)
    return summary, comparison


def _histories(comparison: Comparison) -> dict[str, Any]:
    """Loss over calls and seconds, a list a method."""
    return {
        run.method: {
            "calls": [point.calls for point in run.history],
            "seconds": [point.seconds for point in run.history],
            "loss": [_finite(point.value) for point in run.history],
            "gradient_norm": [_finite(point.gradient_norm) for point in run.history],
        }
        for run in comparison.runs
    }


def _finite(value: float) -> float | None:
    """JSON has no infinity."""
    return value if abs(value) < float("inf") else None


def _draw(comparison: Comparison, folder: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from neuromotor.plotting import comparison_figures, save_figures

    save_figures(comparison_figures(comparison), folder / "figures")


def _draw_seeds(comparisons: list[Comparison], folder: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from neuromotor.plotting import plot_seeds, save_figures

    save_figures({"seeds": plot_seeds(comparisons)}, folder / "figures")


class Interruption:
    """Whether a signal has asked to stop; a question for `Budget.interrupted`."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None


@contextmanager
def _interruptible() -> Iterator[Interruption]:
    """Turn the first Ctrl-C or SIGTERM into a question's answer; the second raises as usual."""
    asked = Interruption()

    def note(signum: int, frame: FrameType | None) -> None:
        asked.signal = signum
        for number, handler in before.items():
            signal.signal(number, handler)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
