"""How a run's folder is made, so that nothing is overwritten by accident."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from neuromotor.storage.claims import RunFolderError, claimed
from neuromotor.storage.files import TEMPORARY, atomic_path, write_json

__all__ = [
    "MARKER",
    "START",
    "create_run_folder",
    "remove_leftovers",
]

MARKER = "settings.json"  # what makes a folder ours: removed and written last
START = "start.safetensors"  # the controller that a training starts from, if it was given one
_CONTENTS = (
    "summary.json",
    "history.json",
    "metrics.jsonl",
    "checkpoints",
    "controllers",
    "figures",
    "live",
    "live.html",
    "results",
    "tensorboard",
    START,
)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that a killed process left in a run folder."""
    for part in (folder, *(path for path in folder.iterdir() if path.is_dir())):
        for path in part.glob(f"{TEMPORARY}*"):
            path.unlink(missing_ok=True)


def create_run_folder(
    path: Path,
    settings: dict[str, Any],
    *,
    force: bool,
    start: Path | None = None,
    resumable: bool = True,
) -> None:
    """Make an empty run folder and write its settings.

    Killed at any moment, it leaves nothing, a whole run folder, or one that it can make again.

    Args:
        path: The folder; its parents are made too.
        settings: Everything that the run depends on.
        force: Whether an existing run folder is emptied first. Only what a run writes is removed.
        start: A controller file to keep a copy of, for a training that starts from it.
        resumable: Whether the command can go on with what a folder holds.

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
            ways = "overwrite it with `--force`"
            ways += ", or go on with it by `--resume`" if resumable else ""
            raise RunFolderError(
                f"{path} holds a run already; choose another `--out`{',' if resumable else ', or'} "
                f"{ways}."
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
    """Return whether a process that was killed while it made a run folder may have left this."""
    return path.name == START or path.name.startswith(TEMPORARY)
