"""Files and run folders: nothing is lost, half written or overwritten by accident."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "MARKER",
    "START",
    "RunFolderError",
    "atomic_path",
    "create_run_folder",
    "folder_in_use",
    "lock_folder",
    "parse_json",
    "read_text",
    "remove_leftovers",
    "write_json",
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
_TEMPORARY = ".neuromotor-"
_LEFTOVERS = (f"{_TEMPORARY}*", ".checkpoint-*", ".settings-*")  # the last two: of older versions
MAX_TEXT_BYTES = 1 << 28  # a history of a million iterations has a third of that
_MAX_DEPTH = 64


class RunFolderError(ValueError):
    """A run folder exists already, or is not one of ours."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f"{_TEMPORARY}{path.stem}-"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=path.suffix)
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
        with suppress(OSError):  # the reason for being here says more
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


def read_text(path: Path, *, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return a text file's content.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no file, has more than `max_bytes` bytes, or is not UTF-8.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a file")
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(
            f"{path} has more than {max_bytes:,} bytes, too many for what it should be"
        )
    return data.decode("utf-8")


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """Return what JSON text holds; deep nesting is refused, and numbers that are not finite.

    Args:
        text: What `json.dumps` may have written.
        finite: Whether NaN and infinities are refused.

    Raises:
        ValueError: The text is not such JSON.
    """
    try:
        data = json.loads(text, parse_constant=_refuse if finite else None)
    except RecursionError as error:
        raise ValueError(f"nested more than {_MAX_DEPTH} deep") from error
    level, depth = [data], 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise ValueError(f"nested more than {_MAX_DEPTH} deep")
        parts = [
            x.values() if isinstance(x, dict) else x for x in level if isinstance(x, dict | list)
        ]
        level = [x for part in parts for x in part if isinstance(x, dict | list)]
    return data


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not a number of JSON")


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
    if path.exists() and not path.is_dir():
        raise RunFolderError(f"`out` must be a folder, got the file {path}; choose another name.")
    begun = b"" if start is None else start.read_bytes()  # before a run that may hold it is emptied
    if path.is_dir():
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
        lock = lock_folder(path)
        for name in (*_CONTENTS, MARKER) if ours else (START,):
            old = path / name
            if old.is_dir():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
        remove_leftovers(path)
        if lock is not None:
            os.close(lock)
    path.mkdir(parents=True, exist_ok=True)
    if begun:
        with atomic_path(path / START) as temporary:
            temporary.write_bytes(begun)
    write_json(path / MARKER, settings)


def _is_remains(path: Path) -> bool:
    """Whether this is all that a process killed while it made a run folder may have left."""
    return path.name == START or path.name.startswith(_TEMPORARY)
