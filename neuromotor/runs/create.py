"""A run's folder: made, claimed and locked, so that nothing is overwritten by accident."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]
from neuromotor.storage.files import TEMPORARY, atomic_path, claimed, write_json

__all__ = [
    "MARKER",
    "RunFolderError",
    "START",
    "create_run_folder",
    "folder_in_use",
    "lock_folder",
    "remove_leftovers",
]

MARKER = "settings.json"  # what makes a folder ours: removed and written last
START = "start.safetensors"  # the controller that a training starts from, if it was given one
_CONTENTS = (
    "summary.json",
    "history.json",
    "metrics.jsonl",
    "checkpoint.safetensors",
    "checkpoints",
    "controllers",
    "figures",
    "results",
    "tensorboard",
    START,
)
_LEFTOVERS = (f"{TEMPORARY}*", ".checkpoint-*", ".settings-*")  # the last two: of older versions


class RunFolderError(ValueError):
    """A run folder exists already, or is not one of ours."""


def lock_folder(folder: Path) -> int | None:
    """Claim a folder for this process until it ends, or closes the handle that is returned.

    Where the system or the file system knows no such locks, nothing is claimed.

    Raises:
        RunFolderError: Another process has claimed it.
    """
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise RunFolderError(
            f"{folder} is being written by another process; wait for it, or stop it."
        ) from error
    except OSError:
        pass
    return handle


def folder_in_use(folder: Path) -> bool:
    """Whether a process has claimed a folder by `lock_folder`."""
    try:
        handle = lock_folder(folder)
    except RunFolderError:
        return True
    if handle is not None:
        os.close(handle)
    return False


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that a killed process left in a run folder."""
    for part in (folder, *(path for path in folder.iterdir() if path.is_dir())):
        for pattern in _LEFTOVERS:
            for path in part.glob(pattern):
                path.unlink(missing_ok=True)


def create_run_folder(
    path: Path, settings: dict[str, Any], *, force: bool, start: Path | None = None
) -> None:
    """Make an empty run folder and write its settings.

    Killed at any moment, it leaves nothing, a whole run folder, or one that it can make again.

    Args:
        path: The folder; its parents are made too.
        settings: Everything that the run depends on.
        force: Whether an existing run folder is emptied first. Only what a run writes is removed.
        start: A controller file to keep a copy of, for a training that starts from it.

    Raises:
        RunFolderError: Something is there already, and `force` is false or it is no run folder.
    """
    begun = b"" if start is None else start.read_bytes()  # before a run that may hold it is emptied
    with claimed(path):
        ours = (path / MARKER).is_file()
        remains = [part for part in path.iterdir() if not _is_remains(part)]
        if remains and not ours:
            raise RunFolderError(
                f"{path} holds files that are not a neuromotor run, so it is never overwritten; "
                "choose another `--out`."
            )
        if ours and not force:
            raise RunFolderError(
                f"{path} holds a run already; choose another `--out`, overwrite it with `--force`, "
                "or go on with it by `--resume`."
            )
        for name in (*_CONTENTS, MARKER) if ours else (START,):
            old = path / name
            if old.is_dir():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
        remove_leftovers(path)
        if begun:
            with atomic_path(path / START) as temporary:
                temporary.write_bytes(begun)
        write_json(path / MARKER, settings)


def _is_remains(path: Path) -> bool:
    """Whether this is all that a process killed while it made a run folder may have left."""
    return path.name == START or path.name.startswith(TEMPORARY)
