"""Text and JSON files: written whole or not at all, and read with bounds."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from neuromotor.runs.create import RunFolderError, lock_folder

__all__ = [
    "FolderVanished",
    "atomic_path",
    "claimed",
    "make_folder",
    "parse_json",
    "read_text",
    "write_json",
]

TEMPORARY = ".neuromotor-"
MAX_TEXT_BYTES = 1 << 28  # a history of a million iterations has a third of that
_MAX_DEPTH = 64


class FolderVanished(OSError):
    """Somebody removed or replaced a folder while this process wrote into it."""


_claimed: dict[Path, tuple[int, int]] = {}  # folders that this process writes into, and which


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place when the block ends well.

    Missing folders are made as `make_folder` does.

    Raises:
        FolderVanished: The file belongs into a claimed folder that is not there any more.
    """
    temporary: Path | None = None
    try:
        make_folder(path.parent)
        prefix = f"{TEMPORARY}{path.stem}-"
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        _sync_folder(path.parent)
    except FileNotFoundError:
        _check_claimed(path)  # says so where the folder vanished meanwhile
        raise
    finally:
        if temporary is not None:
            with suppress(OSError):  # the reason for being here says more
                temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those that it lies in, but none anew that this process has claimed.

    Raises:
        FolderVanished: It lies in a claimed folder that is not there any more.
    """
    _check_claimed(folder)
    folder = folder.absolute()
    missing = [part for part in (folder, *folder.parents) if not part.is_dir()]
    if _claimed.keys() & set(missing):
        _check_claimed(folder)
    for part in reversed(missing):  # one by one: what vanishes from now on is an error
        part.mkdir(exist_ok=True)


def _check_claimed(path: Path) -> None:
    """Raise where a folder that this process has claimed, and that `path` lies in, is gone."""
    path = path.absolute()
    for folder, identity in _claimed.items():
        if folder == path or folder in path.parents:
            try:
                found = _identity(folder.stat())
            except (FileNotFoundError, NotADirectoryError):
                found = None
            if found != identity:
                raise FolderVanished(f"{folder} was removed while the run wrote into it")


def _identity(status: os.stat_result) -> tuple[int, int]:
    """What tells a folder from another one of the same name."""
    return status.st_dev, status.st_ino


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


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Claim a folder for what this process does within the block, before it writes anything there.

    The folder is made if it is missing, and removed again if nothing was written. Nothing within
    the block makes it anew if somebody removes it. A claim within a claim is none of its own.

    Raises:
        RunFolderError: Another process has claimed it, or it is a file.
    """
    place = folder.absolute()
    if place in _claimed:
        yield
        return
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"`out` must be a folder, got the file {folder}; choose another name.")
    made = not folder.exists()
    handle = _lock_made(folder)
    _claimed[place] = _identity(folder.stat())
    try:
        yield
    finally:
        del _claimed[place]
        if made:
            with suppress(OSError):  # it has content, or is gone
                folder.rmdir()
        if handle is not None:
            os.close(handle)


def _lock_made(folder: Path) -> int | None:
    """Lock a folder that is made first where it is missing."""
    while True:
        make_folder(folder)
        with suppress(FileNotFoundError):  # removed by a process that had made it for nothing
            handle = lock_folder(folder)
            if handle is None or _identity(os.fstat(handle)) == _identity(folder.stat()):
                return handle
            os.close(handle)
