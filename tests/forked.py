"""The command in processes of its own that start at once, from a server that has imported it."""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from neuromotor import load_controller

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "neuromotor.cli.app",
        "neuromotor.plotting",
        "matplotlib.pyplot",
        "xarray",
        "sklearn.linear_model",
    ]
)

SMALL = ("--set", "controller.layers=[8]", "--set", "task.directions=3", "--set", "task.steps=15")
QUICK = ("--no-figures", "--threads", "1")
TRAIN = ("train", "center-out", *SMALL, "--optimizer", "hf", "--budget", "500", *QUICK)
LBFGS = (*TRAIN[:8], "--optimizer", "lbfgs", "--budget", "150", *QUICK)  # whatever its budget is
COMPARE = ("compare", "center-out", *SMALL, "--optimizers", "lbfgs,adam", "--budget", "150", *QUICK)
SEEDS = (*COMPARE, "--seeds", "2")


def start(
    *arguments: object, log: Path, kill_at: int | None = None
) -> multiprocessing.process.BaseProcess:
    """Start `neuromotor ARGUMENTS`; what it says goes to `log`.

    With `kill_at` it kills itself just before its write of that number: whatever makes, opens,
    renames or removes a file or folder beside the log. The file `writes` there lists them.
    """
    words = ["neuromotor", *map(str, arguments)]
    process = _CONTEXT.Process(target=_run, args=(words, str(log)), kwargs={"kill_at": kill_at})
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


def neuromotor(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `neuromotor ARGUMENTS` to its end, in a folder."""
    return together(["neuromotor", *arguments], cwd=cwd)[0]


def together(
    *commands: Sequence[object],
    variables: Sequence[Mapping[str, str]] | None = None,
    cwd: Path | None = None,
) -> list[subprocess.CompletedProcess[str]]:
    """Run `neuromotor` or files of Python at the same time, each to its end.

    Args:
        commands: `neuromotor` or a file, and its arguments, each.
        variables: What is added to the environment of each.
        cwd: Folder that they run in.
    """
    begun = []
    with tempfile.TemporaryDirectory() as place:
        for number, command in enumerate(commands):
            words = [str(word) for word in command]
            paths = tuple(f"{place}/{name}{number}" for name in ("out", "err"))
            options = {"cwd": cwd, "variables": variables[number] if variables else {}}
            process = _CONTEXT.Process(target=_run, args=(words, *paths), kwargs=options)
            process.start()
            begun.append((process, words, paths))
        ended = []
        for process, words, paths in begun:
            process.join(900)
            if process.is_alive():
                process.kill()
                process.join()
            assert process.exitcode is not None
            said = [Path(path).read_text(encoding="utf-8") for path in paths]
            ended.append(subprocess.CompletedProcess(words, process.exitcode, *said))
    return ended


_WRITES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def _kill_at(number: int, place: Path) -> None:
    """Let this process die before a write."""
    begun = 0
    noted = os.open(place / "writes", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def note(event: str, details: tuple[object, ...]) -> None:
        nonlocal begun
        if event not in _WRITES or not str(details[0]).startswith(str(place)):
            return
        if event == "open" and not int(str(details[2])) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        os.write(noted, f"{event} {details[0]}\n".encode())
        begun += 1
        if begun == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(note)


def _run(
    words: list[str],
    out: str,
    err: str | None = None,
    *,
    kill_at: int | None = None,
    cwd: Path | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> None:
    for number, path in ((1, out), (2, err)):
        if path is not None:
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    if err is None:
        os.dup2(1, 2)
    if cwd is not None:
        os.chdir(cwd)
    os.environ.update(variables)
    sys.argv = words
    if kill_at is not None:
        _kill_at(kill_at, Path(out).parent)
    if words[0] != "neuromotor":
        runpy.run_path(words[0], run_name="__main__")
        return
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
