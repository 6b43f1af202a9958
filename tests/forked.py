"""The command in processes of its own that start at once, from a server that has imported it."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["neuromotor.cli", "matplotlib.pyplot", "neuromotor.plotting"])


def start(*arguments: object, log: Path) -> multiprocessing.process.BaseProcess:
    """Start `neuromotor ARGUMENTS`; what it says goes to `log`."""
    process = _CONTEXT.Process(target=_run, args=([str(a) for a in arguments], str(log)))
    process.start()
    return process


def finish(*arguments: object, log: Path, timeout: float = 120) -> tuple[int | None, str]:
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
