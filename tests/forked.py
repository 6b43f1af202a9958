"""The command in processes of its own that start at once, from a server that has imported it."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

from neuromotor import load_controller

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["neuromotor.cli", "matplotlib.pyplot", "neuromotor.plotting"])


SMALL = ("--set", "controller.layers=[8]", "--set", "task.directions=3", "--set", "task.steps=15")
QUICK = ("--no-figures", "--threads", "1")
TRAIN = ("train", "center-out", *SMALL, "--optimizer", "hf", "--budget", "500", *QUICK)
LBFGS = (*TRAIN[:8], "--optimizer", "lbfgs", "--budget", "150", *QUICK)  # whatever its budget is
COMPARE = ("compare", "center-out", *SMALL, "--optimizers", "lbfgs,adam", "--budget", "150", *QUICK)
SEEDS = (*COMPARE, "--seeds", "2")


def start(*arguments: object, log: Path) -> multiprocessing.process.BaseProcess:
    """Start `neuromotor ARGUMENTS`; what it says goes to `log`."""
    process = _CONTEXT.Process(target=_run, args=([str(a) for a in arguments], str(log)))
    process.start()
    return process


def finish(*arguments: object, log: Path, timeout: float = 900) -> tuple[int | None, str]:
    """Run `neuromotor ARGUMENTS` to its end; return the exit code and what it said."""
    process = start(*arguments, log=log)
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode, log.read_text(encoding="utf-8", errors="replace")


def _run(arguments: list[str], log: str) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.argv = ["neuromotor", *arguments]
    from neuromotor.cli import main

    main()


def wait_for(path, process):
    deadline = time.monotonic() + 120
    while not (path.exists() and path.stat().st_size):
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def content(folder):
    """Everything that a run computed, without seconds."""
    found = {}
    for path in sorted(folder.rglob("controllers/*.safetensors")):
        saved = load_controller(path)
        name = str(path.relative_to(folder))
        found[name] = (saved.controller, saved.parameters.numpy().tobytes())
    for path in sorted([*folder.rglob("history.json"), *folder.rglob("summary.json")]):
        data = json.loads(path.read_text())
        if path.name == "summary.json":
            data = {key: data[key] for key in ("rows", "settings", "task", "interrupted")}
        found[str(path.relative_to(folder))] = without_seconds(data)
    return found


def without_seconds(data):
    if isinstance(data, dict):
        return {
            key: without_seconds(value)
            for key, value in data.items()
            if key not in ("seconds", "seconds_to")
        }
    return [without_seconds(part) for part in data] if isinstance(data, list) else data
