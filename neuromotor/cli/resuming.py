"""The settings of a run of several trainings that goes on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuromotor.runs.settings import gather
from neuromotor.storage.components import SettingsError

__all__ = ["resumed_settings"]


def resumed_settings(
    path: Path,
    options: Mapping[str, Any],
    assignments: Sequence[str],
    may_change: Collection[str],
) -> dict[str, Any]:
    """Return the raw settings of a run, with those that may change where they are given.

    Args:
        path: The file of the settings, in the run's folder.
        options: What the command line gave, by name; None is not given.
        assignments: Texts of `--set`.
        may_change: Names of options that may be given.

    Raises:
        SettingsError: Anything else is given, or there is no such file.
    """
    given = {name: value for name, value in options.items() if value is not None}
    others = sorted(given.keys() - set(may_change))
    if others or assignments:
        names = ", ".join(f"`--{name}`" for name in [*others, *(["set"] if assignments else [])])
        raise SettingsError(
            f"`--resume` takes the settings from {path.parent}, got {names} too; leave them out."
        )
    if not path.is_file():
        raise SettingsError(f"`--resume` must be a folder with {path.name}, got {path.parent}.")
    return gather(path, given, [], smoke=False)
