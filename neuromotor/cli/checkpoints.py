"""Checkpoints of a training in its run folder: written while it runs, read by `--resume`."""

from __future__ import annotations

import time
from pathlib import Path

from neuromotor.checkpoint import CheckpointError
from neuromotor.files import RunFolderError
from neuromotor.optim import Progress, Snapshot
from neuromotor.snapshots import load_snapshot, save_snapshot

__all__ = ["CHECKPOINT", "Checkpoints", "find_checkpoint"]

CHECKPOINT = "checkpoint.safetensors"


class Checkpoints:
    """Saves a training's whole state now and then; the old file stays until the new one is whole.

    Args:
        folder: Run folder.
        every_s: Seconds between two files; they count as the training's.
    """

    def __init__(self, folder: Path, every_s: float) -> None:
        self._path = folder / CHECKPOINT
        self._every_s = every_s
        self._last = time.monotonic()
        self._latest: Progress | None = None

    def note(self, progress: Progress) -> None:
        """Take notice of an iteration, and save if it is time."""
        self._latest = progress
        if time.monotonic() - self._last >= self._every_s:
            self.save()

    def save(self) -> None:
        """Save the last iteration's state, if there was one."""
        if self._latest is not None:
            save_snapshot(self._path, self._latest.snapshot())
        self._last = time.monotonic()


def find_checkpoint(folder: Path) -> tuple[Path, Snapshot]:
    """Return a run folder's settings file and its last checkpoint.

    Raises:
        RunFolderError: The folder is no run folder.
        CheckpointError: It has no checkpoint, or a damaged one.
    """
    settings = folder / "settings.json"
    if not settings.is_file():
        raise RunFolderError(
            f"`--resume` must be the run folder of a training, got {folder} without settings.json."
        )
    path = folder / CHECKPOINT
    if not path.is_file():
        raise CheckpointError(
            f"{folder} has no {CHECKPOINT}: nothing was saved yet; start again with "
            f"`--config {settings}` and another `--out`."
        )
    return settings, load_snapshot(path)
