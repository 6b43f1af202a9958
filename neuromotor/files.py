"""Files and run folders: nothing is lost, half written or overwritten by accident."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["RunFolderError", "atomic_path", "create_run_folder", "write_json"]

_MARKER = "settings.json"  # written first: what makes a folder ours
_CONTENTS = (
    _MARKER,
    "summary.json",
    "history.json",
    "checkpoint.safetensors",
    "controllers",
    "figures",
)


class RunFolderError(ValueError):
    """A run folder exists already, or is not one of ours."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, data: Any) -> None:
    """Write `data` as JSON, whole or not at all; numbers that are not finite are refused."""
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def create_run_folder(path: Path, settings: dict[str, Any], *, force: bool) -> None:
    """Make an empty run folder and write its settings.

    Args:
        path: The folder; its parents are made too.
        settings: Everything that the run depends on.
        force: Whether an existing run folder is emptied first. Only what a run writes is removed.

    Raises:
        RunFolderError: Something is there already, and `force` is false or it is no run folder.
    """
    if path.exists() and not path.is_dir():
        raise RunFolderError(f"`out` must be a folder, got the file {path}; choose another name.")
    if path.is_dir() and any(path.iterdir()):
        if not (path / _MARKER).is_file():
            raise RunFolderError(
                f"{path} holds files that are not a neuromotor run, so it is never overwritten; "
                "choose another `--out`."
            )
        if not force:
            raise RunFolderError(
                f"{path} holds a run already; choose another `--out`, or overwrite it with "
                "`--force`."
            )
        for name in _CONTENTS:
            old = path / name
            if old.is_dir():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / _MARKER, settings)
