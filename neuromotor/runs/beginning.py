"""Begins a folder of several trainings, or goes on with one that agrees with the settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from neuromotor.storage.claims import RunFolderError
from neuromotor.storage.files import parse_json, read_text, write_json

__all__ = ["begin_folder"]


def begin_folder(
    path: Path,
    given: Mapping[str, Any],
    parts: Collection[str],
    *,
    defaults: Mapping[str, Any],
    may_change: Collection[str],
    resume: bool,
    force: bool,
) -> None:
    """Write the settings into a new folder, or compare those that are there.

    Args:
        path: The file of the settings; its parent is the folder.
        given: The settings as plain data.
        parts: Sub-folders, whose files are removed where an earlier run is overwritten.
        defaults: What a setting is that the file, of an older version, does not have.
        may_change: Settings with which a run may go on though they differ.
        resume: Whether what is in the folder is gone on with.
        force: Whether the results of an earlier run are removed.

    Raises:
        RunFolderError: The folder holds something else, or other settings.
    """
    folder = path.parent
    if resume:
        if not path.is_file():
            raise RunFolderError(f"`--resume` must be a folder with {path.name}, got {folder}.")
        begun = parse_json(read_text(path))
        for key in given.keys() - set(may_change):
            if begun.get(key, defaults.get(key)) != given[key]:
                raise RunFolderError(f"`{key}` is not as in {path}; start a new run.")
    elif path.is_file() and not force:
        raise RunFolderError(
            f"{folder} holds a run already; choose another `--out`, overwrite it with `--force`, "
            "or go on with it by `--resume`."
        )
    elif not path.is_file() and any(folder.iterdir()):
        raise RunFolderError(f"{folder} holds other files; choose another `--out`.")
    else:
        for part in parts:
            for old in (folder / part).glob("*"):
                old.unlink()
        (folder / "summary.json").unlink(missing_ok=True)
    write_json(path, dict(given))
