"""Lets one process claim a folder while it writes into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "FolderVanished",
    "RunFolderError",
    "check_claimed",
    "claimed",
    "folder_in_use",
    "lock_folder",
    "make_folder",
]


class RunFolderError(ValueError):
    """A run folder exists already, or a folder does not hold the run that is needed."""


class FolderVanished(OSError):
    """Somebody removed or replaced a folder while this process wrote into it."""


_claimed: dict[Path, tuple[int, int]] = {}  # by path, with what identifies each


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Claim a folder for what this process does within the block, before it writes anything there.

    The folder is made if it is missing, and removed again if nothing was written. If somebody else
    removes the folder, nothing within the block makes it again. A claim within a claim of
    the same folder changes nothing.

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


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, but never again a folder that this process has claimed.

    Raises:
        FolderVanished: It lies in a claimed folder that is not there any more.
    """
    check_claimed(folder)
    folder = folder.absolute()
    missing = [part for part in (folder, *folder.parents) if not part.is_dir()]
    if _claimed.keys() & set(missing):
        check_claimed(folder)
    for part in reversed(missing):  # one by one, to notice what vanishes
        part.mkdir(exist_ok=True)


def check_claimed(path: Path) -> None:
    """Raise if `path` lies in a folder that this process has claimed and that is gone."""
    path = path.absolute()
    for folder, identity in _claimed.items():
        if folder == path or folder in path.parents:
            try:
                found = _identity(folder.stat())
            except (FileNotFoundError, NotADirectoryError):
                found = None
            if found != identity:
                raise FolderVanished(f"{folder} was removed while the run wrote into it")


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
    """Return whether a process has claimed a folder by `lock_folder`."""
    try:
        handle = lock_folder(folder)
    except RunFolderError:
        return True
    if handle is not None:
        os.close(handle)
    return False


def _lock_made(folder: Path) -> int | None:
    """Make a folder where it is missing, and lock it."""
    while True:
        make_folder(folder)
        with suppress(FileNotFoundError):  # removed by a process that had made it for nothing
            handle = lock_folder(folder)
            if handle is None or _identity(os.fstat(handle)) == _identity(folder.stat()):
                return handle
            os.close(handle)


def _identity(status: os.stat_result) -> tuple[int, int]:
    """Return what tells a folder from another one of the same name."""
    return status.st_dev, status.st_ino
